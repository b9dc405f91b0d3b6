import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memonger.graph.sections import FREE, sections_of
from memonger.heuristics import head_heap
from memonger.heuristics.arena_boxes import boxes_of, list_conflicts, overlaps_of, pins_clash
from memonger.heuristics.arena_orders import order
from memonger.heuristics.canonical import canonical_greedy
from memonger.problem import Buffer, Problem
from memonger.stop import Deadline
from tests.arena_oracles import check, clear_from, conflict, drawn_problems, peak_of, pins_overlap


def plainly(sections, buffers):
    """Restate the canonical greedy: look at the heads of all buffers every time."""
    count = len(sections)
    pins = [(int(sections.pinned[i]), i) for i in range(count) if sections.pinned[i] != FREE]
    placed = {}
    todo = [i for i in buffers.tolist() if sections.pinned[i] == FREE]
    while todo:
        heads = []
        for i in todo:
            tops = [placed[j] + int(sections.size[j]) for j in placed if conflict(sections, i, j)]
            own = [(offset, j) for offset, j in pins if conflict(sections, i, j)]
            heads.append(clear_from(sections, i, max(tops, default=0), own))
        chosen = todo.pop(at := heads.index(min(heads)))
        placed[chosen] = heads[at]
    return [placed.get(i, int(sections.pinned[i])) for i in range(count)]


@given(drawn_problems(), st.randoms(use_true_random=False))
def test_against_the_plain_greedy(problem, random):
    sections = sections_of(problem)
    buffers = list(range(len(sections)))
    random.shuffle(buffers)
    buffers = np.array(buffers, dtype=np.int64)
    offsets = canonical_greedy(sections, buffers)
    if pins_overlap(sections):
        assert offsets is None
        return
    assert offsets.tolist() == plainly(sections, buffers)
    peak = check(problem, sections, offsets)
    again = canonical_greedy(sections, buffers, below=peak + 1)
    assert again.tolist() == offsets.tolist()
    assert canonical_greedy(sections, buffers, below=peak) is None or len(sections) == 0


@given(drawn_problems(max_size=30))
def test_conflicts_are_listed(problem):
    sections = sections_of(problem)
    boxes, overlaps = boxes_of(sections), overlaps_of(sections)
    chosen = (np.arange(len(sections)) % 3 == 0).astype(np.int8)
    for i in range(len(sections)):
        for wanted in (False, True):
            found = np.full(len(sections), -1, dtype=np.int64)
            count = list_conflicts(i, boxes, overlaps, chosen, wanted, found)
            assert sorted(found[:count].tolist()) == [
                j
                for j in range(len(sections))
                if j != i and conflict(sections, i, j) and bool(chosen[j]) == wanted
            ]
    assert pins_clash(sections) == pins_overlap(sections)


def test_conflicts_of_long_ranges_cross_checkpoints():
    rng = np.random.default_rng(5)
    begins = np.sort(rng.integers(0, 400, 300))
    lives = np.minimum(400 - begins, 1 + rng.geometric(1 / 30, 300))
    spans = [
        (begin, begin + life) for begin, life in zip(begins.tolist(), lives.tolist(), strict=True)
    ]
    sections = sections_of(Problem(tuple(Buffer(f"b{i}", 4, *s) for i, s in enumerate(spans))))
    boxes, overlaps = boxes_of(sections), overlaps_of(sections)
    assert len(overlaps.where) > 5
    assert len(overlaps.crossing) > 100
    found = np.empty(300, dtype=np.int64)
    chosen = np.zeros(300, dtype=np.int8)
    for i in range(300):
        count = list_conflicts(i, boxes, overlaps, chosen, False, found)
        expected = [j for j in range(300) if j != i and conflict(sections, i, j)]
        assert sorted(found[:count].tolist()) == expected


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), max_size=40), st.data())
def test_the_heap_sorts(entries, data):
    heads, ranks = np.zeros(40, dtype=np.int64), np.zeros(40, dtype=np.int64)
    length, model = 0, []
    for entry in entries:
        if model and data.draw(st.booleans()):
            model.remove(min(model))
            if data.draw(st.booleans()):
                head_heap.replace_least(heads, ranks, length, *entry)
                model.append(entry)
            else:
                length = head_heap.pop(heads, ranks, length)
        else:
            length = head_heap.push(heads, ranks, length, *entry)
            model.append(entry)
        assert length == len(model)
        if model:
            assert (int(heads[0]), int(ranks[0])) == min(model)


@pytest.mark.parametrize("size", [1, 2**50])
def test_small_cases(size):
    def peak(*spans):
        problem = Problem(tuple(Buffer(f"b{i}", size, *span) for i, span in enumerate(spans)))
        sections = sections_of(problem)
        return check(problem, sections, canonical_greedy(sections, order(sections, "A")))

    assert peak() == 0
    assert peak((3, 9)) == 1
    assert peak(*[(0, 5)] * 8) == 8
    assert peak(*[(i, i + 2) for i in range(20)]) == 2


def test_it_gives_up():
    problem = Problem(tuple(Buffer(f"b{i}", i + 1, i, i + 9) for i in range(50)))
    sections = sections_of(problem)
    buffers = order(sections, "A")
    assert canonical_greedy(sections, buffers, max_pops=49) is None
    assert canonical_greedy(sections, buffers, deadline=Deadline(0.0)) is None
    assert peak_of(sections, canonical_greedy(sections, buffers)) >= int(sections.load.max())


def test_what_fits_lies_below_a_pin():
    pinned = Buffer("p", 8, 0, 4, offset=4)
    problem = Problem((pinned, Buffer("a", 4, 0, 2), Buffer("b", 4, 2, 4), Buffer("c", 2, 0, 4)))
    sections = sections_of(problem)
    assert canonical_greedy(sections, order(sections, "Z")).tolist() == [2, 0, 0, 6]
