"""Buffers put below a capacity one by one; what is in the way comes out and is put back elsewhere.

Where a buffer fits nowhere, it takes the place where what it must drive out matters least. A buffer
that is driven out again and again, or must drive out others, comes to matter more, so that the same
ones do not change places for ever.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from memonger.graph.sections import FREE, Sections
from memonger.heuristics.arena_boxes import Boxes, Flags, Overlaps, list_conflicts
from memonger.heuristics.canonical import height_over, raise_over
from memonger.problem import IntArray
from memonger.stop import Deadline

PATIENCE = 30_000
"""Steps without fewer buffers left over after which it gives up."""
PUSHES = 2_000
"""Steps after which all is pushed to the bottom or to the top, so that holes become one."""
PUSHES_PER_BUFFER = 0.05
BUDGET = 5_000_000  # buffers looked at between two looks at the clock

EXPONENT = 1.5
"""A buffer matters by its area to the power of this."""
MEAN = 1_000
"""What buffers matter on average; the most is `MOST`."""
MOST = 1 << 32
FIXED = 1 << 42
"""What a pinned buffer matters, or more: it never comes out."""

LEFT, WORK, STEPS, LEAST, RECORD, BLOCKED = range(6)


class State(NamedTuple):
    """Arrays that compiled functions change.

    Parameters
    ----------
    offsets, placed
        Where buffers are placed, and which ones.
    weight
        How much each buffer matters.
    stack
        The buffers that are left over, the next one last.
    near
        Room to list conflicts in.
    tally
        Numbers: see the constants of this module.
    """

    offsets: IntArray
    placed: Flags
    weight: IntArray
    stack: IntArray
    near: IntArray
    tally: IntArray


class Ejection:
    """Buffers below a capacity, and those that are left over.

    Parameters
    ----------
    sections, boxes, overlaps
        The buffers.
    offsets
        Units; what is placed must not overlap. A copy is made.
    placed
        1 for each buffer that is placed, else 0; all pinned ones are.
    seed
        Of the random choices: among places as good, and of the side that all is pushed to.
    """

    def __init__(
        self,
        sections: Sections,
        boxes: Boxes,
        overlaps: Overlaps,
        offsets: IntArray,
        placed: Flags,
        seed: int = 0,
    ) -> None:
        self._boxes = boxes
        self._overlaps = overlaps
        self._rng = np.random.default_rng(seed)
        area = sections.size.astype(np.float64) * (sections.end - sections.begin)
        weight = (area / area.max(initial=1.0)) ** EXPONENT
        weight = np.clip(weight * (MEAN * len(weight) / max(1.0, weight.sum())), 1, MOST).astype(
            np.int64
        )
        weight[sections.pinned != FREE] = FIXED
        left = np.flatnonzero(placed == 0)
        stack = np.zeros(len(sections), dtype=np.int64)
        stack[: len(left)] = left[np.argsort(area[left], kind="stable")]
        tally = np.zeros(6, dtype=np.int64)
        tally[LEFT] = len(left)
        self._state = State(
            offsets.astype(np.int64), placed.copy(), weight, stack, np.zeros_like(stack), tally
        )

    @property
    def offsets(self) -> IntArray:
        """Offsets in units, of those that are placed."""
        return self._state.offsets

    def fill(self, capacity: int, deadline: Deadline, patience: int = PATIENCE) -> bool:
        """Put what is left over below a capacity, the largest areas first.

        Parameters
        ----------
        capacity
            Units; no placed buffer may end above it.
        deadline
            When to give up.
        patience
            Steps without fewer buffers left over after which to give up.

        Returns
        -------
        bool
            Whether all buffers are placed. If not, a larger capacity may be tried next.

        Notes
        -----
        A step takes O(m log m) for the m buffers that are live together with one.
        """
        every = max(PUSHES, int(PUSHES_PER_BUFFER * len(self.offsets)))
        tally = self._state.tally
        tally[LEAST], tally[RECORD], tally[BLOCKED] = tally[LEFT], tally[STEPS], 0
        while tally[LEFT]:
            if tally[STEPS] - tally[RECORD] > patience or deadline.expired:
                return False
            tally[WORK] = 0
            _fill(self._rng, every, capacity, self._boxes, self._overlaps, self._state)
            if tally[BLOCKED]:
                return False
        return True


@numba.njit(cache=True, nogil=True)
def _fill(rng, every, capacity, boxes, overlaps, state):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Place buffers until none is left, one cannot be placed at all, or BUDGET is spent."""
    tally = state.tally
    while tally[LEFT] > 0 and tally[WORK] < BUDGET:
        if tally[STEPS] % every == 0:
            _push(rng.random() < 0.5, capacity, len(overlaps.first) - 1, boxes, state)
            tally[WORK] += 10 * len(state.offsets)
        tally[STEPS] += 1
        i = state.stack[tally[LEFT] - 1]
        count = list_conflicts(i, boxes, overlaps, state.placed, True, state.near)
        tally[WORK] += 10 * count + 100
        place, cost = _cheapest(rng, i, count, capacity, boxes, state)
        if cost >= FIXED:
            tally[BLOCKED] = 1
            return
        tally[LEFT] -= 1
        if cost > 0:
            _drive_out(i, place, count, boxes, state)
        state.offsets[i] = place
        state.placed[i] = 1
        if tally[LEFT] < tally[LEAST]:
            tally[LEAST], tally[RECORD] = tally[LEFT], tally[STEPS]


@numba.njit(cache=True, nogil=True)
def _drive_out(i, place, count, boxes, state):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Take out what is in the way of i; that and i come to matter more."""
    weight, tally = state.weight, state.tally
    top = place + boxes.size[i]
    weight[i] = min(MOST, weight[i] + weight[i] // 10 + 1)
    for j in state.near[:count]:
        if state.offsets[j] < top and state.offsets[j] + boxes.size[j] > place:
            weight[j] = min(MOST, weight[j] + weight[j] // 10 + 1)
            state.placed[j] = 0
            state.stack[tally[LEFT]] = j
            tally[LEFT] += 1


@numba.njit(cache=True, nogil=True)
def _cheapest(rng, i, count, capacity, boxes, state):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Return the offset of i for which what must come out matters least, and how much that is.

    In multiples of the alignment of i, each conflicting buffer is in the way on one range. The
    cost changes only at their ends: a least one is at 0, where a range ends, or just before one
    begins; at random where there are several.
    """
    size, step = boxes.size[i], boxes.alignment[i]
    last = (capacity - size) // step
    if size > capacity:
        return np.int64(0), np.int64(FIXED)
    where = np.empty(2 * count, np.int64)
    change = np.empty(2 * count, np.int64)
    amount = 0
    cost = np.int64(0)
    for j in state.near[:count]:
        low = (state.offsets[j] - size) // step + 1
        high = -(-(state.offsets[j] + boxes.size[j]) // step)
        if low > last:
            continue
        if low <= 0:
            cost += state.weight[j]
        else:
            where[amount], change[amount] = low, state.weight[j]
            amount += 1
        if high <= last:
            where[amount], change[amount] = high, -state.weight[j]
            amount += 1
    best, least, ties = np.int64(0), cost, 1
    order = np.argsort(where[:amount])
    t = 0
    while t < amount:
        at = where[order[t]]
        before = cost
        rises = falls = False
        while t < amount and where[order[t]] == at:
            rises |= change[order[t]] > 0
            falls |= change[order[t]] < 0
            cost += change[order[t]]
            t += 1
        if rises and before <= least:
            ties = ties + 1 if before == least else 1
            if ties == 1 or rng.random() * ties < 1:
                best, least = at - 1, before
        if falls and cost <= least:
            ties = ties + 1 if cost == least else 1
            if ties == 1 or rng.random() * ties < 1:
                best, least = at, cost
    return best * step, least


@numba.njit(cache=True, nogil=True)
def _push(up, capacity, num_sections, boxes, state):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Push all that is placed down to 0, or up to the capacity, in its order; pins stay."""
    leaves = 1
    while leaves < num_sections:
        leaves *= 2
    tree, cover = np.zeros(2 * leaves, np.int64), np.zeros(2 * leaves, np.int64)
    offsets = state.offsets
    for i in np.argsort(-(offsets + boxes.size) if up else offsets):
        if state.placed[i] != 1:
            continue
        begin, end = boxes.begin[i], boxes.end[i]
        step = boxes.alignment[i]
        if boxes.pinned[i] < 0:
            height = height_over(tree, cover, begin, end)
            offsets[i] = (
                (capacity - height - boxes.size[i]) // step * step
                if up
                else -(-height // step) * step
            )
        far = max(0, capacity - offsets[i]) if up else offsets[i] + boxes.size[i]
        raise_over(tree, cover, begin, end, far)
