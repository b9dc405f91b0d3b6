"""Peaks that go down by ejections."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memonger.graph.sections import FREE, sections_of
from memonger.heuristics import ejection_descent
from memonger.heuristics.arena_orders import order
from memonger.heuristics.canonical import canonical_greedy
from memonger.heuristics.ejection_descent import descend, ejections
from memonger.instances.arena_families import churn, uniform_trace
from memonger.stop import Deadline
from tests.arena_oracles import check, drawn_problems, peak_of, pins_overlap
from tests.oracles import smallest_peak
from tests.strategies import problems

ENDLESS = Deadline(None)


def greedy(sections):
    return canonical_greedy(sections, order(sections, "A"))


@settings(max_examples=60)
@given(drawn_problems(max_size=14), st.integers(0, 3))
def test_every_plan_is_valid_and_lower_than_the_last(problem, seed):
    sections = sections_of(problem)
    if pins_overlap(sections):
        return
    start = greedy(sections)
    pins = sections.pinned != FREE
    last, before = peak_of(sections, start), start.copy()
    for offsets in descend(sections, start, int(sections.load.max(initial=0)), ENDLESS, seed):
        check(problem, sections, offsets)
        assert (offsets[pins] == sections.pinned[pins]).all()
        assert peak_of(sections, offsets) < last
        last = peak_of(sections, offsets)
    assert (start == before).all()


@settings(max_examples=40)
@given(problems(min_size=1, max_size=6), st.integers(0, 3))
def test_nothing_is_below_the_optimum(problem, seed):
    sections = sections_of(problem)
    best = smallest_peak(problem) // sections.unit
    peaks = [peak_of(sections, p) for p in descend(sections, greedy(sections), 0, ENDLESS, seed)]
    assert all(peak >= best for peak in peaks)


def test_steps_begin_below_what_is_known_elsewhere_and_end_at_the_goal():
    sections = sections_of(churn(600))
    start = greedy(sections)
    peak = peak_of(sections, start)
    first = next(descend(sections, start, 0, ENDLESS))
    known = peak_of(sections, first)
    lower = next(descend(sections, start, 0, ENDLESS, 0, lambda: known))
    assert peak_of(sections, lower) < known < peak
    assert list(descend(sections, start, peak, ENDLESS)) == []
    assert list(descend(sections, start, 0, ENDLESS, 0, lambda: 0)) == []
    goal = known + 1
    *earlier, last = [peak_of(sections, p) for p in descend(sections, start, goal, ENDLESS)]
    assert last <= goal < min(earlier, default=peak)


def test_no_time_no_plan():
    sections = sections_of(churn(600))
    assert list(descend(sections, greedy(sections), 0, Deadline(0.0))) == []


@pytest.mark.parametrize("fewer", [False, True])
def test_only_many_buffers_that_end_far_above_the_load(fewer, monkeypatch):
    crowded, near = sections_of(churn(600)), sections_of(uniform_trace(600))
    if fewer:
        monkeypatch.setattr(ejection_descent, "MANY", 601)
    found = next(ejections(crowded, 0, ENDLESS), None)
    assert (found is None) == fewer
    assert peak_of(near, greedy(near)) <= 1.1 * int(near.load.max())
    assert next(ejections(near, 0, ENDLESS), None) is None
    if found is not None:
        assert peak_of(crowded, found) < peak_of(crowded, greedy(crowded))
