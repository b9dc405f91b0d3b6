"""The exact algorithm against brute force."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memonger.heuristics import overflow
from memonger.heuristics.caffe2_greedy import caffe2_greedy
from memonger.problem import Buffer, Problem
from memonger.registry import Progress
from memonger.result import Proof, Status
from memonger.solver import core, cpsat, stages
from memonger.solver.solve import solve
from tests import oracles
from tests.strategies import problems, random_problem

COUNTEREXAMPLE = Problem(
    (Buffer("A", 5, 0, 2), Buffer("B", 2, 3, 4), Buffer("C", 4, 3, 6), Buffer("E", 2, 5, 6))
)
# The threshold bound of these is below the optimum: (size, start, end).
LOOSE = [
    [(3, 0, 2), (2, 1, 4), (3, 3, 5), (1, 0, 1), (1, 4, 5), (2, 2, 3)],
    [(5, 0, 2), (3, 1, 3), (4, 2, 4), (2, 3, 5), (5, 4, 6), (1, 0, 6), (3, 5, 7)],
]


def exact(problem, **options):
    result = solve(problem, workers=1, **options)
    assert result.status is Status.OPTIMAL
    assert oracles.is_valid(problem, result.plan.shared)
    assert result.objective == oracles.cost_of(problem, result.plan.shared) == result.bound
    return result


@pytest.mark.parametrize("seed", range(4))
def test_random_intervals(seed):
    """In all thousands of problems; some need the class model."""
    rng = random.Random(seed)
    proofs = Counter()
    for _ in range(600):
        problem = random_problem(rng, rng.randint(2, 7), horizon=rng.choice((4, 8, 10)))
        result = exact(problem)
        assert result.objective == oracles.optimum(problem)
        proofs[result.proof] += 1
    assert proofs[Proof.THRESHOLD] > 200
    assert proofs[Proof.LP_DUAL] > 0


def loose_problems(seed, count, wanted):
    """Return random problems whose threshold bound lies below the optimum."""
    rng = random.Random(seed)
    found = []
    while len(found) < wanted:
        problem = random_problem(rng, count)
        if oracles.threshold_bound(problem) < oracles.optimum(problem):
            found.append(problem)
    return found


@pytest.mark.parametrize("seed", range(3))
def test_where_the_threshold_bound_is_not_tight(seed):
    for problem in loose_problems(seed, 8, 20):
        result = exact(problem)
        assert result.objective == oracles.optimum(problem)
        assert result.proof is Proof.LP_DUAL
        assert result.certificate.bound(problem) == result.objective
        assert result.solve_seconds > 0


@pytest.mark.parametrize("seed", range(3))
def test_without_the_relaxation(monkeypatch, seed):
    """CP-SAT closes alone what the relaxation closes."""
    monkeypatch.setattr(stages, "MAX_PAIRS", 0)
    monkeypatch.setattr(overflow, "MAX_CELLS", 0)
    for problem in loose_problems(seed, 8, 20):
        result = exact(problem)
        assert result.objective == oracles.optimum(problem)
        assert result.proof is Proof.CP_SAT
        assert result.certificate is None


@settings(max_examples=200, deadline=None)
@given(problems(max_size=7, sizes=st.integers(0, 9), horizon=9))
def test_drawn_intervals(problem):
    assert exact(problem).objective == oracles.optimum(problem)


@settings(max_examples=60, deadline=None)
@given(problems(max_size=8, min_size=6, sizes=st.sampled_from([0, 3, 4, 5, 7]), horizon=12))
def test_drawn_intervals_of_few_sizes(problem):
    assert exact(problem).objective == oracles.optimum(problem)


def test_counterexample_to_caffe2():
    """Its dynamic program takes 9 here, and is called optimal there."""
    result = exact(COUNTEREXAMPLE)
    assert result.objective == oracles.optimum(COUNTEREXAMPLE) == 7
    assert result.plan.shared == (0, 1, 0, 1)
    assert caffe2_greedy(COUNTEREXAMPLE).cost(COUNTEREXAMPLE) >= 7


@pytest.mark.parametrize("workers", [1, 2])
def test_number_of_workers_does_not_change_the_optimum(workers):
    for problem in loose_problems(9, 8, 5):
        result = solve(problem, workers=workers)
        assert result.status is Status.OPTIMAL
        assert result.objective == oracles.optimum(problem)


@pytest.mark.parametrize("factor", [2**40, 2**47 + 1, 2**53 + 1, 2**55 + 3])
def test_huge_sizes_where_the_class_model_runs(factor):
    """Bounds beyond 2^53 are no doubles: rounding one would prove too much."""
    for problem in loose_problems(2, 8, 8):
        assert problem.total < 2**7
        scaled = Problem(
            tuple(Buffer(b.name, b.size * factor, b.start, b.end) for b in problem.buffers)
        )
        result = exact(scaled)
        assert result.objective == oracles.optimum(problem) * factor


@pytest.mark.parametrize("offset", [2**45 + 1, 2**53 + 1, 2**55 + 5])
def test_huge_sizes_that_have_no_common_divisor(offset):
    """Exact as long as bounds are exact as doubles; never wrong."""
    for problem in loose_problems(3, 8, 6):
        found = tuple(
            Buffer(b.name, b.size * offset + i % 3, b.start, b.end)
            for i, b in enumerate(problem.buffers)
        )
        problem = Problem(found)
        result = solve(problem, workers=1)
        best = oracles.optimum(problem)
        assert result.bound <= best <= result.objective
        assert (result.objective == best) or result.status is Status.FEASIBLE
        if offset < 2**46:
            assert result.status is Status.OPTIMAL


def test_bound_and_objective_are_reported():
    problem = loose_problems(4, 8, 1)[0]
    seen = []
    result = solve(problem, workers=1, report=seen.append)
    assert seen
    assert all(isinstance(state, Progress) for state in seen)
    bounds = [state.bound for state in seen]
    objectives = [state.objective for state in seen]
    assert max(bounds) <= result.bound
    assert min(objectives) >= result.objective
    assert objectives == sorted(objectives, reverse=True)
    assert [state.seconds for state in seen] == sorted(state.seconds for state in seen)


def test_progress_is_reported_on_several_devices():
    problem = Problem(
        tuple(Buffer(f"b{i}", 4 + i % 3, i, i + 2, device="xy"[i % 2]) for i in range(8))
    )
    seen = []
    result = solve(problem, workers=1, report=seen.append)
    assert seen
    assert all(state.objective is None or state.objective >= result.objective for state in seen)


@pytest.mark.parametrize(
    "limits",
    [((core, "MAX_TABLE"),), ((stages, "MAX_PAIRS"), (cpsat, "MAX_ENTRIES"))],
)
def test_models_that_are_too_large_are_not_built(monkeypatch, limits):
    problem = loose_problems(6, 8, 1)[0]
    for module, name in (*limits, (overflow, "MAX_CELLS")):
        monkeypatch.setattr(module, name, 0)
    result = solve(problem, workers=1)
    best = oracles.optimum(problem)
    assert result.bound <= best <= result.objective
    assert result.proof is Proof.THRESHOLD
    assert result.status is Status.FEASIBLE
    assert result.certificate.bound(problem) == result.bound


def test_an_optimal_hint_is_kept():
    for problem in loose_problems(8, 7, 4):
        first = exact(problem)
        again = exact(problem, hint=first.plan)
        assert again.plan == first.plan
        assert again.source == "hint"


@pytest.mark.parametrize("rows", LOOSE)
def test_more_buffers_than_are_ever_live(rows):
    """The number of shared buffers is not capped at the clique number."""
    problem = Problem(tuple(Buffer(f"b{i}", *row) for i, row in enumerate(rows)))
    assert exact(problem).objective == oracles.optimum(problem)
