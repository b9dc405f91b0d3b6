"""The planning problem: buffers with sizes and live ranges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from memonger.errors import ProblemError
from memonger.gaps import Gap, Span, fault_of, spans_between
from memonger.rules import NO_RULES, Rules
from memonger.vector_time import IntArray, VectorTime

__all__ = ["MAX_TOTAL_BYTES", "Buffer", "IntArray", "Problem", "VectorTime"]

# Sums of sizes stay below 2^63 (numpy's int64, and CP-SAT's domains are smaller still).
MAX_TOTAL_BYTES = 2**62


@dataclass(frozen=True, slots=True)
class Buffer:
    """What must be placed: a name, a size and a live range.

    Parameters
    ----------
    name
        Unique in its problem.
    size
        Bytes, at least 0.
    start, end
        Live range, **half-open** ``[start, end)`` in operator indices: the first writer, and the
        last reader + 1. Two buffers conflict iff their ranges intersect.
    alignment
        Bytes; sizes are rounded up to a multiple of it (sharing), or offsets (arena).
    device
        Buffers of different devices never share; ``""`` where there is one device only.
    offset
        Where the buffer is pinned to in the arena, bytes; ``None`` leaves it free.
    gaps
        When it takes less than its size in the arena; sorted, disjoint, within the live range.
    """

    name: str
    size: int
    start: int
    end: int
    alignment: int = 1
    device: str = ""
    offset: int | None = None
    gaps: tuple[Gap, ...] = ()

    @property
    def padded_size(self) -> int:
        """Size in bytes, rounded up to the alignment."""
        return -(-self.size // self.alignment) * self.alignment

    @property
    def spans(self) -> tuple[Span, ...]:
        """When the buffer takes which part of its space in the arena; nothing without a size."""
        return spans_between(self.start, self.end, self.size, self.gaps)


@dataclass(frozen=True, eq=False)
class Problem:
    """A set of buffers to be placed.

    Parameters
    ----------
    buffers
        The buffers; algorithms and plans refer to them by their index.
    name
        What the problem is called in reports.
    vector_time
        For nets whose operators run in parallel: the live ranges that hold in every schedule.
        ``start`` and ``end`` of the buffers are then those of program order, a relaxation:
        buffers that conflict in program order conflict in vector time.
    in_place
        Pairs (p, o) of buffers such that ``o`` may take over the memory of ``p``: the operator
        that writes ``o`` is the last one that reads ``p``. Interval time only.
    rules
        What plans must keep besides.

    Raises
    ------
    ProblemError
        If a name is empty or not unique, a size or a time negative, a live range empty, an
        alignment below 1 or not below 2^62, gaps not as they must be, or the sizes add up to 2^62
        bytes or more; or if a pair is none that can be in place, or a rule speaks of buffers that
        are none, are empty, or are on two devices. Names the buffer.

    Examples
    --------
    >>> problem = Problem((Buffer("a", 8, 0, 2), Buffer("b", 4, 2, 3)))
    >>> problem.conflict(0, 1), problem.total
    (False, 12)
    """

    buffers: tuple[Buffer, ...]
    name: str = ""
    vector_time: VectorTime | None = field(default=None, repr=False)
    in_place: tuple[tuple[int, int], ...] = ()
    rules: Rules = NO_RULES

    def __post_init__(self) -> None:
        seen: set[str] = set()
        total = 0
        for buffer in self.buffers:
            _check(buffer)
            if buffer.name in seen:
                raise ProblemError(f"buffer {buffer.name!r} stands twice in the problem")
            seen.add(buffer.name)
            total += buffer.padded_size + (buffer.offset or 0)
        if total >= MAX_TOTAL_BYTES:
            raise ProblemError(f"the buffers add up to {total} bytes; the limit is 2^62")
        if self.vector_time is not None:
            _check_vectors(self.buffers, self.vector_time)
        if self.in_place:
            _check_in_place(self)
        self.rules.check_buffers(self.buffers)

    def __len__(self) -> int:
        return len(self.buffers)

    @cached_property
    def sizes(self) -> IntArray:
        """Sizes in bytes, rounded up to the alignments, shape (buffers,)."""
        return self._array([buffer.padded_size for buffer in self.buffers])

    @cached_property
    def raw_sizes(self) -> IntArray:
        """Sizes in bytes as they are given, shape (buffers,)."""
        return self._array([buffer.size for buffer in self.buffers])

    @cached_property
    def starts(self) -> IntArray:
        """Starts of the live ranges, shape (buffers,)."""
        return self._array([buffer.start for buffer in self.buffers])

    @cached_property
    def ends(self) -> IntArray:
        """Ends of the live ranges, exclusive, shape (buffers,)."""
        return self._array([buffer.end for buffer in self.buffers])

    @cached_property
    def gapped(self) -> tuple[int, ...]:
        """The buffers that have gaps, ascending."""
        return tuple(i for i, buffer in enumerate(self.buffers) if buffer.gaps)

    @cached_property
    def freed(self) -> IntArray:
        """First times at which the memory may have another owner, shape (buffers,).

        The ends, but one earlier for buffers that may be taken over in place: with these ends in
        place of the others the problem is a relaxation, and its bounds hold.
        """
        ends = self.ends.copy()
        ends[[taken for taken, _ in self.in_place]] -= 1
        ends.flags.writeable = False
        return ends

    @cached_property
    def takes_over(self) -> frozenset[tuple[int, int]]:
        """The pairs of ``in_place``."""
        return frozenset(self.in_place)

    @cached_property
    def total(self) -> int:
        """Bytes of all buffers together: the cost without any sharing."""
        return int(self.sizes.sum())

    @cached_property
    def devices(self) -> tuple[str, ...]:
        """The devices that have buffers, sorted."""
        return tuple(sorted({buffer.device for buffer in self.buffers}))

    def conflict(self, first: int, second: int) -> bool:
        """Return whether two buffers may not share memory (devices and gaps apart)."""
        time = self.vector_time
        if time is not None:
            return not (time.over_before(first, second) or time.over_before(second, first))
        if (first, second) in self.takes_over or (second, first) in self.takes_over:
            return False
        one, other = self.buffers[first], self.buffers[second]
        return one.start < other.end and other.start < one.end

    def subproblem(self, indices: Sequence[int]) -> Problem:
        """Return the problem of some of the buffers, in the order given."""
        time = self.vector_time
        if time is not None:
            time = time.of_buffers(indices)
        pairs = self.in_place
        if pairs:
            new = {old: position for position, old in enumerate(indices)}
            pairs = tuple((new[p], new[o]) for p, o in pairs if p in new and o in new)
        rules = self.rules.of(indices)
        return Problem(tuple(self.buffers[i] for i in indices), self.name, time, pairs, rules)

    @staticmethod
    def _array(values: list[int]) -> IntArray:
        array = np.array(values, dtype=np.int64)
        array.flags.writeable = False
        return array


def _check_vectors(buffers: tuple[Buffer, ...], time: VectorTime) -> None:
    if any(buffer.gaps for buffer in buffers):
        raise ProblemError("gaps of nets that run in parallel cannot be planned")
    if len(time) != len(buffers):
        raise ProblemError("vector time has another number of buffers than the problem")
    for index in time.empty[:1].tolist():
        raise ProblemError(f"buffer {buffers[index].name!r} is over as it begins in vector time")


def _check_in_place(problem: Problem) -> None:
    if problem.vector_time is not None:
        raise ProblemError("in-place pairs of nets that run in parallel cannot be planned")
    if len(problem.takes_over) != len(problem.in_place):
        raise ProblemError("an in-place pair stands twice in the problem")
    for taken, over in problem.in_place:
        if not (0 <= taken < len(problem) and 0 <= over < len(problem)):
            raise ProblemError(f"in-place pair ({taken}, {over}): there is no such buffer")
        one, other = problem.buffers[taken], problem.buffers[over]
        fits = one.start < other.start == one.end - 1 and one.end < other.end
        if not fits or one.device != other.device:
            raise ProblemError(
                f"{other.name!r} cannot take over {one.name!r} in place: it must begin at the "
                "last operator that reads the other, outlive it, and be on its device"
            )


def _check(buffer: Buffer) -> None:
    if not buffer.name:
        raise ProblemError("a buffer has an empty name")
    if buffer.size < 0:
        fault: str | None = f"has the negative size {buffer.size}"
    elif buffer.alignment < 1:
        fault = f"has the alignment {buffer.alignment}, below 1"
    elif buffer.alignment >= MAX_TOTAL_BYTES:
        fault = f"has the alignment {buffer.alignment}; the limit is 2^62"
    elif buffer.offset is not None and (buffer.offset < 0 or buffer.offset % buffer.alignment):
        fault = f"cannot be pinned to {buffer.offset}"
    elif not 0 <= buffer.start < buffer.end < 2**62:
        fault = f"has the empty or negative live range [{buffer.start}, {buffer.end})"
    else:
        fault = fault_of(buffer.start, buffer.end, buffer.size, buffer.gaps)
    if fault is not None:
        raise ProblemError(f"buffer {buffer.name!r} {fault}")
