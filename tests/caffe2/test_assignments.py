"""Which blobs the assignment algorithms put together, exactly, and at what size."""

import pytest

import memonger.caffe2 as caffe2
from memonger.caffe2 import AssignmentAlgorithm, LiveRange
from tests.caffe2.scenarios import branches, bytes_of

GREEDY = AssignmentAlgorithm.GREEDY
DP = AssignmentAlgorithm.DYNAMIC_PROGRAMMING
OPTIMAL = AssignmentAlgorithm.OPTIMAL

TWO_PAIRS = {"p": (1, 3, 10), "q": (3, 4, 1), "r": (5, 6, 1), "s": (5, 7, 10)}
THREE = {"p": (1, 2, 10), "q": (4, 6, 1), "r": (5, 6, 10)}


def ranges_of(rows):
    return [(name, LiveRange(*row)) for name, row in rows.items()]


def groups_of(assignments):
    return [[name for name, _ in group] for group in assignments]


def test_greedy_pairs_blobs_of_one_size():
    """Large with large and small with small: the nearest size wins, not the first that is free."""
    found = caffe2.compute_assignments_greedy(ranges_of(TWO_PAIRS), None)
    assert groups_of(found) == [["p", "s"], ["q", "r"]]
    assert found[0] == [("p", LiveRange(1, 3, 10)), ("s", LiveRange(5, 7, 10))]
    assert caffe2.get_memory_usage(found) == 11
    caffe2.verify_assignments(found)


def test_nearest_may_be_smaller_or_larger():
    rows = {"large": (0, 1, 10), "small": (0, 2, 1), "big": (3, 4, 9), "little": (3, 5, 3)}
    found = caffe2.compute_assignments_greedy(ranges_of(rows), None)
    assert groups_of(found) == [["large", "big"], ["small", "little"]]
    assert caffe2.get_memory_usage(found) == 13


@pytest.mark.parametrize("initial", [None, []])
@pytest.mark.parametrize("rows", [TWO_PAIRS, THREE])
def test_the_dynamic_program_reaches_eleven(rows, initial):
    found = caffe2.compute_assignments_dp(ranges_of(rows), initial)
    assert caffe2.get_memory_usage(found) == 11
    assert sorted(name for group in groups_of(found) for name in group) == sorted(rows)
    caffe2.verify_assignments(found)


@pytest.mark.parametrize("rows", [TWO_PAIRS, THREE])
def test_eleven_is_the_optimum(rows):
    ranges = {name: LiveRange(*row) for name, row in rows.items()}
    usage = {
        algorithm: caffe2.get_memory_usage(caffe2.compute_assignments(ranges, [], algorithm))
        for algorithm in AssignmentAlgorithm
    }
    assert usage[DP] == usage[OPTIMAL] == 11 <= usage[GREEDY]


def test_greedy_takes_what_is_free_when_it_comes():
    """On three blobs it is not optimal: ``q`` takes the place that ``r`` would need."""
    found = caffe2.compute_assignments_greedy(ranges_of(THREE), None)
    assert groups_of(found) == [["p", "q"], ["r"]]
    assert caffe2.get_memory_usage(found) == 20


def test_what_is_assigned_already_stays_and_is_used():
    rows = ranges_of(TWO_PAIRS)
    initial = [[("old", LiveRange(0, 0, 9))], [rows[1]]]
    found = caffe2.compute_assignments_greedy(rows, initial)
    assert groups_of(found) == [["old", "p", "s"], ["q", "r"]]
    assert groups_of(initial) == [["old"], ["q"]]


def test_neighbours_that_touch_do_not_share():
    """A blob defined where another is last used is alive with it; one operator later it is not."""
    touching = ranges_of({"p": (0, 2, 4), "q": (2, 3, 4)})
    apart = ranges_of({"p": (0, 2, 4), "q": (3, 4, 4)})
    for algorithm in (caffe2.compute_assignments_greedy, caffe2.compute_assignments_dp):
        assert groups_of(algorithm(touching, None)) == [["p"], ["q"]]
        assert groups_of(algorithm(apart, None)) == [["p", "q"]]
    assert not caffe2.is_compatible(touching[1][1], touching[:1], [])
    assert caffe2.is_compatible(apart[1][1], apart[:1], [])
    assert not caffe2.is_compatible(apart[1][1], apart[:1], ["p"])


def test_overlaps_are_found():
    for rows in (
        {"p": (0, 2, 4), "q": (2, 3, 4)},
        {"p": (0, 5, 4), "q": (1, 2, 4), "r": (3, 4, 4)},
    ):
        with pytest.raises(AssertionError):
            caffe2.verify_assignments([ranges_of(rows)])


@pytest.mark.parametrize("algorithm", AssignmentAlgorithm)
def test_every_blob_is_assigned_once(algorithm):
    builder = branches(2, 3, "simple")
    sizes = bytes_of(builder.net, builder.types)
    ranges = caffe2.compute_ranges(builder.net.op, sizes)
    static = [name for name in ranges if name in {*builder.types, *builder.net.external_output}]
    assert len(static) > 10
    found = caffe2.compute_assignments(ranges, static, algorithm)
    names = [name for group in groups_of(found) for name in group]
    assert sorted(names) == sorted(ranges) == sorted(sizes)
    assert sorted(groups_of(found)[-len(static) :]) == sorted([name] for name in static)
    caffe2.verify_assignments(found)
    shared = caffe2.compute_blob_assignments(found)
    expected = {name: group[-1] for group in groups_of(found) if len(group) > 1 for name in group}
    assert shared == expected
    assert not expected.keys() & set(static)


def test_ranges_of_a_chain():
    """First writer to last reader; ``None`` where there is none, until the ranges are sorted."""
    builder = branches(1, 2, "simple")
    sizes = dict.fromkeys(bytes_of(builder.net, builder.types), 3)
    ranges = caffe2.compute_ranges(builder.net.op, sizes)
    assert ranges["site/data"] == LiveRange(None, 0, 3)
    assert ranges["site/stem"] == LiveRange(0, 1, 3)
    assert ranges["site/tail1"] == LiveRange(5, None, 3)
    updated = dict(caffe2.get_updated_ranges(list(ranges.items())))
    assert updated["site/data"] == LiveRange(-1, 0, 3)
    assert updated["site/tail1"] == LiveRange(5, 6, 3)
    assert updated["site/stem"] == ranges["site/stem"]


class Unsearched(list):
    """A list that must not be searched: static blobs may be thousands, given as a list."""

    def __contains__(self, item):
        raise AssertionError("searched from one end to the other")


@pytest.mark.parametrize("algorithm", AssignmentAlgorithm)
def test_a_list_of_static_blobs_is_not_searched_for_every_blob(algorithm):
    ranges = {name: LiveRange(*row) for name, row in TWO_PAIRS.items()}
    found = caffe2.compute_assignments(ranges, Unsearched(["q", "s"]), algorithm)
    assert groups_of(found) == [["p", "r"], ["q"], ["s"]]
