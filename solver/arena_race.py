"""The race for one component: a search for placements from above, refutations from below."""

from __future__ import annotations

import functools
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from memonger.graph.sections import Sections
from memonger.problem import IntArray
from memonger.result import Proof
from memonger.solver.arena_incumbent import ArenaIncumbent, Part
from memonger.solver.background import Background
from memonger.solver.no_overlap import decide
from memonger.solver.peeling import Peeled
from memonger.solver.placement_kernel import FITS, FULL
from memonger.solver.placement_search import PlacementSearch
from memonger.solver.windows import windows
from memonger.stop import Deadline

FIRST_NODES = 20_000
"""Nodes for the question whether the bound is met, before anything else is tried; in large
components one round of the schedule."""

STEP_NODES = 20_000
"""Nodes of the first descents; they double when no step down is found any more."""

SEARCH_SHARE = 3
"""Seconds of search for each one of refutation, while nothing is refuted."""

WINDOW_NODES = 5_000
WINDOW_WIDTHS = (10, 20, 40, 80)
EFFORT = 2.0
"""CP-SAT's deterministic seconds for one question; they double when nothing is refuted."""


@dataclass(frozen=True)
class Found:
    """What was found out: a bound in units, or a placement, or nothing but how long it took.

    ``proof``: what found it, the search or CP-SAT.
    """

    proof: Proof
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

    def __init__(self, sections: Sections, lower: int, upper: int, seed: int) -> None:
        self.sections = sections
        self.lower = lower
        self.upper = upper
        self._seed = seed

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
                capacity = self.lower  # it may rise meanwhile: what was asked is what is proven
                verdict = search.fits(capacity, deadline, WINDOW_NODES)
                proof, seconds = Proof.SEARCH, 0.0
                if verdict not in (FITS, FULL):
                    found = decide(
                        window,
                        capacity,
                        deadline=deadline,
                        seed=self._seed,
                        effort=effort,
                        halted=halted,
                    )
                    proof, verdict, seconds = Proof.CP_SAT, found.verdict, found.seconds
                lower = capacity + 1 if verdict == FULL else 0
                self.lower = max(self.lower, lower)
                yield Found(proof, lower, seconds=seconds)

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
                seed=self._seed,
                effort=effort,
                halted=halted,
            )
            if found.verdict == FULL:
                self.lower = max(self.lower, capacity + 1)
                step *= 2
                yield Found(Proof.CP_SAT, capacity + 1, seconds=found.seconds)
            elif found.verdict == FITS:
                step = 1
                yield Found(Proof.CP_SAT, offsets=found.offsets, seconds=found.seconds)
            else:
                yield Found(Proof.CP_SAT, seconds=found.seconds)
                if step == 1:
                    return
                step = 1


class Descent:
    """Looks for lower placements of a component: a little lower, and further while that is easy.

    Parameters
    ----------
    sections
        The component.
    seed
        Of the random orders.
    """

    def __init__(self, sections: Sections, seed: int) -> None:
        self.search = PlacementSearch(sections, seed)
        self._step = 1
        self._nodes = STEP_NODES

    def next(self, lower: int, upper: int, deadline: Deadline) -> Found:
        """Ask once for a placement below ``upper``; none is below ``lower``."""
        capacity = max(lower, upper - self._step)
        verdict = self.search.fits(capacity, deadline, self._nodes)
        if verdict == FULL:
            return Found(Proof.SEARCH, capacity + 1)
        if verdict == FITS:
            self._step *= 2
            return Found(Proof.SEARCH, offsets=self.search.offsets)
        if self._step == 1:
            self._nodes *= 2
        self._step = 1
        return Found(Proof.SEARCH)


class Race:
    """Closes the gap of one component, as far as the time allows.

    It works on what is left when buffers that always fit are peeled off. With one worker search
    and refutation take turns, and nothing but the seed decides what is found. Else the first worker
    searches, the second one refutes, and searches with another seed while nothing is refuted; all
    others search.
    """

    def __init__(self, incumbent: ArenaIncumbent, part: Part, peeled: Peeled) -> None:
        run = incumbent.run
        self.incumbent = incumbent
        self.part = part
        self.peeled = peeled
        self.sections = peeled.core
        self.descent = Descent(self.sections, run.seed)
        self.descent.search.offsets = incumbent.offsets[part.members][peeled.kept]
        self.refuter = Refuter(self.sections, part.lower, part.upper, run.seed)

    @property
    def over(self) -> bool:
        """Whether this component is closed, or no longer the one that matters."""
        incumbent = self.incumbent
        return (
            self.part.upper <= self.lower
            or incumbent.closed
            or incumbent.highest() is not self.part
            or incumbent.run.deadline.expired
        )

    @property
    def lower(self) -> int:
        """Units below which a placement of this component would be of no use."""
        return max(self.part.lower, self.incumbent.bound)

    def run(self) -> None:
        """Ask whether the bound is met, then whether the capacity is, then race."""
        goals = [self.lower]
        if self.incumbent.run.capacity is not None:
            goals.append(self.incumbent.run.capacity // self.sections.unit)
        for capacity in goals:
            if not self.over:
                search = self.descent.search
                nodes = max(FIRST_NODES, 75 * len(self.sections))
                verdict = search.fits(capacity, self.incumbent.run.deadline, nodes)
                if verdict == FITS:
                    self.take(Found(Proof.SEARCH, offsets=search.offsets))
                elif verdict == FULL:
                    self.take(Found(Proof.SEARCH, capacity + 1))
        if self.incumbent.run.workers == 1:
            self._in_turns()
        else:
            self._at_once()

    def _in_turns(self) -> None:
        deadline = self.incumbent.run.deadline
        findings = self.refuter.findings(deadline, lambda: self.over)
        while not self.over:
            self.take(self.descent.next(self.lower, self.part.upper, deadline))
            if not self.over and (found := next(findings, None)) is not None:
                self.take(found)

    def _at_once(self) -> None:
        """Let the others work in threads; only this thread touches the incumbent."""
        deadline = self.incumbent.run.deadline
        with helpers(self) as found:
            while not self.over:
                self.take(self.descent.next(self.lower, self.part.upper, deadline))
                while not found.empty():
                    self.take(found.get())
        while not found.empty():
            self.take(found.get())

    def take(self, found: Found) -> None:
        """Take what was found, and let the refuter know of better bounds."""
        self.incumbent.solve_seconds += found.seconds
        if found.offsets is not None:
            source = "cp-sat" if found.proof is Proof.CP_SAT else "search"
            self.incumbent.offer_part(self.part, self.peeled.whole(found.offsets), source)
        if found.lower:
            self.incumbent.prove(self.part, found.lower, found.proof)
        self.refuter.lower = max(self.refuter.lower, self.part.lower)
        self.refuter.upper = self.part.upper


@contextmanager
def helpers(race: Race) -> Iterator[queue.SimpleQueue[Found]]:
    """Run the refuter and further searches of a race in threads; yield what they find."""
    run = race.incumbent.run
    ended = threading.Event()
    deadline = Deadline(None if run.deadline.seconds is None else run.deadline.remaining())
    found: queue.SimpleQueue[Found] = queue.SimpleQueue()

    def refute() -> None:
        descent = Descent(race.sections, run.seed + 1)
        findings = race.refuter.findings(deadline, ended.is_set)
        refuting = searching = 0.0
        while not ended.is_set():
            started = time.monotonic()
            if searching >= SEARCH_SHARE * refuting and (new := next(findings, None)) is not None:
                found.put(new)
                refuting += time.monotonic() - started
                if new.lower or new.offsets is not None:
                    refuting = searching = 0.0  # it pays
            else:
                found.put(descent.next(race.lower, race.part.upper, deadline))
                searching += time.monotonic() - started

    def search(number: int) -> None:
        descent = Descent(race.sections, run.seed + number)
        while not ended.is_set():
            found.put(descent.next(race.lower, race.part.upper, deadline))

    threads = [Background(refute, "refuter")]
    threads += [
        Background(functools.partial(search, number), f"search {number}")
        for number in range(2, run.workers)
    ]
    try:
        yield found
    finally:
        ended.set()
        deadline.stop()
        for thread in threads:
            thread.wait()
    for thread in threads:
        thread.result()
