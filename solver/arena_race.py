"""The race for one component: a search for placements from above, refutations from below."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from memonger.graph.sections import Sections
from memonger.problem import IntArray
from memonger.result import Proof
from memonger.solver.arena_incumbent import ArenaIncumbent, Part
from memonger.solver.background import Background
from memonger.solver.no_overlap import decide
from memonger.solver.placement_kernel import FITS, FULL
from memonger.solver.placement_search import PlacementSearch
from memonger.solver.windows import windows
from memonger.stop import Deadline

FIRST_NODES = 60_000
"""Nodes for the question whether the bound is met, before anything else is tried."""

STEP_NODES = 20_000
"""Nodes of the first descents; they double when no step down is found any more."""

WINDOW_NODES = 5_000
WINDOW_WIDTHS = (10, 20, 40, 80)
EFFORT = 2.0
"""CP-SAT's deterministic seconds for one question; they double when nothing is refuted."""


@dataclass(frozen=True)
class Found:
    """What the refuter found out: a bound in units, or a placement, or how long it searched."""

    lower: int = 0
    offsets: IntArray | None = None
    seconds: float = 0.0


class Refuter:
    """Raises the lower bound of a component by windows and CP-SAT, question by question.

    Parameters
    ----------
    sections
        The component.
    lower, upper
        Units; they may be changed from outside while it runs.
    """

    def __init__(self, sections: Sections, lower: int, upper: int, seed: int, workers: int) -> None:
        self.sections = sections
        self.lower = lower
        self.upper = upper
        self._seed = seed
        self._workers = workers

    def findings(self, deadline: Deadline, halted: Callable[[], bool]) -> Iterator[Found]:
        """Yield what is found, or nothing new, now and then, until the bounds meet."""
        effort = EFFORT
        while self.lower < self.upper:
            for width in WINDOW_WIDTHS:
                yield from self._by_windows(width, effort / 2, deadline, halted)
            yield from self._by_all(effort, deadline, halted)
            effort *= 2

    def _by_windows(
        self, width: int, effort: float, deadline: Deadline, halted: Callable[[], bool]
    ) -> Iterator[Found]:
        for window in windows(self.sections, width):
            search = PlacementSearch(window, self._seed, table_bits=16)
            verdict = FULL
            while verdict == FULL and self.lower < self.upper:
                verdict = search.fits(self.lower, deadline, WINDOW_NODES)
                seconds = 0.0
                if verdict not in (FITS, FULL):
                    found = decide(
                        window,
                        self.lower,
                        deadline=deadline,
                        workers=self._workers,
                        seed=self._seed,
                        effort=effort,
                        halted=halted,
                    )
                    verdict, seconds = found.verdict, found.seconds
                if verdict == FULL:
                    self.lower += 1
                yield Found(self.lower if verdict == FULL else 0, seconds=seconds)

    def _by_all(
        self, effort: float, deadline: Deadline, halted: Callable[[], bool]
    ) -> Iterator[Found]:
        """Ask about the whole component, in growing steps up."""
        step = 1
        while self.lower < self.upper:
            capacity = min(self.lower + step, self.upper) - 1
            found = decide(
                self.sections,
                capacity,
                deadline=deadline,
                workers=self._workers,
                seed=self._seed,
                effort=effort,
                halted=halted,
            )
            if found.verdict == FULL:
                self.lower = max(self.lower, capacity + 1)
                step *= 2
                yield Found(self.lower, seconds=found.seconds)
            elif found.verdict == FITS:
                step = 1
                yield Found(offsets=found.offsets, seconds=found.seconds)
            else:
                yield Found(seconds=found.seconds)
                if step == 1:
                    return
                step = 1


class Race:
    """Closes the gap of one component, as far as the time allows."""

    def __init__(self, incumbent: ArenaIncumbent, part: Part) -> None:
        run = incumbent.run
        self.incumbent = incumbent
        self.part = part
        self.sections = incumbent.sections.subset(part.members)
        self.search = PlacementSearch(self.sections, run.seed)
        self.search.offsets = incumbent.offsets[part.members]
        self.refuter = Refuter(
            self.sections, part.lower, part.upper, run.seed, max(1, run.workers - 1)
        )
        self._step = 0
        self._nodes = STEP_NODES

    @property
    def over(self) -> bool:
        """Whether this component is closed, or no longer the one that matters."""
        incumbent, part = self.incumbent, self.part
        return (
            part.upper <= max(part.lower, incumbent.bound)
            or incumbent.closed
            or incumbent.highest() is not part
            or incumbent.run.deadline.expired
        )

    def run(self) -> None:
        """Ask whether the bound is met, then race."""
        self._ask(max(self.part.lower, self.incumbent.bound), FIRST_NODES)
        capacity = self.incumbent.run.capacity
        if not self.over and capacity is not None:
            self._ask(capacity // self.sections.unit, FIRST_NODES)
        if self.incumbent.run.workers == 1:
            self._in_turns()
        else:
            self._at_once()

    def _in_turns(self) -> None:
        findings = self.refuter.findings(self.incumbent.run.deadline, lambda: self.over)
        while not self.over:
            self._descend()
            self._tell()
            if not self.over and (found := next(findings, None)) is not None:
                self._take(found)

    def _at_once(self) -> None:
        """Let the refuter run in a thread of its own; only this thread touches the incumbent."""
        found: queue.SimpleQueue[Found] = queue.SimpleQueue()
        with _halting(self, found):
            while not self.over:
                self._descend()
                while not found.empty():
                    self._take(found.get())
                self._tell()

    def _descend(self) -> None:
        """Ask for a lower placement: half way down, less far where none is found."""
        part = self.part
        gap = part.upper - max(part.lower, self.incumbent.bound)
        if gap <= 0:
            return
        if not 0 < self._step <= gap:
            self._step = (gap + 1) // 2
        verdict = self._ask(part.upper - self._step, self._nodes)
        if verdict == FITS:
            self._step = 0
        elif self._step == 1:
            self._step, self._nodes = 0, 2 * self._nodes
        else:
            self._step //= 2

    def _ask(self, capacity: int, nodes: int) -> int:
        """Search at a capacity and take what comes out of it."""
        verdict = self.search.fits(capacity, self.incumbent.run.deadline, nodes)
        if verdict == FITS and self.search.offsets is not None:
            self.incumbent.offer_part(self.part, self.search.offsets, "search")
        elif verdict == FULL:
            self.incumbent.prove(self.part, capacity + 1, Proof.SEARCH)
        return verdict

    def _take(self, found: Found) -> None:
        self.incumbent.solve_seconds += found.seconds
        if found.offsets is not None:
            self.incumbent.offer_part(self.part, found.offsets, "cp-sat")
        self.incumbent.prove(self.part, found.lower, Proof.CP_SAT)

    def _tell(self) -> None:
        """Let the refuter know of better bounds."""
        self.refuter.lower = max(self.refuter.lower, self.part.lower)
        self.refuter.upper = self.part.upper


@contextmanager
def _halting(race: Race, found: queue.SimpleQueue[Found]) -> Iterator[None]:
    """Run the refuter of a race in the background, and end it at the end."""
    ended = threading.Event()

    def work() -> None:
        for finding in race.refuter.findings(race.incumbent.run.deadline, ended.is_set):
            found.put(finding)
            if ended.is_set():
                return

    background = Background(work, "refuter")
    try:
        yield
    finally:
        ended.set()
        background.wait()
    background.result()
    while not found.empty():
        race._take(found.get())
