"""Vector time: chains, antichains, and the exact algorithms against brute force."""

import itertools
import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memonger.problem import Buffer, Problem, VectorTime
from memonger.registry import SHARING
from memonger.result import Proof, Status
from memonger.solver import parallel
from memonger.solver.chains import (
    conflict_cliques,
    conflicts,
    extended,
    fewest_chains,
    order_matrix,
)
from memonger.solver.solve import solve
from tests import oracles
from tests.strategies import parallel_problems, problems

EXACT = [a.name for a in SHARING if a.proves and a.vector_time]


def random_parallel(rng, count, operators):
    """Return a random problem of a random dependency graph, one chain an operator."""
    before = []
    for operator in range(operators):
        direct = set(rng.sample(range(operator), min(operator, rng.randint(0, 2))))
        before.append(direct.union(*(before[other] for other in direct)))
    found, start, end = [], [], []
    for index in range(count):
        writer = rng.randrange(operators)
        after = [other for other in range(operators) if writer in before[other]]
        accesses = {writer, *rng.sample(after, min(len(after), rng.randint(0, 3)))}
        size = rng.randint(0, rng.choice((3, 12, 50)))
        found.append(Buffer(f"b{index}", size, writer, max(accesses) + 1))
        start.append([int(c in before[writer]) for c in range(operators)])
        end.append([int(c in accesses | before[writer]) for c in range(operators)])
    return Problem(tuple(found), "parallel", VectorTime.of(np.array(start), np.array(end)))


@pytest.mark.parametrize("enumerated", [True, False])
@pytest.mark.parametrize("algorithm", EXACT)
def test_brute_force(monkeypatch, algorithm, enumerated):
    """With all conflicts covered beforehand, and with antichains as they are needed alone."""
    if not enumerated:
        monkeypatch.setattr(parallel, "MAX_ENUMERATED", 0)
    rng = random.Random(31)
    proofs = Counter()
    for _ in range(150):
        problem = random_parallel(rng, rng.randint(2, 8), rng.randint(3, 9))
        result = solve(problem, algorithm, workers=1)
        assert result.status is Status.OPTIMAL
        assert result.objective == result.bound == oracles.optimum(problem)
        assert oracles.is_valid(problem, result.plan.shared)
        proofs[result.proof] += 1
    assert proofs[Proof.THRESHOLD] > 20
    assert proofs[Proof.CP_SAT] > 20


@settings(max_examples=100, deadline=None)
@given(st.one_of(parallel_problems(max_size=8), problems(max_size=9)))
def test_order_and_chains(problem):
    before = order_matrix(problem)
    for i in range(len(problem)):
        for j in range(len(problem)):
            assert (before[i, j] or before[j, i]) == (i != j and oracles.may_share(problem, i, j))
    members = np.arange(len(problem))
    chains, antichain = fewest_chains(before, members)
    assert sorted(i for chain in chains for i in chain) == members.tolist()
    assert all(before[one, two] for chain in chains for one, two in itertools.pairwise(chain))
    # Dilworth: as many chains as the largest antichain has members
    assert len(antichain) == len(chains)
    assert not before[np.ix_(antichain, antichain)].any()


@settings(max_examples=100, deadline=None)
@given(parallel_problems(max_size=8))
def test_cliques_cover_all_conflicts(problem):
    conflict = conflicts(order_matrix(problem))
    cliques = conflict_cliques(conflict)
    covered = {(i, j) for clique in cliques for i in clique for j in clique if i != j}
    assert covered == {(i, j) for i, j in zip(*np.nonzero(conflict), strict=True)}
    for clique in cliques:
        whole = extended(conflict, clique[:1])
        assert all(conflict[i, j] for i in whole for j in whole if i != j)
        assert not conflict[whole].all(axis=0).any()  # nobody conflicts with all of them


def test_a_plan_that_waits_for_no_one():
    """Two branches of which each could use the other's memory, in program order only."""
    start = np.array([[0, 0], [1, 0], [0, 0], [0, 1]])
    end = np.array([[2, 0], [3, 0], [0, 2], [0, 3]])
    ranges = [(0, 2), (1, 3), (3, 5), (4, 6)]
    buffers = tuple(Buffer(f"b{i}", 8, *ranges[i]) for i in range(4))
    assert solve(Problem(buffers)).objective == 16
    result = solve(Problem(buffers, vector_time=VectorTime.of(start, end)))
    assert (result.objective, result.status) == (32, Status.OPTIMAL)
    assert result.proof is Proof.CP_SAT


@pytest.mark.parametrize("algorithm", EXACT)
def test_bounds_of_program_order_need_its_conflicts(algorithm):
    """Vector times that contradict program order: no bound may come from it."""
    time = VectorTime.of(np.array([[0], [2], [4]]), np.array([[2], [4], [6]]))
    buffers = (Buffer("a", 8, 0, 3), Buffer("b", 4, 0, 3), Buffer("c", 8, 2, 6))
    problem = Problem(buffers, vector_time=time)
    try:
        result = solve(problem, algorithm, workers=1)
    except Exception as error:
        assert "program order" in str(error)  # noqa: PT017  (either is right)
    else:
        assert result.bound <= oracles.optimum(problem)


def test_too_many_buffers(monkeypatch):
    monkeypatch.setattr(parallel, "MAX_BUFFERS", 1)
    monkeypatch.setattr("memonger.solver.constrained.MAX_ENUMERATED", 1)
    rng = random.Random(32)
    for algorithm in EXACT:
        for _ in range(20):
            problem = random_parallel(rng, 7, 7)
            result = solve(problem, algorithm, workers=1)
            assert result.proof is Proof.THRESHOLD
            assert result.bound <= oracles.optimum(problem) <= result.objective
