import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memonger.graph.sections import FREE, sections_of
from memonger.heuristics.arena_orders import order
from memonger.heuristics.first_fit_arena import BASELINES, Gap, fit
from memonger.problem import Buffer, Problem
from memonger.stop import Deadline
from tests.arena_oracles import check, clear_from, conflict, drawn_problems, pins_overlap


def plainly(sections, buffers, gap):
    """Restate the three rules, gaps found by trying all offsets where one could begin or end."""
    placed = {i: int(p) for i, p in enumerate(sections.pinned.tolist()) if p != FREE}
    for i in buffers.tolist():
        if i in placed:
            continue
        near = [(placed[j], j) for j in placed if conflict(sections, i, j)]
        tops = sorted({0, *(offset + int(sections.size[j]) for offset, j in near)})
        gaps = []
        for low in tops:  # a gap begins where a buffer ends and no other one goes on
            inside = any(o <= low < o + int(sections.size[j]) for o, j in near)
            high = min((o for o, _ in near if o > low), default=None)
            if not inside and high is not None:
                at = clear_from(sections, i, low, [])
                if at + int(sections.size[i]) <= high:
                    gaps.append((high - low, at))
        if gap is Gap.TOP or not gaps:
            placed[i] = clear_from(sections, i, tops[-1], [])
        elif gap is Gap.LOWEST:
            placed[i] = min(at for _, at in gaps)
        else:
            placed[i] = min(gaps)[1]
    return [placed[i] for i in range(len(sections))]


@pytest.mark.parametrize("gap", list(Gap))
@given(problem=drawn_problems(), random=st.randoms(use_true_random=False))
def test_against_the_plain_rules(gap, problem, random):
    sections = sections_of(problem)
    buffers = list(range(len(sections)))
    random.shuffle(buffers)
    buffers = np.array(buffers, dtype=np.int64)
    offsets = fit(sections, buffers, gap)
    if pins_overlap(sections):
        assert offsets is None
        return
    assert offsets.tolist() == plainly(sections, buffers, gap)
    check(problem, sections, offsets)


@pytest.mark.parametrize("name", BASELINES)
@given(problem=drawn_problems())
def test_baselines_are_valid(name, problem):
    sections = sections_of(problem)
    offsets = BASELINES[name](sections, None)
    if pins_overlap(sections):
        assert offsets is None
    else:
        check(problem, sections, offsets)


def planned(name, *rows):
    problem = Problem(tuple(Buffer(f"b{i}", *row) for i, row in enumerate(rows)))
    return BASELINES[name](sections_of(problem), None).tolist()


def test_baselines_differ_as_their_originals_do():
    # c fits into the gaps below b (2 wide) and below e (1 wide)
    rows = [(1, 0, 9), (3, 0, 2), (1, 0, 9), (2, 3, 9), (1, 5, 9)]
    assert planned("vela-greedy", *rows) == [3, 0, 4, 0, 2]
    assert planned("tvm-greedy-by-size", *rows) == [3, 0, 4, 0, 5]
    assert planned("tvm-greedy-by-conflicts", *rows) == [0, 2, 1, 2, 4]
    assert planned("tflite-micro-greedy", *rows) == [4, 0, 3, 0, 2]
    assert planned("xla-decreasing-size", *rows) == [3, 0, 4, 0, 2]
    assert planned("xla-decreasing-duration", *rows) == [0, 2, 1, 2, 4]


def test_best_fit_takes_the_tightest_gap_and_first_fit_the_lowest():
    pinned = [(2, 0, 1, 1, "", 3), (2, 0, 1, 1, "", 6), (1, 0, 1)]
    problem = Problem(tuple(Buffer(f"b{i}", *row) for i, row in enumerate(pinned)))
    sections = sections_of(problem)
    buffers = order(sections, "Z")
    assert [fit(sections, buffers, gap)[2] for gap in Gap] == [0, 5, 8]


@pytest.mark.parametrize("size", [1, 2**50])
def test_small_cases(size):
    def peaks(*spans):
        problem = Problem(tuple(Buffer(f"b{i}", size, *span) for i, span in enumerate(spans)))
        sections = sections_of(problem)
        buffers = order(sections, "l")
        return [check(problem, sections, fit(sections, buffers, gap)) for gap in Gap]

    assert peaks() == [0, 0, 0]
    assert peaks((3, 9)) == [1, 1, 1]
    assert peaks(*[(0, 5)] * 8) == [8, 8, 8]
    assert peaks(*[(i, i + 2) for i in range(6)]) == [2, 2, 6]


def test_deadline():
    sections = sections_of(Problem((Buffer("a", 4, 0, 2), Buffer("b", 4, 1, 3))))
    assert fit(sections, order(sections, "Z"), deadline=Deadline(0.0)) is None
