"""Rules: what must share, what must not, how many shared buffers, against brute force."""

import random
from collections import Counter
from dataclasses import replace

import pytest

from memonger.errors import InputError, PlanError, ProblemError
from memonger.plan import SharingPlan
from memonger.problem import Buffer, Problem
from memonger.registry import SHARING, Run
from memonger.result import Status
from memonger.rules import Rules
from memonger.solver import constrained
from memonger.solver.solve import solve
from memonger.stop import Deadline
from memonger.verify import verify_sharing
from tests import oracles
from tests.solver.test_in_place import random_in_place
from tests.strategies import random_problem

ABLE = [algorithm.name for algorithm in SHARING if algorithm.rules]
ROWS = (("a", 8, 0, 2), ("b", 4, 1, 3), ("c", 8, 2, 4), ("d", 2, 3, 5))
PROBLEM = Problem(tuple(Buffer(*row) for row in ROWS))


def keeps(problem, shared):
    """Return whether a plan keeps the rules, by their definition."""
    rules = problem.rules
    used = {n for n, b in zip(shared, problem.buffers, strict=True) if b.size}
    return (
        all(shared[i] == shared[j] for i, j in rules.together)
        and all(shared[i] != shared[j] for i, j in rules.apart)
        and (rules.at_most is None or len(used) <= rules.at_most)
    )


def best_of(problem):
    """Return the least cost of all plans that keep the rules, ``None`` if there is none."""
    plain = replace(problem, rules=Rules())
    costs = [
        oracles.cost_of(problem, shared)
        for shared in oracles.valid_plans(plain)
        if keeps(problem, shared)
    ]
    return min(costs, default=None)


def random_rules(rng, problem):
    """Return random rules for a problem."""
    sized = [i for i, b in enumerate(problem.buffers) if b.size]
    pairs = [(i, j) for i in sized for j in sized if i < j]
    rng.shuffle(pairs)
    cut = rng.randint(0, 2)
    return Rules(
        rng.choice((None, None, rng.randint(1, 5))),
        tuple(pairs[:cut]),
        tuple(pairs[cut : cut + rng.randint(0, 3)]),
    )


@pytest.mark.parametrize("algorithm", ABLE)
def test_brute_force(algorithm):
    rng = random.Random(21)
    found = Counter()
    for _ in range(250):
        problem = random_problem(rng, rng.randint(2, 7), horizon=rng.choice((5, 10)))
        problem = replace(problem, rules=random_rules(rng, problem))
        result = solve(problem, algorithm, workers=1)
        best = best_of(problem)
        found[result.status] += 1
        if best is None:
            assert result.status is Status.INFEASIBLE
            assert result.plan is None
            continue
        assert result.status is Status.OPTIMAL
        assert result.objective == result.bound == best
        assert keeps(problem, result.plan.shared)
    assert found[Status.INFEASIBLE] > 20
    assert found[Status.OPTIMAL] > 100


def test_as_many_shared_buffers_as_are_live_at_once_suffice():
    problem = replace(PROBLEM, rules=Rules(at_most=2))
    assert solve(problem).objective == 12
    assert solve(replace(PROBLEM, rules=Rules(at_most=1))).status is Status.INFEASIBLE


def test_pairs():
    assert solve(PROBLEM).objective == 12
    apart = replace(PROBLEM, rules=Rules(apart=((0, 2),)))
    assert solve(apart).objective == best_of(apart) == 20
    together = replace(PROBLEM, rules=Rules(together=((0, 3), (1, 3))))
    assert solve(together).status is Status.INFEASIBLE  # a and b are live together


def test_rules_are_verified():
    plan = SharingPlan.of([0, 1, 0, 1])
    assert verify_sharing(PROBLEM, plan) == 12
    for rules, message in (
        (Rules(at_most=1), "2 shared buffers, at most 1"),
        (Rules(together=((0, 3),)), "'a' and 'd' must share"),
        (Rules(apart=((1, 3),)), "'b' and 'd' must not share"),
    ):
        with pytest.raises(PlanError, match=message):
            verify_sharing(replace(PROBLEM, rules=rules), plan)


@pytest.mark.parametrize("name", [a.name for a in SHARING if not a.rules])
def test_other_algorithms_say_so(name):
    with pytest.raises(InputError, match=r"cannot keep rules; these can: .*optimal"):
        solve(replace(PROBLEM, rules=Rules(at_most=2)), name)


def test_rules_that_make_no_sense():
    empty = Problem((Buffer("a", 0, 0, 1), Buffer("b", 4, 1, 2)))
    for problem, rules, message in (
        (PROBLEM, Rules(at_most=-1), "negative"),
        (PROBLEM, Rules(apart=((0, 9),)), "no such buffer"),
        (PROBLEM, Rules(together=((1, 1),)), "two buffers"),
        (empty, Rules(together=((0, 1),)), "not empty"),
    ):
        with pytest.raises(ProblemError, match=message):
            replace(problem, rules=rules)


def test_devices_have_numbers_of_their_own():
    buffers = tuple(Buffer(f"{d}{i}", 4, i, i + 2, device=d) for d in "xy" for i in range(3))
    problem = Problem(buffers, rules=Rules(at_most=2, apart=((0, 2),)))
    assert solve(problem).status is Status.INFEASIBLE
    problem = Problem(buffers, rules=Rules(at_most=3, apart=((0, 2),)))
    assert solve(problem).objective == 20


def test_models_that_are_too_large_leave_it_open(monkeypatch):
    monkeypatch.setattr("memonger.solver.cpsat.MAX_ENTRIES", 0)
    result = solve(replace(PROBLEM, rules=Rules(apart=((0, 2), (0, 3), (1, 3)))))
    assert result.status in (Status.UNKNOWN, Status.FEASIBLE)
    assert result.bound <= 22


def test_rules_and_pairs_in_place():
    """Conflicts at the last operator of `p` are of buffers: `x` and `y` are of one group.

    Asked of the model itself, as heuristics find most optima before it runs.
    """
    rows = (("p", 10, 0, 5), ("o", 10, 4, 9), ("x", 10, 4, 8), ("y", 10, 5, 8))
    problem = Problem(
        tuple(Buffer(*row) for row in rows), in_place=((0, 1),), rules=Rules(together=((0, 3),))
    )
    outcome = constrained.solve_by_bins(problem, Run(Deadline(None)), None)
    assert not outcome.infeasible
    assert outcome.bound == outcome.plan.cost(problem) == best_of(problem) == 30


def test_models_of_rules_and_pairs_in_place():
    rng = random.Random(22)
    found = Counter()
    for _ in range(150):
        problem = random_in_place(rng, rng.randint(3, 7))
        problem = replace(problem, rules=random_rules(rng, problem))
        outcome = constrained.solve_by_bins(problem, Run(Deadline(None)), None)
        best = best_of(problem)
        found[outcome.infeasible] += 1
        assert outcome.infeasible == (best is None)
        if best is not None:
            assert outcome.bound == outcome.plan.cost(problem) == best
    assert min(found.values()) > 10
