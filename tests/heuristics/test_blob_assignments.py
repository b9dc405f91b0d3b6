"""Caffe2's ranges and greedy assignment: by the recordings, and against a naive restatement."""

import copy
import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memonger.errors import PlanError, ShapeError
from memonger.heuristics.blob_assignments import (
    AssignmentError,
    LiveRange,
    MissingSizeError,
    compute_assignments_greedy,
    compute_blob_assignments,
    compute_ranges,
    get_memory_usage,
    get_updated_ranges,
    is_compatible,
    sorted_ranges,
    verify_assignments,
)
from memonger.net.netdef_pb2 import OperatorDef
from tests.golden import members, original, records
from tests.net.notation import net, operator, with_net

ORDERS = {
    "topo": "topological_sort_traversal",
    "longest_path": "topological_sort_traversal_longest_path",
}


def names_of(assignments):
    return [[name for name, _ in assignment] for assignment in assignments]


def ranges_of(rows):
    return [(name, LiveRange(*times)) for name, *times in rows]


def recorded_assignments():
    if "index.json" not in members():
        pytest.skip("no recordings")
    return json.loads(members()["index.json"])["assignments"]


def recorded_cases(function):
    if not records():
        pytest.skip("no recordings")
    for name, record in records().items():
        for case in record["cases"]:
            if case["fn"] == function:
                yield name, record, case


def assign(ops, sizes, static, assign_shareable):
    """Do what Caffe2's compute_assignments does: static blobs get an assignment each."""
    ranges = sorted_ranges(compute_ranges(ops, sizes))
    shareable = [pair for pair in ranges if pair[0] not in static]
    found = assign_shareable(shareable)
    return found + [[pair] for pair in ranges if pair[0] in static]


def blind_operator(op):
    """Return an operator without the nets inside it."""
    return OperatorDef(type="Opaque", input=op.input, output=op.output)


def overlap(assignments):
    try:
        verify_assignments(assignments)
    except AssertionError:
        return True
    return False


def check_recorded_interference(algorithm, assign_shareable):
    """Compare the assignments of optimize_interference; return the counts."""
    counts = Counter()
    for name, record, case in recorded_cases("optimize_interference"):
        if case["args"]["algo"] != algorithm or case["status"] == "timeout":
            continue
        ops = original(name).op
        sizes = record["blob_sizes"] if case["args"]["blob_sizes"] else None
        static = set(case["args"]["static_blobs"])
        order = case.get("order", range(len(ops)))
        found = assign([ops[i] for i in order], sizes, static, assign_shareable)
        verify_assignments(found)
        blobs = {blob for op in ops for blob in (*op.input, *op.output)}
        assert sorted(blob for group in names_of(found) for blob in group) == sorted(blobs)
        if case["status"] == "raises":  # B03, B10: no reads but at the first operator, no tree
            counts["raised by Caffe2, valid here"] += 1
            continue
        if names_of(found) != case["assignments"]:
            # Right without what nets inside operators touch: they were not looked into (B11).
            blind = assign([blind_operator(ops[i]) for i in order], sizes, static, assign_shareable)
            assert names_of(blind) == case["assignments"], case["id"]
            ranges = dict(pair for group in found for pair in group)
            recorded = [[(blob, ranges[blob]) for blob in group] for group in case["assignments"]]
            wrong = overlap(recorded)
            counts["nets inside, wrong in Caffe2" if wrong else "nets inside, right there too"] += 1
            continue
        assert compute_blob_assignments(found) == case["blob_assignments"], case["id"]
        assert get_memory_usage(found) == case["memory_usage"], case["id"]
        counts["equal"] += 1
    return counts


def test_recorded_ranges():
    counts = Counter()
    for name, record, case in recorded_cases("compute_ranges"):
        ops = list(original(name).op)
        if case["args"]["order"] != "program":
            wanted = ORDERS[case["args"]["order"]]
            (order,) = [c["result"] for c in record["cases"] if c["fn"] == wanted]
            ops = [ops[i] for i in order]
        sizes = record["blob_sizes"] if case["args"]["blob_sizes"] else None
        found = compute_ranges(ops, sizes)
        recorded = {blob: LiveRange(*times) for blob, times in case["result"].items()}
        if found == recorded:
            counts["equal"] += 1
            continue
        # Differing: blobs that nets inside an operator touch besides its inputs and outputs (B11).
        counts["nets inside"] += 1
        assert compute_ranges([blind_operator(op) for op in ops], sizes) == recorded
        for blob, (defined, used, _) in recorded.items():
            assert used is None or found[blob].used >= used
            assert defined is None or found[blob].defined <= defined
    print("compute_ranges", dict(counts))
    assert counts["equal"] >= 390


def test_recorded_greedy_assignments():
    counts = Counter()
    for record in recorded_assignments():
        ranges = ranges_of(record["ranges"])
        found = compute_assignments_greedy(ranges)
        assert names_of(found) == record["greedy"]["assignments"]
        assert get_memory_usage(found) == record["greedy"]["memory_usage"]
        assert get_memory_usage(found) >= record["optimal_memory_usage"]
        assert record["greedy"]["valid"]
        verify_assignments(found)
        counts["equal"] += 1
    print("compute_assignments_greedy", dict(counts))


def test_recorded_interference_by_the_greedy():
    counts = check_recorded_interference("greedy", compute_assignments_greedy)
    print("optimize_interference, greedy", dict(counts))
    assert counts["equal"] >= 400


def naive_greedy(ranges, initial):
    assignments = [list(group) for group in initial]
    seen = {name for group in assignments for name, _ in group}
    for name, live in ranges:
        if name in seen:
            continue
        best, best_gap = None, None
        for group in assignments:
            if is_compatible(live, group, ()):
                gap = abs(max((r.size or 0 for _, r in group), default=0) - (live.size or 0))
                if best is None or gap < best_gap:
                    best, best_gap = group, gap
        if best is None:
            assignments.append([(name, live)])
        else:
            best.append((name, live))
    return assignments


MAYBE = {"min_value": -1, "max_value": 12}
LIVE = st.builds(
    LiveRange,
    st.none() | st.integers(**MAYBE),
    st.none() | st.integers(**MAYBE),
    st.none() | st.sampled_from([0, 1, 2, 3, 5, 8, 2**60]),
)


@settings(max_examples=300)
@given(
    st.lists(LIVE, max_size=40),
    st.lists(st.lists(LIVE, max_size=3), max_size=4),
    st.booleans(),
)
def test_greedy_is_the_naive_one(lives, initial, by_use):
    if by_use:
        lives.sort(key=lambda live: 99 if live.used is None else live.used)
    ranges = [(f"b{i}", live) for i, live in enumerate(lives)]
    bins = [[(f"i{i}.{j}", r) for j, r in enumerate(group)] for i, group in enumerate(initial)]
    arguments = copy.deepcopy((ranges, bins))
    found = compute_assignments_greedy(ranges, bins)
    assert found == naive_greedy(ranges, bins)
    assert (ranges, bins) == arguments


def test_greedy_passes_over_what_is_assigned_already():
    a, b = ("a", LiveRange(0, 1, 4)), ("b", LiveRange(2, 3, 4))
    assert compute_assignments_greedy([a, b], [[a]]) == [[a, b]]
    assert compute_assignments_greedy([], [[a]]) == [[a]]
    assert compute_assignments_greedy([]) == []


def test_greedy_takes_the_nearest_and_the_first_of_equals():
    rows = [["a", 0, 1, 6], ["b", 0, 1, 2], ["c", 0, 2, 6], ["d", 2, 3, 4], ["e", 3, 4, 6]]
    assert names_of(compute_assignments_greedy(ranges_of(rows))) == [["a", "d"], ["b"], ["c", "e"]]


def test_ranges():
    ops = [operator("Relu x > a"), operator("Add a a > b"), operator("Relu b > a")]
    assert compute_ranges(ops) == {
        "x": LiveRange(None, 0, None),
        "a": LiveRange(0, 1, None),
        "b": LiveRange(1, 2, None),
    }
    assert list(compute_ranges(ops)) == ["x", "a", "b"]
    assert compute_ranges(ops, {}) == compute_ranges(ops)
    assert compute_ranges(ops, {"x": 0, "a": 4, "b": 5})["x"] == LiveRange(None, 0, 0)
    assert compute_ranges([]) == {}


@pytest.mark.parametrize("error", [KeyError, ShapeError, MissingSizeError])
def test_sizes_for_some_blobs_only(error):
    with pytest.raises(error, match="blob 'a' has no size, others have one") as caught:
        compute_ranges([operator("Relu x > a")], {"x": 4})
    assert str(caught.value) == "blob 'a' has no size, others have one"


def test_nets_inside_operators_touch_blobs():
    inside = with_net(operator("If c >"), then_net=net("Add a b > d", "", ""))
    ops = [*map(operator, ("Relu x > a", "Relu x > b", "Relu a > d")), inside, operator("Relu d >")]
    ranges = compute_ranges(ops)
    assert ranges["b"] == LiveRange(1, 3, None)
    assert ranges["d"] == LiveRange(2, 4, None)


def test_b03_ranges_without_reads_but_at_the_first_operator():
    assert get_updated_ranges([]) == []
    ranges = [("x", LiveRange(None, 0, None)), ("y", LiveRange(0, None, 7))]
    expected = [("x", LiveRange(-1, 0, 1)), ("y", LiveRange(0, 1, 7))]
    assert get_updated_ranges(ranges) == expected
    assert get_updated_ranges([("y", LiveRange(2, None, 7))]) == [("y", LiveRange(2, 2, 7))]
    assert get_updated_ranges(ranges, max_live=9)[1] == ("y", LiveRange(0, 9, 7))


def test_two_unread_outputs_of_a_late_operator_do_not_share():
    """Caffe2 gives both (3, 2), so that one may follow the other."""
    ops = [operator("Relu x > a"), operator("Relu a > s"), operator("Fill > c"),
           operator("Split > p q")]  # fmt: skip
    found = compute_assignments_greedy(sorted_ranges(compute_ranges(ops)))
    groups = names_of(found)
    assert not any({"p", "q"} <= set(group) for group in groups)


def test_sorted_ranges_puts_unread_blobs_at_the_end():
    ranges = {"y": LiveRange(1, None, 1), "b": LiveRange(0, 1, 1), "x": LiveRange(None, 0, 1)}
    assert [name for name, _ in sorted_ranges(ranges)] == ["x", "b", "y"]


def test_compatibility():
    last = [("a", LiveRange(0, 3, 1))]
    assert is_compatible(LiveRange(4, 5, 1), last, ())
    assert not is_compatible(LiveRange(3, 5, 1), last, ())
    assert not is_compatible(LiveRange(4, 5, 1), last, {"a"})
    assert not is_compatible(LiveRange(None, 5, 1), last, ())
    assert not is_compatible(LiveRange(4, 5, 1), [("a", LiveRange(None, 3, 1))], ())
    assert not is_compatible(LiveRange(4, 5, 1), [("a", LiveRange(0, None, 1))], ())
    assert is_compatible(LiveRange(4, 5, 1), [], ())


@pytest.mark.parametrize(
    "rows",
    [
        [["a", 0, 1, 1], ["b", 1, 2, 1]],
        [["a", 0, None, 1], ["b", 1, 2, 1]],
        [["a", 0, 1, 1], ["b", None, 2, 1]],
        [["a", 0, 5, 1], ["b", 6, 3, 1], ["c", 4, 7, 1]],  # neighbours only: not seen by Caffe2
    ],
)
def test_overlapping_blobs_do_not_pass(rows):
    for error in (AssertionError, PlanError, AssignmentError):
        with pytest.raises(error, match="share memory"):
            verify_assignments([ranges_of(rows)])


def test_blobs_one_after_the_other_pass():
    verify_assignments([])
    verify_assignments([[], ranges_of([["a", None, None, 1]])])
    verify_assignments([ranges_of([["a", None, 1, 1], ["b", 2, 2, 1], ["c", 3, None, 1]])])


def test_memory_usage_and_shared_names():
    groups = [ranges_of([["a", 0, 1, 4], ["b", 2, 3, 9]]), ranges_of([["c", 0, 3, None]])]
    assert get_memory_usage(groups) == 9
    assert get_memory_usage([]) == 0
    assert compute_blob_assignments(groups) == {"a": "b", "b": "b"}
