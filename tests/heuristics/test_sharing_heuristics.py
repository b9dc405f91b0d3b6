import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memonger.heuristics.by_size import first_fit, greedy_by_size, tight_gap
from memonger.heuristics.caffe2_greedy import caffe2_greedy
from memonger.heuristics.classes import plan_from_classes
from memonger.heuristics.lanes import Lane, follows, over_before
from memonger.heuristics.sharing_table import no_sharing
from memonger.heuristics.sweep import best_fit_sweep, profile_sweep
from memonger.problem import Buffer, Problem
from memonger.stop import Deadline
from tests import oracles
from tests.strategies import parallel_problems, problems


def problem_of(*rows):
    return Problem(tuple(Buffer(f"b{i}", *row) for i, row in enumerate(rows)))


@pytest.mark.parametrize("by_size", [True, False])
@settings(max_examples=150, deadline=None)
@given(problem=problems(max_size=9, horizon=12))
def test_caffe2_greedy_is_that_of_caffe2(by_size, problem):
    expected = oracles.caffe2_greedy(problem, by_size=by_size)
    plan = caffe2_greedy(problem, by_size=by_size)
    assert oracles.is_valid(problem, plan.shared)
    groups = {frozenset(np.flatnonzero(np.array(s) == k)) for s in (expected,) for k in s}
    assert {frozenset(members) for members in plan.members()} == groups


def test_caffe2_greedy_takes_the_nearest_size():
    problem = problem_of((10, 0, 1), (4, 0, 2), (5, 2, 3))
    assert caffe2_greedy(problem).shared == (0, 1, 1)
    assert caffe2_greedy(problem, by_size=False).shared == (0, 1, 0)


def test_caffe2_greedy_takes_the_first_of_equals():
    problem = problem_of((4, 0, 1), (4, 0, 2), (4, 2, 3))
    assert caffe2_greedy(problem).shared == (0, 1, 0)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_plan_from_classes_needs_the_depth_of_each_class(data):
    problem = data.draw(problems(max_size=9, horizon=12))
    classes = data.draw(st.lists(st.integers(0, 3), min_size=len(problem), max_size=len(problem)))
    plan = plan_from_classes(problem, classes)
    assert oracles.is_valid(problem, plan.shared)
    needed = 0
    for c in set(classes):
        own = [b for b, k in zip(problem.buffers, classes, strict=True) if k == c]
        needed += max(sum(b.start <= time < b.end for b in own) for time in range(12))
    assert plan.num_shared == needed
    for members in plan.members():
        assert len({classes[i] for i in members}) == 1


@pytest.mark.parametrize("reverse", [False, True])
@settings(max_examples=150, deadline=None)
@given(problem=problems(max_size=8, horizon=10))
def test_profile_sweep(reverse, problem):
    plan = profile_sweep(problem, reverse=reverse)
    assert oracles.is_valid(problem, plan.shared)
    assert plan.cost(problem) >= oracles.threshold_bound(problem)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(
    "rows",
    [
        [(4, 0, 2), (4, 1, 3), (4, 2, 4)],
        [(size, time, time + 2) for time, size in enumerate((9, 7, 5, 3, 2, 1))],
        [(0, 0, 9), (3, 0, 9), (3, 2, 4)],
    ],
    ids=["equal", "stairs", "empty one"],
)
def test_profile_sweep_meets_the_bound_where_it_is_easy(rows, reverse):
    problem = problem_of(*rows)
    plan = profile_sweep(problem, reverse=reverse)
    assert plan.cost(problem) == oracles.threshold_bound(problem) == oracles.optimum(problem)


@pytest.mark.parametrize("choose", [first_fit, tight_gap])
@settings(max_examples=100, deadline=None)
@given(problem=st.one_of(problems(max_size=8), parallel_problems()))
def test_by_size_never_lets_a_shared_buffer_grow(choose, problem):
    plan = greedy_by_size(problem, choose)
    assert oracles.is_valid(problem, plan.shared)
    # The largest member opens a shared buffer: no two could be merged by moving the smaller whole.
    order = sorted(
        range(len(problem)),
        key=lambda i: (-problem.sizes[i], problem.buffers[i].start, problem.buffers[i].name),
    )
    opened = {}
    for i in order:
        own = plan.shared[i]
        if own in opened:
            opened[own].append(i)
            continue
        for members in opened.values():
            assert not all(oracles.may_share(problem, i, j) for j in members)
        opened[own] = [i]


def test_tight_gap_prefers_the_nearest_neighbour():
    rows = [(9, 0, 1), (9, 0, 5), (5, 6, 7)]
    assert greedy_by_size(problem_of(*rows), first_fit).shared == (0, 1, 0)
    assert greedy_by_size(problem_of(*rows), tight_gap).shared == (0, 1, 1)
    after = [(9, 20, 22), (9, 11, 22), (5, 9, 11)]
    assert greedy_by_size(problem_of(*after), tight_gap).shared == (0, 1, 1)


@settings(max_examples=100, deadline=None)
@given(st.one_of(problems(max_size=8), parallel_problems()))
def test_best_fit_sweep(problem):
    assert oracles.is_valid(problem, best_fit_sweep(problem).shared)


def test_best_fit_prefers_the_smallest_that_is_enough_then_the_largest():
    enough = problem_of((8, 0, 1), (6, 0, 1), (2, 0, 1), (5, 1, 2))
    assert best_fit_sweep(enough).shared == (0, 1, 2, 1)
    grows = problem_of((8, 0, 1), (6, 0, 1), (2, 0, 1), (9, 1, 2))
    assert best_fit_sweep(grows).shared == (0, 1, 2, 0)


@settings(max_examples=100, deadline=None)
@given(st.one_of(problems(max_size=8), parallel_problems()), st.randoms(use_true_random=False))
def test_a_lane_has_room_iff_no_member_conflicts(problem, random):
    over = over_before(problem)
    lane = Lane()
    order = list(range(len(problem)))
    random.shuffle(order)
    for buffer in order:
        position = lane.position(problem, buffer, over)
        fits = all(oracles.may_share(problem, buffer, other) for other in lane.members)
        assert (position >= 0) == fits
        if fits:
            lane.insert(problem, buffer, position)
            assert lane.starts == [problem.buffers[i].start for i in lane.members]
            assert lane.starts == sorted(lane.starts)


@settings(max_examples=100, deadline=None)
@given(st.one_of(problems(max_size=8), parallel_problems()))
def test_pairs_follow_each_other_iff_each_does(problem):
    over = over_before(problem)
    pairs = list(itertools.product(range(len(problem)), repeat=2))
    assert follows(problem, pairs) == [over(first, second) for first, second in pairs]


@settings(max_examples=50, deadline=None)
@given(st.one_of(problems(), parallel_problems()))
def test_no_sharing(problem):
    plan = no_sharing(problem)
    assert plan.shared == tuple(range(len(problem)))
    assert plan.cost(problem) == problem.total


@pytest.mark.parametrize(
    "run",
    [
        lambda p, d: greedy_by_size(p, first_fit, d),
        lambda p, d: greedy_by_size(p, tight_gap, d),
        lambda p, d: caffe2_greedy(p, deadline=d),
        lambda p, d: best_fit_sweep(p, d),
    ],
    ids=["by-size", "by-size-tight", "caffe2-greedy", "best-fit"],
)
def test_deadline(run):
    problem = problem_of((4, 0, 2), (4, 1, 3))
    assert run(problem, Deadline(0.0)) is None
    assert run(problem, Deadline(None)).shared == (0, 1)
