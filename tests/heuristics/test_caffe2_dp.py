"""Caffe2's dynamic program: by the recordings, and against the recurrence written down plainly."""

import copy
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memonger.heuristics.blob_assignments import (
    AssignmentError,
    LiveRange,
    compute_assignments_greedy,
    get_memory_usage,
    is_compatible,
    verify_assignments,
)
from memonger.heuristics.caffe2_dp import SearchLimitError, caffe2_dp, compute_assignments_dp
from memonger.problem import Buffer, Problem
from memonger.stop import Deadline
from tests import oracles
from tests.heuristics.test_blob_assignments import (
    check_recorded_interference,
    names_of,
    ranges_of,
    recorded_assignments,
)
from tests.strategies import problems

COUNTEREXAMPLE = [["A", 0, 1, 5], ["B", 3, 3, 2], ["C", 3, 5, 4], ["E", 5, 5, 2]]


def test_recorded_dp_assignments():
    counts = Counter()
    for record in recorded_assignments():
        ranges = ranges_of(record["ranges"])
        recorded = record["dp"]
        if recorded["status"] == "ok":
            found = compute_assignments_dp(ranges, [])
            assert names_of(found) == recorded["assignments"]
            assert get_memory_usage(found) == recorded["memory_usage"]
            assert get_memory_usage(found) >= record["optimal_memory_usage"]
            verify_assignments(found)
            counts["equal"] += 1
            optimal = get_memory_usage(found) == record["optimal_memory_usage"]
            counts["of these optimal"] += optimal
        elif recorded["exc_type"] == "AssertionError":
            with pytest.raises(AssertionError, match="order of their last uses"):
                compute_assignments_dp(ranges, [])
            counts["same exception"] += 1
        else:  # B04
            assert recorded["exc_type"] == "IndexError"
            assert ranges == compute_assignments_dp(ranges, []) == []
            counts["B04, empty here"] += 1
    print("compute_assignments_dp", dict(counts))


def test_recorded_interference_by_the_dp():
    counts = check_recorded_interference("dp", lambda ranges: compute_assignments_dp(ranges, []))
    print("optimize_interference, dp", dict(counts))
    assert counts["equal"] >= 300


def plain_dp(ranges, initial):
    """Restate the recurrence with lists and copies."""

    def fits(live, group):
        return is_compatible(live, group, ())

    bests = []
    for i, (name, live) in enumerate(ranges):
        j = next((j for j in range(i - 1, -1, -1) if all(fits(live, g) for g in bests[j])), -1)
        base = bests[j] if j >= 0 else initial
        candidates = []
        for x, group in enumerate(base):
            if fits(live, group):
                put = [*group, (name, live)]
                others = [g for k, g in enumerate(base) if k != x]
                if j + 1 == i:
                    candidates.append([*base[:x], put, *base[x + 1 :]])
                else:
                    candidates.append([*plain_dp(ranges[j + 1 : i], others), put])
        before = bests[-1] if bests else initial
        candidates.append([*before, [(name, live)]])
        bests.append(min(candidates, key=get_memory_usage))
    return bests[-1] if bests else initial


@st.composite
def sorted_lives(draw, max_size=8):
    found = []
    for index in range(draw(st.integers(0, max_size))):
        start = draw(st.integers(0, 9))
        size = draw(st.sampled_from([0, 1, 2, 3, 5, 9]))
        found.append((f"b{index}", LiveRange(start, start + draw(st.integers(0, 4)), size)))
    return sorted(found, key=lambda pair: pair[1].used)


@settings(max_examples=300)
@given(sorted_lives(), sorted_lives(max_size=3))
def test_dp_is_the_recurrence(ranges, first):
    initial = [[(f"i{name}", live)] for name, live in first]
    arguments = copy.deepcopy((ranges, initial))
    found = compute_assignments_dp(ranges, initial)
    assert found == plain_dp(ranges, initial)
    assert (ranges, initial) == arguments


@settings(max_examples=200)
@given(problems(max_size=8, horizon=10))
def test_dp_is_valid_and_not_below_the_optimum(problem):
    plan = caffe2_dp(problem)
    assert oracles.is_valid(problem, plan.shared)
    assert oracles.optimum(problem) <= plan.cost(problem) <= problem.total


def test_dp_is_not_optimal():
    found = compute_assignments_dp(ranges_of(COUNTEREXAMPLE), [])
    assert get_memory_usage(found) == 9
    buffers = [Buffer(name, size, start, end + 1) for name, start, end, size in COUNTEREXAMPLE]
    assert oracles.optimum(Problem(tuple(buffers))) == 7
    assert caffe2_dp(Problem(tuple(buffers))).cost(Problem(tuple(buffers))) == 9


def test_b09_dp_above_the_optimum_and_below_the_greedy():
    ranges = ranges_of([["b3", 1, 3, 20], ["b0", 5, 5, 5], ["b2", 5, 6, 20], ["b1", 6, 7, 5]])
    assert get_memory_usage(compute_assignments_dp(ranges, [])) == 30
    assert get_memory_usage(compute_assignments_greedy(ranges)) == 40


def test_b04_nothing_to_assign():
    initial = [[("a", LiveRange(0, 1, 4))]]
    found = compute_assignments_dp([], initial)
    assert found == initial
    assert found[0] is not initial[0]
    assert compute_assignments_dp([], None) == []


def test_what_has_no_times_shares_with_none():
    ranges = [("a", LiveRange(None, 0, None)), ("b", LiveRange(1, None, 4)),
              ("c", LiveRange(5, 6, 4))]  # fmt: skip
    assert names_of(compute_assignments_dp(ranges, [])) == [["a"], ["b"], ["c"]]


def test_ranges_out_of_order():
    ranges = ranges_of([["b0", 4, 6, 1], ["b1", 7, 7, 1], ["b2", 4, 5, 1], ["b3", 5, 5, 5]])
    with pytest.raises(AssignmentError):
        compute_assignments_dp(ranges, [])


def test_the_counter_counts_subproblems():
    counter = [3]
    compute_assignments_dp(ranges_of(COUNTEREXAMPLE), [], counter)
    first = counter[0]
    assert first > 3
    compute_assignments_dp(ranges_of(COUNTEREXAMPLE), [], counter)
    assert counter[0] == 2 * first - 3


def stairs(count, length):
    return [(f"b{i}", LiveRange(i, i + length, 1 + i * 7 % 5)) for i in range(count)]


def test_limits():
    with pytest.raises(SearchLimitError, match="more than 5 calls"):
        compute_assignments_dp(stairs(20, 3), [], max_calls=5)
    with pytest.raises(SearchLimitError, match="out of time"):
        compute_assignments_dp(stairs(20, 3), [], deadline=Deadline(0.0))
    problem = Problem(tuple(Buffer(f"b{i}", 1 + i * 7 % 5, i, i + 4) for i in range(20)))
    assert caffe2_dp(problem, max_calls=5) is None
    assert caffe2_dp(problem, Deadline(0.0)) is None
    assert caffe2_dp(Problem(()), Deadline(0.0)).shared == ()


def test_subproblems_are_solved_once():
    """Caffe2 solves one for every free bin at every level."""
    counter = [0]
    found = compute_assignments_dp(stairs(400, 1), [], counter)
    verify_assignments(found)
    assert counter[0] < 3 * 400


def test_many_blobs():
    found = compute_assignments_dp([*stairs(3000, 1), ("all", LiveRange(0, 9999, 1))], [])
    verify_assignments(found)
    assert len(found) == 3
