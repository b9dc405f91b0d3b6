"""What every algorithm of the sharing form keeps, over the whole registry."""

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import memonger.solver.solve  # noqa: F401  (registers the algorithms)
from memonger.errors import InputError, PlanError
from memonger.plan import SharingPlan
from memonger.problem import Buffer, Problem, VectorTime
from memonger.registry import SHARING
from memonger.result import Proof, Result, Status
from memonger.solver.solve import solve
from tests import oracles
from tests.solver.test_in_place import random_in_place
from tests.strategies import parallel_problems, problems, problems_of_devices, random_problem

ALGORITHMS = SHARING.names()
IN_PARALLEL = [algorithm.name for algorithm in SHARING if algorithm.vector_time]
HUGE = 2**50


def problem_of(*rows, device=""):
    """Return a problem of rows (size, start, end[, device])."""
    return Problem(
        tuple(
            Buffer(f"b{i}", row[0], row[1], row[2], device=row[3] if len(row) > 3 else device)
            for i, row in enumerate(rows)
        )
    )


def diamond():
    """Return two branches that run in parallel, between a first and a last operator.

    In program order b1 is over when b2 begins; in vector time they conflict.
    """
    start = np.array([[0, 0], [1, 0], [1, 0], [2, 1]])
    end = np.array([[2, 1], [3, 0], [3, 1], [3, 1]])
    buffers = (
        Buffer("b0", 8, 0, 3),
        Buffer("b1", 4, 1, 2),
        Buffer("b2", 4, 2, 4),
        Buffer("b3", 8, 3, 4),
    )
    return Problem(buffers, "diamond", VectorTime.of(start, end))


PROBLEMS = {
    "empty": Problem(()),
    "one": problem_of((5, 0, 1)),
    "one empty": problem_of((0, 0, 1)),
    "all empty": problem_of((0, 0, 2), (0, 1, 3), (0, 5, 6)),
    "identical": problem_of(*[(4, 0, 2)] * 6),
    "all overlap": problem_of(*[(size, 0, 9) for size in (5, 3, 8, 1, 1)]),
    "all disjoint": problem_of(*[(size, t, t + 1) for t, size in enumerate((5, 3, 8, 0, 1, 8))]),
    "nested": problem_of((1, 0, 9), (2, 1, 8), (3, 2, 7), (4, 3, 6), (5, 4, 5)),
    "stairs": problem_of(*[(t + 1, t, t + 2) for t in range(8)]),
    "stairs down": problem_of(*[(9 - t, t, t + 2) for t in range(8)]),
    "caffe2 counterexample": problem_of((5, 0, 2), (2, 3, 4), (4, 3, 6), (2, 5, 6)),
    "second counterexample": problem_of((3, 1, 4), (5, 2, 5), (3, 5, 6), (3, 4, 8), (3, 7, 9)),
    "above the threshold": problem_of(
        (4, 0, 2), (3, 1, 3), (4, 2, 4), (2, 0, 1), (3, 3, 5), (4, 4, 6), (2, 1, 2), (2, 4, 5)
    ),
    "some empty": problem_of((0, 0, 9), (4, 0, 2), (0, 1, 3), (4, 2, 4), (0, 0, 1)),
    "huge": problem_of((HUGE, 0, 2), (HUGE - 1, 1, 3), (HUGE, 2, 4), (1, 0, 4)),
    "huge times": problem_of((3, 0, 2**60), (4, 2**60, 2**61), (5, 2**60 - 1, 2**60 + 1)),
    "two devices": problem_of((8, 0, 2, "x"), (8, 2, 4, "y"), (4, 2, 3, "x"), (4, 0, 1, "y")),
    "one device with a name": problem_of((8, 0, 2), (8, 2, 4), (4, 1, 3), device="cuda:0"),
    "three devices": problem_of(*[(4, t, t + 2, "xyz"[t % 3]) for t in range(7)]),
    "aligned": Problem(tuple(Buffer(f"b{i}", i, i, i + 2, alignment=4) for i in range(6))),
}
PARALLEL = {
    "diamond": diamond(),
    "empty": Problem((), vector_time=VectorTime.of(np.zeros((0, 1)), np.zeros((0, 1)))),
}


def check(problem: Problem, result: Result, best: int) -> None:
    """Check everything that a result says; ``best`` is the optimum."""
    assert result.plan is not None
    assert oracles.is_valid(problem, result.plan.shared)
    assert result.objective == oracles.cost_of(problem, result.plan.shared)
    assert result.plan == SharingPlan.of(result.plan.shared)
    assert 0 <= result.bound <= best <= result.objective
    assert (result.status is Status.OPTIMAL) == (result.objective == result.bound)
    assert result.status in (Status.OPTIMAL, Status.FEASIBLE)
    assert (result.certificate is None) == (result.proof is Proof.CP_SAT)
    if result.certificate is not None:
        assert result.certificate.bound(problem) >= result.bound
    if result.objective:
        assert result.gap == (result.objective - result.bound) / result.objective
    else:
        assert result.gap == 0.0
    assert result.seconds >= result.solve_seconds >= 0


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_results_hold(algorithm, name):
    problem = PROBLEMS[name]
    result = solve(problem, algorithm, workers=1)
    check(problem, result, oracles.optimum(problem))
    assert result.algorithm == algorithm
    if algorithm == "optimal":
        assert result.status is Status.OPTIMAL


@pytest.mark.parametrize("name", PARALLEL)
@pytest.mark.parametrize("algorithm", IN_PARALLEL)
def test_results_hold_in_parallel(algorithm, name):
    problem = PARALLEL[name]
    check(problem, solve(problem, algorithm, workers=1), oracles.optimum(problem))


@pytest.mark.parametrize("algorithm", [name for name in ALGORITHMS if name not in IN_PARALLEL])
def test_parallel_nets_are_refused_by_those_that_cannot(algorithm):
    with pytest.raises(InputError, match=r"these can: none, .*optimal"):
        solve(PARALLEL["diamond"], algorithm)


@pytest.mark.parametrize("algorithm", [name for name in ALGORITHMS if name != "optimal"])
@settings(max_examples=40, deadline=None)
@given(problem=st.one_of(problems(max_size=6), problems_of_devices(max_size=6)))
def test_heuristics_on_drawn_problems(algorithm, problem):
    check(problem, solve(problem, algorithm, workers=1), oracles.optimum(problem))


@pytest.mark.parametrize("algorithm", IN_PARALLEL)
@settings(max_examples=60, deadline=None)
@given(problem=parallel_problems())
def test_drawn_problems_in_parallel(algorithm, problem):
    check(problem, solve(problem, algorithm, workers=1), oracles.optimum(problem))


def hints():
    """Yield problems with a plan that is optimal, and one that is not."""
    rng = random.Random(5)
    for name in ("caffe2 counterexample", "above the threshold", "two devices", "identical"):
        yield name, PROBLEMS[name]
    for number in range(4):
        yield f"random {number}", random_problem(rng, 6)


@pytest.mark.parametrize(("name", "problem"), list(hints()))
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_hint_is_never_worsened(algorithm, name, problem):
    plans = list(oracles.valid_plans(problem))
    best = min(plans, key=lambda shared: oracles.cost_of(problem, shared))
    for shared in (best, plans[len(plans) // 2], plans[-1]):
        result = solve(problem, algorithm, workers=1, hint=SharingPlan(shared))
        check(problem, result, oracles.cost_of(problem, best))
        assert result.objective <= oracles.cost_of(problem, shared)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("shared", [(0, 0, 0, 0), (0, 1), (-1, 0, 1, 2)])
def test_a_hint_must_be_valid(algorithm, shared):
    with pytest.raises(PlanError):
        solve(PROBLEMS["caffe2 counterexample"], algorithm, hint=SharingPlan(shared))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("seed", [0, 7, 2**40])
def test_one_worker_and_one_seed_give_one_plan(algorithm, seed):
    rng = random.Random(11)
    cases = [*PROBLEMS.values(), *(random_problem(rng, 12) for _ in range(3))]
    for problem in cases:
        one, other = (solve(problem, algorithm, workers=1, seed=seed) for _ in range(2))
        assert one.plan == other.plan
        assert (one.bound, one.source, one.proof) == (other.bound, other.source, other.proof)
        assert one.seed == seed
        assert one.workers == 1


@pytest.mark.parametrize("with_hint", [False, True])
@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_no_time_at_all_is_no_error(algorithm, name, with_hint):
    problem = PROBLEMS[name]
    hint = SharingPlan(tuple(range(len(problem)))) if with_hint else None
    result = solve(problem, algorithm, time_limit=0, workers=1, hint=hint)
    if result.plan is None:
        assert result.status is Status.UNKNOWN
        assert result.objective is None
        assert result.gap is None
        assert not with_hint
        assert result.bound <= oracles.optimum(problem)
    else:
        check(problem, result, oracles.optimum(problem))


@pytest.mark.parametrize(
    "arguments",
    [
        {"workers": 0},
        {"workers": -1},
        {"time_limit": -1.0},
        {"time_limit": float("nan")},
        {"algorithm": "best"},
        {"algorithm": ""},
    ],
    ids=repr,
)
def test_arguments_out_of_range(arguments):
    with pytest.raises(InputError):
        solve(PROBLEMS["one"], **arguments)


DRAWN = problems(min_size=1, max_size=6, aligned=False)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_order_of_the_buffers_does_not_matter(data):
    problem = data.draw(DRAWN)
    order = data.draw(st.permutations(range(len(problem))))
    assert solve(problem.subproblem(order), workers=1).objective == solve(problem).objective


@settings(max_examples=40, deadline=None)
@given(DRAWN, st.sampled_from([1, 7, 2**40]))
def test_the_origin_of_time_does_not_matter(problem, shift):
    later = tuple(replace(b, start=b.start + shift, end=b.end + shift) for b in problem.buffers)
    assert solve(Problem(later), workers=1).objective == solve(problem).objective


@settings(max_examples=40, deadline=None)
@given(DRAWN, st.sampled_from([2, 3, 1000]))
def test_the_unit_of_time_does_not_matter(problem, factor):
    slower = tuple(replace(b, start=b.start * factor, end=b.end * factor) for b in problem.buffers)
    assert solve(Problem(slower), workers=1).objective == solve(problem).objective


@settings(max_examples=40, deadline=None)
@given(DRAWN)
def test_time_may_run_backwards(problem):
    last = max(b.end for b in problem.buffers)
    mirrored = tuple(replace(b, start=last - b.end, end=last - b.start) for b in problem.buffers)
    assert solve(Problem(mirrored), workers=1).objective == solve(problem).objective


SMALL = problems(min_size=1, max_size=6, aligned=False, sizes=st.integers(0, 12))


@settings(max_examples=40, deadline=None)
@given(SMALL, st.sampled_from([2, 3, 4096, 2**45]))
def test_scaling_the_sizes_scales_the_optimum(problem, factor):
    scaled = tuple(replace(b, size=b.size * factor) for b in problem.buffers)
    assert solve(Problem(scaled), workers=1).objective == solve(problem).objective * factor


@settings(max_examples=40, deadline=None)
@given(SMALL, st.data())
def test_a_larger_buffer_never_makes_it_cheaper(problem, data):
    at = data.draw(st.integers(0, len(problem) - 1))
    growth = data.draw(st.integers(1, 8))
    larger = list(problem.buffers)
    larger[at] = replace(larger[at], size=larger[at].size + growth)
    before, after = (solve(p, workers=1).objective for p in (problem, Problem(tuple(larger))))
    assert before <= after <= before + growth


@settings(max_examples=40, deadline=None)
@given(problems_of_devices(max_size=7))
def test_devices_add_up(problem):
    parts = 0
    for device in problem.devices:
        own = [i for i, b in enumerate(problem.buffers) if b.device == device]
        parts += oracles.optimum(problem.subproblem(own))
    result = solve(problem, workers=1)
    assert result.objective == parts == oracles.optimum(problem)
    check(problem, result, parts)


def test_who_lets_buffers_take_over_others_says_so():
    rng = random.Random(1)
    found = [random_in_place(rng, rng.randint(4, 7)) for _ in range(20)]
    for algorithm in SHARING:
        plans = [(p, solve(p, algorithm.name, workers=1).plan.shared) for p in found]
        used = any(shared[one] == shared[two] for p, shared in plans for one, two in p.in_place)
        assert used == algorithm.in_place, algorithm.name
