"""Bounds and certificates of the relaxation, for all sizes and for the largest."""

import random

import numpy as np
import pytest

from memonger.graph.cliques import compress
from memonger.problem import Buffer, Problem
from memonger.solver import relaxation
from memonger.solver.linear import LpSolution, LpStatus
from memonger.solver.presolve import allowed_pairs, gap_fixing
from memonger.solver.relaxation import depths, relax
from memonger.solver.solve import solve
from tests import oracles
from tests.strategies import random_problem


def loose_problems(seed, wanted, offset=0):
    """Return random problems whose threshold bound is below the optimum."""
    rng = random.Random(seed)
    found = []
    while len(found) < wanted:
        problem = random_problem(rng, 8, largest=9)
        problem = Problem(
            tuple(Buffer(b.name, b.size + offset, b.start, b.end) for b in problem.buffers)
        )
        if oracles.threshold_bound(problem) < oracles.optimum(problem):
            found.append(problem)
    return found


@pytest.mark.parametrize("more", [0, 1, 5])
def test_depths_give_bounds_and_certificates(more):
    """From the threshold bound up to the value of the whole relaxation."""
    improved = whole = 0
    for problem in loose_problems(more, 12):
        best = oracles.optimum(problem)
        groups = compress(problem)
        limits = gap_fixing(groups, best + more)
        for depth in range(1, len(groups.sizes) + 1):
            found = relax(groups, limits, depth, best + more + 1, 60.0)
            assert found.certificate.below == best + more + 1
            bound = found.certificate.bound(problem)
            assert oracles.threshold_bound(problem) <= bound <= best
            assert found.groups.sizes.tolist() == groups.sizes.tolist()[:depth]
            assert len(found.placed) == len(found.pairs)
            assert len(found.at_least) == depth
            improved += bound > oracles.threshold_bound(problem)
        assert found.groups is groups
        whole += bound == best
    assert improved > 12
    assert whole >= 10


def test_values_are_a_solution():
    """Each group is placed in full, and no class is overfull at a clique."""
    for problem in loose_problems(3, 10):
        groups = compress(problem)
        cost = oracles.optimum(problem)
        limits = gap_fixing(groups, cost)
        found = relax(groups, limits, len(groups.sizes), cost + 1, 60.0)
        placed = np.zeros(len(groups))
        np.add.at(placed, found.pairs.group, found.placed)
        assert placed == pytest.approx(groups.multiplicity)
        assert (found.at_least >= limits.low - 1e-6).all()
        assert (found.at_least <= limits.high + 1e-6).all()
        number = np.diff(found.at_least, prepend=0.0)
        for c in range(len(groups.sizes)):
            for q in range(groups.num_cliques):
                load = sum(
                    value
                    for g, kind, value in zip(
                        found.pairs.group, found.pairs.kind, found.placed, strict=True
                    )
                    if kind == c and groups.first[g] <= q <= groups.last[g]
                )
                assert load <= number[c] + 1e-6


@pytest.mark.parametrize("offset", [2**20, 2**30, 2**44])
def test_sizes_that_are_nearly_equal(offset):
    """Steps of a byte beside one of terabytes: the solver's tolerances must not swallow them."""
    proven = 0
    for problem in loose_problems(4, 10, offset):
        best = oracles.optimum(problem)
        groups = compress(problem)
        found = relax(groups, gap_fixing(groups, best), len(groups.sizes), best + 1, 60.0)
        bound = found.certificate.bound(problem)
        assert bound <= best
        proven += bound == best
    assert proven >= 9


@pytest.mark.parametrize("answer", [LpStatus.UNKNOWN, LpStatus.INFEASIBLE])
def test_no_answer_is_no_bound(monkeypatch, answer):
    """A float verdict proves nothing."""
    nothing = np.zeros(0)
    monkeypatch.setattr(relaxation, "run_lp", lambda *_: LpSolution(answer, nothing, nothing))
    problem = loose_problems(5, 1)[0]
    groups = compress(problem)
    best = oracles.optimum(problem)
    assert relax(groups, gap_fixing(groups, best), len(groups.sizes), best + 1, 60.0) is None
    result = solve(problem, workers=1)
    assert result.bound <= best <= result.objective


def long_problem(count, kinds):
    rng = random.Random(count)
    sizes = [rng.randint(1, 10**6) for _ in range(kinds)]
    return Problem(
        tuple(
            Buffer(f"b{i}", rng.choice(sizes), start, start + rng.randint(1, 30))
            for i, start in enumerate(rng.randrange(count) for _ in range(count))
        )
    )


@pytest.mark.parametrize("small", [1, 50, 1000, 10**9])
def test_depths_ascend_and_end_at_all(monkeypatch, small):
    """Each has about so many times the pairs of the one before."""
    monkeypatch.setattr(relaxation, "SMALL_PAIRS", small)
    problem = long_problem(400, 60)
    groups = compress(problem)
    limits = gap_fixing(groups, problem.total)
    found = depths(groups, limits)
    count = len(groups.sizes)
    assert found == sorted(set(found))
    assert found[-1] == count
    assert min(found) >= 1
    pairs = [
        len(allowed_pairs(groups.truncate(depth), limits.truncate(groups, depth)))
        for depth in found
    ]
    for depth, number in zip(found[:-1], pairs, strict=False):
        assert number >= small  # no smaller relaxation than that
        assert depth < count
    if small == 10**9:
        assert found == [count]
    elif small < 1000:
        assert len(found) > 2


def test_depths_of_a_single_size():
    problem = Problem(tuple(Buffer(f"b{i}", 4, i, i + 3) for i in range(9)))
    groups = compress(problem)
    assert depths(groups, gap_fixing(groups, problem.total)) == [1]
