"""Caffe2's dynamic programming over live ranges, without its exponential copies.

The recurrence, over blobs 0, 1, ... in the order of their last uses and an initial assignment:
``best(i)`` assigns the blobs up to ``i``. Let ``best(j)``, j < i, be the last one before whose
end blob ``i`` may be put in every bin (the initial assignment, if there is none). Then ``best(i)``
is the cheapest, first of equals, of

* for each bin x of ``best(j)`` that blob ``i`` fits behind: blob ``i`` in x, and blobs j+1 ... i-1
  assigned, by the same recurrence, to the other bins of ``best(j)``;
* blob ``i`` in a bin of its own beside ``best(i-1)``.

It is a heuristic: it commits itself to one best assignment of each prefix.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from memonger.errors import MemongerError
from memonger.heuristics.blob_assignments import (
    Assignment,
    AssignmentError,
    LiveRange,
    NamedRange,
    busy_until,
    largest_size,
)
from memonger.plan import SharingPlan
from memonger.problem import Problem
from memonger.stop import Deadline

MAX_CALLS = 100_000
"""Subproblems after which the dynamic program gives up: about 10 s, and some 100 MB."""


class SearchLimitError(MemongerError):
    """The dynamic program needs more subproblems, or more time, than it may take."""

    exit_code = 5


_Chain: TypeAlias = "tuple[_Chain, int] | None"  # blobs put into a bin, the last one first
_Key: TypeAlias = tuple[tuple[float, int], ...]  # per bin: busy until, size
_Request: TypeAlias = tuple[int, int, _Key]  # first blob, blob after the last, bins


class _Bin(NamedTuple):
    """A bin of a subproblem, and what was put into it there; ``origin`` -1 where it is new."""

    origin: int
    added: _Chain
    busy: float
    size: int


@dataclass(frozen=True, slots=True)
class _Best:
    """The best assignment of some blobs: its bins, the last time one is busy, bytes it adds."""

    bins: tuple[_Bin, ...]
    busy: float
    growth: int


def _start(key: _Key) -> _Best:
    bins = tuple(_Bin(number, None, busy, size) for number, (busy, size) in enumerate(key))
    return _Best(bins, max((busy for busy, _ in key), default=-math.inf), 0)


def _merge(rest: Sequence[_Bin], inner: _Best) -> list[_Bin]:
    """Return the bins of a subproblem's answer, in terms of the problem that it is part of."""
    merged = []
    for found in inner.bins:
        if found.origin < 0:
            merged.append(found)
            continue
        before = rest[found.origin]
        added, chain = [], found.added
        while chain is not None:
            chain, blob = chain
            added.append(blob)
        joined = before.added
        for blob in reversed(added):
            joined = (joined, blob)
        merged.append(_Bin(before.origin, joined, found.busy, found.size))
    return merged


@dataclass
class _Program:
    """Subproblems are kept by their first blob and their bins, as far as these matter."""

    ranges: Sequence[tuple[float, float, int]]  # defined, used, size; -inf: fits behind nothing
    max_calls: int
    deadline: Deadline
    calls: int = 0
    known: dict[tuple[int, _Key], list[_Best]] = field(default_factory=dict)

    def run(self, key: _Key) -> _Best:
        """Return the best assignment of all blobs to bins; an explicit stack, no recursion."""
        request = (0, len(self.ranges), key)
        stack = [self._solve(*request)]
        while stack:
            needed = next(stack[-1], None)
            if needed is None:
                stack.pop()
            else:
                stack.append(self._solve(*needed))
        answer = self._answer(*request)
        assert answer is not None
        return answer

    def _answer(self, first: int, end: int, key: _Key) -> _Best | None:
        bests = self.known.get((first, key), ())
        return bests[end - first - 1] if len(bests) >= end - first else None

    def _solve(self, first: int, end: int, key: _Key) -> Iterator[_Request]:
        """Assign blobs ``first`` to ``end`` - 1; yield what must be solved before it goes on."""
        self._count()
        bests = self.known.setdefault((first, key), [])
        begin = _start(key)
        while len(bests) < end - first:
            blob = first + len(bests)
            defined, _, size = self.ranges[blob]
            prefix = len(bests) - 1
            while prefix >= 0 and not bests[prefix].busy < defined:
                prefix -= 1
            base = bests[prefix] if prefix >= 0 else begin
            part = first + prefix + 1
            self._check(part, blob)
            before = bests[-1] if bests else begin
            growth: float = math.inf
            for position, found in enumerate(base.bins):
                if not found.busy < defined:
                    continue
                rest = base.bins[:position] + base.bins[position + 1 :]
                cost, inner = base.growth + max(0, size - found.size), None
                if part < blob:
                    request = (part, blob, tuple((other.busy, other.size) for other in rest))
                    while (inner := self._answer(*request)) is None:
                        yield request
                    cost += inner.growth
                if cost < growth:
                    growth, chosen, answer = cost, position, inner
            if before.growth + size < growth:
                bins = (*before.bins, self._put(_Bin(-1, None, -math.inf, 0), blob))
                growth = before.growth + size
            else:
                bins = self._assign(base.bins, chosen, blob, answer)
            bests.append(_Best(bins, max(found.busy for found in bins), int(growth)))

    def _count(self) -> None:
        self.calls += 1
        if self.calls > self.max_calls:
            raise SearchLimitError(f"the dynamic program needs more than {self.max_calls} calls")

    def _check(self, part: int, blob: int) -> None:
        if self.deadline.expired:
            raise SearchLimitError(f"the dynamic program ran out of time in call {self.calls}")
        used = self.ranges[blob][1]
        if any(self.ranges[other][0] > used for other in range(part, blob)):
            raise AssignmentError("the ranges are not in the order of their last uses")

    def _put(self, found: _Bin, blob: int) -> _Bin:
        _, used, size = self.ranges[blob]
        return _Bin(found.origin, (found.added, blob), used, max(found.size, size))

    def _assign(
        self, bins: tuple[_Bin, ...], position: int, blob: int, answer: _Best | None
    ) -> tuple[_Bin, ...]:
        """Return the bins with a blob put into one, and the others as a subproblem says."""
        put = self._put(bins[position], blob)
        if answer is None:
            return (*bins[:position], put, *bins[position + 1 :])
        return (*_merge(bins[:position] + bins[position + 1 :], answer), put)


def compute_assignments_dp(
    ranges_sorted: Sequence[NamedRange],
    init_assignment: Sequence[Assignment] | None,
    counter: list[int] | None = None,
    *,
    max_calls: int = MAX_CALLS,
    deadline: Deadline | None = None,
) -> list[Assignment]:
    """Assign blobs by Caffe2's dynamic programming.

    Parameters
    ----------
    ranges_sorted
        The blobs, in the order of their last uses.
    init_assignment
        What is assigned already; none of the blobs may be in there.
    counter
        A list of one number, to which the number of subproblems is added.
    max_calls, deadline
        When to give up.

    Returns
    -------
    list of list of (str, LiveRange)
        New lists; those of Caffe2, and the initial assignment where there are no blobs.

    Raises
    ------
    SearchLimitError
        If it is not done after so many subproblems, or in time.
    AssignmentError
        If the blobs are so far from the order of their last uses that the recurrence makes no
        sense; Caffe2 raises an AssertionError then.

    Notes
    -----
    A subproblem depends on its blobs and, of its bins, on their sizes and last uses alone, so each
    is solved once: near-linear where few blobs are live at once and few sizes occur (chains,
    residual nets), where Caffe2 is quadratic or worse; still exponential in the number of blobs
    live at once. Valid, but not optimal, and at times worse than the greedy.

    References
    ----------
    Caffe2, ``caffe2/python/memonger.py``.

    Examples
    --------
    Not optimal: {A, C} and {B, E} would need 7 bytes.

    >>> rows = {"A": (0, 1, 5), "B": (3, 3, 2), "C": (3, 5, 4), "E": (5, 5, 2)}
    >>> ranges = [(name, LiveRange(*row)) for name, row in rows.items()]
    >>> [[name for name, _ in group] for group in compute_assignments_dp(ranges, [])]
    [['C'], ['A', 'B', 'E']]
    """
    initial = [list(assignment) for assignment in init_assignment or ()]
    if not ranges_sorted:
        return initial
    rows = [_row(live) for _, live in ranges_sorted]
    program = _Program(rows, max_calls, deadline or Deadline(None))
    key = tuple((busy_until(group), largest_size(group)) for group in initial)
    try:
        best = program.run(key)
    finally:
        if counter is not None:
            counter[:] = [(counter[0] if counter else 0) + program.calls]
    result = []
    for found in best.bins:
        added, chain = [], found.added
        while chain is not None:
            chain, blob = chain
            added.append(ranges_sorted[blob])
        result.append([*(initial[found.origin] if found.origin >= 0 else ()), *reversed(added)])
    return result


def _row(live: LiveRange) -> tuple[float, float, int]:
    defined = -math.inf if live.defined is None else live.defined
    never = live.defined is None or live.used is None
    return defined, math.inf if never or live.used is None else live.used, live.size or 0


def caffe2_dp(
    problem: Problem, deadline: Deadline | None = None, *, max_calls: int = MAX_CALLS
) -> SharingPlan | None:
    """Return the plan of Caffe2's ``compute_assignments_dp``, or ``None`` if it takes too long.

    Parameters
    ----------
    problem
        The buffers; interval time only.
    deadline, max_calls
        When to give up.

    Notes
    -----
    As `compute_assignments_dp`, over the buffers in the order of their ends.

    Examples
    --------
    >>> from memonger.problem import Buffer
    >>> caffe2_dp(Problem((Buffer("a", 8, 0, 2), Buffer("b", 4, 2, 3)))).shared
    (0, 0)
    """
    order = sorted(range(len(problem)), key=lambda i: (problem.buffers[i].end, i))
    starts, ends, sizes = (a.tolist() for a in (problem.starts, problem.ends, problem.sizes))
    ranges = [(str(i), LiveRange(starts[i], ends[i] - 1, sizes[i])) for i in order]
    try:
        assignments = compute_assignments_dp(ranges, None, max_calls=max_calls, deadline=deadline)
    except SearchLimitError:
        return None
    shared = {int(name): k for k, group in enumerate(assignments) for name, _ in group}
    return SharingPlan.of(shared[i] for i in range(len(problem)))
