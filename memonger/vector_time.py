"""Live ranges of buffers in a net whose operators run in parallel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from memonger.errors import ProblemError

IntArray = npt.NDArray[np.int64]
VectorArray = npt.NDArray[np.int32] | npt.NDArray[np.int64]
ClockArray = (
    npt.NDArray[np.uint8] | npt.NDArray[np.uint16] | npt.NDArray[np.int32] | npt.NDArray[np.int64]
)


@dataclass(frozen=True, eq=False)
class VectorTime:
    """Live ranges for operators that run in parallel: one component a chain of operators.

    A buffer begins at a moment, of which is known how much of each chain surely has finished, and
    it is over when some chains have come far enough: those that use it. Buffer ``i`` is over
    before buffer ``j`` begins, in every schedule, iff ``clock[begin[j], chain[e]] >= until[e]``
    for all its entries ``e`` in ``first[i]:first[i + 1]``. With one chain this is the interval
    case. `of` makes one from tables.

    Parameters
    ----------
    clock
        ``clock[m, c]``: operators of chain ``c`` that surely have finished at the moment ``m``;
        shape (moments, chains).
    begin
        Buffer -> the moment when it is first written; shape (buffers,).
    first
        Where the entries of the buffers begin and end; shape (buffers + 1,).
    chain, until
        How many operators of a chain must have finished before the memory may be written again;
        shape (entries,). What the clock shows where all entries of a buffer are met must not be
        below what it shows where the buffer begins (so that being over before another begins is
        transitive). The entry that is met last, if that is known, stands first.
    """

    clock: ClockArray
    begin: IntArray
    first: IntArray
    chain: IntArray
    until: VectorArray

    @classmethod
    def of(cls, start: VectorArray, end: VectorArray) -> VectorTime:
        """Return the vector time of tables.

        Parameters
        ----------
        start
            ``start[j, c]``: operators of chain ``c`` that surely have finished when ``j`` is first
            written; shape (buffers, chains).
        end
            ``end[i, c]``: operators of chain ``c`` that must have finished before the memory of
            ``i`` may be written again; same shape, nowhere below ``start``.

        Raises
        ------
        ProblemError
            If the tables do not match, or a buffer ends before it starts. Names its row.

        Examples
        --------
        >>> time = VectorTime.of(np.array([[0, 0], [1, 0]]), np.array([[1, 0], [1, 1]]))
        >>> time.over_before(0, 1), time.over_before(1, 0)
        (True, False)
        """
        if not start.ndim == end.ndim == 2 or start.shape != end.shape:
            raise ProblemError("vector time must be two tables: buffers x chains")
        crossed = (start > end).any(axis=1)
        if crossed.any():
            row = int(np.argmax(crossed))
            raise ProblemError(f"buffer number {row} ends before it starts in vector time")
        if not start.size:
            buffer = chain = np.zeros(0, dtype=np.int64)
        else:  # entries that some buffer does not meet
            buffer, chain = np.nonzero(end > start.min(axis=0))
            late = end[buffer, chain] - start.max(axis=0)[chain]
            order = np.lexsort((-late, buffer))
            buffer, chain = buffer[order], chain[order]
        first = np.searchsorted(buffer, np.arange(len(start) + 1))
        return cls(start, np.arange(len(start)), first, chain, end[buffer, chain])

    def __len__(self) -> int:
        return len(self.begin)

    @property
    def start(self) -> ClockArray:
        """The table ``start`` of `of`; shape (buffers, chains)."""
        return self.clock[self.begin]

    @property
    def end(self) -> VectorArray:
        """The table ``end`` of `of`; shape (buffers, chains)."""
        end = self.start.astype(np.int64)  # what follows a buffer follows all that came before it
        rows = np.repeat(np.arange(len(self)), np.diff(self.first))
        np.maximum.at(end, (rows, self.chain), self.until)
        return end

    @property
    def empty(self) -> IntArray:
        """Buffers that are over as soon as they begin, ascending."""
        rows = np.repeat(np.arange(len(self)), np.diff(self.first))
        missed = self.clock[self.begin[rows], self.chain] < self.until
        return np.flatnonzero(np.bincount(rows[missed], minlength=len(self)) == 0)

    def over_before(self, first: int, second: int) -> bool:
        """Return whether buffer ``first`` is over before ``second`` begins in every schedule."""
        low, high = self.first[first], self.first[first + 1]
        row = self.clock[self.begin[second]]
        if low < high and row[self.chain[low]] < self.until[low]:
            return False
        return bool((row[self.chain[low:high]] >= self.until[low:high]).all())

    def pairs_over_before(self, firsts: IntArray, seconds: IntArray) -> npt.NDArray[np.bool_]:
        """Return `over_before` of pairs of buffers, shape (pairs,)."""
        entries, counts = self._entries(firsts)
        pair = np.repeat(np.arange(len(firsts)), counts)
        missed = self.clock[self.begin[seconds[pair]], self.chain[entries]] < self.until[entries]
        over: npt.NDArray[np.bool_] = np.bincount(pair[missed], minlength=len(firsts)) == 0
        return over

    def over_before_all(self, first: int, others: IntArray) -> IntArray:
        """Return those of ``others`` that begin after buffer ``first`` is over."""
        for entry in range(self.first[first], self.first[first + 1]):
            reached = self.clock[self.begin[others], self.chain[entry]]
            others = others[reached >= self.until[entry]]
        return others

    def of_buffers(self, indices: Sequence[int]) -> VectorTime:
        """Return the vector time of some of the buffers, in the order given."""
        rows = np.asarray(indices, dtype=np.intp)
        entries, counts = self._entries(rows)
        first = np.concatenate([[0], np.cumsum(counts)])
        return VectorTime(
            self.clock, self.begin[rows], first, self.chain[entries], self.until[entries]
        )

    def _entries(self, buffers: IntArray) -> tuple[IntArray, IntArray]:
        """Return the entries of buffers, one after the other, and how many each has."""
        counts = np.diff(self.first)[buffers]
        skipped = np.cumsum(counts) - counts
        return np.arange(counts.sum()) + np.repeat(self.first[buffers] - skipped, counts), counts
