"""The canonical greedy: always the lowest place that is free for any buffer, over and over."""

from __future__ import annotations

import numba
import numpy as np

from memonger.graph.sections import FREE, Sections
from memonger.heuristics import head_heap
from memonger.heuristics.arena_boxes import boxes_of, lowest, pins_clash
from memonger.problem import IntArray
from memonger.stop import Deadline

POPS_PER_BUFFER = 200
LEAST_POPS = 5_000_000  # a second or so
CHUNK = 50_000  # pops between two looks at the clock


def canonical_greedy(
    sections: Sections,
    order: IntArray,
    *,
    max_pops: int | None = None,
    below: int | None = None,
    deadline: Deadline | None = None,
) -> IntArray | None:
    """Place the buffers from the bottom up: that of the lowest head next, ties by an order.

    The head of a buffer is the lowest offset on top of all that is placed in its live range. All
    best plans can be pushed down to one that some order makes, if no buffer is pinned.

    Parameters
    ----------
    sections
        The buffers.
    order
        Buffer indices: which of equal heads comes first.
    max_pops
        Entries of the heap to look at before giving up; by default 200 a buffer, and 5 million
        at least. Some orders of some problems need very many.
    below
        Give up when the peak cannot be below it, in units.
    deadline
        When to give up.

    Returns
    -------
    IntArray or None
        Offset of each buffer in units; ``None`` where it gave up, or if pinned buffers overlap.

    Notes
    -----
    Heights of sections are the leaves of a segment tree, heads are brought up to date when they
    come up in the heap: O(n + s) memory and O(log n + log s) a look, with p pinned buffers O(p)
    more. No buffer lies below a pinned one unless it fits there when its turn comes.

    References
    ----------
    The canonical form is that of M. D. Moffitt, "MiniMalloc: a lightweight memory allocator for
    hardware-accelerated machine learning", ASPLOS 2023.
    """
    if pins_clash(sections):
        return None
    boxes = boxes_of(sections)
    count = len(sections)
    offsets = np.where(sections.pinned == FREE, FREE, sections.pinned)
    order = np.ascontiguousarray(order[sections.pinned[order] == FREE], dtype=np.int64)
    leaves = 1 << max(0, sections.num_sections - 1).bit_length()
    tree, cover = np.zeros(2 * leaves, np.int64), np.zeros(2 * leaves, np.int64)
    heads = np.zeros(len(order), np.int64)
    ranks = np.arange(len(order))
    length, pops = len(order), 0
    limit = np.iinfo(np.int64).max if below is None else below
    if int((offsets + sections.size).max(initial=0, where=offsets != FREE)) >= limit:
        return None
    budget = max(LEAST_POPS, POPS_PER_BUFFER * count) if max_pops is None else max_pops
    while length:
        if pops >= budget or (deadline is not None and deadline.expired):
            return None
        chunk = min(CHUNK, budget - pops)
        length = _place(chunk, limit, order, boxes, tree, cover, heads, ranks, length, offsets)
        if length < 0:
            return None
        pops += chunk
    return offsets


@numba.njit(cache=True, nogil=True)
def _place(pops, limit, order, boxes, tree, cover, heads, ranks, length, offsets):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Look at so many entries of the heap; return its length, or -1 if the limit is reached."""
    for _ in range(pops):
        if length == 0:
            break
        i = order[ranks[0]]
        begin, end = boxes.begin[i], boxes.end[i]
        head = lowest(i, height_over(tree, cover, begin, end), boxes)
        if head > heads[0]:
            head_heap.replace_least(heads, ranks, length, head, ranks[0])
            continue
        length = head_heap.pop(heads, ranks, length)
        offsets[i] = head
        top = head + boxes.size[i]
        if top >= limit:
            return -1
        raise_over(tree, cover, begin, end, top)
    return length


@numba.njit(cache=True, nogil=True)
def height_over(tree, cover, begin, end):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Return the greatest height of the sections ``[begin, end)``.

    ``tree[k]`` is the greatest height below node k but for what its ancestors were raised to as
    wholes, ``cover[k]`` what k was raised to as a whole.
    """
    left, right = begin + len(tree) // 2, end + len(tree) // 2
    first, last = left, right - 1
    height = np.int64(0)
    while left < right:
        if left & 1:
            height = max(height, tree[left])
            left += 1
        if right & 1:
            right -= 1
            height = max(height, tree[right])
        left //= 2
        right //= 2
    while first > 1:
        first //= 2
        last //= 2
        height = max(height, cover[first], cover[last])
    return height


@numba.njit(cache=True, nogil=True)
def raise_over(tree, cover, begin, end, height):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Raise the sections ``[begin, end)`` to a height that none of them exceeds."""
    left, right = begin + len(tree) // 2, end + len(tree) // 2
    first, last = left, right - 1
    while left < right:
        if left & 1:
            tree[left] = cover[left] = height
            left += 1
        if right & 1:
            right -= 1
            tree[right] = cover[right] = height
        left //= 2
        right //= 2
    while first > 1:
        first //= 2
        last //= 2
        tree[first] = max(tree[first], height)
        tree[last] = max(tree[last], height)
