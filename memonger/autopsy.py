"""Smallest problems on which a heuristic misses the optimum.

First all small problems are gone through, fewest buffers first, then smallest sizes, then fewest
times: the first that is missed is a smallest one. Beyond that problems are drawn, and the first
that is missed is made smaller as long as it stays missed: no single step makes it smaller then.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from memonger.errors import InputError, MemongerError, PlanError
from memonger.forms import FORMS, Form
from memonger.graph.profile import peak, size_profile
from memonger.plan import ArenaPlan, SharingPlan
from memonger.plan_layout import layout_of, rectangles_of
from memonger.problem import Buffer, Problem
from memonger.registry import AlgorithmOf, RunOf
from memonger.result import Result, Status
from memonger.solver.solve import solve
from memonger.stop import Deadline

MAX_SIZE = 3
"""Bytes: all problems up to these sizes are gone through."""

MAX_BUFFERS = 4
"""Buffers: up to so many all problems are gone through, if the time allows."""

DRAWN = (5, 12)
"""Buffers of the problems that are drawn, and eight sizes."""

MAX_SECONDS = 10.0
"""Of a run of the algorithm, and of the search for the optimum."""

LETTERS = "abcdefghijklmnopqrstuvwxyz"
_Row = tuple[int, int, int]  # start, end, size


class Miss(NamedTuple):
    """A problem that an algorithm missed, its plan, and one of the optimal plans."""

    problem: Problem
    plan: SharingPlan | ArenaPlan
    cost: int
    best: Result[Any]


@dataclass(frozen=True)
class Autopsy:
    """What the search for a counterexample has come to.

    Parameters
    ----------
    algorithm, form
        What was looked at.
    miss
        The smallest counterexample found, if any.
    smallest
        Whether none is smaller: it was met while all problems were gone through.
    complete
        Problems of up to so many buffers, sizes up to `MAX_SIZE`, were gone through, all of them.
    tried
        Problems on which the algorithm ran.
    interrupted
        Whether Ctrl-C ended the search.
    """

    algorithm: str
    form: str
    miss: Miss | None
    smallest: bool
    complete: int
    tried: int
    interrupted: bool = False

    @property
    def claim(self) -> str:
        """What is claimed of the counterexample, or of there being none; one sentence."""
        box = f"sizes up to {MAX_SIZE} bytes, live ranges in at most as many steps as buffers"
        if self.miss is None:
            return (
                f"{self.algorithm} missed the optimum of none of the {self.tried:,} problems "
                f"tried, all those of up to {self.complete} buffers among them ({box})"
            )
        if self.smallest:
            return (
                "no problem of fewer buffers, nor one of as many with smaller sizes, is missed "
                f"({box})"
            )
        return (
            f"no buffer can be left out, no size lowered and no live range shortened by one; all "
            f"problems of up to {self.complete} buffers were gone through before ({box})"
        )


def autopsy(
    algorithm: str,
    form: str = "sharing",
    *,
    seed: int = 0,
    time_limit: float = 60.0,
    report: Callable[[int, int], None] = lambda _tried, _buffers: None,
) -> Autopsy:
    """Look for a smallest problem on which an algorithm misses the optimum.

    Parameters
    ----------
    algorithm, form
        Of the registry of a form: ``sharing`` or ``arena``.
    seed
        Of the problems that are drawn, and of the algorithm.
    time_limit
        Seconds.
    report
        Called now and then with the problems tried and the buffers of the last one.

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
    if form not in FORMS:
        raise InputError(f"autopsies are of the forms {', '.join(FORMS)}, not {form!r}")
    search = _Search(FORMS[form], FORMS[form].registry.get(algorithm), seed, Deadline(time_limit))
    miss, smallest, complete, interrupted = None, False, 0, False
    try:
        for buffers in range(1, MAX_BUFFERS + 1):
            miss = search.first_missed(map(_problem, _all_rows(buffers)), report)
            if miss is not None or search.deadline.expired:
                break
            complete = buffers
        smallest = miss is not None
        if miss is None:
            miss = search.first_missed(_drawn(random.Random(seed)), report)
            miss = None if miss is None else search.smaller(miss)
    except KeyboardInterrupt:
        interrupted, miss = True, search.last
    return Autopsy(algorithm, form, miss, smallest, complete, search.tried, interrupted)


class _Search:
    """Runs an algorithm on problems, and counts them."""

    def __init__(
        self, form: Form[Any], algorithm: AlgorithmOf[Any], seed: int, deadline: Deadline
    ) -> None:
        self.form, self.algorithm, self.seed, self.deadline = form, algorithm, seed, deadline
        self.tried = 0
        self.last: Miss | None = None

    def first_missed(
        self, problems: Iterator[Problem], report: Callable[[int, int], None]
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

    def missed(self, problem: Problem) -> Miss | None:
        """Return what the algorithm makes of a problem, if that is not optimal."""
        self.tried += 1
        limit = min(MAX_SECONDS, self.deadline.remaining())
        run: RunOf[Any] = RunOf(Deadline(limit), seed=self.seed)
        plan = self.algorithm.run(problem, run).plan
        if plan is None:  # it gave up: that is no miss
            return None
        try:
            cost = self.form.verify(problem, plan)
        except PlanError as error:
            raise PlanError(f"{self.algorithm.name}: an invalid plan: {error}") from None
        if cost <= self._bound(problem):
            return None
        best = solve(problem, form=self.form.name, time_limit=limit, workers=1)
        if best.status is not Status.OPTIMAL or best.objective is None or best.objective >= cost:
            return None
        self.last = Miss(problem, plan, cost, best)
        return self.last

    def _bound(self, problem: Problem) -> int:
        return size_profile(problem).bound if self.form.name == "sharing" else peak(problem).bytes

    def smaller(self, miss: Miss) -> Miss:
        """Make a problem smaller, step by step, as long as it is missed."""
        while not self.deadline.expired:
            found = (self.missed(problem) for problem in _steps(miss.problem))
            lesser = next((each for each in found if each is not None), None)
            if lesser is None:
                break
            miss = lesser
        return miss


def _all_rows(buffers: int) -> Iterator[tuple[_Row, ...]]:
    """Yield all problems of so many buffers: smallest sizes first, then fewest times.

    Which buffer comes first is not looked at: rows ascend. As many times as buffers are enough, as
    the cliques of an interval graph that count are not more.
    """
    for largest in range(1, MAX_SIZE + 1):
        for horizon in range(1, buffers + 1):
            ranges = [(s, e) for s in range(horizon) for e in range(s + 1, horizon + 1)]
            rows = [(s, e, size) for s, e in ranges for size in range(1, largest + 1)]
            for chosen in itertools.combinations_with_replacement(rows, buffers):
                sizes, ends = {row[2] for row in chosen}, {row[1] for row in chosen}
                if max(sizes) == largest and max(ends) == horizon:
                    yield chosen


def _problem(rows: tuple[_Row, ...]) -> Problem:
    names = zip(LETTERS, rows, strict=False)
    return Problem(tuple(Buffer(name, size, start, end) for name, (start, end, size) in names))


def _drawn(rng: random.Random) -> Iterator[Problem]:
    """Yield problems without end."""
    while True:
        count = rng.randint(*DRAWN)
        rows = []
        for _ in range(count):
            start = rng.randrange(count)
            rows.append((start, rng.randint(start + 1, count), rng.randint(1, 8)))
        yield _problem(tuple(sorted(rows)))


def _steps(problem: Problem) -> Iterator[Problem]:
    """Yield the problems that are one step smaller."""
    buffers = problem.buffers
    for i in range(len(buffers)):
        yield Problem(buffers[:i] + buffers[i + 1 :])
    for i, buffer in enumerate(buffers):
        changes = []
        if buffer.size > 1:
            changes += [{"size": buffer.size // 2}, {"size": buffer.size - 1}]
        if buffer.end - buffer.start > 1:
            changes += [{"end": buffer.end - 1}, {"start": buffer.start + 1}]
        for change in changes:
            yield Problem((*buffers[:i], replace(buffer, **change), *buffers[i + 1 :]))  # type: ignore[arg-type]


def picture(problem: Problem, plan: SharingPlan | ArenaPlan) -> str:
    """Return a plan in characters: a row a byte, the lowest at the bottom, three columns a time.

    Raises
    ------
    MemongerError
        If it would have more than 60 rows or 200 columns.
    """
    bottoms, _, total = layout_of(problem, plan)
    horizon = int(problem.ends.max(initial=0))
    if total > 60 or horizon > 60:
        raise MemongerError("the plan is too large for a picture of characters")
    cells = [["."] * (3 * horizon) for _ in range(total)]
    for owner, *sides in zip(*rectangles_of(problem, bottoms, plan), strict=True):
        start, end, low, high = map(int, sides)
        for row in range(low, high):
            cells[row][3 * start : 3 * end] = problem.buffers[int(owner)].name[0] * (
                3 * (end - start)
            )
    return "\n".join("".join(row) for row in reversed(cells))
