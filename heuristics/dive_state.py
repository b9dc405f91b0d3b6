"""What a dive works on: its terrain, which it never changes, and its state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numba
import numpy as np

from memonger.graph.sections import FREE, Sections
from memonger.heuristics.arena_boxes import (
    Boxes,
    Flags,
    Overlaps,
    boxes_of,
    lowest,
    overlaps_of,
)
from memonger.heuristics.arena_orders import ranks
from memonger.problem import IntArray

CRITICAL_LOAD = 0.85
CRITICAL_MEMBERS = 300_000
CRITICAL_MEMBERS_PER_BUFFER = 4

OPEN, PLACED, POSTPONED = 0, 1, 2
# What `State.tally` counts.
HEAP, LEFT, WAITING, CAPACITY, PEAK, STAMP, WORK, NEAR, RAISED = range(9)


class Critical(NamedTuple):
    """The sections that the bound is asked about.

    Parameters
    ----------
    begin, end
        Live range of each buffer among the critical sections, half-open.
    members
        Buffers live in each critical section, one section after another.
    where
        Where each section begins in ``members``, and where the last one ends.
    """

    begin: IntArray
    end: IntArray
    members: IntArray
    where: IntArray


@dataclass(frozen=True, eq=False)
class Terrain:
    """Buffers and all that any number of dives over them share."""

    sections: Sections
    boxes: Boxes
    overlaps: Overlaps
    critical: Critical
    ground: IntArray
    """The lowest offset of each buffer in the empty arena, or its pin."""

    @property
    def load(self) -> int:
        """Units live in the fullest section."""
        return int(self.sections.load.max(initial=0))


class State(NamedTuple):
    """How far a dive has come, in arrays that compiled functions change.

    Parameters
    ----------
    head
        Lowest offset of each buffer on top of all that is placed; its offset once it is placed.
    pushed
        For a postponed buffer: no lower it will come to lie.
    status
        ``OPEN``, ``PLACED`` or ``POSTPONED``.
    order, rank
        Which of equal heads comes first, and its inverse.
    heap_heads, heap_ranks
        The open buffers, lowest head on top.
    waiting
        The postponed buffers, and some that no longer are.
    live, live_end
        The members of the critical sections, those that are not placed in front, and their ends.
    rest, crest
        Of each critical section: the sum of the sizes that are not placed, and what no head of
        theirs exceeds.
    near, raised, old, column, key, stamp, total
        Room to work in.
    tally
        Numbers: see the constants of this module.
    """

    head: IntArray
    pushed: IntArray
    status: Flags
    order: IntArray
    rank: IntArray
    heap_heads: IntArray
    heap_ranks: IntArray
    waiting: IntArray
    live: IntArray
    live_end: IntArray
    rest: IntArray
    crest: IntArray
    near: IntArray
    raised: IntArray
    old: IntArray
    column: IntArray
    key: IntArray
    stamp: IntArray
    total: IntArray
    tally: IntArray


def terrain_of(sections: Sections) -> Terrain:
    """Return the terrain of dives: O(n log n + s log s), in memory O(n + s)."""
    boxes = boxes_of(sections)
    return Terrain(sections, boxes, overlaps_of(sections), _critical(sections), _ground(boxes))


def _critical(sections: Sections) -> Critical:
    """Choose the fullest sections: so many that their members stay few."""
    load = sections.load
    begins, ends = np.sort(sections.begin), np.sort(sections.end)
    numbers = np.arange(sections.num_sections)
    live = np.searchsorted(begins, numbers, "right") - np.searchsorted(ends, numbers, "right")
    fullest = np.argsort(-load, kind="stable")
    most = max(CRITICAL_MEMBERS, CRITICAL_MEMBERS_PER_BUFFER * len(sections))
    few = int(np.searchsorted(np.cumsum(live[fullest]), most, side="right"))
    full = int((load >= CRITICAL_LOAD * load.max(initial=0)).sum())
    chosen = np.sort(fullest[: max(1, min(few, full))])
    begin, end = np.searchsorted(chosen, sections.begin), np.searchsorted(chosen, sections.end)
    where = np.concatenate([[0], np.cumsum(live[chosen])])
    return Critical(begin, end, _members(begin, end, where), where)


@numba.njit(cache=True, nogil=True)
def _members(begin, end, where):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    members = np.empty(where[-1], np.int64)
    free = where.copy()
    for i in range(len(begin)):
        for s in range(begin[i], end[i]):
            members[free[s]] = i
            free[s] += 1
    return members


@numba.njit(cache=True, nogil=True)
def _ground(boxes):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    ground = boxes.pinned.copy()
    for i in range(len(ground)):
        if ground[i] < 0:
            ground[i] = lowest(i, 0, boxes)
    return ground


@numba.njit(cache=True, nogil=True)
def _rest(critical, size, head, pushed, status):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    rest = np.zeros(len(critical.where) - 1, np.int64)
    crest = np.zeros(len(critical.where) - 1, np.int64)
    for i in range(len(size)):
        if status[i] != PLACED:
            high = max(head[i], pushed[i]) if status[i] == POSTPONED else head[i]
            for s in range(critical.begin[i], critical.end[i]):
                rest[s] += size[i]
                crest[s] = max(crest[s], high)
    return rest, crest


def begin_state(terrain: Terrain, order: IntArray, capacity: int) -> State:
    """Return the state in which only the pinned buffers are placed."""
    pinned = terrain.sections.pinned != FREE
    tops = terrain.ground + terrain.sections.size
    status = np.where(pinned, PLACED, OPEN).astype(np.int8)
    peak = int(tops.max(initial=0, where=pinned))
    return state_of(
        terrain, order, terrain.ground.copy(), np.full(len(pinned), -1), status, capacity, peak
    )


def state_of(
    terrain: Terrain,
    order: IntArray,
    head: IntArray,
    pushed: IntArray,
    status: Flags,
    capacity: int,
    peak: int,
) -> State:
    """Return the state of a dive to be continued; it takes over the three arrays.

    Parameters
    ----------
    terrain
        The buffers.
    order
        Which of equal heads comes first, shape (buffers,).
    head, pushed, status
        As in `State`.
    capacity
        What the peak should not exceed, in units.
    peak
        The highest top of a placed buffer, in units.
    """
    count = len(head)
    rank = ranks(order)
    open_ = np.flatnonzero(status == OPEN)
    open_ = open_[np.lexsort((rank[open_], head[open_]))]
    waiting = np.zeros(count + 1, dtype=np.int64)
    postponed = np.flatnonzero(status == POSTPONED)
    waiting[: len(postponed)] = postponed
    critical = terrain.critical
    heap_heads, heap_ranks = np.zeros(count, np.int64), np.zeros(count, np.int64)
    heap_heads[: len(open_)], heap_ranks[: len(open_)] = head[open_], rank[open_]
    numbers = np.zeros(9, dtype=np.int64)
    numbers[HEAP], numbers[WAITING] = len(open_), len(postponed)
    numbers[LEFT] = len(open_) + len(postponed)
    numbers[CAPACITY], numbers[PEAK] = max(capacity, peak), peak
    rest, crest = _rest(critical, terrain.boxes.size, head, pushed, status)
    return State(
        head=head,
        pushed=pushed,
        status=status,
        order=np.ascontiguousarray(order, dtype=np.int64),
        rank=rank,
        heap_heads=heap_heads,
        heap_ranks=heap_ranks,
        waiting=waiting,
        live=critical.members.copy(),
        live_end=critical.where[1:].copy(),
        rest=rest,
        crest=crest,
        near=np.zeros(count, np.int64),
        raised=np.zeros(count, np.int64),
        old=np.zeros(count, np.int64),
        column=np.zeros(count, np.int64),
        key=np.zeros(count, np.int64),
        stamp=np.zeros(count, np.int64),
        total=np.zeros(len(rest), np.int64),
        tally=numbers,
    )
