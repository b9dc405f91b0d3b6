"""Bounds and plans from some of the cliques."""

import json
import random

import numpy as np
import pytest
from scipy.optimize import linprog

from memonger.graph.cliques import compress
from memonger.graph.profile import size_profile
from memonger.instances.families import FAMILIES
from memonger.instances.plan_json import plan_to_json
from memonger.instances.problem_json import problem_to_json
from memonger.plan import SharingPlan
from memonger.registry import Run
from memonger.result import Proof, Status
from memonger.solver import critical
from memonger.solver.class_lp import build_class_lp
from memonger.solver.core import Core
from memonger.solver.critical import close_at_critical_cliques
from memonger.solver.incumbent import Incumbent
from memonger.solver.presolve import allowed_pairs, gap_fixing, restricted
from memonger.solver.relaxation import keys, relax
from memonger.solver.solve import solve
from memonger.stop import Deadline
from tests import oracles
from tests.solver.test_relaxation import loose_problems
from tests.stand_alone import stand_alone_verdict
from tests.strategies import random_problem


def some_cliques(rng, groups):
    count = rng.randint(1, groups.num_cliques)
    return np.array(sorted(rng.sample(range(groups.num_cliques), count)), dtype=np.int64)


def low_of(problem):
    return size_profile(problem).counts


@pytest.mark.parametrize("seed", range(3))
def test_restriction_by_the_definition(seed):
    rng = random.Random(seed)
    for _ in range(30):
        problem = random_problem(rng, 9, largest=5)
        groups = compress(problem)
        cliques = some_cliques(rng, groups)
        part, limits = restricted(groups, low_of(problem), problem.total, cliques)
        times = groups.times[cliques].tolist()
        assert part.times.tolist() == times
        live = {
            i: [t for t in times if b.start <= t < b.end] for i, b in enumerate(problem.buffers)
        }
        assert sorted(i for members in part.members for i in members) == [
            i for i in live if live[i]
        ]
        seen = set()
        for g, members in enumerate(part.members):
            for i in members:
                assert live[i] == times[part.first[g] : part.last[g] + 1]
                assert part.sizes[part.level[g]] == problem.buffers[i].size
            seen.add((tuple(live[members[0]]), int(part.level[g])))
        assert len(seen) == len(part)  # all that are alike are merged
        whole = gap_fixing(groups, problem.total)
        assert (limits.low == whole.low).all()
        assert (limits.high >= whole.high).all()


def dense_value(groups, limits, steps):
    """Return the value of the relaxation over all classes, row by row as it is defined."""
    num_classes = len(groups.sizes)
    pairs = [
        (g, c)
        for g in range(len(groups))
        for c in range(int(limits.smallest[g]), int(groups.level[g]) + 1)
    ]
    width = len(pairs) + num_classes  # x, then M_k
    upper, right = [], []
    for c in range(num_classes):
        for q in range(groups.num_cliques):
            row = np.zeros(width)
            for index, (g, kind) in enumerate(pairs):
                row[index] = kind == c and groups.first[g] <= q <= groups.last[g]
            row[len(pairs) + c] = -1
            if c:
                row[len(pairs) + c - 1] = 1
            upper.append(row)
            right.append(0)
        if c:
            row = np.zeros(width)
            row[len(pairs) + c - 1], row[len(pairs) + c] = 1, -1
            upper.append(row)
            right.append(0)
    equal = np.zeros((len(groups), width))
    for index, (g, _) in enumerate(pairs):
        equal[g, index] = 1
    cost = np.concatenate([np.zeros(len(pairs)), steps])
    bounds = [(0, None)] * len(pairs) + list(
        zip(limits.low.tolist(), limits.high.tolist(), strict=True)
    )
    found = linprog(
        cost, np.array(upper), np.array(right), equal, groups.multiplicity, bounds, method="highs"
    )
    assert found.status == 0
    return found.fun


@pytest.mark.parametrize("seed", range(3))
def test_relaxations_over_some_cliques(seed):
    """Of the value that the rows have that are written out for every class; below the optimum."""
    rng = random.Random(seed)
    shared = above = 0
    for problem in loose_problems(20 + seed, 8, offset=rng.choice((0, 5))):
        groups, low = compress(problem), low_of(problem)
        best = oracles.optimum(problem)
        for cliques in (some_cliques(rng, groups), np.arange(groups.num_cliques)):
            cost = best + rng.choice((0, 2, 7))
            part, limits = restricted(groups, low, cost, cliques)
            pairs = allowed_pairs(part, limits)
            assert set(pairs.kind.tolist()) <= set(part.level.tolist())
            shared += any(chain.top < chain.kind for chain in build_class_lp(part, limits).chains)
            found = relax(part, limits, keys(part, pairs), cost + 1, 60.0)
            bound = found.certificate.bound(problem)
            assert bound <= best
            value = dense_value(part, limits, part.steps)
            assert float(found.at_least @ part.steps) == pytest.approx(value, abs=1e-6)
            assert bound >= value - 1e-3
            above += bound > oracles.threshold_bound(problem)
    assert shared > 1
    assert above > 8


def incumbent_of(problem, plan, seconds=None):
    return Incumbent(problem, Run(Deadline(seconds), hint=plan))


def apart(problem):
    return SharingPlan(tuple(range(len(problem))))


@pytest.mark.parametrize("seed", range(3))
def test_bounds_and_plans_against_brute_force(monkeypatch, seed):
    """From the worst plan there is; nearly all are closed."""
    monkeypatch.setattr(critical, "RADIUS", 0)  # so that there are several rounds
    monkeypatch.setattr(critical, "TAKEN", 1)
    monkeypatch.setattr(critical, "EFFORT", 100_000)
    monkeypatch.setattr(critical, "SMALL", 0)
    closed = 0
    problems = loose_problems(40 + seed, 20)
    for problem in problems:
        best = oracles.optimum(problem)
        incumbent = incumbent_of(problem, apart(problem))
        incumbent.bound = oracles.threshold_bound(problem)
        close_at_critical_cliques(incumbent, Core.of(problem))
        assert oracles.is_valid(problem, incumbent.plan.shared)
        assert incumbent.cost == oracles.cost_of(problem, incumbent.plan.shared)
        assert incumbent.bound <= best <= incumbent.cost
        if incumbent.certificate is not None:
            assert incumbent.proof is Proof.LP_DUAL
            assert incumbent.certificate.bound(problem) == incumbent.bound
        closed += incumbent.closed
    assert closed >= 15


CLOSED = [
    ("random", 2000, 0),
    ("adversarial", 3000, 1),
    ("randwire", 3000, 0),
    ("densenet", 1000, 0),
    ("heavy", 1000, 0),
]


@pytest.mark.parametrize(("family", "n", "seed"), CLOSED)
def test_families(family, n, seed):
    """Proven, and the proof stands alone."""
    problem = FAMILIES[family](n, seed)
    result = solve(problem, workers=1)
    assert result.status is Status.OPTIMAL
    assert result.certificate.bound(problem) == result.objective
    plan = json.loads(json.dumps(plan_to_json(problem, result)))
    assert stand_alone_verdict(plan, json.loads(json.dumps(problem_to_json(problem))))
    again = solve(problem, workers=1)
    assert again.plan == result.plan
    assert again.certificate == result.certificate


def test_without_tables_of_all_sizes(monkeypatch):
    """Where sizes times cliques are too many for the class model."""
    monkeypatch.setattr("memonger.solver.core.MAX_TABLE", 0)
    problem = FAMILIES["densenet"](600, 0)
    core = Core.sparse(problem)
    assert not core.has_tables
    assert Core.of(problem) is None
    incumbent = incumbent_of(problem, solve(problem, "by-size").plan)
    close_at_critical_cliques(incumbent, core)
    assert incumbent.bound > oracles.threshold_bound(problem)
    assert incumbent.closed


def test_nothing_is_done_without_time():
    problem = FAMILIES["random"](300, 0)
    incumbent = incumbent_of(problem, apart(problem), seconds=0.0)
    close_at_critical_cliques(incumbent, Core.of(problem))
    assert (incumbent.bound, incumbent.plan) == (0, apart(problem))
