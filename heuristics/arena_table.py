"""The heuristics of the arena form, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from memonger.graph.sections import Sections, sections_of
from memonger.graph.spans import spans_of
from memonger.heuristics.arena_orders import order
from memonger.heuristics.arena_schedule import improve
from memonger.heuristics.canonical import canonical_greedy
from memonger.heuristics.first_fit_arena import BASELINES, Gap, fit
from memonger.heuristics.first_fit_gaps import greedy_with_gaps
from memonger.heuristics.hill_climb import hill_climb
from memonger.plan import ArenaPlan
from memonger.problem import IntArray, Problem
from memonger.registry import ARENA, ArenaAlgorithm, ArenaOutcome, ArenaRun, Progress

CLIMB_STEPS = 2000
"""Swaps of hill climbing where no time limit is given."""

DIVES = 24
"""Segmented dives where no time limit is given."""


def arena_plan(problem: Problem, sections: Sections, offsets: IntArray) -> ArenaPlan:
    """Return offsets in units as a plan; buffers without a size lie at 0, or where pinned to."""
    found = [buffer.offset or 0 for buffer in problem.buffers]
    for index, offset in zip(sections.indices.tolist(), offsets.tolist(), strict=True):
        found[index] = offset * sections.unit
    return ArenaPlan(tuple(found))


def _register(
    name: str,
    summary: str,
    place: Callable[[Sections, ArenaRun], IntArray | None],
    *,
    seeded: bool = False,
) -> None:
    def run(problem: Problem, run: ArenaRun) -> ArenaOutcome:
        sections = sections_of(problem)
        if problem.gapped:
            run = _within(run, int(spans_of(problem, sections).load.max(initial=0)) * sections.unit)
        offsets = place(sections, run)
        plan = None if offsets is None else arena_plan(problem, sections, offsets)
        return ArenaOutcome(plan, source=name)

    ARENA.add(ArenaAlgorithm(name, summary, run, seeded=seeded))


def _within(run: ArenaRun, bound: int) -> ArenaRun:
    """Return the run with reports of no higher bound: heuristics take gaps for memory."""

    def report(state: Progress) -> None:
        run.report(replace(state, bound=min(state.bound, bound)))

    return replace(run, report=report)


def _into_gaps(problem: Problem, run: ArenaRun) -> ArenaOutcome:
    sections = sections_of(problem)
    best: IntArray | None = None
    for _, offsets in greedy_with_gaps(problem, sections, run.deadline):
        if best is None or _peak(sections, offsets) < _peak(sections, best):
            best = offsets
    plan = None if best is None else arena_plan(problem, sections, best)
    return ArenaOutcome(plan, source="greedy-gaps")


def _peak(sections: Sections, offsets: IntArray) -> int:
    return int((offsets + sections.size).max(initial=0))


def _last(sections: Sections, run: ArenaRun, steps: Iterator[IntArray]) -> IntArray | None:
    """Return the last of improving placements; tell of each. Ctrl-C ends it with the last one."""
    best = None
    try:
        for best in steps:
            peak = _peak(sections, best) * sections.unit
            bound = int(sections.load.max(initial=0)) * sections.unit
            run.report(Progress(peak, bound, run.deadline.elapsed()))
    except KeyboardInterrupt:
        run.deadline.stop()
    return best


def _climb(sections: Sections, run: ArenaRun) -> IntArray | None:
    steps = CLIMB_STEPS if run.deadline.seconds is None else None
    return _last(sections, run, hill_climb(sections, run.deadline, run.seed, steps=steps))


def _dive(sections: Sections, run: ArenaRun) -> IntArray | None:
    dives = DIVES if run.deadline.seconds is None else None
    return _last(sections, run, improve(sections, run.deadline, run.seed, dives=dives))


for _code, _words in (
    ("A", "largest area first"),
    ("TWA", "largest load, then duration, then area first"),
    ("Zl", "largest size, then earliest start first"),
):
    _register(
        f"canonical-{_code.lower()}",
        f"always the lowest place that is free; {_words}",
        lambda sections, run, code=_code: canonical_greedy(  # type: ignore[misc]
            sections, order(sections, code), max_pops=np.iinfo(np.int64).max, deadline=run.deadline
        ),
    )
for _name, _code, _words in (
    ("size", "Z", "largest size"),
    ("area", "A", "largest area"),
    ("duration", "WZ", "longest duration"),
    ("conflicts", "OZ", "most conflicts"),
    ("breadth", "TZ", "largest load"),
    ("start", "lZ", "earliest start"),
):
    for _kind, _gap in (("first-fit", Gap.LOWEST), ("best-fit", Gap.TIGHTEST)):
        _register(
            f"{_kind}-{_name}",
            f"{_kind.replace('-', ' ')}, {_words} first",
            lambda sections, run, code=_code, gap=_gap: fit(  # type: ignore[misc]
                sections, order(sections, code), gap, run.deadline
            ),
        )
for _name, _place in BASELINES.items():
    _register(
        _name,
        "the rule of that planner",
        lambda sections, run, place=_place: place(sections, run.deadline),  # type: ignore[misc]
    )
ARENA.add(
    ArenaAlgorithm(
        "greedy-gaps",
        "canonical greedy and first fit that make use of gaps, the best of several orders",
        _into_gaps,
    )
)
_register("hill-climb", "swaps in the order of first fit (Vela, TVM)", _climb, seeded=True)
_register(
    "dives",
    "greedy orders, bound-guided dives, segmented dives: for any size",
    _dive,
    seeded=True,
)
