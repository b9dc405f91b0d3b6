"""Buffers that drive each other out, and plans that begin with the fullest sections."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memonger.graph.sections import FREE, sections_of
from memonger.heuristics import arena_schedule, ejection, hot_sections
from memonger.heuristics.arena_boxes import boxes_of, overlaps_of
from memonger.heuristics.arena_orders import order
from memonger.heuristics.arena_schedule import improve
from memonger.heuristics.canonical import canonical_greedy
from memonger.heuristics.ejection import Ejection
from memonger.heuristics.hot_sections import from_hot_sections
from memonger.instances.arena_families import uniform_trace
from memonger.problem import Buffer, Problem
from memonger.stop import Deadline
from tests.arena_oracles import check, conflict, drawn_problems, peak_of, pins_overlap
from tests.oracles import smallest_peak
from tests.strategies import problems

ENDLESS = Deadline(None)


def nothing_placed(sections, seed=0):
    """All but the pinned buffers are left over."""
    placed = (sections.pinned != FREE).astype(np.int8)
    boxes, overlaps = boxes_of(sections), overlaps_of(sections)
    return Ejection(sections, boxes, overlaps, sections.pinned, placed, seed)


def placed_by_size(sections, _):
    return canonical_greedy(sections, order(sections, "Zl"))


@settings(max_examples=80)
@given(drawn_problems(), st.integers(0, 20), st.integers(0, 3), st.sampled_from([1, 3, 1000]))
def test_what_is_filled_in_is_valid(problem, slack, seed, pushes):
    """Whatever is pushed down or up meanwhile."""
    sections = sections_of(problem)
    if pins_overlap(sections):
        return
    pins = sections.pinned != FREE
    tops = int((sections.pinned + sections.size).max(initial=0, where=pins))
    state = nothing_placed(sections, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ejection, "PUSHES", pushes)
        patch.setattr(ejection, "PUSHES_PER_BUFFER", 0.0)
        capacity = max(tops, int(sections.load.max(initial=0)) + slack)
        if not state.fill(capacity, ENDLESS, patience=50):
            enough = tops + int((sections.size + sections.alignment).sum())
            assert state.fill(enough, ENDLESS)
            capacity = enough
    assert check(problem, sections, state.offsets) <= capacity
    assert (state.offsets[pins] == sections.pinned[pins]).all()


@settings(max_examples=40)
@given(problems(min_size=1, max_size=6))
def test_nothing_fits_below_the_optimum_and_small_problems_fit_at_it(problem):
    sections = sections_of(problem)
    best = smallest_peak(problem) // sections.unit
    state = nothing_placed(sections)
    assert state.fill(best, ENDLESS, patience=20_000)
    assert peak_of(sections, state.offsets) == best
    if best:
        assert not nothing_placed(sections).fill(best - 1, ENDLESS, patience=1000)


def test_buffers_make_way():
    """The last one to come fits only when another one moves."""
    problem = Problem((Buffer("a", 2, 0, 1), Buffer("b", 2, 1, 2), Buffer("c", 3, 0, 2)))
    sections = sections_of(problem)
    offsets, placed = np.array([0, 2, FREE]), np.array([1, 1, 0], dtype=np.int8)
    state = Ejection(sections, boxes_of(sections), overlaps_of(sections), offsets, placed)
    assert state.fill(5, ENDLESS)
    assert check(problem, sections, state.offsets) == 5
    assert state.offsets[0] == state.offsets[1]
    assert offsets.tolist() == [0, 2, FREE]


def test_no_time_and_no_room():
    sections = sections_of(Problem((Buffer("a", 3, 0, 2), Buffer("b", 5, 1, 3, offset=0))))
    assert sections.unit == 1
    assert not nothing_placed(sections).fill(8, Deadline(0.0))
    assert not nothing_placed(sections).fill(7, ENDLESS)  # nothing drives out what is pinned
    assert nothing_placed(sections).fill(8, ENDLESS)


@settings(max_examples=60)
@given(drawn_problems(max_size=14), st.sampled_from([0.5, 0.8, 1.0]), st.integers(0, 3))
def test_plans_from_hot_sections_are_valid(problem, heat, seed):
    sections = sections_of(problem)
    if pins_overlap(sections):
        return
    best = peak_of(sections, canonical_greedy(sections, order(sections, "A")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hot_sections, "MOST_HOT", 1.0)
        patch.setattr(hot_sections, "SLACK", (0.0, 0.5, 100.0))
        found = from_hot_sections(sections, heat, placed_by_size, ENDLESS, seed)
        lower = from_hot_sections(sections, heat, placed_by_size, ENDLESS, seed, lambda: best)
    if len(sections) and (sections.alignment == 1).all() and (sections.pinned == FREE).all():
        assert found is not None
    for offsets in (found, lower):
        if offsets is not None:
            check(problem, sections, offsets)
    assert lower is None or peak_of(sections, lower) < best


def test_only_what_is_live_in_hot_sections_is_dived_for():
    """The buffers that the placer sees are those of the fullest time, over that time alone."""
    sections = sections_of(uniform_trace(2000))
    seen = []

    def place(core, goal):
        seen.append((core, goal))
        return placed_by_size(core, goal)

    load = int(sections.load.max())
    assert from_hot_sections(sections, 0.9, place, ENDLESS) is not None
    hot = {s for s in range(sections.num_sections) if sections.load[s] >= 0.9 * load}
    live = {i for i in range(len(sections)) if hot & set(range(sections.begin[i], sections.end[i]))}
    assert {i for core, _ in seen for i in core.indices.tolist()} == live
    assert max(int(core.load.max()) for core, _ in seen) == load
    first, goal = seen[0]
    assert goal == load == int(first.load.max())
    assert all(goal >= peak_of(first, placed_by_size(first, 0)) for _, goal in seen[1:])
    for core, _ in seen:
        where = {index: i for i, index in enumerate(core.indices.tolist())}
        pairs = [(i, j) for i in where for j in where if i < j][:200]
        for i, j in pairs:
            shared = hot & set(
                range(
                    max(sections.begin[i], sections.begin[j]), min(sections.end[i], sections.end[j])
                )
            )
            assert conflict(core, where[i], where[j]) == bool(shared)


def test_almost_all_buffers_hot_is_left_alone():
    sections = sections_of(Problem(tuple(Buffer(f"b{i}", 1, 0, 1) for i in range(5))))
    assert from_hot_sections(sections, 0.9, placed_by_size, ENDLESS) is None


def test_the_schedule_meets_the_load_of_a_trace_from_its_hot_sections(monkeypatch):
    problem = uniform_trace(3000, 1)
    sections = sections_of(problem)
    monkeypatch.setattr(arena_schedule, "GREEDY_ORDERS", ("A",))
    names = []
    *_, last = improve(sections, ENDLESS, 0, lambda *entry: names.append(entry[0]))
    assert check(problem, sections, last) == int(sections.load.max())
    assert any(name.startswith("hot from") for name in names)
