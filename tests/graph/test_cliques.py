"""Time compressed to maximal cliques: against the sets of live buffers at every time."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from memonger.graph.cliques import clique_times, compress
from memonger.problem import Buffer, Problem, VectorTime
from tests.strategies import problems

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


def test_nothing_to_compress():
    groups = compress(Problem(()))
    assert len(groups) == groups.num_cliques == len(groups.sizes) == 0
    assert groups.members == ()
    assert groups.counts.shape == (0, 0)
    assert clique_times(groups.times, groups.times).tolist() == []


def test_times_as_far_apart_as_they_may_be():
    problem = Problem((Buffer("a", 3, 0, 2**60), Buffer("b", 3, 2**60, 2**62 - 1)))
    groups = compress(problem)
    assert groups.times.tolist() == [0, 2**60]
    assert groups.first.tolist() == groups.last.tolist() == [0, 1]


def test_identical_buffers_count_each():
    equal = [Buffer(f"b{i}", 4, 0, 2) for i in range(5)]
    problem = Problem((*equal, Buffer("c", 2, 1, 3)))
    groups = compress(problem)
    assert groups.times.tolist() == [1]
    assert groups.counts.tolist() == [[5], [6]]
    assert groups.gcd == 2
    assert groups.steps.tolist() == [2, 2]


def test_buffers_of_pairs_are_not_merged():
    """Nor are they live at the operator at which they may be taken over."""
    first = [Buffer(f"p{i}", 4, 0, 3) for i in range(4)]
    then = [Buffer(f"o{i}", 4, 2, 5) for i in range(3)]
    edges = [Buffer("x", 1, 0, 1), Buffer("y", 1, 4, 5)]
    buffers = (*first, *then, *edges)
    alone = compress(Problem(buffers))
    assert sorted(alone.members) == [(0, 1, 2, 3), (4, 5, 6), (7,), (8,)]
    assert alone.counts.max() == 7
    groups = compress(Problem(buffers, in_place=((0, 4), (1, 5))))
    assert sorted(groups.members) == [(0,), (1,), (2, 3), (4,), (5,), (6,), (7,), (8,)]
    assert groups.counts.max() == 5


def test_buffers_of_other_vectors_are_not_merged():
    start = np.array([[0, 0], [0, 0], [0, 0]])
    end = np.array([[1, 0], [1, 1], [1, 0]])
    problem = Problem(
        tuple(Buffer(f"b{i}", 4, 0, 1) for i in range(3)), vector_time=VectorTime.of(start, end)
    )
    assert sorted(compress(problem).members) == [(0, 2), (1,)]
