"""Hill climbing on the order of first fit: what lies at the peak comes earlier."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from memonger.graph.sections import FREE, Sections
from memonger.heuristics.arena_boxes import (
    Boxes,
    Flags,
    Overlaps,
    boxes_of,
    list_conflicts,
    overlaps_of,
    pins_clash,
)
from memonger.heuristics.arena_orders import order
from memonger.heuristics.first_fit_arena import Gap, place
from memonger.problem import IntArray
from memonger.stop import Deadline

FARTHER = 0.3
"""Part of the swaps that are with a buffer two conflicts away."""


def hill_climb(
    sections: Sections,
    deadline: Deadline,
    seed: int = 0,
    *,
    start: IntArray | None = None,
    steps: int | None = None,
) -> Iterator[IntArray]:
    """Yield better and better offsets of first fit in orders that a swap at a time changes.

    A buffer at the peak changes places in the order with an earlier one that it conflicts with,
    or sometimes with one that conflicts with such a one; all that comes after the earlier place is
    placed again. A swap that makes the peak no higher is kept.

    Parameters
    ----------
    sections
        The buffers.
    deadline
        When to stop.
    seed
        Of the random choices.
    start
        Buffer indices, the order to begin with; Vela's by default: largest load of a section that
        it is live in, longest duration, earliest start, largest size.
    steps
        Swaps to try at most; no limit by default.

    Yields
    ------
    IntArray
        Offset of each buffer in units; each peak is below the one before. It ends at the load, and
        where no swap is left that could help. Nothing if pinned buffers overlap, or if the first
        fit was not done in time.

    Notes
    -----
    A step costs as much as first fit of what comes after the earlier of the two, unless it is cut
    short by a buffer above the best peak.

    References
    ----------
    Arm, ``ethosu/vela/hillclimb_allocation.py``; Apache TVM, ``src/tir/usmp/algo/hill_climb.cc``.
    Both know all conflicts by heart; here they are listed when they are asked for.
    """
    if pins_clash(sections):
        return
    boxes, overlaps = boxes_of(sections), overlaps_of(sections)
    buffers = order(sections, "TWlZ") if start is None else start
    buffers = np.ascontiguousarray(buffers[sections.pinned[buffers] == FREE], dtype=np.int64)
    offsets = sections.pinned.astype(np.int64)
    placed: Flags = np.where(offsets != FREE, 1, 0).astype(np.int8)
    if not place(buffers, 0, boxes, overlaps, offsets, placed, Gap.LOWEST, deadline=deadline):
        return
    load, peak = int(sections.load.max(initial=0)), _peak(sections, offsets)
    yield offsets.copy()
    rng = np.random.default_rng(seed)
    done = 0
    while peak > load and not deadline.expired and (steps is None or done < steps):
        done += 1
        swap = _swap(sections, boxes, overlaps, buffers, offsets, peak, rng)
        if swap is None:
            return
        new, trial, flags = _swapped(buffers, offsets, placed, *swap)
        if not place(
            new, swap[0], boxes, overlaps, trial, flags, Gap.LOWEST, limit=peak, deadline=deadline
        ):
            continue
        buffers, offsets = new, trial
        if (lower := _peak(sections, offsets)) < peak:
            peak = lower
            yield offsets.copy()


def _peak(sections: Sections, offsets: IntArray) -> int:
    return int((offsets + sections.size).max(initial=0))


def _swap(
    sections: Sections,
    boxes: Boxes,
    overlaps: Overlaps,
    buffers: IntArray,
    offsets: IntArray,
    peak: int,
    rng: np.random.Generator,
) -> tuple[int, int] | None:
    """Return two places of the order, the earlier one first; ``None`` if no swap can help.

    A pinned buffer at the peak never comes lower, and what comes first of its neighbours cannot
    come earlier.
    """
    rank = np.full(len(sections), -1, dtype=np.int64)
    rank[buffers] = np.arange(len(buffers))
    tops = np.flatnonzero(offsets + sections.size == peak)
    if (rank[tops] < 0).any():
        return None
    top = int(rng.choice(tops))
    near = _earlier(top, int(rank[top]), rank, boxes, overlaps)
    if not len(near):
        return None
    other = int(rng.choice(near))
    if rng.random() < FARTHER:
        farther = _earlier(other, int(rank[top]), rank, boxes, overlaps)
        farther = farther[farther != top]
        other = int(rng.choice(farther)) if len(farther) else other
    return int(rank[other]), int(rank[top])


def _earlier(
    buffer: int, before: int, rank: IntArray, boxes: Boxes, overlaps: Overlaps
) -> IntArray:
    """Return what conflicts with a buffer and comes before a place of the order; no pins."""
    near = np.empty(len(rank), dtype=np.int64)
    nothing: Flags = np.zeros(len(rank), dtype=np.int8)
    near = near[: list_conflicts(buffer, boxes, overlaps, nothing, False, near)]
    earlier: IntArray = near[(rank[near] >= 0) & (rank[near] < before)]
    return earlier


def _swapped(
    buffers: IntArray, offsets: IntArray, placed: Flags, first: int, second: int
) -> tuple[IntArray, IntArray, Flags]:
    """Return the order with two places swapped, and the offsets of what comes before them."""
    new, trial, flags = buffers.copy(), offsets.copy(), placed.copy()
    new[first], new[second] = buffers[second], buffers[first]
    flags[new[first:]] = 0
    trial[new[first:]] = FREE
    return new, trial, flags
