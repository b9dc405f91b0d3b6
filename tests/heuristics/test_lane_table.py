"""Greedy placement over the table of lanes, and what is built on it, against plain restatements."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memonger.heuristics import lane_table
from memonger.heuristics.by_size import first_fit, greedy_by_size, tight_gap
from memonger.heuristics.lane_table import LaneRule, fill
from memonger.heuristics.pisarchyk_lee import breadth_order, greedy_by_breadth, range_minima
from memonger.problem import Buffer, Problem
from memonger.registry import SHARING, Run
from memonger.stop import Deadline
from tests import oracles
from tests.strategies import problems


def plainly(problem, order, rule):
    """Restate `fill` with lists: (members, capacity) of every open shared buffer."""
    lanes = []
    shared = [0] * len(problem)
    for i in order:
        own = problem.buffers[i]
        fitting = [
            number
            for number, (members, _) in enumerate(lanes)
            if all(oracles.may_share(problem, i, j) for j in members)
            and (rule is not LaneRule.EQUAL or lanes[number][1] == own.padded_size)
        ]

        def score(number, own=own):
            members, capacity = lanes[number]
            if rule is LaneRule.TIGHT:
                gaps = [
                    own.start - problem.buffers[j].end
                    if problem.buffers[j].end <= own.start
                    else problem.buffers[j].start - own.end
                    for j in members
                ]
                return min(gaps)
            if rule is LaneRule.SUFFICIENT:
                enough = capacity >= own.padded_size
                return (not enough, capacity if enough else -capacity)
            if rule is LaneRule.NEAREST:
                return abs(capacity - own.padded_size)
            return 0

        best = min(fitting, key=score, default=len(lanes))
        if best == len(lanes):
            lanes.append(([], 0))
        members, capacity = lanes[best]
        members.append(i)
        lanes[best] = (members, max(capacity, own.padded_size))
        shared[i] = best
    return shared


@pytest.mark.parametrize("rule", list(LaneRule))
@settings(max_examples=120, deadline=None)
@given(problem=problems(max_size=12, horizon=14), random=st.randoms(use_true_random=False))
def test_fill(rule, problem, random):
    order = list(range(len(problem)))
    random.shuffle(order)
    plan = fill(problem, np.array(order, dtype=np.int64), rule)
    assert oracles.is_valid(problem, plan.shared)
    expected = plainly(problem, order, rule)
    assert {frozenset(members) for members in plan.members()} == {
        frozenset(np.flatnonzero(np.array(expected) == number).tolist()) for number in set(expected)
    }


@pytest.mark.parametrize("choose", [first_fit, tight_gap])
@settings(max_examples=120, deadline=None)
@given(problem=problems(max_size=14, horizon=14))
def test_by_size_is_the_same_without_the_table(choose, problem):
    """A rule that the table does not know runs over lanes one by one."""
    plain = greedy_by_size(problem, lambda *arguments: choose(*arguments))
    assert greedy_by_size(problem, choose) == plain


def test_tables_grow_and_end(monkeypatch):
    buffers = tuple(Buffer(f"b{i}", 4, 0, 2) for i in range(100))
    order = np.arange(100)
    assert fill(Problem(buffers), order, LaneRule.FIRST).num_shared == 100
    monkeypatch.setattr(lane_table, "MAX_CELLS", 50)
    assert fill(Problem(buffers), order, LaneRule.FIRST) is None


def test_equality_and_in_order():
    problem = Problem((Buffer("a", 8, 0, 1), Buffer("b", 6, 1, 2), Buffer("c", 8, 2, 3)))
    run = Run(Deadline(None))
    assert SHARING.get("equality").run(problem, run).plan.shared == (0, 1, 0)
    assert SHARING.get("in-order").run(problem, run).plan.shared == (0, 0, 0)


def test_breadth_takes_the_busiest_time_first():
    problem = Problem(
        (Buffer("a", 9, 0, 1), Buffer("b", 3, 2, 4), Buffer("c", 4, 2, 4), Buffer("d", 5, 3, 5))
    )
    assert breadth_order(problem).tolist() == [3, 2, 1, 0]
    assert oracles.is_valid(problem, greedy_by_breadth(problem).shared)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_range_minima(data):
    values = data.draw(st.lists(st.integers(-9, 9), min_size=1, max_size=40))
    pairs = data.draw(st.lists(st.tuples(*[st.integers(0, len(values) - 1)] * 2), max_size=20))
    first = np.array([min(pair) for pair in pairs], dtype=np.int64)
    last = np.array([max(pair) for pair in pairs], dtype=np.int64)
    found = range_minima(np.array(values), first, last).tolist()
    assert found == [min(values[i : j + 1]) for i, j in zip(first, last, strict=True)]


def test_deadline():
    problem = Problem((Buffer("a", 4, 0, 2), Buffer("b", 4, 1, 3)))
    assert greedy_by_breadth(problem, Deadline(0.0)) is None
    assert greedy_by_breadth(problem).shared == (0, 1)
