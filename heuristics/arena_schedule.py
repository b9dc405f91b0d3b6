"""One schedule of all arena heuristics, for any number of buffers: cheapest first."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Generator, Iterator
from typing import NamedTuple

import numpy as np

from memonger.graph.sections import Sections
from memonger.heuristics.arena_boxes import pins_clash
from memonger.heuristics.arena_orders import order
from memonger.heuristics.canonical import canonical_greedy
from memonger.heuristics.dive import dive
from memonger.heuristics.dive_state import Terrain, terrain_of
from memonger.heuristics.ejection_descent import PATIENCE, ejections
from memonger.heuristics.hot_sections import HEAT, from_hot_sections
from memonger.heuristics.segmented_dive import NoisyOrders, Stretches, segmented_dive
from memonger.problem import IntArray
from memonger.stop import Deadline

GREEDY_ORDERS = ("A", "Zl", "TB", "TZ", "TWA", "TC", "B", "CZ", "WTZ", "UZ", "lZ")
MANY = 3_000
"""From so many buffers on only the first four of the orders are tried: dives are worth more."""
DIVES = (("TWA", 8), ("Zl", 8), ("A", 8), ("TC", 40), ("TWA", 40))
"""Orders, and the retries of the dive."""
TARGETS = (0.0, 0.001, 0.002, 0.004)
"""How far above the load the capacity of a segmented dive begins."""
STRETCHES = (50, 1, 100)
"""Stretches of segmented dives, in turns; one stretch is a plain dive with noise."""

MOST_DIVES = 12
DIVEN_BUFFERS = 30_000
"""Segmented dives into hot sections, and buffers in them all: fewer dives where these are many."""
ROUND = 2
"""Segmented dives from one time that hot sections are tried to the next."""


def unnoticed(name: str, peak: int) -> None:
    """Take no notice."""


class Trial(NamedTuple):
    """What a step of the schedule found."""

    name: str
    offsets: IntArray | None


class Best:
    """The best plan so far.

    Parameters
    ----------
    sections
        The buffers.
    offsets
        A plan to begin with, if there is one, in units.
    known
        Returns the lowest peak that is known elsewhere, in units.
    """

    def __init__(
        self, sections: Sections, offsets: IntArray | None, known: Callable[[], int | None]
    ) -> None:
        self.offsets = offsets
        self._sizes = sections.size
        self._known = known
        self._peak = None if offsets is None else self.height(offsets)

    def height(self, offsets: IntArray) -> int:
        """Return the peak of a plan, units."""
        return int((offsets + self._sizes).max(initial=0))

    def peak(self) -> int | None:
        """Return the lowest peak that is known, here or elsewhere, units."""
        return min((peak for peak in (self._peak, self._known()) if peak is not None), default=None)

    def take(self, offsets: IntArray) -> int | None:
        """Take a plan and return its peak, if it is better than all that is known."""
        peak, now = self.height(offsets), self.peak()
        if now is not None and peak >= now:
            return None
        self.offsets, self._peak = offsets, peak
        return peak


def improve(
    sections: Sections,
    deadline: Deadline,
    seed: int = 0,
    report: Callable[[str, int], None] = unnoticed,
    *,
    greedy: bool = True,
    dives: int | None = None,
    goal: int = 0,
    known: Callable[[], int | None] = lambda: None,
    hot: tuple[float, ...] = HEAT,
    start: IntArray | None = None,
    patience: float = PATIENCE,
) -> Iterator[IntArray]:
    """Yield better and better offsets until the peak is the load or the time is up.

    Parameters
    ----------
    sections
        The buffers; one component at a time is best.
    deadline
        When to stop.
    seed
        Of the random choices.
    report
        Called with the name of the heuristic and the peak in units, before each is yielded.
    greedy
        Whether to begin with the canonical greedy; else with the dives.
    dives
        Segmented dives at most; by default as many as there is time for.
    goal
        Units: a peak that is good enough; the load is in any case.
    known
        Returns the lowest peak that is known elsewhere, in units.
    hot
        Parts of the load from which on sections are hot, for `from_hot_sections`; it is not tried
        for fewer buffers than `MANY`.
    start
        A valid plan that is known, units: only lower ones are yielded, and ejections begin there.
    patience
        Of the first ejections; twice as much each time that they come again.

    Yields
    ------
    IntArray
        Offset of each buffer in units; each peak is below the one before. Nothing if pinned
        buffers overlap, or if not even one greedy was done in time.

    Notes
    -----
    First the canonical greedy in several orders, then ejections where that ends far above the load,
    then, for many buffers, plans that begin with the hot sections, then dives, then segmented
    dives: they take turns among their orders, those whose dives were best more often, and among
    the capacities that they begin with; now and then ejections and hot sections come again.
    O(n + s) memory.
    """
    enough = max(goal, int(sections.load.max(initial=0)))
    best = Best(sections, start, known)
    trials = _trials(sections, deadline, seed, best, hot, enough, patience, greedy=greedy)
    segmented = 0
    for name, offsets in trials:
        segmented += name.startswith("segmented")
        if offsets is not None and (peak := best.take(offsets)) is not None:
            report(name, peak)
            yield offsets
        now = best.peak()
        if (now is not None and now <= enough) or deadline.expired or segmented == dives:
            return


def _trials(
    sections: Sections,
    deadline: Deadline,
    seed: int,
    best: Best,
    hot: tuple[float, ...],
    goal: int,
    patience: float,
    *,
    greedy: bool,
) -> Iterator[Trial]:
    """Yield what the steps find, one after the other; ``None`` where it is no better."""
    if pins_clash(sections):
        return
    codes = GREEDY_ORDERS if len(sections) < MANY else GREEDY_ORDERS[:4]
    for code in codes if greedy else ():
        found = canonical_greedy(
            sections, order(sections, code), below=best.peak(), deadline=deadline
        )
        yield Trial(f"canonical greedy {code}", found)
    patience = yield from _ejections(sections, deadline, seed, best, goal, patience)
    if len(sections) >= MANY:
        yield from _hot(sections, deadline, seed, best, hot)
    terrain = terrain_of(sections)
    peaks: dict[str, int] = {}
    for code, retries in DIVES:
        found = dive(
            sections, order(sections, code), terrain.load,
            retries=retries, deadline=deadline, terrain=terrain,
        )  # fmt: skip
        if found is not None:
            peak = best.height(found)
            peaks[code] = min(peak, peaks.get(code, peak))
        yield Trial(f"dive {code}, {retries} retries", found)
    patience = yield from _ejections(sections, deadline, seed, best, goal, patience)
    ranked = tuple(sorted(peaks, key=peaks.__getitem__))
    for number, trial in enumerate(_segmented(terrain, ranked, deadline, seed, best), 1):
        yield trial
        patience = yield from _ejections(sections, deadline, seed + number, best, goal, patience)
        if len(sections) >= MANY and number % ROUND == 0:
            yield from _hot(sections, deadline, seed + number, best, hot)


def _ejections(
    sections: Sections, deadline: Deadline, seed: int, best: Best, goal: int, patience: float
) -> Generator[Trial, None, float]:
    """Yield what ejections find; return how patient they should be the next time."""
    if best.offsets is None:
        return patience
    found = ejections(sections, best.offsets, goal, deadline, seed, best.peak, patience)
    while True:
        try:
            yield Trial("ejections", next(found))
        except StopIteration as end:
            return float(end.value)


def _hot(
    sections: Sections,
    deadline: Deadline,
    seed: int,
    best: Best,
    hot: tuple[float, ...],
) -> Iterator[Trial]:
    """Yield what is found from hot sections."""

    def place(core: Sections, goal: int) -> IntArray | None:
        dives = max(1, min(MOST_DIVES, DIVEN_BUFFERS // len(core)))
        better = improve(core, deadline, seed, dives=dives, goal=goal, hot=())
        return next(iter(deque(better, maxlen=1)), None)  # the last one is the best

    for heat in hot:
        found = from_hot_sections(sections, heat, place, deadline, seed, best.peak)
        yield Trial(f"hot from {heat:.0%} of the load", found)


def _segmented(
    terrain: Terrain,
    codes: tuple[str, ...],
    deadline: Deadline,
    seed: int,
    best: Best,
) -> Iterator[Trial]:
    """Yield what segmented dives find, for ever; ``codes`` are sorted, the best order first."""
    orders = NoisyOrders(terrain.sections)
    # The best order every second time, the next one every fourth time, and so on.
    turns = [code for last in range(len(codes)) for code in codes[: last + 1]]
    for number, code in enumerate(itertools.cycle(turns)):
        known = best.peak()
        target = int(terrain.load * (1 + TARGETS[_mixed(number) % len(TARGETS)]))
        if known is not None and target >= known:
            target = terrain.load
        stretches = STRETCHES[number % len(STRETCHES)]
        found = segmented_dive(
            terrain.sections, code, target,
            seed=seed + number, stretches=Stretches(number=stretches), below=known,
            deadline=deadline, terrain=terrain, orders=orders,
        )  # fmt: skip
        yield Trial(f"segmented dive {code}, {stretches} stretches, from {target}", found)


def _mixed(number: int) -> int:
    """Return a number that is spread evenly, whatever steps the argument goes in."""
    return int(np.random.SeedSequence(number).generate_state(1)[0])
