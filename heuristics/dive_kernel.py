"""The compiled part of the bound-guided dive; `memonger.heuristics.dive` says what it does."""

from __future__ import annotations

import numba
import numpy as np

from memonger.heuristics import head_heap
from memonger.heuristics.arena_boxes import list_conflicts, lowest
from memonger.heuristics.dive_state import (
    CAPACITY,
    HEAP,
    LEFT,
    NEAR,
    OPEN,
    PEAK,
    PLACED,
    POSTPONED,
    RAISED,
    STAMP,
    WAITING,
    WORK,
)

BUDGET = 10_000_000  # buffers looked at between two looks at the clock
ENDLESS = 1 << 62


@numba.njit(cache=True, nogil=True)
def place_some(boxes, overlaps, critical, state, retries, left, most):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Place buffers until so many are left, the capacity is above ``most``, or BUDGET is spent."""
    tally = state.tally
    while tally[LEFT] > left and tally[WORK] < BUDGET and tally[CAPACITY] <= most:
        _place_one(boxes, overlaps, critical, state, retries)


@numba.njit(cache=True, nogil=True)
def _place_one(boxes, overlaps, critical, state, retries):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Place the first buffer that the bound has nothing against, or the least bad one."""
    best = -1
    best_need = np.int64(ENDLESS)
    tries = 0
    while True:
        i = _next(boxes, state)
        stuck = state.status[i] == POSTPONED
        cut = np.int64(ENDLESS) if stuck else best_need
        need = _try(i, boxes, overlaps, critical, state, cut)
        if stuck or need <= state.tally[CAPACITY]:
            _commit(i, need, boxes, critical, state)
            return
        _undo(i, state)
        if need < best_need:
            best, best_need = i, need
        tries += 1
        if tries > retries or not _postpone(i, boxes, critical, state):
            break
    if best != i:
        state.tally[HEAP] = head_heap.push(
            state.heap_heads, state.heap_ranks, state.tally[HEAP], state.head[i], state.rank[i]
        )
    need = _try(best, boxes, overlaps, critical, state, np.int64(ENDLESS))
    _commit(best, need, boxes, critical, state)


@numba.njit(cache=True, nogil=True)
def _next(boxes, state):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Return the buffer whose turn it is: one that stays POSTPONED must be placed now.

    It is out of the heap, or still among those waiting. A postponed buffer is stuck when its top
    is no higher than the lowest head: nothing can push it any more.
    """
    tally = state.tally
    i = -1
    floor = np.int64(ENDLESS)
    while tally[HEAP] > 0:
        j = state.order[state.heap_ranks[0]]
        if state.head[j] == state.heap_heads[0]:
            i, floor = j, state.head[j]
            break
        head_heap.replace_least(
            state.heap_heads, state.heap_ranks, tally[HEAP], state.head[j], state.rank[j]
        )
    stuck = -1
    t = 0
    while t < tally[WAITING]:
        j = state.waiting[t]
        if state.status[j] != POSTPONED:
            tally[WAITING] -= 1
            state.waiting[t] = state.waiting[tally[WAITING]]
            continue
        fast = i < 0 or state.head[j] + boxes.size[j] <= floor
        if fast and (stuck < 0 or _before(j, stuck, state)):
            stuck = j
        t += 1
    if stuck >= 0:
        return stuck
    tally[HEAP] = head_heap.pop(state.heap_heads, state.heap_ranks, tally[HEAP])
    return i


@numba.njit(cache=True, nogil=True)
def _before(i, j, state):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    return (state.head[i], state.rank[i]) < (state.head[j], state.rank[j])


@numba.njit(cache=True, nogil=True)
def _try(i, boxes, overlaps, critical, state, cut):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Raise the heads of all that conflicts with i, and return what capacity it would need.

    Only what exceeds the capacity is exact, and not even that from ``cut`` on.
    """
    tally = state.tally
    tally[NEAR] = list_conflicts(i, boxes, overlaps, state.status, False, state.near)
    tally[WORK] += tally[NEAR]
    tally[RAISED] = 0
    top = state.head[i] + boxes.size[i]
    highest = top
    low, high = critical.begin[i], critical.end[i]
    for j in state.near[: tally[NEAR]]:
        if state.head[j] >= top:
            continue
        state.raised[tally[RAISED]] = j
        state.old[tally[RAISED]] = state.head[j]
        tally[RAISED] += 1
        state.head[j] = lowest(j, top, boxes)
        highest = max(highest, state.head[j])
        if critical.begin[j] < critical.end[j]:
            if low == high:
                low, high = critical.begin[j], critical.end[j]
            low = min(low, critical.begin[j])
            high = max(high, critical.end[j])
    state.status[i] = PLACED
    for s in range(low, high):
        state.crest[s] = max(state.crest[s], highest)
    need = _bound(i, low, high, boxes, critical, state, cut)
    return max(need, top)


@numba.njit(cache=True, nogil=True)
def _bound(i, low, high, boxes, critical, state, cut):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Return what capacity the critical sections ``[low, high)`` need, if it exceeds what is."""
    capacity = state.tally[CAPACITY]
    amount = _collect(i, low, high, boxes, critical, state)
    need = np.int64(0)
    for t in np.argsort(state.key[:amount]):
        j = state.column[t]
        most = np.int64(0)
        for s in range(max(low, critical.begin[j]), min(high, critical.end[j])):
            if state.total[s] >= 0:
                state.total[s] += boxes.size[j]
                most = max(most, state.total[s])
        if most - state.key[t] > need:
            need = most - state.key[t]
            if need > capacity and need >= cut:
                break
    return need


@numba.njit(cache=True, nogil=True)
def _collect(i, low, high, boxes, critical, state):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Collect what is not placed in the sections that may be too full, negated heads as keys.

    Returns how many these are. The total of such a section is set to 0, that of the others to -1:
    there even the sum of all sizes above the highest head keeps the capacity.
    """
    tally = state.tally
    tally[STAMP] += 1
    tally[WORK] += high - low
    amount = 0
    for s in range(low, high):
        state.total[s] = -1
        own = critical.begin[i] <= s < critical.end[i]
        room = tally[CAPACITY] - state.rest[s] + (boxes.size[i] if own else 0)
        if state.crest[s] <= room:
            continue
        highest = _survey(i, s, critical, state)
        state.crest[s] = max(highest, state.head[i]) if own else highest
        if highest <= room:
            continue
        state.total[s] = 0
        for j in state.live[critical.where[s] : state.live_end[s]]:
            if j != i and state.stamp[j] != tally[STAMP]:
                state.stamp[j] = tally[STAMP]
                state.column[amount] = j
                state.key[amount] = -_earliest(j, state)
                amount += 1
    return amount


@numba.njit(cache=True, nogil=True)
def _survey(i, s, critical, state):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Return the highest head of what is not placed in a section.

    What is placed, i apart, leaves the list of the section for good.
    """
    highest = np.int64(0)
    t = critical.where[s]
    state.tally[WORK] += state.live_end[s] - t
    while t < state.live_end[s]:
        j = state.live[t]
        if state.status[j] == PLACED and j != i:
            state.live_end[s] -= 1
            state.live[t] = state.live[state.live_end[s]]
            continue
        t += 1
        if j != i:
            highest = max(highest, _earliest(j, state))
    return highest


@numba.njit(cache=True, nogil=True)
def _earliest(j, state):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Return the lowest offset that a buffer can come to lie at."""
    if state.status[j] == POSTPONED:
        return max(state.head[j], state.pushed[j])
    return state.head[j]


@numba.njit(cache=True, nogil=True)
def _commit(i, need, boxes, critical, state):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Keep what was tried: postponed buffers that it pushes are open again."""
    tally = state.tally
    if need > tally[CAPACITY]:
        tally[CAPACITY] = need
    tally[LEFT] -= 1
    for s in range(critical.begin[i], critical.end[i]):
        state.rest[s] -= boxes.size[i]
    tally[PEAK] = max(tally[PEAK], state.head[i] + boxes.size[i])
    for j in state.raised[: tally[RAISED]]:
        if state.status[j] == POSTPONED:
            state.status[j] = OPEN
            tally[HEAP] = head_heap.push(
                state.heap_heads, state.heap_ranks, tally[HEAP], state.head[j], state.rank[j]
            )


@numba.njit(cache=True, nogil=True)
def _undo(i, state):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    state.status[i] = OPEN
    for t in range(state.tally[RAISED]):
        state.head[state.raised[t]] = state.old[t]


@numba.njit(cache=True, nogil=True)
def _postpone(i, boxes, critical, state):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Set a buffer aside until something pushes it; return whether something can."""
    top = state.head[i] + boxes.size[i]
    least = np.int64(ENDLESS)
    for j in state.near[: state.tally[NEAR]]:
        if state.head[j] < top:
            least = min(least, state.head[j] + boxes.size[j])
    if least == ENDLESS:
        return False
    state.status[i] = POSTPONED
    state.pushed[i] = least
    for s in range(critical.begin[i], critical.end[i]):
        state.crest[s] = max(state.crest[s], least)
    state.waiting[state.tally[WAITING]] = i
    state.tally[WAITING] += 1
    return True
