"""Bounds of the search for placements: which nodes cannot be completed."""

from __future__ import annotations

import numba
import numpy as np

from memonger.solver.placement import (
    BLOCK,
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
from memonger.vector_time import IntArray

FAR = 1 << 62


@numba.njit(cache=True, nogil=True)
def survey(board: Board, state: State, at: IntArray) -> tuple[int, int, int, int]:
    """Return how many are unplaced, their lowest head, smallest size, how many are postponed.

    Head and size are those of buffers that are not postponed. In the pool what is placed, one
    buffer at most, comes behind the others.
    """
    low, high = at[LOW], at[HIGH]
    pool, load, bound = state.pool[low:high], state.pool_load[low:high], state.bound
    count, floor, smallest, postponed = 0, FAR, FAR, 0
    placed, placed_load = -1, 0
    for p in range(len(pool)):
        j, of_j = pool[p], load[p]
        if state.flag[j] == PLACED:
            placed, placed_load = j, of_j
            continue
        head = state.head[j]
        pool[count], load[count], bound[count] = j, of_j, head
        count += 1
        if state.mark[j] == head:
            state.flag[j] = POSTPONED
            postponed += 1
        else:
            state.flag[j] = OPEN
            floor = min(floor, head)
            smallest = min(smallest, board.size[j])
    if placed >= 0:
        pool[count], load[count] = placed, placed_load
    return count, floor, smallest, postponed


@numba.njit(cache=True, nogil=True)
def raise_postponed(board: Board, state: State, at: IntArray, count: int, top_of_next: int) -> bool:
    """Bound the offsets of postponed buffers (a); return False where nothing could raise one."""
    pool = state.pool[at[LOW] : at[LOW] + count]
    begin, end, bottom, top = state.box[0], state.box[1], state.box[2], state.box[3]
    for p in range(count):
        j = pool[p]
        # A postponed neighbour is itself raised by another one before.
        lowest = state.head[j] if state.flag[j] == OPEN else top_of_next
        begin[p], end[p], bottom[p] = board.begin[j], board.end[j], lowest
        top[p] = lowest + board.size[j]
    for p in range(count):
        j = pool[p]
        if state.flag[j] != POSTPONED:
            continue
        if board.pinned[j] >= 0:
            return False
        own, bottom[p] = bottom[p], state.far[0]
        above = state.bound[p] + state.total.dtype.type(board.size[j])
        lowest = _lowest_top(state.box, count, begin[p], end[p], above, state.far[0])
        bottom[p] = own
        if lowest == state.far[0]:
            return False
        state.bound[p] = lowest
    return True


@numba.njit(cache=True, nogil=True)
def _lowest_top(box, count, left, right, above, far):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Return the lowest top of what is live in sections [left, right), of bottoms below."""
    lowest = far
    begin, end, bottom, top = box[0, :count], box[1, :count], box[2, :count], box[3, :count]
    for q in range(len(begin)):
        hits = (begin[q] < right) & (end[q] > left) & (bottom[q] < above)
        lowest = min(lowest, top[q] if hits else far)
    return lowest


@numba.njit(cache=True, nogil=True)
def sections_fit(
    board: Board, state: State, at: IntArray, count: int, capacity: int, by_reach: bool
) -> bool:
    """Return whether the unplaced buffers fit above their bounds in every section (b).

    The buffers of the component are sorted: unplaced ones first, the highest bound first.
    """
    low, total, reach = at[LOW], state.total, state.reach
    _sort(state, low, count)
    for s in range(at[LEFT] // BLOCK * BLOCK, -(-at[RIGHT] // BLOCK) * BLOCK):
        total[s] = 0
    if by_reach:
        reach[at[LEFT] : at[RIGHT]] = 0
    for p in range(count):
        j = state.pool[low + p]
        row = board.rows[board.row[j] : board.row[j + 1]]
        left = board.row_begin[j]
        bound = np.int64(state.bound[p])
        highest = np.int64(_add(total[left : left + len(row)], row))
        if by_reach:
            for s in range(board.begin[j], board.end[j]):
                reach[s] = max(reach[s], total[s] + bound)
        if bound + highest > capacity:
            state.weight[j] += 1.0
            return False
    return True


@numba.njit(cache=True, nogil=True, inline="always")
def _add(total, row):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Add sizes in some blocks; return the largest sum. Most of the time of a search.

    Sums beside the live range of the buffer stay as they are; they did fit above a higher bound.
    """
    highest = total[0]
    for s in range(len(total)):
        total[s] += row[s]
        highest = max(highest, total[s])
    return highest


@numba.njit(cache=True, nogil=True)
def _sort(state: State, low: int, count: int) -> None:
    """Sort by bound, highest first, by insertion: from node to node little changes."""
    pool, load, bound = state.pool, state.pool_load, state.bound
    for p in range(1, count):
        x = bound[p]
        if bound[p - 1] >= x:
            continue
        j, of_j = pool[low + p], load[low + p]
        q = p
        while q > 0 and bound[q - 1] < x:
            bound[q] = bound[q - 1]
            pool[low + q] = pool[low + q - 1]
            load[low + q] = load[low + q - 1]
            q -= 1
        pool[low + q], load[low + q], bound[q] = j, of_j, x


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
def remember(state: State, at: IntArray, count: int) -> None:
    """Enter the state that a frame was opened with: it cannot be completed."""
    low = at[LOW]
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
