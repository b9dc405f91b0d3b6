"""The search for a placement within a capacity, compiled.

Placements are looked for in canonical form (Moffitt 2023): no buffer could lie lower, and they are
placed in the order of their offsets. At each node the buffer of the best rank among those with the
lowest head is placed at its head; the other branch marks it *postponed*: something must raise its
head before it is tried again. A node fails where

(a) a postponed buffer has no unplaced neighbour that could raise it; else its offset is at least
    the lowest top of one that could;
(b) in a section, an unplaced buffer and all unplaced ones above it do not fit (as for one machine
    with heads and tails: Jackson's preemptive schedule);
(c) the same state has failed before: same buffers, heads and marks, compared exactly.

Where no unplaced buffer crosses the border of two sections, both sides are placed by themselves.

References
----------
M. D. Moffitt, "MiniMalloc: A Lightweight Memory Allocator for Hardware-Accelerated Machine
Learning", ASPLOS 2023.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from memonger.problem import IntArray
from memonger.solver.placement import (
    FRAME,
    LEFT,
    LOW,
    MARK_TOP,
    NEXT,
    NODES,
    POOL_TOP,
    RIGHT,
    Board,
    State,
)
from memonger.solver.placement_bounds import (
    FAR,
    is_known,
    raise_postponed,
    remember,
    sections_fit,
    survey,
)
from memonger.solver.placement_frames import (
    clear,
    forget_marks,
    open_frame,
    open_waiting,
    place,
    postpone,
    split,
    step_back,
    take_back,
)

FloatArray = npt.NDArray[np.float64]

FITS, FULL, GAVE_UP = 1, 0, 2
"""How a search ends: a placement was found, there is none, or the limit was reached."""


@numba.njit(cache=True, nogil=True)
def place_all(
    board: Board,
    state: State,
    keys: FloatArray,
    load_key: int,
    by_reach: bool,
    capacity: int,
    limit: int,
) -> int:
    """Search for a placement of all buffers below the capacity.

    Parameters
    ----------
    board, state
        A `Board` and its `State`; the table of the state may hold states that failed at this
        capacity or a larger one.
    keys
        Rank of the buffers: larger keys first, the first one that differs decides; shape (keys,
        buffers), float64.
    load_key
        The key in whose place the largest load of the component counts, or -1.
    by_reach
        Whether this load is instead how high the unplaced buffers reach, at each node.
    capacity
        Units.
    limit
        Nodes.

    Returns
    -------
    int
        `FITS`: the placement is in ``state.offset``. `FULL`: there is none. `GAVE_UP`.
    """
    clear(board, state)
    state.heights[FRAME] = -1
    for i in range(len(board.size)):
        state.pool[i] = i
        if board.pinned[i] + board.size[i] > capacity:
            return FULL
    state.heights[POOL_TOP] = len(board.size)
    if not split(board, state, 0, len(board.size), 0, len(state.reach) - 1, -1, -1):
        return GAVE_UP
    if state.heights[FRAME] < 0:
        return FITS  # there are no buffers
    fresh = True
    while state.heights[MARK_TOP] + len(board.size) <= len(state.marks):
        frame = state.heights[FRAME]
        at = state.frames[frame]
        count, floor, smallest, postponed = survey(board, state, at)
        if count == 0:
            if at[NEXT] < 0:
                return FITS
            open_waiting(state, at[NEXT])
            fresh = True
            continue
        fails = floor == FAR
        if not fails and postponed:
            fails = not raise_postponed(board, state, at, count, floor + smallest)
        if not fails:
            fails = not sections_fit(board, state, at, count, capacity, by_reach)
        known = not fails and fresh and is_known(board, state, at, count)
        if fails or known:
            if not known:
                forget_marks(state, at)
                remember(state, at, count)
            if not step_back(board, state):
                return FULL
            fresh = False
            continue
        state.heights[NODES] += 1
        if state.heights[NODES] > limit:
            return GAVE_UP
        chosen = _best_ranked(board, state, at, count, floor, keys, load_key, by_reach)
        valid, splits = place(board, state, at, chosen, floor)
        if not valid:
            postpone(board, state, at, take_back(board, state, at))
            fresh = False
            continue
        fresh = True
        if splits:
            low, left, right = at[LOW], at[LEFT], at[RIGHT]
            if not split(board, state, low, low + count, left, right, frame, at[NEXT]):
                return GAVE_UP
        else:
            open_frame(state, at[LOW], at[LOW] + count, at[LEFT], at[RIGHT], frame, at[NEXT])
    return GAVE_UP


@numba.njit(cache=True, nogil=True)
def _best_ranked(
    board: Board,
    state: State,
    at: IntArray,
    count: int,
    floor: int,
    keys: FloatArray,
    load_key: int,
    by_reach: bool,
) -> int:
    """Return the buffer of the best rank among those whose head is the floor, none postponed."""
    best, best_load = -1, 0
    for p in range(count - 1, -1, -1):  # sorted by bounds: all others are above the floor
        if state.bound[p] != floor:
            break
        j = state.pool[at[LOW] + p]
        load = state.pool_load[at[LOW] + p]
        if by_reach and load_key >= 0:
            load = state.reach[board.begin[j] : board.end[j]].max()
        better = 0
        for m in range(len(keys)):
            one = load if m == load_key else keys[m, j]
            other = best_load if m == load_key else keys[m, best]
            if one != other:
                better = 1 if one > other else -1
                break
        if best < 0 or better > 0 or (better == 0 and j < best):
            best, best_load = j, load
    return best
