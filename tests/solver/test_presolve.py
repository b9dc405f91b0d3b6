import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memonger.graph.cliques import clique_times, compress
from memonger.problem import Buffer, Problem
from memonger.solver.presolve import gap_fixing
from tests import oracles
from tests.strategies import problems, random_problem

POSITIVE = problems(min_size=1, max_size=7, sizes=st.integers(1, 9), aligned=False, horizon=10)


def live_sets(problem):
    """Return the sets of buffers live at each time."""
    last = max(b.end for b in problem.buffers)
    return [
        frozenset(i for i, b in enumerate(problem.buffers) if b.start <= time < b.end)
        for time in range(last + 1)
    ]


@settings(max_examples=150, deadline=None)
@given(POSITIVE)
def test_clique_times(problem):
    """One time for every maximal set of live buffers, in the order of time."""
    sets = set(live_sets(problem))
    maximal = {s for s in sets if s and not any(s < other for other in sets)}
    times = clique_times(problem.starts, problem.ends).tolist()
    assert times == sorted(set(times))
    found = [live_sets(problem)[time] for time in times]
    assert len(found) == len(set(found))
    assert set(found) == maximal


@settings(max_examples=150, deadline=None)
@given(POSITIVE)
def test_compress(problem):
    groups = compress(problem)
    assert sorted(i for members in groups.members for i in members) == list(range(len(problem)))
    group_of = {i: g for g, members in enumerate(groups.members) for i in members}
    for g, members in enumerate(groups.members):
        assert groups.multiplicity[g] == len(members)
        assert {int(problem.sizes[i]) for i in members} == {int(groups.sizes[groups.level[g]])}
        assert 0 <= groups.first[g] <= groups.last[g] < groups.num_cliques
    for i in range(len(problem)):
        for j in range(i):
            one, other = group_of[i], group_of[j]
            apart = groups.last[one] < groups.first[other] or groups.last[other] < groups.first[one]
            assert problem.conflict(i, j) == (not apart)
    assert groups.sizes.tolist() == sorted(set(problem.sizes.tolist()), reverse=True)
    assert groups.steps.sum() == groups.sizes[0]
    assert all(size % groups.gcd == 0 for size in groups.sizes.tolist())
    assert len(groups) == len(groups.members)
    times = clique_times(problem.starts, problem.ends)
    for k, size in enumerate(groups.sizes):
        for q, time in enumerate(times):
            expected = sum(b.size >= size and b.start <= time < b.end for b in problem.buffers)
            assert groups.counts[k, q] == expected


def test_identical_buffers_are_merged():
    problem = Problem(tuple(Buffer(f"b{i}", 4, 0, 2) for i in range(5)))
    groups = compress(problem)
    assert len(groups) == 1
    assert groups.members == ((0, 1, 2, 3, 4),)


def classes_of(problem, shared, sizes):
    """Return buffer -> class and M_k of a plan."""
    capacity = {}
    for index, number in enumerate(shared):
        capacity[number] = max(capacity.get(number, 0), int(problem.sizes[index]))
    classes = [sizes.index(capacity[number]) for number in shared]
    at_least = [sum(value >= size for value in capacity.values()) for size in sizes]
    return classes, at_least


@pytest.mark.parametrize("seed", range(40))
def test_gap_fixing_cuts_no_plan_off(seed):
    """Every plan that costs at most U keeps to the limits of U."""
    rng = random.Random(seed)
    problem = random_problem(rng, 6, largest=6)
    groups = compress(problem)
    sizes = groups.sizes.tolist()
    best = oracles.optimum(problem)
    plans = [(shared, oracles.cost_of(problem, shared)) for shared in oracles.valid_plans(problem)]
    for cost in (best, best + 1, best + 3, best + 8):
        limits = gap_fixing(groups, cost)
        assert (limits.low <= limits.high).all()
        kept = 0
        for shared, price in plans:
            if price > cost:
                continue
            kept += 1
            classes, at_least = classes_of(problem, shared, sizes)
            assert (limits.low <= at_least).all()
            assert (at_least <= limits.high).all()
            for g, members in enumerate(groups.members):
                for i in members:
                    assert limits.smallest[g] <= classes[i] <= groups.level[g]
        assert kept


@settings(max_examples=60, deadline=None)
@given(POSITIVE)
def test_gap_fixing_at_the_threshold_bound_leaves_no_slack(problem):
    groups = compress(problem)
    bound = oracles.threshold_bound(problem)
    limits = gap_fixing(groups, bound)
    assert (limits.low == limits.high).all()
    assert int(groups.steps @ limits.low) == bound
    # Below it nothing is possible; the limits stay a sane, empty-handed statement.
    assert (gap_fixing(groups, bound - 1).high == limits.high).all()


def test_gap_fixing_grows_with_the_cost():
    rng = random.Random(3)
    for _ in range(20):
        problem = random_problem(rng, 8)
        groups = compress(problem)
        before = None
        for cost in range(oracles.threshold_bound(problem), problem.total + 1, 3):
            limits = gap_fixing(groups, cost)
            if before is not None:
                assert (limits.high >= before.high).all()
                assert (limits.smallest <= before.smallest).all()
            before = limits
        multiplicities = [
            sum(b.size >= size for b in problem.buffers) for size in groups.sizes.tolist()
        ]
        assert (gap_fixing(groups, 10**9).high <= np.array(multiplicities)).all()
