"""From values of the relaxation to plans."""

import random

import numpy as np
import pytest

from memonger.graph.cliques import compress
from memonger.heuristics.class_load import Placement
from memonger.heuristics.classes import plan_from_classes
from memonger.problem import Buffer, Problem
from memonger.solver import rounding
from memonger.solver.presolve import Pairs, allowed_pairs, gap_fixing
from memonger.solver.prices import Prices
from memonger.solver.relaxation import Relaxation, keys, relax
from memonger.solver.rounding import round_relaxation
from memonger.stop import Deadline
from tests import oracles
from tests.solver.test_presolve import classes_of
from tests.strategies import random_problem

FOREVER = Deadline(None)
INF = 10**9
NOTHING = np.zeros(0, dtype=np.int64)


def values_of(problem, groups, pairs, shared):
    """Return the values of x and M_k that a plan gives."""
    classes, at_least = classes_of(problem, shared, groups.sizes.tolist())
    group_of = {i: g for g, members in enumerate(groups.members) for i in members}
    keys = list(zip(pairs.group.tolist(), pairs.kind.tolist(), strict=True))
    placed = np.zeros(len(pairs))
    for i, c in enumerate(classes):
        placed[keys.index((group_of[i], c))] += 1
    return classes, placed, np.array(at_least, dtype=float)


def rounded(groups, pairs, placed, at_least, below=INF, deadline=FOREVER):
    """Round what a relaxation might have found."""
    no_prices: Prices = None
    relaxation = Relaxation(groups, pairs, placed, at_least, no_prices, None, NOTHING, NOTHING)
    return round_relaxation(groups, relaxation, below, deadline)


def check(problem, groups, found):
    assert isinstance(found, Placement)
    for buffer, c in zip(problem.buffers, found.classes.tolist(), strict=True):
        assert groups.sizes[c] >= buffer.size
    plan = plan_from_classes(problem, found.classes.tolist())
    assert oracles.is_valid(problem, plan.shared)
    assert plan.cost(problem) <= found.cost(groups)
    return found.cost(groups)


@pytest.mark.parametrize("seed", range(3))
def test_integral_values_are_kept(seed):
    """The values of any plan give it back, class by class up to identical buffers."""
    rng = random.Random(seed)
    for _ in range(15):
        problem = random_problem(rng, 6, horizon=5, largest=3)
        groups = compress(problem)
        pairs = allowed_pairs(groups, gap_fixing(groups, problem.total))
        shared = rng.choice(list(oracles.valid_plans(problem)))
        classes, placed, at_least = values_of(problem, groups, pairs, shared)
        noise = np.array([rng.uniform(-1e-8, 1e-8) for _ in placed])
        found = rounded(groups, pairs, placed + noise, at_least)
        assert check(problem, groups, found) <= oracles.cost_of(problem, shared)
        for members in groups.members:
            assert sorted(found.classes[list(members)]) == sorted(classes[i] for i in members)


@pytest.mark.parametrize("seed", range(3))
def test_fractions_are_filled_up(seed):
    """Whatever the values, a placement that is valid; of an optimal plan it is near."""
    rng = random.Random(seed)
    optimal = 0
    for _ in range(30):
        problem = random_problem(rng, 7)
        groups = compress(problem)
        best = oracles.optimum(problem)
        pairs = allowed_pairs(groups, gap_fixing(groups, best))
        shared = min(oracles.valid_plans(problem), key=lambda s, p=problem: oracles.cost_of(p, s))
        _, placed, at_least = values_of(problem, groups, pairs, shared)
        for g in range(len(groups)):
            if rng.random() < 0.5:
                placed[pairs.group == g] *= 0.5
        found = rounded(groups, pairs, placed, at_least)
        cost = check(problem, groups, found)
        assert cost >= best
        optimal += cost == best
        wild = np.array([rng.uniform(0, 2) for _ in placed])
        check(problem, groups, rounded(groups, pairs, wild, at_least))
    assert optimal >= 25


@pytest.mark.parametrize("seed", range(3))
def test_values_of_a_relaxation(seed):
    """Solved over all columns, or over some: groups that it places as a whole stay there."""
    rng = random.Random(seed)
    optimal = 0
    for _ in range(25):
        problem = random_problem(rng, 8, largest=6)
        groups = compress(problem)
        best = oracles.optimum(problem)
        limits = gap_fixing(groups, best + 2)
        pairs = allowed_pairs(groups, limits)
        own = groups.level[pairs.group] == pairs.kind
        some = own | np.array([rng.random() < 0.8 for _ in range(len(pairs))])
        for kept in (np.ones(len(pairs), dtype=bool), some):
            relaxation = relax(groups, limits, keys(groups, pairs)[kept], best + 3, 60.0)
            if relaxation is None:
                assert kept is some
                continue
            found = round_relaxation(groups, relaxation, INF, FOREVER)
            cost = check(problem, groups, found)
            optimal += cost == best
            entries = zip(
                relaxation.pairs.group.tolist(),
                relaxation.pairs.kind.tolist(),
                relaxation.placed.tolist(),
                strict=True,
            )
            for g, c, value in entries:
                members = groups.members[g]
                if value > len(members) - 1e-6:
                    assert found.classes[list(members)].tolist() == [c] * len(members)
    assert optimal >= 25


def test_only_cheaper_placements_are_of_use():
    problem = Problem((Buffer("a", 8, 0, 2), Buffer("b", 4, 1, 3), Buffer("c", 8, 2, 4)))
    groups = compress(problem)
    pairs = allowed_pairs(groups, gap_fixing(groups, problem.total))
    _, placed, at_least = values_of(problem, groups, pairs, (0, 1, 0))
    assert rounded(groups, pairs, placed, at_least, 12) is None
    assert rounded(groups, pairs, placed, at_least, 13).cost(groups) == 12
    assert rounded(groups, pairs, placed, at_least, 13, Deadline(0.0)) is None


def test_counts_between_integers_are_rounded_both_ways(monkeypatch):
    """To the nearest first; then mostly down and mostly up, where that may cost less."""
    rows = [(8, 0, 2), (6, 1, 3), (6, 2, 4), (8, 4, 6), (6, 5, 7), (6, 6, 8)]
    problem = Problem(tuple(Buffer(f"b{i}", *row) for i, row in enumerate(rows)))
    groups = compress(problem)
    nothing = Pairs(NOTHING, NOTHING)
    seen = []

    def record(groups, order, rule, capacity, classes, deadline):
        seen.append(np.cumsum(capacity).tolist())
        return Placement(np.zeros(len(problem), dtype=np.int64), capacity)

    monkeypatch.setattr(rounding, "place", record)
    rounded(groups, nothing, np.zeros(0), np.array([2.4, 3.4]))
    assert seen[0] == [2, 3]
    assert [2, 3] in seen
    assert [3, 4] in seen
    seen.clear()
    rounded(groups, nothing, np.zeros(0), np.array([2.6, 3.0]))
    assert seen[0] == [3, 3]
    assert [2, 3] in seen
    seen.clear()
    rounded(groups, nothing, np.zeros(0), np.array([0.0, 0.0]))
    assert seen[0] == [1, 2]  # never below the buffers that are live at once
