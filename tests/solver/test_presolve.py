import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memonger.graph.cliques import compress
from memonger.problem import Buffer, Problem
from memonger.solver.presolve import allowed_pairs, gap_fixing, unreduced
from tests import oracles
from tests.strategies import problems, random_problem

POSITIVE = problems(min_size=1, max_size=7, sizes=st.integers(1, 9), aligned=False, horizon=10)


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


@pytest.mark.parametrize("seed", range(20))
def test_allowed_pairs_hold_all_plans(seed):
    rng = random.Random(seed)
    problem = random_problem(rng, 6, largest=6)
    groups = compress(problem)
    sizes = groups.sizes.tolist()
    best = oracles.optimum(problem)
    group_of = {i: g for g, members in enumerate(groups.members) for i in members}
    plans = [(shared, oracles.cost_of(problem, shared)) for shared in oracles.valid_plans(problem)]
    for cost in (best, best + 2, problem.total):
        limits = gap_fixing(groups, cost)
        pairs = allowed_pairs(groups, limits)
        assert pairs.kind.tolist() == sorted(pairs.kind.tolist())
        found = set(zip(pairs.group.tolist(), pairs.kind.tolist(), strict=True))
        assert len(found) == len(pairs)
        assert all(c <= groups.level[g] for g, c in found)
        most = unreduced(groups, limits).most.tolist()
        for shared, price in plans:
            if price <= cost:
                classes, at_least = classes_of(problem, shared, sizes)
                assert {(group_of[i], c) for i, c in enumerate(classes)} <= found
                assert all(n <= m for n, m in zip(np.diff(at_least, prepend=0), most, strict=True))
        # A class that can have no shared buffer is in no pair.
        assert all(most[c] > 0 for _, c in found)


def test_pairs_of_a_single_class():
    """Cliques of one buffer each: at the optimum all are in the largest class."""
    problem = Problem(tuple(Buffer(f"b{i}", 4 - i, i, i + 1) for i in range(4)))
    groups = compress(problem)
    pairs = allowed_pairs(groups, gap_fixing(groups, 4))
    assert pairs.group.tolist() == [0, 1, 2, 3]
    assert pairs.kind.tolist() == [0, 0, 0, 0]
    left = unreduced(groups, gap_fixing(groups, 4))
    assert left.most.tolist() == [1, 0, 0, 0]
    assert left.full == {}
    assert len(allowed_pairs(groups, gap_fixing(groups, 5))) == 4 + 3 + 2 + 1


@settings(max_examples=150, deadline=None)
@given(POSITIVE, st.integers(0, 12))
def test_where_all_shared_buffers_are_taken_smaller_buffers_have_no_room(problem, more):
    """Saturation, clique by clique."""
    groups = compress(problem)
    limits = gap_fixing(groups, oracles.threshold_bound(problem) + more)
    for g, (level, smallest) in enumerate(zip(groups.level, limits.smallest, strict=True)):
        full = [
            k
            for k in range(level)
            for q in range(groups.first[g], groups.last[g] + 1)
            if groups.counts[k, q] == limits.high[k]
        ]
        assert smallest == max(full, default=-1) + 1


def test_no_room_beside_the_only_large_one():
    problem = Problem((Buffer("a", 8, 0, 2), Buffer("b", 4, 1, 3), Buffer("c", 4, 2, 4)))
    groups = compress(problem)
    names = [problem.buffers[members[0]].name for members in groups.members]
    smallest = dict(zip(names, gap_fixing(groups, 12).smallest.tolist(), strict=True))
    assert smallest == {"a": 0, "b": 1, "c": 0}
