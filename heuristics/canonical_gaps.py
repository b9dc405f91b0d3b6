"""The canonical greedy for buffers with gaps: always the lowest place on top of what is taken."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numba
import numpy as np

from memonger.graph.sections import FREE, Sections
from memonger.graph.spans import Spans
from memonger.heuristics import head_heap
from memonger.heuristics.arena_orders import order, ranks
from memonger.problem import IntArray
from memonger.stop import Deadline

CHUNK = 20_000_000  # sections looked at between two looks at the clock
POPS_PER_BUFFER = 200
LEAST_POPS = 50_000
CODES = ("A", "Zl", "TWA", "TC", "B", "U")
NOISE = (0.02, 0.08, 0.25, 0.5)
"""Standard deviations of the logarithms that ranks are multiplied by."""


class Pieces(NamedTuple):
    """Buffers and their spans as compiled functions take them; arrays of int64."""

    size: IntArray
    alignment: IntArray
    first: IntArray  # spans of buffer i: first[i] ... first[i + 1] - 1
    owner: IntArray
    begin: IntArray
    end: IntArray
    lower: IntArray
    upper: IntArray


def pieces_of(sections: Sections, spans: Spans) -> Pieces:
    """Return buffers and their spans in the form that compiled functions take."""
    columns = (
        sections.size, sections.alignment,
        np.searchsorted(spans.owner, np.arange(len(sections) + 1)),
        spans.owner, spans.begin, spans.end, spans.lower, spans.upper,
    )  # fmt: skip
    return Pieces(*(np.ascontiguousarray(column, dtype=np.int64) for column in columns))


def canonical_with_gaps(
    sections: Sections,
    spans: Spans,
    buffers: IntArray,
    *,
    below: int | None = None,
    deadline: Deadline | None = None,
) -> IntArray | None:
    """Place the buffers from the bottom up: that of the lowest head next, ties by an order.

    The head of a buffer is the lowest offset at which each of its spans is on top of all spans
    placed at its time. What lies free below a window stays free.

    Parameters
    ----------
    sections, spans
        The buffers, and what they take. Pinned ones must not overlap.
    buffers
        Buffer indices: which of equal heads comes first.
    below
        Give up when the peak cannot be below it, in units.
    deadline
        When to give up.

    Returns
    -------
    IntArray or None
        Offset of each buffer in units; ``None`` where it gave up.

    Notes
    -----
    As `memonger.heuristics.canonical`, but a look at a head takes as long as its spans have
    sections, and pinned spans.
    """
    offsets = np.where(sections.pinned == FREE, FREE, sections.pinned)
    limit = np.iinfo(np.int64).max if below is None else below
    if int((offsets + sections.size).max(initial=0, where=offsets != FREE)) >= limit:
        return None
    todo = np.ascontiguousarray(buffers[sections.pinned[buffers] == FREE], dtype=np.int64)
    pieces = pieces_of(sections, spans)
    pins = np.flatnonzero(offsets[spans.owner] != FREE)
    heights = np.zeros(spans.num_sections, dtype=np.int64)
    heads, places = np.zeros(len(todo), dtype=np.int64), np.arange(len(todo))
    length, pops = len(todo), max(LEAST_POPS, POPS_PER_BUFFER * len(todo))
    while length:
        if pops <= 0 or (deadline is not None and deadline.expired):
            return None
        length, pops = _place(
            pops, limit, todo, pieces, pins, heights, heads, places, length, offsets
        )
        if length < 0:
            return None
    return offsets


@numba.njit(cache=True, nogil=True)
def _place(pops, limit, todo, pieces, pins, heights, heads, places, length, offsets):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Look at heads until the work is done; return how many are left, -1 at the limit, and pops."""
    work = 0
    while length > 0 and pops > 0 and work < CHUNK:
        pops -= 1
        i = todo[places[0]]
        head = heads[0]
        for k in range(pieces.first[i], pieces.first[i + 1]):
            work += 1 + pieces.end[k] - pieces.begin[k]
            for s in range(pieces.begin[k], pieces.end[k]):
                head = max(head, heights[s] - pieces.lower[k])
        head = _clear(
            i, -(-head // pieces.alignment[i]) * pieces.alignment[i], pieces, pins, offsets
        )
        if head > heads[0]:
            head_heap.replace_least(heads, places, length, head, places[0])
            continue
        length = head_heap.pop(heads, places, length)
        offsets[i] = head
        if head + pieces.size[i] >= limit:
            return -1, pops
        for k in range(pieces.first[i], pieces.first[i + 1]):
            for s in range(pieces.begin[k], pieces.end[k]):
                heights[s] = head + pieces.upper[k]
    return length, pops


@numba.njit(cache=True, nogil=True)
def _clear(i, head, pieces, pins, offsets):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Return the lowest aligned offset from a head on that keeps clear of pinned spans."""
    step = pieces.alignment[i]
    moved = True
    while moved:
        moved = False
        for p in pins:
            at = offsets[pieces.owner[p]]
            for k in range(pieces.first[i], pieces.first[i + 1]):
                if pieces.begin[p] < pieces.end[k] and pieces.begin[k] < pieces.end[p]:
                    over = at + pieces.upper[p] - pieces.lower[k]
                    if at + pieces.lower[p] - pieces.upper[k] < head < over:
                        head = -(-over // step) * step
                        moved = True
    return head


def noisy_orders(sections: Sections, seed: int) -> Iterator[IntArray]:
    """Yield orders near those of `CODES`, for ever: their ranks times random factors."""
    rng = np.random.default_rng(seed)
    plain = [ranks(order(sections, code)) for code in CODES]
    while True:
        rank = plain[int(rng.integers(len(plain)))] + 1
        noise = np.exp(rng.choice(NOISE) * rng.standard_normal(len(sections)))
        yield np.argsort(rank * noise, kind="stable")
