"""First fit and best fit into an arena: one buffer after another, each into a gap."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

import numba
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
from memonger.problem import IntArray
from memonger.stop import Deadline

WORK = 2_000_000  # conflicts between two looks at the clock


class Gap(IntEnum):
    """Which gap between the placed buffers that it conflicts with a buffer takes."""

    LOWEST = 0
    """The lowest one that it fits in: first fit."""
    TIGHTEST = 1
    """The smallest one that it fits in, the lowest of equal ones: best fit."""
    TOP = 2
    """None: it goes on top of all of them."""


def fit(
    sections: Sections,
    buffers: IntArray,
    gap: Gap = Gap.LOWEST,
    deadline: Deadline | None = None,
) -> IntArray | None:
    """Place the buffers in an order, each into a gap by a rule, or on top where none fits.

    Parameters
    ----------
    sections
        The buffers.
    buffers
        Buffer indices, in the order of their turns. Pinned buffers are placed first.
    gap
        Which gap to take.
    deadline
        When to give up.

    Returns
    -------
    IntArray or None
        Offset of each buffer in units; ``None`` if the deadline came first, or if pinned buffers
        overlap.

    Notes
    -----
    O(d log d) for a buffer with d conflicts, in memory O(n + s): conflicts are not stored.
    """
    if pins_clash(sections):
        return None
    offsets = sections.pinned.astype(np.int64)
    placed = (offsets != FREE).astype(np.int8)
    todo = np.ascontiguousarray(buffers[offsets[buffers] == FREE], dtype=np.int64)
    boxes, overlaps = boxes_of(sections), overlaps_of(sections)
    done = place(todo, 0, boxes, overlaps, offsets, placed, gap, deadline=deadline)
    return offsets if done else None


def place(
    todo: IntArray,
    done: int,
    boxes: Boxes,
    overlaps: Overlaps,
    offsets: IntArray,
    placed: Flags,
    gap: Gap,
    *,
    limit: int | None = None,
    deadline: Deadline | None = None,
) -> bool:
    """Place buffers into what is placed already; `fit` in parts.

    Parameters
    ----------
    todo, done
        Buffers in the order of their turns, and how many of them are placed already.
    boxes, overlaps
        All buffers and their conflicts.
    offsets, placed
        Changed: the offsets in units, and 1 for what has one, 0 for the others.
    gap
        Which gap to take.
    limit
        Stop before a buffer would reach above it, in units.
    deadline
        When to stop.

    Returns
    -------
    bool
        Whether all are placed.
    """
    near = np.empty(len(offsets), np.int64)
    top = np.iinfo(np.int64).max if limit is None else limit
    while done < len(todo):
        if deadline is not None and deadline.expired:
            return False
        done = _place(todo, done, boxes, overlaps, offsets, placed, int(gap), top, near)
        if done < 0:
            return False
    return True


@numba.njit(cache=True, nogil=True)
def _place(todo, done, boxes, overlaps, offsets, placed, gap, limit, near):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Place buffers until the work is done; return how many are placed, -1 at the limit."""
    work = 0
    while done < len(todo) and work < WORK:
        i = todo[done]
        count = list_conflicts(i, boxes, overlaps, placed, True, near)
        offset = _offset(i, near[:count], boxes, offsets, gap)
        if offset + boxes.size[i] > limit:
            return -1
        offsets[i] = offset
        placed[i] = 1
        done += 1
        work += 1 + count
    return done


@numba.njit(cache=True, nogil=True)
def _offset(i, near, boxes, offsets, gap):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Return the offset of a buffer among the placed ones that it conflicts with."""
    step, size = boxes.alignment[i], boxes.size[i]
    over = np.int64(0)  # where the buffers so far end
    best = np.int64(-1)
    narrowest = np.int64(1) << 62
    if gap == 2:
        for j in near:
            over = max(over, offsets[j] + boxes.size[j])
    else:
        for t in np.argsort(offsets[near]):
            j = near[t]
            low = -(-over // step) * step
            if low + size <= offsets[j] and offsets[j] - over < narrowest:
                best, narrowest = low, offsets[j] - over
                if gap == 0:
                    break
            over = max(over, offsets[j] + boxes.size[j])
    return best if best >= 0 else -(-over // step) * step


def tvm_greedy_by_size(sections: Sections, deadline: Deadline | None = None) -> IntArray | None:
    """Return the offsets of TVM's ``greedy_by_size``: size, then conflicts; always on top.

    TVM fills no gaps: a buffer goes on top of all placed ones that it conflicts with.

    References
    ----------
    Apache TVM, ``src/tir/usmp/algo/greedy.cc`` (class GreedySize). There ties end in the name,
    and offsets are rounded to the alignment of the buffer below; here to the own one.
    """
    return fit(sections, order(sections, "ZO"), Gap.TOP, deadline)


def tvm_greedy_by_conflicts(
    sections: Sections, deadline: Deadline | None = None
) -> IntArray | None:
    """Return the offsets of TVM's ``greedy_by_conflicts``: conflicts, then size; always on top.

    References
    ----------
    Apache TVM, ``src/tir/usmp/algo/greedy.cc`` (class GreedyConflicts); see `tvm_greedy_by_size`.
    """
    return fit(sections, order(sections, "OZ"), Gap.TOP, deadline)


def xla_decreasing_size(sections: Sections, deadline: Deadline | None = None) -> IntArray | None:
    """Return the offsets of XLA's GlobalDecreasingSizeBestFit: size, then duration; best fit.

    References
    ----------
    OpenXLA, ``xla/service/heap_simulator.cc``, class GlobalDecreasingSizeBestFitHeap with the
    spatial order.
    """
    return fit(sections, order(sections, "ZW"), Gap.TIGHTEST, deadline)


def xla_decreasing_duration(
    sections: Sections, deadline: Deadline | None = None
) -> IntArray | None:
    """Return the offsets of XLA's best fit with the temporal order: duration, then size.

    References
    ----------
    OpenXLA, ``xla/service/heap_simulator.cc``, class GlobalDecreasingSizeBestFitHeap with the
    temporal order.
    """
    return fit(sections, order(sections, "WZ"), Gap.TIGHTEST, deadline)


def tflite_micro_greedy(sections: Sections, deadline: Deadline | None = None) -> IntArray | None:
    """Return the offsets of TFLite Micro's GreedyMemoryPlanner: size; first fit.

    Of buffers of one size the last one comes first, as there; what is planned offline (here:
    pinned) is placed before all others.

    References
    ----------
    TensorFlow Lite Micro, ``tensorflow/lite/micro/memory_planner/greedy_memory_planner.cc``.
    """
    count = len(sections)
    return fit(sections, np.lexsort((-np.arange(count), -sections.size)), Gap.LOWEST, deadline)


def vela_greedy(sections: Sections, deadline: Deadline | None = None) -> IntArray | None:
    """Return the offsets of Vela's GreedyAllocator: start, then end; best fit.

    References
    ----------
    Arm, ``ethosu/vela/greedy_allocation.py``.
    """
    return fit(sections, order(sections, "lu"), Gap.TIGHTEST, deadline)


BASELINES: dict[str, Callable[[Sections, Deadline | None], IntArray | None]] = {
    "tvm-greedy-by-size": tvm_greedy_by_size,
    "tvm-greedy-by-conflicts": tvm_greedy_by_conflicts,
    "xla-decreasing-size": xla_decreasing_size,
    "xla-decreasing-duration": xla_decreasing_duration,
    "tflite-micro-greedy": tflite_micro_greedy,
    "vela-greedy": vela_greedy,
}
"""What other planners do, by name."""
