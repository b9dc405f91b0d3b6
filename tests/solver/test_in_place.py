"""Buffers that take over others in place, against brute force."""

import json
import random
from collections import Counter

import numpy as np
import pytest

from memonger.errors import PlanError, ProblemError
from memonger.instances.plan_json import plan_from_json, plan_to_json
from memonger.instances.problem_json import problem_from_json, problem_to_json
from memonger.plan import SharingPlan
from memonger.problem import Buffer, Problem, VectorTime
from memonger.registry import SHARING
from memonger.result import Proof, Status
from memonger.solver import stages
from memonger.solver.solve import solve
from memonger.verify import verify_sharing
from tests import oracles

EXACT = [algorithm.name for algorithm in SHARING if algorithm.proves]
PAIR = Problem((Buffer("p", 8, 0, 3), Buffer("o", 8, 2, 4)), in_place=((0, 1),))


def random_in_place(rng, count):
    """Return a random problem with some of the pairs that may be in place."""
    horizon = rng.choice((5, 7, 10))
    found = []
    for index in range(count):
        start = rng.randrange(horizon)
        size = rng.choice((rng.randint(0, 4), rng.randint(1, 20)))
        found.append(Buffer(f"b{index}", size, start, start + 1 + rng.randint(0, 3)))
    pairs = [
        (p, o)
        for p, one in enumerate(found)
        for o, other in enumerate(found)
        if one.start < other.start == one.end - 1 and one.end < other.end
    ]
    rng.shuffle(pairs)
    return Problem(tuple(found), "in place", None, tuple(sorted(pairs[: rng.randint(1, 6)])))


@pytest.mark.parametrize("algorithm", EXACT)
def test_brute_force(algorithm):
    rng = random.Random(11)
    helped = 0
    proofs = Counter()
    for _ in range(250):
        problem = random_in_place(rng, rng.randint(2, 8))
        result = solve(problem, algorithm, workers=1)
        best = oracles.optimum(problem)
        assert result.status is Status.OPTIMAL
        assert result.objective == result.bound == best
        assert oracles.is_valid(problem, result.plan.shared)
        proofs[result.proof] += 1
        helped += best < oracles.optimum(Problem(problem.buffers))
    assert helped > 50
    assert proofs[Proof.CP_SAT] > 0


def test_the_relaxation_is_used_and_certified():
    """Bounds without pairs do not hold; those of the problem in which they end earlier do."""
    rng = random.Random(12)
    proofs = Counter()
    for _ in range(300):
        problem = random_in_place(rng, rng.randint(5, 8))
        result = solve(problem, workers=1)
        proofs[result.proof] += 1
        if result.certificate is not None:
            assert result.certificate.bound(problem) == result.bound <= oracles.optimum(problem)
    assert proofs[Proof.LP_DUAL] > 0
    assert proofs[Proof.THRESHOLD] > 100


@pytest.mark.parametrize("name", [a.name for a in SHARING if not a.proves])
def test_heuristics_give_valid_plans(name):
    rng = random.Random(13)
    for _ in range(40):
        problem = random_in_place(rng, rng.randint(2, 8))
        result = solve(problem, name)
        assert oracles.is_valid(problem, result.plan.shared)
        assert result.bound <= oracles.optimum(problem) <= result.objective


def test_a_pair_shares():
    assert solve(PAIR).objective == 8
    assert solve(Problem(PAIR.buffers)).objective == 16
    with pytest.raises(PlanError, match="live at the same time"):
        verify_sharing(Problem(PAIR.buffers), SharingPlan.of([0, 0]))
    assert verify_sharing(PAIR, SharingPlan.of([0, 0])) == 8


def test_one_heir_only():
    """Two outputs of one operator cannot both take over its input."""
    buffers = (Buffer("p", 8, 0, 3), Buffer("o", 8, 2, 4), Buffer("q", 8, 2, 4))
    problem = Problem(buffers, in_place=((0, 1), (0, 2)))
    assert solve(problem).objective == 16
    with pytest.raises(PlanError, match=r"'o' .* and 'q'"):
        verify_sharing(problem, SharingPlan.of([0, 0, 0]))


def test_a_line_of_heirs():
    buffers = tuple(Buffer(f"b{t}", 5 + t, t, t + 2) for t in range(6))
    pairs = tuple((t, t + 1) for t in range(5))
    assert solve(Problem(buffers, in_place=pairs)).objective == 10


@pytest.mark.parametrize(
    ("buffers", "pair", "message"),
    [
        ([("p", 0, 3), ("o", 3, 4)], (0, 1), "cannot take over 'p'"),  # begins too late
        ([("p", 0, 3), ("o", 1, 4)], (0, 1), "cannot take over 'p'"),  # begins too early
        ([("p", 0, 3), ("o", 2, 3)], (0, 1), "cannot take over 'p'"),  # does not outlive it
        ([("p", 2, 3), ("o", 2, 4)], (0, 1), "cannot take over 'p'"),  # both are written there
        ([("p", 0, 3), ("o", 2, 4)], (0, 2), "no such buffer"),
    ],
)
def test_impossible_pairs(buffers, pair, message):
    found = tuple(Buffer(name, 4, start, end) for name, start, end in buffers)
    with pytest.raises(ProblemError, match=message):
        Problem(found, in_place=(pair,))


def test_pairs_across_devices_twice_and_in_vector_time():
    two = (Buffer("p", 8, 0, 3, device="x"), Buffer("o", 8, 2, 4, device="y"))
    with pytest.raises(ProblemError, match="on its device"):
        Problem(two, in_place=((0, 1),))
    with pytest.raises(ProblemError, match="stands twice"):
        Problem(PAIR.buffers, in_place=((0, 1), (0, 1)))
    time = VectorTime.of(np.array([[0], [2]]), np.array([[3], [4]]))
    with pytest.raises(ProblemError, match="run in parallel"):
        Problem(PAIR.buffers, vector_time=time, in_place=((0, 1),))


def test_devices_are_planned_apart():
    rows = [("p", 0, 3, "x"), ("o", 2, 4, "x"), ("q", 0, 3, "y"), ("r", 2, 4, "y")]
    problem = Problem(
        tuple(Buffer(name, 8, start, end, device=device) for name, start, end, device in rows),
        in_place=((0, 1), (2, 3)),
    )
    assert solve(problem).objective == 16


def test_files():
    data = json.loads(json.dumps(problem_to_json(PAIR)))
    assert data["in_place"] == [["p", "o"]]
    read = problem_from_json(data)
    assert (read.buffers, read.in_place) == (PAIR.buffers, PAIR.in_place)
    plan = plan_from_json(json.loads(json.dumps(plan_to_json(PAIR, solve(PAIR)))))
    assert plan.problem.in_place == PAIR.in_place
    assert verify_sharing(plan.problem, plan.plan) == plan.objective == 8


def test_too_large_for_the_model(monkeypatch):
    monkeypatch.setattr(stages, "MAX_PAIRS", 0)
    monkeypatch.setattr("memonger.solver.cpsat.MAX_ENTRIES", 0)
    rng = random.Random(14)
    for _ in range(100):
        problem = random_in_place(rng, 7)
        result = solve(problem, workers=1)
        assert result.bound <= oracles.optimum(problem) <= result.objective
        assert result.proof is Proof.THRESHOLD
