"""The sparse relaxation against a dense one from the definition, and against brute force."""

import itertools
import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from memonger.graph.cliques import compress
from memonger.problem import Buffer, Problem
from memonger.solver.class_lp import build_class_lp, maximal_among
from memonger.solver.linear import LpStatus, run_lp
from memonger.solver.presolve import Limits, allowed_pairs, gap_fixing
from tests import oracles
from tests.solver.test_presolve import classes_of
from tests.strategies import problems, random_problem

POSITIVE = problems(min_size=1, max_size=7, sizes=st.integers(1, 9), aligned=False, horizon=10)


def value_of(lp, groups):
    """Return the value of a relaxation in bytes."""
    solution = run_lp(lp.cost, lp.matrix, lp.right, lp.low, lp.high, 60.0)
    assert solution.status is LpStatus.SOLVED
    return solution, float(lp.cost @ solution.values) * groups.gcd


def dense_value(problem, groups, limits):
    """Return the value of the relaxation written out: a row for every class and every time.

    Columns x[i, c] for each buffer, N_c, M_k.
    """
    sizes = groups.sizes.tolist()
    group_of = {i: g for g, members in enumerate(groups.members) for i in members}
    pairs = [
        (i, c)
        for i, b in enumerate(problem.buffers)
        for c, size in enumerate(sizes)
        if limits.smallest[group_of[i]] <= c and b.size <= size
    ]
    count = len(sizes)
    width = len(pairs) + 2 * count
    number, at_least = len(pairs), len(pairs) + count
    equal, right, less = [], [], []
    for i in range(len(problem)):
        equal.append([float(p < len(pairs) and pairs[p][0] == i) for p in range(width)])
        right.append(1.0)
    for k in range(count):
        row = [0.0] * width
        row[at_least + k], row[number + k] = 1.0, -1.0
        if k:
            row[at_least + k - 1] = -1.0
        equal.append(row)
        right.append(0.0)
    for c in range(count):
        for time in {b.start for b in problem.buffers}:
            row = [0.0] * width
            row[number + c] = -1.0
            for p, (i, kind) in enumerate(pairs):
                row[p] = float(
                    kind == c and problem.buffers[i].start <= time < problem.buffers[i].end
                )
            less.append(row)
    cost = [0.0] * width
    cost[at_least:] = groups.steps.tolist()
    bounds = [(0, None)] * at_least
    bounds += list(zip(limits.low.tolist(), limits.high.tolist(), strict=True))
    found = linprog(
        cost, A_ub=less, b_ub=np.zeros(len(less)), A_eq=equal, b_eq=right, bounds=bounds,
        method="highs-ds",
    )  # fmt: skip
    assert found.status == 0
    return found.fun


@settings(max_examples=60, deadline=None)
@given(POSITIVE, st.integers(0, 6))
def test_value_is_that_of_the_dense_relaxation(problem, more):
    groups = compress(problem)
    best = oracles.optimum(problem)
    limits = gap_fixing(groups, best + more)
    value = value_of(build_class_lp(groups, limits), groups)[1]
    assert value == pytest.approx(dense_value(problem, groups, limits), abs=1e-6)
    assert oracles.threshold_bound(problem) - 1e-6 <= value <= best + 1e-6


@pytest.mark.parametrize("seed", range(3))
def test_value_where_it_is_above_the_threshold_bound(seed):
    rng = random.Random(seed)
    between = 0
    for _ in range(400):
        problem = random_problem(rng, 8)
        best = oracles.optimum(problem)
        if oracles.threshold_bound(problem) == best:
            continue
        groups = compress(problem)
        for cost in (best, problem.total):
            limits = gap_fixing(groups, cost)
            value = value_of(build_class_lp(groups, limits), groups)[1]
            assert value == pytest.approx(dense_value(problem, groups, limits), abs=1e-6)
            assert value <= best + 1e-6
            between += oracles.threshold_bound(problem) + 0.1 < value
    assert between > 5


def fixed_to(lp, problem, groups, shared):
    """Return the relaxation with x, N and M as in a plan."""
    classes, at_least = classes_of(problem, shared, groups.sizes.tolist())
    group_of = {i: g for g, members in enumerate(groups.members) for i in members}
    low, high = lp.low.copy(), lp.high.copy()
    number = np.zeros(lp.first_count)
    column = {
        pair: j
        for j, pair in enumerate(zip(lp.pairs.group.tolist(), lp.pairs.kind.tolist(), strict=True))
    }
    for i, c in enumerate(classes):
        number[column[group_of[i], c]] += 1
    values = [*number, *np.diff(at_least, prepend=0), *at_least]
    low[: len(values)] = np.maximum(low[: len(values)], values)
    high[: len(values)] = np.minimum(high[: len(values)], values)
    return run_lp(lp.cost, lp.matrix, lp.right, low, high, 60.0)


@pytest.mark.parametrize("seed", range(6))
def test_plans_are_solutions(seed):
    """Of all plans within the limits; and with a shared buffer less they are none."""
    rng = random.Random(seed)
    problem = random_problem(rng, 5, horizon=6, largest=4)
    groups = compress(problem)
    lp = build_class_lp(groups, gap_fixing(groups, problem.total))
    plans = list(oracles.valid_plans(problem))
    for shared in rng.sample(plans, min(12, len(plans))):
        solution = fixed_to(lp, problem, groups, shared)
        assert solution.status is LpStatus.SOLVED
        cost = float(lp.cost @ solution.values) * groups.gcd
        assert cost == pytest.approx(oracles.cost_of(problem, shared))


@settings(max_examples=60, deadline=None)
@given(POSITIVE)
def test_shape(problem):
    """Few coefficients a pair, however long it lives; the chains are those of the classes."""
    groups = compress(problem)
    limits = gap_fixing(groups, problem.total)
    lp = build_class_lp(groups, limits)
    pairs = allowed_pairs(groups, limits)
    assert lp.pairs.group.tolist() == pairs.group.tolist()
    assert lp.first_count == len(pairs)
    assert lp.matrix.shape == (len(lp.right), len(lp.cost))
    per_column = np.diff(lp.matrix.tocsc().indptr)
    assert per_column[: len(pairs)].max() <= 3
    assert (lp.low <= lp.high).all()
    assert math.isclose(float(lp.cost.sum()) * groups.gcd, float(groups.steps.sum()))
    row = len(groups)
    for chain in lp.chains:
        own = pairs.group[pairs.kind == chain.kind]
        assert chain.row == row
        row += len(chain.cliques)
        expected = maximal_among(groups.first[own], groups.last[own])
        assert chain.cliques.tolist() == expected.tolist()
    assert row + len(groups.sizes) == len(lp.right)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 6)), min_size=1, max_size=10))
def test_maximal_cliques_of_ranges(rows):
    """One of each of the maximal sets of ranges that hold a number, ascending."""
    ranges = [(first, first + length) for first, length in rows]
    held = {
        q: frozenset(i for i, (first, last) in enumerate(ranges) if first <= q <= last)
        for q in range(20)
    }
    maximal = {s for s in held.values() if s and not any(s < other for other in held.values())}
    found = maximal_among(np.array([r[0] for r in ranges]), np.array([r[1] for r in ranges]))
    assert found.tolist() == sorted(set(found.tolist()))
    assert [held[q] for q in found.tolist()].count(frozenset()) == 0
    assert len(found) == len(maximal)
    assert {held[q] for q in found.tolist()} == maximal


def set_partitioning_value(problem):
    """Return the value of the relaxation over all sets of buffers that may share."""
    count = len(problem)
    sets = [
        members
        for size in range(1, count + 1)
        for members in itertools.combinations(range(count), size)
        if all(oracles.may_share(problem, i, j) for i, j in itertools.combinations(members, 2))
    ]
    cost = [max(problem.buffers[i].size for i in members) for members in sets]
    rows = [[float(i in members) for members in sets] for i in range(count)]
    found = linprog(cost, A_eq=rows, b_eq=np.ones(count), bounds=(0, None), method="highs-ds")
    assert found.status == 0
    return found.fun


def unlimited_value(problem):
    """Return the value of the relaxation without limits."""
    groups = compress(problem)
    free = np.zeros(len(groups.sizes), dtype=np.int64)
    limits = Limits(free, free + len(problem), np.zeros(len(groups), dtype=np.int64))
    return value_of(build_class_lp(groups, limits), groups)[1]


@pytest.mark.parametrize("seed", range(3))
def test_value_without_limits_is_that_of_set_partitioning(seed):
    rng = random.Random(seed)
    above = 0
    for _ in range(60):
        problem = random_problem(rng, 8, horizon=rng.choice((5, 10)))
        value = unlimited_value(problem)
        assert value == pytest.approx(set_partitioning_value(problem), abs=1e-6)
        assert value <= oracles.optimum(problem) + 1e-6
        above += value > oracles.threshold_bound(problem) + 0.1
    assert above > 0


def test_value_may_be_a_fraction():
    rows = [
        (13, 12, 20), (11, 17, 20), (70, 21, 26), (8, 16, 18), (13, 18, 25), (13, 23, 30),
        (159, 6, 14), (8, 16, 25), (13, 20, 21), (11, 2, 6), (8, 10, 17), (11, 13, 25),
    ]  # fmt: skip
    problem = Problem(tuple(Buffer(f"b{i}", *row) for i, row in enumerate(rows)))
    assert unlimited_value(problem) == pytest.approx(209.5)
    assert set_partitioning_value(problem) == pytest.approx(209.5)
