"""Which operators are ordered in every schedule: vector clocks over a chain cover."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from memonger.net.defuse import DefUse
from memonger.net.hazards import hazard_rows
from memonger.vector_time import ClockArray

Int32Array = npt.NDArray[np.int32]


@dataclass(frozen=True)
class VectorClocks:
    """For every operator, how much of each chain has finished before it can start.

    The operators are covered by chains: paths of the dependency graph, so that the operators of
    a chain run one after the other in every schedule.

    Parameters
    ----------
    chain
        Operator -> number of its chain, shape (operators,).
    position
        Operator -> its position in the chain, from 0, shape (operators,).
    before
        ``before[v, c]`` is how many operators of chain ``c`` precede operator ``v`` in every
        schedule, ``v`` itself not counted; shape (operators, chains).
    """

    chain: Int32Array
    position: Int32Array
    before: ClockArray

    @property
    def num_chains(self) -> int:
        """Number of chains; 1 where the operators are totally ordered."""
        return int(self.before.shape[1])

    def precedes(self, first: int, second: int) -> bool:
        """Return whether ``first`` finishes before ``second`` starts in every schedule."""
        return bool(self.before[second, self.chain[first]] > self.position[first])

    def precede(self, firsts: Sequence[int], seconds: Sequence[int]) -> npt.NDArray[np.bool_]:
        """Return `precedes` of pairs of operators."""
        first, second = np.array(firsts, dtype=np.intp), np.array(seconds, dtype=np.intp)
        earlier: npt.NDArray[np.bool_] = (
            self.before[second, self.chain[first]] > self.position[first]
        )
        return earlier


def vector_clocks(num_operators: int, edges: Iterable[tuple[int, int]]) -> VectorClocks:
    """Return vector clocks for a dependency graph whose operators are in topological order.

    Parameters
    ----------
    num_operators
        Number of operators.
    edges
        Pairs (before, after) with before < after; repeats allowed.

    Notes
    -----
    Each operator extends a chain that is over before it can start, the one with the latest tail,
    or opens a new one (a greedy chain cover: exact on chains, forks and series-parallel nets).
    Time and memory O((operators + edges) x chains).

    References
    ----------
    C. J. Fidge, "Timestamps in message-passing systems that preserve the partial ordering", 1988;
    F. Mattern, "Virtual time and global states of distributed systems", 1989.

    Examples
    --------
    A diamond: 1 and 2 run at the same time.

    >>> clocks = vector_clocks(4, [(0, 1), (0, 2), (1, 3), (2, 3)])
    >>> clocks.precedes(1, 2), clocks.precedes(2, 1), clocks.precedes(0, 3)
    (False, False, True)
    """
    pairs = np.array(list(edges), dtype=np.int64).reshape(-1, 2)
    pairs = pairs[np.argsort(pairs[:, 1], kind="stable")]
    first = np.searchsorted(pairs[:, 1], np.arange(num_operators + 1))
    befores = np.ascontiguousarray(pairs[:, 0])
    waiting = np.bincount(befores, minlength=num_operators)
    # The table is what takes memory, and time to write: most of it is zero and never touched.
    for dtype in (np.uint8, np.uint16, np.int32):
        chain, position, widths = _cover(first, befores, waiting, np.zeros(1, dtype=dtype))
        if position.max(initial=0) < np.iinfo(dtype).max:  # nothing wrapped around
            break
    before = np.zeros((num_operators, max(1, int(widths[-1]))), dtype=dtype)
    _fill(before, first, befores, chain, position, widths)
    return VectorClocks(chain, position, before)


@numba.njit(cache=True, nogil=True)
def _cover(first, befores, waiting, zero):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Return (chain, position, widths): widths[v] chains are open when v begins.

    Operator v waits for befores[first[v]:first[v + 1]], and waiting[v] others wait for it: as many
    rows of the table are kept, of the type of ``zero``, as operators are still waited for.
    """
    num_operators = len(first) - 1
    chain = np.zeros(num_operators, np.int32)
    position = np.zeros(num_operators, np.int32)
    widths = np.zeros(num_operators + 1, np.int64)
    lengths = np.zeros(num_operators, np.int32)  # operators in each chain so far
    tails = np.zeros(num_operators, np.int64)  # last operator of each chain
    left = waiting.copy()
    opened = 0
    rows = [np.zeros(opened, zero.dtype) for _ in range(num_operators)]
    spare = [np.zeros(opened, zero.dtype) for _ in range(0)]
    for operator in range(num_operators):
        widths[operator] = opened
        row = _row(spare, opened, zero)
        for predecessor in befores[first[operator] : first[operator + 1]]:
            _join(row, rows[predecessor], widths[predecessor], chain, position, predecessor)
            left[predecessor] -= 1
            if left[predecessor] == 0:
                spare.append(rows[predecessor])
                rows[predecessor] = rows[predecessor][:0]
        best = -1
        for c in range(opened):  # chains that are over; of these the one with the latest tail
            if row[c] == lengths[c] and (best < 0 or tails[c] > tails[best]):
                best = c
        if best < 0:
            best = opened
            opened += 1
        chain[operator], position[operator] = best, lengths[best]
        lengths[best] += 1
        tails[best] = operator
        if left[operator] > 0:
            rows[operator] = row
        else:
            spare.append(row)
    widths[num_operators] = opened
    return chain, position, widths


@numba.njit(cache=True, nogil=True)
def _row(spare, width, zero):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Return zeros, at least as many as ``width``: a row that is not used any more, if one will do.

    New pages of memory are what takes the time.
    """
    while len(spare) > 0:
        row = spare.pop()
        if len(row) >= width:  # else it has become too short for ever
            row[:width] = 0
            return row
    room = 64
    while room < width:
        room *= 2
    return np.zeros(room, zero.dtype)


@numba.njit(cache=True, nogil=True)
def _join(row, other, width, chain, position, predecessor):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Raise a row to what a predecessor waits for, and the predecessor itself."""
    for c in range(width):
        row[c] = max(row[c], other[c])
    own = chain[predecessor]
    row[own] = max(int(row[own]), position[predecessor] + 1)


@numba.njit(cache=True, nogil=True)
def _fill(before, first, befores, chain, position, widths):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Write the table, once it is known how wide it is."""
    for operator in range(len(before)):
        row = before[operator]
        for predecessor in befores[first[operator] : first[operator + 1]]:
            _join(row, before[predecessor], widths[predecessor], chain, position, predecessor)


def clocks_of(def_use: DefUse) -> VectorClocks:
    """Return the vector clocks of a net that runs its operators as their hazards allow."""
    rows = hazard_rows(def_use.operands, def_use.declared, declared=True)
    return vector_clocks(len(def_use.operands), [(before, after) for before, after, *_ in rows])
