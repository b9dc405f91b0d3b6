"""CP-SAT at target costs, and problems whose optimum is above the relaxation."""

import random

import pytest

from memonger.graph.cliques import compress
from memonger.heuristics.classes import plan_from_classes
from memonger.plan import SharingPlan
from memonger.problem import Buffer, Problem
from memonger.registry import Run
from memonger.result import Proof, Status
from memonger.solver import target
from memonger.solver.core import Core
from memonger.solver.incumbent import Incumbent
from memonger.solver.presolve import allowed_pairs, gap_fixing
from memonger.solver.relaxation import keys, relax
from memonger.solver.solve import solve
from memonger.solver.target import ask, next_target, search
from memonger.stop import Deadline
from tests import oracles
from tests.strategies import random_problem

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
    """Return the relaxation for plans up to a cost, and its bound in bytes."""
    groups = compress(problem)
    limits = gap_fixing(groups, cost)
    columns = keys(groups, allowed_pairs(groups, limits))
    found = relax(groups, limits, columns, cost + 1, 60.0)
    return found, found.certificate.bound(problem)


def incumbent_of(problem, bound=0, seconds=None, hint=None):
    incumbent = Incumbent(problem, Run(Deadline(seconds), hint=hint))
    incumbent.prove(bound, Proof.THRESHOLD)
    return incumbent


def asked(problem, relaxation, cost, **known):
    """Ask for a plan of at most a cost."""
    return ask(incumbent_of(problem, **known), Core.of(problem), relaxation, cost)


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
        relaxation = relaxed(problem, best + 5)[0] if with_prices else None
        for cost in range(lowest, best + 6):
            answer = asked(problem, relaxation, cost, bound=lowest)
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
        relaxation = relaxed(scaled, best)[0]
        unit = compress(scaled).gcd
        answer = asked(scaled, relaxation, best - unit)
        assert answer.status is Status.INFEASIBLE
        assert answer.bound == best
        assert asked(scaled, relaxation, best - 1).status is Status.INFEASIBLE
        assert asked(scaled, relaxation, best).bound == best


def test_a_plan_that_costs_as_much_is_a_hint(monkeypatch):
    """The answer is the optimum all the same."""
    hints = []
    real = target.ClassModel.add_hint
    monkeypatch.setattr(
        target.ClassModel, "add_hint", lambda self, given: (hints.append(given), real(self, given))
    )
    for problem in loose_problems(3, 4):
        best = oracles.optimum(problem)
        relaxation, bound = relaxed(problem, best + 5)
        dearer = [
            shared
            for shared in oracles.valid_plans(problem)
            if best < oracles.cost_of(problem, shared) <= best + 5
        ]
        for shared in dearer[:3]:
            hints.clear()
            plan = SharingPlan.of(shared)
            cost = plan.cost(problem)
            answer = asked(problem, relaxation, cost, bound=bound, hint=plan)
            assert hints == [Core.of(problem).classes(plan)]
            assert (answer.status, answer.bound) == (Status.OPTIMAL, best)
            if cost > best + 1:  # of another cost it is none
                asked(problem, relaxation, cost - 1, bound=bound, hint=plan)
                assert len(hints) == 1


def test_without_time_nothing_is_known():
    problem = problem_of(GAPS[210, 212])
    relaxation, bound = relaxed(problem, 220)
    for given in (relaxation, None):
        answer = asked(problem, given, 215, bound=bound, seconds=0.0)
        assert answer.status is Status.UNKNOWN
        assert answer.bound == bound
        assert answer.classes is None


def test_models_that_are_too_large_are_not_built(monkeypatch):
    problem = problem_of(GAPS[210, 212])
    relaxation, bound = relaxed(problem, 220)
    monkeypatch.setattr("memonger.solver.cpsat.MAX_ENTRIES", 5)
    answer = asked(problem, relaxation, 215, bound=bound)
    assert (answer.status, answer.bound, answer.seconds) == (Status.UNKNOWN, bound, 0.0)


def test_what_prices_rule_out_needs_no_search(monkeypatch):
    """Below the value of the relaxation."""
    problem = problem_of(GAPS[210, 212])
    relaxation, bound = relaxed(problem, 220)
    assert bound == 210
    monkeypatch.setattr(target, "run_cpsat", None)
    answer = asked(problem, relaxation, 209, bound=204)
    assert (answer.status, answer.bound) == (Status.INFEASIBLE, 210)


@pytest.mark.parametrize("gap", GAPS)
def test_those_are_the_optima(monkeypatch, gap):
    """By brute force, the largest first: so the cheapest plans are found at once."""
    monkeypatch.setattr(oracles, "MAX_BRUTE_FORCE", 19)
    problem = problem_of(sorted(GAPS[gap], reverse=True))
    assert oracles.optimum(problem) == gap[1]


@pytest.mark.parametrize("gap", GAPS)
def test_the_optimum_may_be_above_the_relaxation(gap):
    problem = problem_of(GAPS[gap])
    relaxation, bound = relaxed(problem, problem.total)
    assert bound == gap[0]
    for cost in range(bound, gap[1]):
        answer = asked(problem, relaxation, cost, bound=bound)
        assert (answer.status, answer.bound) == (Status.INFEASIBLE, cost + 1)
    assert asked(problem, None, gap[1] - 1).status is Status.INFEASIBLE
    assert asked(problem, None, gap[1]).bound == gap[1]


@pytest.mark.parametrize("gap", GAPS)
@pytest.mark.parametrize("factor", [1, 4096])
def test_the_target_is_raised(monkeypatch, gap, factor):
    """Until there is a plan; each before was impossible. The proof is a search."""
    seen = []

    def spy(incumbent, core, relaxation, cost, *limits):
        answer = ask(incumbent, core, relaxation, cost, *limits)
        seen.append((cost // factor, answer.status))
        return answer

    monkeypatch.setattr(target, "ask", spy)
    problem = problem_of(GAPS[gap], factor)
    relaxation, bound = relaxed(problem, problem.total)
    incumbent = incumbent_of(problem, bound=bound)
    search(incumbent, Core.of(problem), relaxation)
    assert incumbent.closed
    assert incumbent.cost == incumbent.bound == gap[1] * factor
    assert oracles.is_valid(problem, incumbent.plan.shared)
    assert (incumbent.proof, incumbent.certificate) == (Proof.CP_SAT, None)
    costs = [cost for cost, _ in seen]
    assert costs[0] == gap[0]
    assert costs[-1] >= gap[1]
    assert costs == sorted(set(costs))
    assert all(status is Status.INFEASIBLE for cost, status in seen if cost < gap[1])


def test_without_a_relaxation_there_is_no_target():
    problem = problem_of(GAPS[210, 212])
    incumbent = incumbent_of(problem)
    search(incumbent, Core.of(problem), None)
    assert incumbent.cost == incumbent.bound == 212


@pytest.mark.parametrize("gap", GAPS)
@pytest.mark.parametrize("factor", [1, 4096])
def test_solving_above_the_relaxation(gap, factor):
    problem = problem_of(GAPS[gap], factor)
    result = solve(problem, workers=1)
    assert result.status is Status.OPTIMAL
    assert result.objective == result.bound == gap[1] * factor
    assert oracles.is_valid(problem, result.plan.shared)
    assert result.proof is Proof.CP_SAT
    assert result.certificate is None


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
        if more < 25_000:  # the share of the cost is less than a unit
            assert after == before + min(max(1, steps // 2), more - 1) * unit
        assert after % unit == 0
        assert before < after < best
