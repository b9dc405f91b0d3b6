import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memonger.graph.sections import sections_of
from memonger.heuristics.arena_orders import order
from memonger.heuristics.first_fit_arena import fit
from memonger.heuristics.hill_climb import hill_climb
from memonger.problem import Buffer, Problem
from memonger.stop import Deadline
from tests.arena_oracles import check, drawn_problems, peak_of, pins_overlap


@settings(max_examples=60)
@given(drawn_problems(max_size=12), st.integers(0, 5))
def test_plans_are_valid_and_get_better(problem, seed):
    sections = sections_of(problem)
    plans = list(hill_climb(sections, Deadline(None), seed, steps=30))
    if pins_overlap(sections):
        assert plans == []
        return
    assert plans[0].tolist() == fit(sections, order(sections, "TWlZ")).tolist()
    peaks = [check(problem, sections, offsets) for offsets in plans]
    assert peaks == sorted(set(peaks), reverse=True)
    again = list(hill_climb(sections, Deadline(None), seed, steps=30))
    assert [plan.tolist() for plan in again] == [plan.tolist() for plan in plans]


def test_it_climbs_to_the_load():
    """Any order of these ends at the load after a few swaps, where the first one does not."""
    rows = [(3, 0, 2), (2, 0, 1), (4, 1, 3), (2, 2, 3), (1, 2, 3)]
    problem = Problem(tuple(Buffer(f"b{i}", *row) for i, row in enumerate(rows)))
    sections = sections_of(problem)
    load = int(sections.load.max())
    bad = np.array([3, 1, 4, 0, 2])
    assert peak_of(sections, fit(sections, bad)) > load
    for seed in range(10):
        plans = list(hill_climb(sections, Deadline(None), seed, start=bad, steps=200))
        assert check(problem, sections, plans[-1]) == load


@pytest.mark.parametrize("spans", [[], [(3, 9)], [(0, 5)] * 8])
def test_small_cases_end_at_once(spans):
    problem = Problem(tuple(Buffer(f"b{i}", 2**50, *span) for i, span in enumerate(spans)))
    sections = sections_of(problem)
    (offsets,) = hill_climb(sections, Deadline(None))
    assert check(problem, sections, offsets) == int(sections.load.max(initial=0))


def test_a_pin_at_the_peak_ends_it():
    problem = Problem((Buffer("p", 4, 0, 2, offset=40), Buffer("a", 4, 0, 2)))
    (offsets,) = hill_climb(sections_of(problem), Deadline(None))
    assert offsets.tolist() == [10, 0]


def test_deadline():
    sections = sections_of(Problem((Buffer("a", 4, 0, 2), Buffer("b", 4, 1, 3))))
    assert list(hill_climb(sections, Deadline(0.0))) == []
