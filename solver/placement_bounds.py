"""Bounds of the search for placements: which nodes cannot be completed."""

from __future__ import annotations

import numba
import numpy as np

from memonger.solver.placement import (
    HIGH,
    LEFT,
    LOW,
    OPEN,
    PLACED,
    POSTPONED,
    RIGHT,
    TABLE_TOP,
    Board,
    State,
)
from memonger.vector_time import IntArray, VectorArray

FAR = 1 << 62


@numba.njit(cache=True, nogil=True)
def survey(board: Board, state: State, at: IntArray) -> tuple[int, int, int, bool]:
    """Return how many are unplaced, their lowest head, smallest size, whether any is postponed.

    Head and size are those of buffers that are not postponed.
    """
    count, floor, smallest, postponed = 0, FAR, FAR, False
    for p in range(at[LOW], at[HIGH]):
        j = state.pool[p]
        if state.flag[j] == PLACED:
            continue
        count += 1
        state.raised[j] = state.head[j]
        if state.mark[j] == state.head[j]:
            state.flag[j] = POSTPONED
            postponed = True
        else:
            state.flag[j] = OPEN
            floor = min(floor, state.head[j])
            smallest = min(smallest, board.size[j])
    return count, floor, smallest, postponed


@numba.njit(cache=True, nogil=True)
def raise_postponed(board: Board, state: State, at: IntArray, top_of_next: int) -> bool:
    """Bound the offsets of postponed buffers (a); return False where nothing could raise one."""
    for p in range(at[LOW], at[HIGH]):
        j = state.pool[p]
        if state.flag[j] != POSTPONED:
            continue
        top, lowest = state.head[j] + board.size[j], FAR
        for t in range(board.first[j], board.first[j + 1]):
            k = board.neighbours[t]
            if state.flag[k] == PLACED:
                continue
            # A postponed neighbour is itself raised by another one before.
            bottom = state.head[k] if state.flag[k] == OPEN else top_of_next
            if bottom < top:
                lowest = min(lowest, bottom + board.size[k])
        if lowest == FAR or board.pinned[j] >= 0:
            return False
        state.raised[j] = lowest
    return True


@numba.njit(cache=True, nogil=True)
def sections_fit(
    board: Board, state: State, at: IntArray, count: int, capacity: int, by_reach: bool
) -> bool:
    """Return whether the unplaced buffers fit above their bounds in every section (b).

    The buffers of the component are sorted: unplaced ones first, the highest bound first.
    """
    low, total, reach = at[LOW], state.total, state.reach
    _sort(state, low, at[HIGH])
    for s in range(at[LEFT], at[RIGHT]):
        total[s] = 0
        reach[s] = 0
    for p in range(low, low + count):
        j = state.pool[p]
        bound = state.raised[j]
        part = total[board.begin[j] : board.end[j]]
        highest = _add(part, board.size[j])
        if by_reach:
            for s in range(len(part)):
                at_s = board.begin[j] + s
                reach[at_s] = max(reach[at_s], part[s] + bound)
        if bound + highest > capacity:
            state.weight[j] += 1.0
            return False
    return True


@numba.njit(cache=True, nogil=True)
def _add(part: VectorArray, size: int) -> int:
    """Add a size in some sections; return the largest sum. Most of the time of a search."""
    for s in range(len(part)):
        part[s] += size
    highest = part[0]
    for s in range(1, len(part)):
        if part[s] > highest:
            highest = part[s]
    return int(highest)


@numba.njit(cache=True, nogil=True)
def _sort(state: State, low: int, high: int) -> None:
    """Sort by insertion: from node to node little changes."""
    pool, load = state.pool, state.pool_load
    for p in range(low + 1, high):
        j, of_j = pool[p], load[p]
        bound = state.raised[j] if state.flag[j] != PLACED else -1
        q = p - 1
        while q >= low:
            k = pool[q]
            other = state.raised[k] if state.flag[k] != PLACED else -1
            if other >= bound:
                break
            pool[q + 1], load[q + 1] = k, load[q]
            q -= 1
        pool[q + 1], load[q + 1] = j, of_j


@numba.njit(cache=True, nogil=True)
def _hash(state: State, low: int, count: int) -> int:
    """Return a hash of the state of a component that does not depend on the order of the pool."""
    found = np.uint64(count)
    for p in range(low, low + count):
        j = state.pool[p]
        x = np.uint64(j) * np.uint64(0x9E3779B97F4A7C15)
        x += np.uint64(_value(state, j)) * np.uint64(0xD6E8FEB86659FD93)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        found += x ^ (x >> np.uint64(27))
    return int(found >> np.uint64(1))


@numba.njit(cache=True, nogil=True, inline="always")
def _value(state: State, j: int) -> int:
    return int(2 * state.head[j] + (state.mark[j] == state.head[j]))


@numba.njit(cache=True, nogil=True)
def is_known(board: Board, state: State, at: IntArray, count: int) -> bool:
    """Return whether this very state is in the table of those that cannot be completed (c)."""
    key = _hash(state, at[LOW], count)
    entry = state.slots[key & (len(state.slots) - 1)]
    table = state.table
    if entry == 0 or table[entry] != key or table[entry + 1] != count:
        return False
    for i in range(count):
        j = table[entry + 2 + 2 * i]
        if (
            state.flag[j] == PLACED
            or board.begin[j] < at[LEFT]
            or board.end[j] > at[RIGHT]
            or _value(state, j) != table[entry + 3 + 2 * i]
        ):
            return False
    return True


@numba.njit(cache=True, nogil=True)
def remember(state: State, at: IntArray) -> None:
    """Enter the state that a frame was opened with: it cannot be completed."""
    low, count = at[LOW], 0
    for p in range(low, at[HIGH]):  # unplaced ones to the front, the order does not matter
        j = state.pool[p]
        if state.flag[j] != PLACED:
            state.pool[p], state.pool[low + count] = state.pool[low + count], j
            load = state.pool_load[p]
            state.pool_load[p] = state.pool_load[low + count]
            state.pool_load[low + count] = load
            count += 1
    if 2 * count + 3 > len(state.table):
        return
    if state.heights[TABLE_TOP] + 2 * count + 3 > len(state.table):  # full: begin anew
        state.slots[:] = 0
        state.heights[TABLE_TOP] = 0
    entry = max(1, state.heights[TABLE_TOP])
    key = _hash(state, low, count)
    state.table[entry], state.table[entry + 1] = key, count
    for i in range(count):
        j = state.pool[low + i]
        state.table[entry + 2 + 2 * i] = j
        state.table[entry + 3 + 2 * i] = _value(state, j)
    state.slots[key & (len(state.slots) - 1)] = entry
    state.heights[TABLE_TOP] = entry + 2 * count + 2
