"""A relaxation completed to a plan by search."""

import random

import numpy as np
import pytest

from memonger.heuristics.sharing_table import no_sharing
from memonger.instances.families import FAMILIES
from memonger.registry import Run
from memonger.solver import completion
from memonger.solver.completion import complete
from memonger.solver.core import Core
from memonger.solver.incumbent import Incumbent
from memonger.solver.stages import improve_by_relaxation
from memonger.stop import Deadline
from memonger.verify import verify_sharing
from tests import oracles
from tests.strategies import random_problem


def relaxed(problem, monkeypatch, seconds=None):
    """Return an incumbent without a plan from its relaxation, its core and the relaxation."""
    incumbent = Incumbent(problem, Run(Deadline(seconds)))
    core = Core.of(problem)
    monkeypatch.setattr("memonger.solver.stages.round_relaxation", lambda *_: None)
    monkeypatch.setattr("memonger.solver.stages.search_targets", lambda *_: None)
    return incumbent, core, improve_by_relaxation(incumbent, core)


@pytest.mark.parametrize("seed", range(40))
def test_plans_are_valid_and_no_worse(seed, monkeypatch):
    problem = random_problem(random.Random(seed), 7, horizon=6, largest=5)
    incumbent, core, relaxation = relaxed(problem, monkeypatch)
    before = incumbent.cost
    if relaxation is None:
        return
    complete(incumbent, core, relaxation)
    assert verify_sharing(problem, incumbent.plan) == incumbent.cost <= before
    assert incumbent.bound <= oracles.optimum(problem) <= incumbent.cost


def test_it_finds_what_the_relaxation_promises(monkeypatch):
    problem = FAMILIES["densenet"](100, 0)
    incumbent, core, relaxation = relaxed(problem, monkeypatch)
    assert incumbent.source == "none"
    complete(incumbent, core, relaxation)
    assert incumbent.source == "completion"
    assert incumbent.cost < no_sharing(problem).cost(problem) / 2
    assert (incumbent.cost - incumbent.bound) / incumbent.bound < 0.01


def test_only_what_is_split_is_open(monkeypatch):
    problem = FAMILIES["densenet"](100, 0)
    _, core, relaxation = relaxed(problem, monkeypatch)
    groups = core.groups
    pairs = completion._undecided(groups, relaxation, relaxation.pairs)
    whole = np.ones(len(groups), dtype=bool)
    split = np.abs(relaxation.placed - np.round(relaxation.placed)) > completion.WHOLE
    whole[relaxation.pairs.group[split]] = False
    assert set(pairs.group.tolist()) == set(range(len(groups)))
    own = {
        (g, c)
        for g, c, value in zip(
            relaxation.pairs.group, relaxation.pairs.kind, relaxation.placed, strict=True
        )
        if value > completion.WHOLE
    }
    for g, c in zip(pairs.group.tolist(), pairs.kind.tolist(), strict=True):
        assert not whole[g] or (g, c) in own


def test_models_that_would_be_too_large_are_not_built(monkeypatch):
    problem = FAMILIES["densenet"](100, 0)
    incumbent, core, relaxation = relaxed(problem, monkeypatch)
    monkeypatch.setattr("memonger.solver.cpsat.MAX_ENTRIES", 0)
    complete(incumbent, core, relaxation)
    assert incumbent.source == "none"
