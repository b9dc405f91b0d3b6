"""Buffers as boxes to be put into an arena, and who conflicts with whom: for compiled functions.

No pair of buffers is stored: conflicts are listed from the buffers sorted by their begins, and
from checkpoints, lists of what is live at every so-manieth section.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from memonger.graph.sections import FREE, Sections
from memonger.problem import IntArray

Flags = npt.NDArray[np.int8]

CHECKPOINTS_PER_LIFE = 4
"""Checkpoints in a live range of average length; it bounds their lists by so many a buffer."""

LEAST_STRIDE = 8


class Boxes(NamedTuple):
    """The buffers, as in `Sections`, and those that are pinned, in the order of their offsets."""

    begin: IntArray
    end: IntArray
    size: IntArray
    alignment: IntArray
    pinned: IntArray
    pins: IntArray


class Overlaps(NamedTuple):
    """What lists the buffers that conflict with one.

    Parameters
    ----------
    by_begin
        Buffers in the order of their begins.
    first
        ``first[s]``: how many of them begin before section s, shape (sections + 1,).
    stride
        Sections from one checkpoint to the next.
    crossing
        Buffers that begin before a checkpoint and are live at it, one checkpoint after another.
    where
        Where the list of each checkpoint begins in ``crossing``, and where the last one ends.
    """

    by_begin: IntArray
    first: IntArray
    stride: int
    crossing: IntArray
    where: IntArray


def boxes_of(sections: Sections) -> Boxes:
    """Return the buffers of sections in the form that compiled functions take."""
    pins = np.flatnonzero(sections.pinned != FREE)
    return Boxes(
        *(
            np.ascontiguousarray(column, dtype=np.int64)
            for column in (
                sections.begin, sections.end, sections.size, sections.alignment, sections.pinned,
                pins[np.argsort(sections.pinned[pins], kind="stable")],
            )
        )
    )  # fmt: skip


def overlaps_of(sections: Sections) -> Overlaps:
    """Return what lists conflicts: O(n + s) memory for n buffers and s sections."""
    lives = sections.end - sections.begin
    average = int(lives.mean()) if len(lives) else 0
    stride = max(LEAST_STRIDE, average // CHECKPOINTS_PER_LIFE)
    by_begin = np.argsort(sections.begin, kind="stable")
    first = np.searchsorted(sections.begin[by_begin], np.arange(sections.num_sections + 1))
    count = sections.num_sections // stride + 1
    where, crossing = _checkpoints(sections.begin, sections.end, stride, count)
    return Overlaps(by_begin, first, stride, crossing, where)


def pins_clash(sections: Sections) -> bool:
    """Return whether two buffers are pinned so that they overlap: then there is no plan."""
    boxes = boxes_of(sections)
    if len(boxes.pins) < 2:
        return False
    overlaps = overlaps_of(sections.subset(boxes.pins))
    own = boxes_of(sections.subset(boxes.pins))
    return bool(_clash(own, overlaps))


@numba.njit(cache=True, nogil=True)
def _checkpoints(begin, end, stride, count):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    where = np.zeros(count + 1, np.int64)
    for i in range(len(begin)):
        for k in range(begin[i] // stride + 1, (end[i] - 1) // stride + 1):
            where[k + 1] += 1
    where = np.cumsum(where)
    crossing = np.empty(where[-1], np.int64)
    free = where.copy()
    for i in range(len(begin)):
        for k in range(begin[i] // stride + 1, (end[i] - 1) // stride + 1):
            crossing[free[k]] = i
            free[k] += 1
    return where, crossing


@numba.njit(cache=True, nogil=True)
def list_conflicts(i, boxes, overlaps, chosen, wanted, found):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """List the buffers j that conflict with i and have ``(chosen[j] == 1) == wanted``.

    Returns how many; ``found`` takes them. They come in a fixed order, which means nothing.
    """
    count = 0
    begin = boxes.begin[i]
    mark = begin // overlaps.stride
    for t in range(overlaps.where[mark], overlaps.where[mark + 1]):
        j = overlaps.crossing[t]
        if (chosen[j] == 1) == wanted and boxes.end[j] > begin and j != i:
            found[count] = j
            count += 1
    for t in range(overlaps.first[mark * overlaps.stride], overlaps.first[boxes.end[i]]):
        j = overlaps.by_begin[t]
        if (chosen[j] == 1) == wanted and boxes.end[j] > begin and j != i:
            found[count] = j
            count += 1
    return count


@numba.njit(cache=True, nogil=True)
def lowest(i, floor, boxes):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Return the lowest offset from ``floor`` on that is aligned and keeps clear of all pins."""
    step = boxes.alignment[i]
    low = -(-floor // step) * step
    for pin in boxes.pins:
        if boxes.pinned[pin] >= low + boxes.size[i]:
            break  # and all others are pinned higher still
        together = boxes.begin[pin] < boxes.end[i] and boxes.begin[i] < boxes.end[pin]
        over = boxes.pinned[pin] + boxes.size[pin]
        if together and over > low:
            low = -(-over // step) * step
    return low


@numba.njit(cache=True, nogil=True)
def _clash(boxes, overlaps):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    everything = np.ones(len(boxes.begin), np.int8)
    found = np.empty(len(boxes.begin), np.int64)
    for i in range(len(boxes.begin)):
        for t in range(list_conflicts(i, boxes, overlaps, everything, True, found)):
            j = found[t]
            below = boxes.pinned[i] + boxes.size[i] <= boxes.pinned[j]
            above = boxes.pinned[j] + boxes.size[j] <= boxes.pinned[i]
            if not below and not above:
                return True
    return False
