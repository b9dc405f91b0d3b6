"""Frames of the search for placements: components are opened, buffers placed and taken back."""

from __future__ import annotations

import numba
import numpy as np

from memonger.problem import IntArray
from memonger.solver.placement import (
    CHOSEN,
    DEEPEST,
    FRAME,
    HIGH,
    LEFT,
    LOW,
    MARK_TOP,
    MARKS,
    NEXT,
    ON_FAILURE,
    OPEN,
    PLACED,
    POOL,
    POOL_TOP,
    QUEUE,
    QUEUE_TOP,
    RAISE_TOP,
    RAISES,
    RIGHT,
    TABLE_TOP,
    WAITS_NEXT,
    WAITS_ON_FAILURE,
    Board,
    State,
)


@numba.njit(cache=True, nogil=True)
def clear(board: Board, state: State) -> None:
    """Begin anew, but for the table and the weights."""
    state.heights[:TABLE_TOP] = 0
    state.crossing[:] = 0
    for i in range(len(board.size)):
        state.head[i] = max(np.int64(0), board.pinned[i])
        state.mark[i] = -1
        state.flag[i] = OPEN
        for s in range(board.begin[i], board.end[i] - 1):
            state.crossing[s] += 1


@numba.njit(cache=True, nogil=True)
def split(
    board: Board,
    state: State,
    low: int,
    high: int,
    left: int,
    right: int,
    on_failure: int,
    following: int,
) -> bool:
    """Open the first of the components that pool[low:high] falls into; the others wait.

    Return False where a stack is full.
    """
    begin, end, pool = board.begin, board.end, state.pool
    if state.heights[POOL_TOP] + (high - low) > len(pool):
        return False
    first = previous = -1
    start = left
    for s in range(left, right):
        if s < right - 1 and state.crossing[s] > 0:
            continue
        bottom = top = state.heights[POOL_TOP]
        for p in range(low, high):
            j = pool[p]
            if state.flag[j] != PLACED and begin[j] >= start and end[j] <= s + 1:
                pool[top] = j
                top += 1
        if top > bottom:
            _load(board, state, bottom, top, start, s + 1)
            row = state.heights[QUEUE_TOP]
            waits = state.queue[row]
            waits[LOW], waits[HIGH], waits[LEFT], waits[RIGHT] = bottom, top, start, s + 1
            waits[WAITS_ON_FAILURE] = on_failure
            if previous >= 0:
                state.queue[previous, WAITS_NEXT] = row
            else:
                first = row
            previous = row
            state.heights[QUEUE_TOP] += 1
            state.heights[POOL_TOP] = top
        start = s + 1
    if previous >= 0:
        state.queue[previous, WAITS_NEXT] = following
        open_waiting(state, first)
    elif following >= 0:
        open_waiting(state, following)
    elif state.heights[FRAME] >= 0:  # nothing is left: an empty component
        open_frame(state, low, low, left, right, on_failure, -1)
    return True


@numba.njit(cache=True, nogil=True)
def _load(board: Board, state: State, low: int, high: int, left: int, right: int) -> None:
    """Set the largest load that each buffer of a component sees, of its unplaced buffers."""
    total = state.total
    total[left:right] = 0
    for p in range(low, high):
        j = state.pool[p]
        total[board.begin[j] : board.end[j]] += board.size[j]
    for p in range(low, high):
        j = state.pool[p]
        state.pool_load[p] = total[board.begin[j] : board.end[j]].max()


@numba.njit(cache=True, nogil=True)
def open_waiting(state: State, row: int) -> None:
    """Open a frame for a component that waits."""
    waits = state.queue[row]
    low, high, left, right = waits[LOW], waits[HIGH], waits[LEFT], waits[RIGHT]
    open_frame(state, low, high, left, right, waits[WAITS_ON_FAILURE], waits[WAITS_NEXT])


@numba.njit(cache=True, nogil=True)
def open_frame(
    state: State, low: int, high: int, left: int, right: int, on_failure: int, following: int
) -> None:
    """Open a frame for a component."""
    state.heights[FRAME] += 1
    state.heights[DEEPEST] = max(state.heights[DEEPEST], state.heights[FRAME])
    at = state.frames[state.heights[FRAME]]
    at[LOW], at[HIGH], at[LEFT], at[RIGHT] = low, high, left, right
    at[CHOSEN], at[ON_FAILURE], at[NEXT] = -1, on_failure, following
    at[RAISES], at[MARKS] = state.heights[RAISE_TOP], state.heights[MARK_TOP]
    at[POOL], at[QUEUE] = state.heights[POOL_TOP], state.heights[QUEUE_TOP]


@numba.njit(cache=True, nogil=True)
def place(board: Board, state: State, at: IntArray, chosen: int, floor: int) -> tuple[bool, bool]:
    """Place a buffer; return whether no pinned buffer is in its way, and whether time splits."""
    state.flag[chosen] = PLACED
    state.offset[chosen] = floor
    at[CHOSEN] = chosen
    top = floor + board.size[chosen]
    valid = True
    for t in range(board.first[chosen], board.first[chosen + 1]):
        k = board.neighbours[t]
        if state.flag[k] == PLACED or state.head[k] >= top:
            continue
        trail = state.raises[state.heights[RAISE_TOP]]
        trail[0], trail[1] = k, state.head[k]
        state.heights[RAISE_TOP] += 1
        state.head[k] = top + -top % board.alignment[k]
        if board.pinned[k] >= 0:
            valid = False
    splits = False
    for s in range(board.begin[chosen], board.end[chosen] - 1):
        state.crossing[s] -= 1
        if state.crossing[s] == 0:
            splits = True
    return valid, splits


@numba.njit(cache=True, nogil=True)
def take_back(board: Board, state: State, at: IntArray) -> int:
    """Take the buffer of a frame back; return it."""
    chosen = at[CHOSEN]
    while state.heights[RAISE_TOP] > at[RAISES]:
        state.heights[RAISE_TOP] -= 1
        trail = state.raises[state.heights[RAISE_TOP]]
        state.head[trail[0]] = trail[1]
    for s in range(board.begin[chosen], board.end[chosen] - 1):
        state.crossing[s] += 1
    state.flag[chosen] = OPEN
    state.heights[POOL_TOP], state.heights[QUEUE_TOP] = at[POOL], at[QUEUE]
    at[CHOSEN] = -1
    return int(chosen)


@numba.njit(cache=True, nogil=True)
def postpone(board: Board, state: State, at: IntArray, chosen: int) -> None:
    """Mark a buffer and its twins: none of them lies at this head."""
    head = state.head[chosen]
    for p in range(at[LOW], at[HIGH]):
        k = state.pool[p]
        if (
            state.flag[k] != PLACED
            and board.twin[k] == board.twin[chosen]
            and state.head[k] == head
            and state.mark[k] != head
        ):
            trail = state.marks[state.heights[MARK_TOP]]
            trail[0], trail[1] = k, state.mark[k]
            state.heights[MARK_TOP] += 1
            state.mark[k] = head


@numba.njit(cache=True, nogil=True)
def forget_marks(state: State, at: IntArray) -> None:
    """Take back the marks that were made since a frame was opened."""
    while state.heights[MARK_TOP] > at[MARKS]:
        state.heights[MARK_TOP] -= 1
        trail = state.marks[state.heights[MARK_TOP]]
        state.mark[trail[0]] = trail[1]


@numba.njit(cache=True, nogil=True)
def step_back(board: Board, state: State) -> bool:
    """Leave a component that cannot be placed: another choice is due where it came from.

    Siblings that are placed by now have no part in it: their frames are dropped too. Return False
    where there is no other choice.
    """
    target = state.frames[state.heights[FRAME], ON_FAILURE]
    if target < 0:
        return False
    chosen = -1
    while state.heights[FRAME] > target:
        forget_marks(state, state.frames[state.heights[FRAME]])
        state.heights[FRAME] -= 1
        at = state.frames[state.heights[FRAME]]
        if at[CHOSEN] >= 0:
            chosen = take_back(board, state, at)
    postpone(board, state, state.frames[target], chosen)
    return True
