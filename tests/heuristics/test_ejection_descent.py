"""Peaks that go down by ejections."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from memonger.graph.sections import FREE, sections_of
from memonger.heuristics import arena_schedule
from memonger.heuristics.arena_orders import order
from memonger.heuristics.arena_schedule import improve
from memonger.heuristics.canonical import canonical_greedy
from memonger.heuristics.ejection_descent import MANY, PATIENCE, descend, ejections
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


def lowered(sections, patience=PATIENCE):
    """Return the peaks that ejections find from a greedy, and how patient they were at last."""
    found, peaks = ejections(sections, greedy(sections), 0, ENDLESS, patience=patience), []
    while True:
        try:
            peaks.append(peak_of(sections, next(found)))
        except StopIteration as end:
            return peaks, end.value


def test_only_many_buffers_that_end_far_above_the_load():
    crowded, few, near = (sections_of(p) for p in (churn(600), churn(MANY - 1), uniform_trace(600)))
    assert lowered(few) == lowered(near) == ([], PATIENCE)
    peaks, patience = lowered(crowded)
    assert peaks == sorted(set(peaks), reverse=True)
    assert peaks[0] < peak_of(crowded, greedy(crowded))
    assert patience > 2 * PATIENCE  # it paid


def test_the_schedule_comes_back_to_ejections_with_more_patience(monkeypatch):
    """From the best plan so far, wherever it comes from."""
    sections = sections_of(churn(600))
    seen = []

    def spy(sections, offsets, goal, deadline, seed, best, patience):
        seen.append((peak_of(sections, offsets), best(), patience))
        return ejections(sections, offsets, goal, deadline, seed, best, patience)

    monkeypatch.setattr(arena_schedule, "ejections", spy)
    names, start = [], greedy(sections)
    *_, last = improve(
        sections, ENDLESS, 0, lambda *entry: names.append(entry[0]),
        greedy=False, dives=2, start=start,
    )  # fmt: skip
    assert "ejections" in names
    assert peak_of(sections, last) < peak_of(sections, start)
    assert seen[0] == (peak_of(sections, start), peak_of(sections, start), PATIENCE)
    patiences = [patience for *_, patience in seen]
    assert len(patiences) == 3
    assert all(later >= 2 * sooner for sooner, later in itertools.pairwise(patiences))
    assert all(peak == known for peak, known, _ in seen)
