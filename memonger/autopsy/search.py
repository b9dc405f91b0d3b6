"""Smallest problems on which a heuristic misses the optimum.

First all small problems are gone through, the fewest buffers or operators first, then smallest
sizes: the first that is missed is a smallest one. Beyond that problems are drawn, and the first
that is missed is made smaller as long as it stays missed: no single step makes it smaller then.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, NamedTuple

from memonger.autopsy.subject import Subject, subject
from memonger.errors import PlanError
from memonger.registry import RunOf
from memonger.result import Result, Status
from memonger.stop import Deadline

MAX_COUNT = 4
"""Buffers or operators: up to so many all problems are gone through, if the time allows."""

MAX_SECONDS = 10.0
"""Of a run of the algorithm, and of the search for the optimum."""


class Miss(NamedTuple):
    """A problem that an algorithm missed, its plan, and one of the optimal plans."""

    problem: Any
    plan: Any
    cost: int
    best: Result[Any]


@dataclass(frozen=True)
class Autopsy:
    """What the search for a counterexample has come to.

    Parameters
    ----------
    subject
        What was looked at.
    miss
        The smallest counterexample found, if any.
    smallest
        Whether none is smaller: it was met while all problems were gone through.
    minimal
        Whether no step makes it smaller: the time sufficed for all of them.
    complete
        Problems of up to so many buffers or operators were gone through, all of them.
    tried
        Problems on which the algorithm ran.
    interrupted
        Whether Ctrl-C ended the search.
    """

    subject: Subject
    miss: Miss | None
    smallest: bool
    complete: int
    tried: int
    minimal: bool = False
    interrupted: bool = False

    @property
    def algorithm(self) -> str:
        """Name of the algorithm."""
        return self.subject.algorithm

    @property
    def form(self) -> str:
        """The form of planning."""
        return self.subject.form

    @property
    def claim(self) -> str:
        """What is claimed of the counterexample, or of there being none; one sentence."""
        noun, box = self.subject.noun, self.subject.problems.BOX
        if not self.tried:
            return "nothing was tried in the time"
        if self.miss is None:
            return (
                f"{self.algorithm} missed the optimum of none of the {self.tried:,} problems "
                f"tried, all those of up to {self.complete} {noun} among them ({box})"
            )
        if self.smallest:
            return (
                f"no problem of fewer {noun}, nor one of as many with smaller sizes, is missed "
                f"({box})"
            )
        steps = self.subject.problems.STEPS
        if not self.minimal:
            steps = "it was not made as small as it could be before the search ended"
        return (
            f"{steps}; all problems of up to {self.complete} {noun} were "
            f"gone through before ({box})"
        )


def autopsy(
    algorithm: str,
    form: str = "sharing",
    *,
    seed: int = 0,
    time_limit: float = 60.0,
    report: Callable[[int, int], None] = lambda _tried, _count: None,
) -> Autopsy:
    """Look for a smallest problem on which an algorithm misses the optimum.

    Parameters
    ----------
    algorithm, form
        Of the registry of a form: ``sharing``, ``arena`` or ``order``.
    seed
        Of the problems that are drawn, and of the algorithm.
    time_limit
        Seconds.
    report
        Called now and then with the problems tried and the buffers or operators of the last one.

    Raises
    ------
    InputError
        If there is no such form or algorithm.
    PlanError
        If the algorithm returns a plan that is not valid: a defect, no counterexample.

    Notes
    -----
    The optimum is that of the exact algorithm, proven; plans are verified.
    """
    found = subject(algorithm, form)
    search = Search(found, seed, Deadline(time_limit))
    miss, smallest, minimal, complete = None, False, False, 0
    try:
        with _stopped_by_ctrl_c(search.deadline):
            for count in range(1, MAX_COUNT + 1):
                miss = search.first_missed(found.all_problems(count), report)
                if miss is not None or search.deadline.expired:
                    break
                complete = count
            smallest = miss is not None
            if miss is None:
                miss = search.first_missed(found.drawn_problems(seed), report)
                if miss is not None:
                    miss, minimal = search.smaller(miss)
    except KeyboardInterrupt:
        search.deadline.stop()
        miss = search.last
    stopped = search.deadline.stopped
    return Autopsy(found, miss, smallest, complete, search.tried, minimal, stopped)


@contextmanager
def _stopped_by_ctrl_c(deadline: Deadline) -> Iterator[None]:
    """Let Ctrl-C stop the search even where an algorithm takes it for the end of its own run."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        deadline.stop()
        before(number, frame)

    signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class Search:
    """Runs an algorithm on problems, and counts them."""

    def __init__(self, subject: Subject, seed: int, deadline: Deadline) -> None:
        self.subject, self.seed, self.deadline = subject, seed, deadline
        self.tried = 0
        self.last: Miss | None = None

    def first_missed(
        self, problems: Iterator[Any], report: Callable[[int, int], None]
    ) -> Miss | None:
        """Return the first problem that is missed, if there is one before the time is up."""
        for problem in problems:
            if self.deadline.expired:
                return None
            miss = self.missed(problem)
            if miss is not None:
                return miss
            if self.tried % 500 == 0:
                report(self.tried, len(problem))
        return None

    def missed(self, problem: Any) -> Miss | None:  # noqa: ANN401
        """Return what the algorithm makes of a problem, if that is not optimal."""
        self.tried += 1
        limit = min(MAX_SECONDS, self.deadline.remaining())
        run: RunOf[Any] = RunOf(Deadline(limit), seed=self.seed)
        plan = self.subject.run(problem, run)
        if plan is None:  # it gave up: that is no miss
            return None
        try:
            cost = self.subject.verify(problem, plan)
        except PlanError as error:
            raise PlanError(f"{self.subject.algorithm}: an invalid plan: {error}") from None
        if cost <= self.subject.bound(problem):
            return None
        best = self.subject.solve(problem, limit)
        if self.deadline.expired:  # it may have had too little time to do as well as it can
            return None
        if best.status is not Status.OPTIMAL or best.objective is None or best.objective >= cost:
            return None
        self.last = Miss(problem, plan, cost, best)
        return self.last

    def smaller(self, miss: Miss) -> tuple[Miss, bool]:
        """Make a problem smaller, step by step, as long as it is missed.

        Return the smallest, and whether no step makes it smaller: not if the time was up.
        """
        while not self.deadline.expired:
            found = (self.missed(each) for each in self.subject.smaller_problems(miss.problem))
            lesser = next((each for each in found if each is not None), None)
            if lesser is None:
                return miss, not self.deadline.expired
            miss = lesser
        return miss, False
