"""CP-SAT at target costs, and problems whose optimum is above the relaxation."""

import random

import pytest

from memonger.graph.cliques import compress
from memonger.heuristics.classes import plan_from_classes
from memonger.problem import Buffer, Problem
from memonger.registry import Run
from memonger.result import Proof, Status
from memonger.solver import sharing, target
from memonger.solver.presolve import gap_fixing
from memonger.solver.relaxation import relax
from memonger.solver.solve import solve
from memonger.solver.target import ask, next_target
from memonger.stop import Deadline
from tests import oracles
from tests.solver.test_presolve import classes_of
from tests.strategies import random_problem

RUN = Run(Deadline(None))
# The value of the relaxation, rounded up, is below the optimum: (size, start, end).
GAPS = {
    (210, 212): [
        (13, 12, 20), (11, 17, 20), (70, 21, 26), (8, 16, 18), (13, 18, 25), (13, 23, 30),
        (159, 6, 14), (8, 16, 25), (13, 20, 21), (11, 2, 6), (8, 10, 17), (11, 13, 25),
    ],
    (70, 71): [
        (5, 23, 34), (7, 12, 16), (27, 12, 20), (3, 19, 21), (27, 0, 3), (5, 19, 24), (3, 3, 7),
        (27, 8, 11), (27, 28, 39), (7, 25, 32), (7, 5, 7), (5, 15, 26), (27, 8, 15), (7, 19, 28),
        (5, 10, 19), (5, 0, 9),
    ],
    (678, 680): [
        (1, 17, 25), (214, 21, 32), (9, 35, 38), (27, 10, 26), (5, 15, 17), (214, 1, 14),
        (1, 17, 26), (214, 2, 11), (27, 8, 27), (9, 6, 9), (9, 25, 35), (9, 35, 36), (214, 6, 8),
        (35, 26, 39), (9, 28, 39), (9, 14, 22), (1, 7, 18), (5, 37, 49), (27, 16, 17),
    ],
}  # fmt: skip


def problem_of(rows, factor=1):
    return Problem(
        tuple(Buffer(f"b{i}", size * factor, *live) for i, (size, *live) in enumerate(rows))
    )


def relaxed(problem, cost):
    """Return groups, the relaxation for plans up to a cost, and its bound in bytes."""
    groups = compress(problem)
    found = relax(groups, gap_fixing(groups, cost), len(groups.sizes), cost + 1, 60.0)
    return groups, found, found.certificate.bound(problem)


def loose_problems(seed, wanted):
    rng = random.Random(seed)
    found = []
    while len(found) < wanted:
        problem = random_problem(rng, 8)
        if oracles.threshold_bound(problem) < oracles.optimum(problem):
            found.append(problem)
    return found


@pytest.mark.parametrize("with_prices", [True, False])
@pytest.mark.parametrize("seed", range(2))
def test_targets_around_the_optimum(seed, with_prices):
    for problem in loose_problems(seed, 6):
        best = oracles.optimum(problem)
        lowest = oracles.threshold_bound(problem)
        groups, relaxation, _ = relaxed(problem, best + 5)
        for cost in range(lowest, best + 6):
            answer = ask(groups, relaxation if with_prices else None, cost, lowest, RUN)
            if cost < best:
                assert answer.status is Status.INFEASIBLE
                assert answer.classes is None
                assert cost + 1 == answer.bound <= best
                continue
            assert answer.status is Status.OPTIMAL
            assert answer.bound == best
            plan = plan_from_classes(problem, answer.classes)
            assert oracles.is_valid(problem, plan.shared)
            assert oracles.cost_of(problem, plan.shared) == best


def test_bounds_are_multiples_of_the_gcd():
    for problem in loose_problems(2, 4):
        best = oracles.optimum(problem) * 1000
        scaled = problem_of([(b.size, b.start, b.end) for b in problem.buffers], 1000)
        groups, relaxation, _ = relaxed(scaled, best)
        unit = groups.gcd
        answer = ask(groups, relaxation, best - unit, 0, RUN)
        assert answer.status is Status.INFEASIBLE
        assert answer.bound == best
        assert ask(groups, relaxation, best - 1, 0, RUN).status is Status.INFEASIBLE
        assert ask(groups, relaxation, best, 0, RUN).bound == best


def test_a_hint_is_taken():
    """Of a plan that costs as much as the target; the answer is the optimum all the same."""
    for problem in loose_problems(3, 4):
        best = oracles.optimum(problem)
        groups, relaxation, bound = relaxed(problem, best + 5)
        plans = [
            shared
            for shared in oracles.valid_plans(problem)
            if best < oracles.cost_of(problem, shared) <= best + 5
        ]
        for shared in plans[:3]:
            hint = classes_of(problem, shared, groups.sizes.tolist())[0]
            cost = oracles.cost_of(problem, shared)
            answer = ask(groups, relaxation, cost, bound, RUN, hint)
            assert answer.status is Status.OPTIMAL
            assert answer.bound == best


def test_without_time_nothing_is_known():
    problem = problem_of(GAPS[210, 212])
    groups, relaxation, bound = relaxed(problem, 220)
    for relaxed_or_not in (relaxation, None):
        answer = ask(groups, relaxed_or_not, 215, bound, Run(Deadline(0.0)))
        assert answer.status is Status.UNKNOWN
        assert answer.bound == bound
        assert answer.classes is None


def test_models_that_are_too_large_are_not_built(monkeypatch):
    problem = problem_of(GAPS[210, 212])
    groups, relaxation, bound = relaxed(problem, 220)
    monkeypatch.setattr(target, "MAX_ENTRIES", 5)
    answer = ask(groups, relaxation, 215, bound, RUN)
    assert (answer.status, answer.bound, answer.seconds) == (Status.UNKNOWN, bound, 0.0)


def test_what_prices_rule_out_needs_no_search(monkeypatch):
    """Below the value of the relaxation."""
    problem = problem_of(GAPS[210, 212])
    groups, relaxation, bound = relaxed(problem, 220)
    assert bound == 210
    monkeypatch.setattr(target, "run_cpsat", None)
    answer = ask(groups, relaxation, 209, 204, RUN)
    assert (answer.status, answer.bound) == (Status.INFEASIBLE, 210)


@pytest.mark.parametrize("gap", GAPS)
def test_those_are_the_optima(monkeypatch, gap):
    """By brute force, the largest first: so the cheapest plans are found at once."""
    monkeypatch.setattr(oracles, "MAX_BRUTE_FORCE", 19)
    problem = problem_of(sorted(GAPS[gap], reverse=True))
    assert oracles.optimum(problem) == gap[1]


@pytest.mark.parametrize("gap", GAPS)
def test_the_optimum_may_be_above_the_relaxation(gap):
    """The target is raised until there is a plan; the proof is a search."""
    relaxed_bound, best = gap
    problem = problem_of(GAPS[gap])
    groups, relaxation, bound = relaxed(problem, problem.total)
    assert bound == relaxed_bound
    for cost in range(bound, best):
        answer = ask(groups, relaxation, cost, bound, RUN)
        assert (answer.status, answer.bound) == (Status.INFEASIBLE, cost + 1)
    assert ask(groups, None, best - 1, bound, RUN).status is Status.INFEASIBLE
    assert ask(groups, None, best, bound, RUN).bound == best


@pytest.mark.parametrize("gap", GAPS)
@pytest.mark.parametrize("factor", [1, 4096])
def test_solving_above_the_relaxation(monkeypatch, gap, factor):
    asked = []

    def spy(groups, relaxation, target, *args):
        answer = ask(groups, relaxation, target, *args)
        asked.append((target // factor, answer.status))
        return answer

    monkeypatch.setattr(sharing, "ask", spy)
    problem = problem_of(GAPS[gap], factor)
    result = solve(problem, workers=1)
    assert oracles.is_valid(problem, result.plan.shared)
    assert result.objective == result.bound == gap[1] * factor
    assert result.proof is Proof.CP_SAT
    assert result.certificate is None
    costs = [cost for cost, _ in asked]
    assert costs[0] == gap[0]
    assert costs == sorted(set(costs))
    assert all(status is Status.INFEASIBLE for cost, status in asked if cost < gap[1])


@pytest.mark.parametrize(
    ("cost_so_far", "relaxed", "best", "expected"),
    [
        (100, 100, 200, 101),  # a unit at least
        (101, 100, 200, 102),
        (104, 100, 200, 106),  # half of the way from the relaxation
        (140, 100, 200, 160),
        (199, 100, 200, 199),  # never as much as the best plan
        (190, 100, 200, 199),
        (100, 100, 500_000, 110),  # a fifty-thousandth
    ],
)
def test_next_target(cost_so_far, relaxed, best, expected):
    groups = compress(problem_of([(3, 0, 2), (2, 1, 3)]))
    assert groups.gcd == 1
    assert next_target(groups, cost_so_far, relaxed, best) == expected


@pytest.mark.parametrize("unit", [4, 1000])
def test_targets_are_multiples_of_the_gcd(unit):
    groups = compress(problem_of([(3, 0, 2), (2, 1, 3)], unit))
    rng = random.Random(unit)
    for _ in range(200):
        relaxed, steps, more = rng.randint(1, 50), rng.randint(0, 50), rng.randint(2, 10**6)
        before = (relaxed + steps) * unit
        best = before + more * unit
        after = next_target(groups, before, relaxed * unit, best)
        assert after % unit == 0
        assert before < after < best
