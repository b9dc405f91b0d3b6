import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memonger.graph.sections import FREE, sections_of
from memonger.heuristics import dive_state
from memonger.heuristics.arena_orders import order
from memonger.heuristics.canonical import canonical_greedy
from memonger.heuristics.dive import dive
from memonger.heuristics.dive_kernel import ENDLESS, _try, _undo
from memonger.heuristics.dive_state import begin_state, terrain_of
from memonger.problem import Buffer, Problem
from memonger.stop import Deadline
from tests.arena_oracles import check, clear_from, conflict, drawn_problems, peak_of, pins_overlap

CODES = st.sampled_from(["TWA", "Zl", "A", "TC", "l"])


@given(drawn_problems(max_size=14), CODES, st.integers(0, 5))
def test_plans_are_valid_and_the_load_is_met_or_given_up(problem, code, retries):
    sections = sections_of(problem)
    load = int(sections.load.max(initial=0))
    buffers = order(sections, code)
    offsets = dive(sections, buffers, load, retries=retries)
    if pins_overlap(sections):
        assert offsets is None
        return
    peak = check(problem, sections, offsets)
    assert dive(sections, buffers, load, retries=retries).tolist() == offsets.tolist()
    again = dive(sections, buffers, load, retries=retries, below=peak)
    assert again is None or peak_of(sections, again) < peak


@given(drawn_problems(max_size=14), CODES)
def test_with_room_for_everything_it_is_the_canonical_greedy(problem, code):
    sections = sections_of(problem)
    buffers = order(sections, code)
    greedy = canonical_greedy(sections, buffers)
    found = dive(sections, buffers, 1 << 60)
    assert (found is None) == (greedy is None)
    if greedy is not None:
        assert found.tolist() == greedy.tolist()


@given(drawn_problems(max_size=10), st.data())
def test_the_bound_against_its_definition(problem, data):
    """What is above a height h in a section must lie above h: h + sizes, the greatest of all h."""
    sections = sections_of(problem)
    free = np.flatnonzero(sections.pinned == FREE).tolist()
    if not free:
        return
    terrain = terrain_of(sections)
    state = begin_state(terrain, order(sections, "Z"), 0)
    i = data.draw(st.sampled_from(free))
    before = state.head.tolist()
    need = _try(i, terrain.boxes, terrain.overlaps, terrain.critical, state, np.int64(ENDLESS))
    top = before[i] + int(sections.size[i])
    pins = [(int(p), j) for j, p in enumerate(sections.pinned.tolist()) if p != FREE]
    heads = {}
    for j in free:
        own = [(offset, k) for offset, k in pins if conflict(sections, j, k)]
        raised = conflict(sections, i, j) and before[j] < top
        heads[j] = clear_from(sections, j, top, own) if raised else before[j]
        assert state.head[j] == (before[i] if j == i else heads[j])
    touched = [j for j in heads if j == i or heads[j] != before[j]]
    spans = [(int(terrain.critical.begin[j]), int(terrain.critical.end[j])) for j in touched]
    spans = [span for span in spans if span[0] < span[1]]
    expected = top
    for s in range(min((a for a, _ in spans), default=0), max((b for _, b in spans), default=0)):
        live = [
            j for j in heads if j != i and terrain.critical.begin[j] <= s < terrain.critical.end[j]
        ]
        for h in live:
            above = sum(int(sections.size[j]) for j in live if heads[j] >= heads[h])
            expected = max(expected, heads[h] + above)
    assert need == expected or expected <= state.tally[dive_state.CAPACITY]
    _undo(i, state)
    assert state.head.tolist() == before


def test_it_looks_ahead():
    rows = [(3, 0, 2), (2, 0, 1), (4, 1, 3), (2, 2, 3), (1, 2, 3)]
    sections = sections_of(Problem(tuple(Buffer(f"b{i}", *row) for i, row in enumerate(rows))))
    load = int(sections.load.max())
    buffers = np.array([3, 1, 4, 0, 2])
    assert peak_of(sections, canonical_greedy(sections, buffers)) > load
    assert peak_of(sections, dive(sections, buffers, load)) == load


@pytest.mark.parametrize("size", [1, 2**50])
def test_small_cases(size):
    def peak(*spans):
        problem = Problem(tuple(Buffer(f"b{i}", size, *span) for i, span in enumerate(spans)))
        sections = sections_of(problem)
        load = int(sections.load.max(initial=0))
        return check(problem, sections, dive(sections, order(sections, "TWA"), load))

    assert peak() == 0
    assert peak((3, 9)) == 1
    assert peak(*[(0, 5)] * 8) == 8
    assert peak(*[(i, i + 2) for i in range(20)]) == 2


def test_only_the_fullest_sections_are_critical(monkeypatch):
    problem = Problem(tuple(Buffer(f"b{i}", 1 + i, i, i + 5) for i in range(60)))
    sections = sections_of(problem)
    assert len(terrain_of(sections).critical.where) - 1 == 9
    monkeypatch.setattr(dive_state, "CRITICAL_MEMBERS", 10)
    monkeypatch.setattr(dive_state, "CRITICAL_MEMBERS_PER_BUFFER", 0)
    terrain = terrain_of(sections)
    assert terrain.critical.members.tolist() == [54, 55, 56, 57, 58, 55, 56, 57, 58, 59]
    check(problem, sections, dive(sections, order(sections, "Z"), terrain.load, terrain=terrain))


def test_deadline():
    sections = sections_of(Problem((Buffer("a", 4, 0, 2), Buffer("b", 4, 1, 3))))
    assert dive(sections, order(sections, "Z"), 2, deadline=Deadline(0.0)) is None
