"""The race for one component: a search for placements from above, refutations from below."""

from __future__ import annotations

import functools
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from memonger.graph.sections import Sections
from memonger.heuristics.arena_schedule import improve
from memonger.heuristics.ejection_descent import PATIENCE
from memonger.parameters import Parameter, declare
from memonger.problem import IntArray
from memonger.result import Proof
from memonger.solver.arena_incumbent import ArenaIncumbent, Part
from memonger.solver.arena_refuter import Found, Refuter
from memonger.solver.background import Background
from memonger.solver.peeling import Peeled
from memonger.solver.placement_kernel import FITS, FULL
from memonger.solver.placement_search import PlacementSearch
from memonger.stop import Deadline

FIRST_WORK = 8_000_000
"""Nodes x buffers for the question whether the bound is met, before anything else."""

KERNEL = declare(
    "kernel",
    Parameter("first_nodes", 20_000, 1_000, 200_000, log=True),  # for that question
    Parameter("step_nodes", 20_000, 2_000, 200_000, log=True),  # of the first descents
    Parameter("dive_from", 300, 30, 3_000, log=True),  # buffers
    Parameter("dives", 6, 1, 24, log=True),  # segmented dives at a time
    Parameter("search_share", 3, 1, 20, log=True),  # seconds of search for one of refutation
    Parameter("patience", PATIENCE, 0.05, 2.0, log=True),  # of ejections
)
"""The search for placements. The nodes of descents double when no step down is found any more;
dives may find what the search does not; refutation counts while nothing is refuted."""


class Descent:
    """Looks for lower placements of a component: a little lower, and further while that is easy.

    Parameters
    ----------
    sections
        The component.
    seed
        Of the random orders.
    step_nodes
        Of the first questions.
    """

    def __init__(
        self, sections: Sections, seed: int, step_nodes: int = int(KERNEL["step_nodes"].default)
    ) -> None:
        self.search = PlacementSearch(sections, seed)
        self.nodes = self.first_nodes = step_nodes
        self._step = 1
        self._reached = int(sections.size.sum()) + 1  # lowest placement that the search knows of
        self._found = self._reached  # lowest one that it has found

    def next(
        self,
        lower: int,
        upper: int,
        known: IntArray,
        deadline: Deadline,
        halted: Callable[[], bool] = lambda: False,
    ) -> Found:
        """Ask once for a placement below ``upper``; none is below ``lower``.

        The known placement is a hint, where it is better than what was found here. ``halted`` is
        asked now and then; it ends the question.
        """
        if (top := self._top(known)) < self._reached:
            self._reached = top
            self.search.offsets = known
        upper = min(upper, self._found)
        if upper <= lower:
            return Found(Proof.SEARCH)
        before = self.search.nodes
        capacity = max(lower, upper - self._step)
        verdict = self.search.fits(capacity, deadline, self.nodes, halted)
        if verdict == FULL:
            return Found(Proof.SEARCH, capacity + 1)
        if verdict == FITS:
            assert self.search.offsets is not None
            self._reached = self._found = self._top(self.search.offsets)
            # A larger step fails more often than not where this one was not easy.
            easy = self.search.nodes - before <= self.first_nodes // 2
            self._step = 2 * self._step if easy else 1
            return Found(Proof.SEARCH, offsets=self.search.offsets)
        if self._step == 1 and not halted():
            self.nodes *= 2
        self._step = 1
        return Found(Proof.SEARCH)

    def _top(self, offsets: IntArray) -> int:
        return int((offsets + self.search.sections.size).max(initial=0))


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
        self.descent = self.new_descent(run.seed)
        self.refuter = Refuter(self.sections, part.lower, part.upper, run.seed)
        self._dived = 0  # nodes of the descent when dives were last tried

    def parameter(self, name: str) -> Any:  # noqa: ANN401
        """Return a parameter of the search."""
        return self.incumbent.run.parameters.of(KERNEL, name)

    def new_descent(self, seed: int) -> Descent:
        """Return a search of this component with a seed."""
        return Descent(self.sections, seed, self.parameter("step_nodes"))

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

    def known(self) -> IntArray:
        """Return the best placement of what is left, units: a copy.

        Read from another thread it may be half old, half new: good for its order only.
        """
        return self.incumbent.offsets[self.part.members][self.peeled.kept]

    def run(self) -> None:
        """Ask whether the bound is met, then whether the capacity is, then race."""
        goals = [self.lower]
        if self.incumbent.run.capacity is not None:
            goals.append(self.incumbent.run.capacity // self.sections.unit)
        for capacity in goals:
            if not self.over:
                search = self.descent.search
                most = FIRST_WORK // max(1, len(self.sections))
                nodes = min(self.parameter("first_nodes"), most)
                verdict = search.fits(capacity, self.incumbent.run.deadline, nodes)
                if verdict == FITS:
                    self.take(Found(Proof.SEARCH, offsets=search.offsets))
                elif verdict == FULL:
                    self.take(Found(Proof.SEARCH, capacity + 1))
        self._dive()
        if self.incumbent.run.workers == 1:
            self._in_turns()
        else:
            self._at_once()

    def _in_turns(self) -> None:
        deadline = self.incumbent.run.deadline
        findings = self.refuter.findings(deadline, lambda: self.over)
        while not self.over:
            self._descend()
            if not self.over and (found := next(findings, None)) is not None:
                self.take(found)

    def _at_once(self) -> None:
        """Let the others work in threads; only this thread touches the incumbent."""
        with helpers(self) as found:
            while not self.over:
                self._descend(lambda: not found.empty())
                while not found.empty():
                    self.take(found.get())
        while not found.empty():
            self.take(found.get())

    def ask(
        self, descent: Descent, deadline: Deadline, halted: Callable[[], bool] = lambda: False
    ) -> Found:
        """Ask a descent for a placement below the best one; ends where a better one is known."""
        upper = self.part.upper
        return descent.next(
            self.lower, upper, self.known(), deadline, lambda: halted() or self.part.upper < upper
        )

    def _descend(self, halted: Callable[[], bool] = lambda: False) -> None:
        """Ask once for a lower placement; where the search is at a loss, try dives."""
        descent = self.descent
        self.take(self.ask(descent, self.incumbent.run.deadline, halted))
        if descent.nodes > self._dived:
            self._dive()

    def _dive(self) -> None:
        """Let dives improve the placement of a large component."""
        self._dived = self.descent.nodes
        if len(self.sections) < self.parameter("dive_from"):
            return
        run = self.incumbent.run
        rounds = self._dived / self.parameter("step_nodes")
        for offsets in improve(
            self.sections, run.deadline, run.seed + self._dived, greedy=False,
            dives=self.parameter("dives"), start=self.known(),
            patience=self.parameter("patience") * rounds,
        ):  # fmt: skip
            self.take(Found(Proof.SEARCH, offsets=offsets), "dives")
            if self.over:
                return

    def take(self, found: Found, source: str = "") -> None:
        """Take what was found, and let the refuter know of better bounds."""
        self.incumbent.solve_seconds += found.seconds
        if found.offsets is not None:
            source = source or ("cp-sat" if found.proof is Proof.CP_SAT else "search")
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

    def tell(new: Found) -> None:
        if new.lower or new.offsets is not None or new.seconds:
            found.put(new)
        else:
            time.sleep(0.001)  # it may have found all that there is, and waits for the end

    def refute() -> None:
        descent = race.new_descent(run.seed + 1)
        findings = race.refuter.findings(deadline, ended.is_set)
        refuting, searching, share = 0.0, 0.0, race.parameter("search_share")
        while not ended.is_set():
            started = time.monotonic()
            if searching >= share * refuting and (new := next(findings, None)) is not None:
                tell(new)
                refuting += time.monotonic() - started
                if new.lower or new.offsets is not None:
                    refuting = searching = 0.0  # it pays
            else:
                tell(race.ask(descent, deadline, ended.is_set))
                searching += time.monotonic() - started

    def search(number: int) -> None:
        descent = race.new_descent(run.seed + number)
        while not ended.is_set():
            tell(race.ask(descent, deadline, ended.is_set))

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
