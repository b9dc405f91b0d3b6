"""The bound-guided dive: the canonical greedy that looks ahead before each step.

Before a buffer is placed at its head, the heads that it would raise are put to a bound in the
fullest sections. If they would no longer fit into the capacity, the buffer is postponed: something
else must come below it. Nothing is taken back later; where all of several buffers fail, the least
bad is placed and the capacity rises to what it needs.
"""

from __future__ import annotations

from memonger.graph.sections import Sections
from memonger.heuristics.arena_boxes import pins_clash
from memonger.heuristics.dive_kernel import ENDLESS, place_some
from memonger.heuristics.dive_state import (
    CAPACITY,
    LEFT,
    WORK,
    State,
    Terrain,
    begin_state,
    terrain_of,
)
from memonger.problem import IntArray
from memonger.stop import Deadline


def dive(
    sections: Sections,
    order: IntArray,
    capacity: int,
    *,
    retries: int = 8,
    below: int | None = None,
    deadline: Deadline | None = None,
    terrain: Terrain | None = None,
) -> IntArray | None:
    """Place the buffers from the bottom up, guided by a bound.

    Parameters
    ----------
    sections
        The buffers.
    order
        Buffer indices: which of equal heads comes first.
    capacity
        What the peak should not exceed, in units; the load is the most ambitious one.
    retries
        Buffers that are tried beside the first one before one of them is placed all the same.
    below
        Give up when the peak will not be below it, in units.
    deadline
        When to give up.
    terrain
        `terrain_of` the sections, if it is at hand.

    Returns
    -------
    IntArray or None
        Offset of each buffer in units; ``None`` where it gave up, or if pinned buffers overlap.

    Notes
    -----
    The bound is that of preemptive scheduling (Jackson): in a section, the buffers with heads of h
    and more end at h + their sizes or above. It is computed for the critical sections, the
    fullest ones, that a raised head lies in: O(m log m) for m buffers there. Conflicts are listed,
    not stored: memory O(n + s).
    """
    if pins_clash(sections):
        return None
    terrain = terrain_of(sections) if terrain is None else terrain
    state = begin_state(terrain, order, capacity)
    return state.head if advance(terrain, state, retries, 0, below, deadline) else None


def advance(
    terrain: Terrain,
    state: State,
    retries: int,
    left: int,
    below: int | None = None,
    deadline: Deadline | None = None,
) -> bool:
    """Place buffers until so many are left.

    Parameters
    ----------
    terrain, state
        The buffers and the dive; the state changes.
    retries, below, deadline
        As in `dive`.
    left
        Buffers that are not to be placed.

    Returns
    -------
    bool
        ``False`` if it gave up before.
    """
    most = ENDLESS if below is None else below - 1
    while state.tally[LEFT] > left and state.tally[CAPACITY] <= most:
        if deadline is not None and deadline.expired:
            return False
        state.tally[WORK] = 0
        place_some(terrain.boxes, terrain.overlaps, terrain.critical, state, retries, left, most)
    return bool(state.tally[CAPACITY] <= most)
