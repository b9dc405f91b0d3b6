"""Segmented dives, and the schedule that strings all arena heuristics together."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memonger.graph.sections import sections_of
from memonger.heuristics import arena_schedule
from memonger.heuristics.arena_orders import order
from memonger.heuristics.arena_schedule import improve
from memonger.heuristics.dive_state import terrain_of
from memonger.heuristics.segmented_dive import NoisyOrders, Stretches, segmented_dive
from memonger.problem import Buffer, Problem
from memonger.stop import Deadline
from tests.arena_oracles import check, drawn_problems, peak_of, pins_overlap

CODES = st.sampled_from(["TWA", "Zl", "A", "TC", "l"])


def staircase(count=60):
    rng = np.random.default_rng(2)
    rows = rng.integers((1, 0, 1), (40, 60, 30), (count, 3)).tolist()
    return Problem(tuple(Buffer(f"b{i}", z, a, a + d) for i, (z, a, d) in enumerate(rows)))


@settings(max_examples=60)
@given(drawn_problems(max_size=14), CODES, st.integers(1, 20), st.integers(0, 9))
def test_segmented_dives_are_valid(problem, code, number, seed):
    sections = sections_of(problem)
    load = int(sections.load.max(initial=0))
    stretches = Stretches(number=number, tries=2)
    offsets = segmented_dive(sections, code, load, seed=seed, stretches=stretches)
    if pins_overlap(sections):
        assert offsets is None
        return
    peak = check(problem, sections, offsets)
    again = segmented_dive(sections, code, load, seed=seed, stretches=stretches)
    assert again.tolist() == offsets.tolist()
    lower = segmented_dive(sections, code, load, seed=seed + 1, stretches=stretches, below=peak)
    assert lower is None or peak_of(sections, lower) < peak or not len(sections)


def test_stretches_are_taken_back():
    """Without going back the result differs, and shared terrain and orders change nothing."""
    problem = staircase()
    sections = sections_of(problem)
    load = int(sections.load.max())
    found = {}
    for back in (0, 3):
        stretches = Stretches(number=12, tries=2, back=back)
        plans = [
            segmented_dive(sections, "Zl", load, seed=seed, stretches=stretches)
            for seed in range(8)
        ]
        found[back] = [check(problem, sections, plan) for plan in plans]
    assert sum(found[3]) < sum(found[0])
    shared = segmented_dive(
        sections, "Zl", load, seed=7, stretches=stretches,
        terrain=terrain_of(sections), orders=NoisyOrders(sections),
    )  # fmt: skip
    assert shared.tolist() == plans[7].tolist()


def test_noisy_orders():
    sections = sections_of(staircase())
    orders = NoisyOrders(sections)
    rng = np.random.default_rng(0)
    for code in ("TWA", "Zl", "l"):
        plain = orders.order(code, 0.0, 0.0, rng)
        assert plain.tolist() == order(sections, code).tolist()
        noisy = orders.order(code, 0.0, 0.3, rng)
        assert sorted(noisy.tolist()) == sorted(plain.tolist())
        assert noisy.tolist() != plain.tolist()
    coarse = orders.order("TL", 2.0, 0.0, rng)  # every T is the same
    assert coarse.tolist() == order(sections, "L").tolist()


@settings(max_examples=30)
@given(drawn_problems(max_size=10), st.integers(0, 3))
def test_plans_get_better_and_better(problem, seed):
    sections = sections_of(problem)
    names = []
    plans = list(improve(sections, Deadline(0.1), seed, lambda *entry: names.append(entry)))
    assert bool(plans) != pins_overlap(sections)
    peaks = [check(problem, sections, offsets) for offsets in plans]
    assert peaks == sorted(set(peaks), reverse=True)
    assert [peak for _, peak in names] == peaks


@pytest.mark.parametrize("size", [1, 2**50])
@pytest.mark.parametrize("spans", [[], [(3, 9)], [(0, 5)] * 8, [(i, i + 2) for i in range(20)]])
def test_it_stops_at_the_load(size, spans):
    problem = Problem(tuple(Buffer(f"b{i}", size, *span) for i, span in enumerate(spans)))
    sections = sections_of(problem)
    plans = list(improve(sections, Deadline(None)))
    assert check(problem, sections, plans[-1]) == int(sections.load.max(initial=0))


def test_every_step_is_reached(monkeypatch):
    """Greedies, dives and segmented dives all improve, when what comes before is taken away."""
    sections = sections_of(staircase())
    monkeypatch.setattr(arena_schedule, "GREEDY_ORDERS", ("lZ",))
    names = []
    for _ in improve(sections, Deadline(60.0), 1, lambda *entry: names.append(entry[0])):
        if names[-1].startswith("dive"):
            break
    assert names[0] == "canonical greedy lZ"
    assert any(name.startswith("dive") for name in names)


def test_dives_help_out_when_no_greedy_gets_through(monkeypatch):
    problem = staircase()
    sections = sections_of(problem)
    monkeypatch.setattr(arena_schedule, "canonical_greedy", lambda *_, **__: None)
    offsets = next(improve(sections, Deadline(None)))
    check(problem, sections, offsets)


def test_deadline():
    sections = sections_of(staircase())
    assert list(improve(sections, Deadline(0.0))) == []
    terrain = terrain_of(sections)
    assert segmented_dive(sections, "A", 1, deadline=Deadline(0.0), terrain=terrain) is None
