"""First fit that makes use of gaps: what a buffer leaves free for a while, others may take."""

from __future__ import annotations

from collections.abc import Iterator

import numba
import numpy as np

from memonger.errors import PlanError
from memonger.graph.sections import FREE, Sections
from memonger.graph.spans import Spans, spans_of
from memonger.heuristics.arena_orders import order
from memonger.heuristics.arena_schedule import GREEDY_ORDERS, MANY
from memonger.heuristics.canonical_gaps import CODES, canonical_with_gaps, pieces_of
from memonger.plan import ArenaPlan
from memonger.problem import IntArray, Problem
from memonger.stop import Deadline
from memonger.verify import verify_arena

WORK = 50_000_000  # pairs of spans between two looks at the clock


def pins_contradict(problem: Problem) -> bool:
    """Return whether pinned buffers overlap, gaps heeded: then there is no plan."""
    pinned = [(i, b.offset) for i, b in enumerate(problem.buffers) if b.offset is not None]
    plan = ArenaPlan(tuple(offset for _, offset in pinned))
    try:
        verify_arena(problem.subproblem([i for i, _ in pinned]), plan)
    except PlanError:
        return True
    return False


def fit_into_gaps(
    sections: Sections, spans: Spans, buffers: IntArray, deadline: Deadline | None = None
) -> IntArray | None:
    """Place the buffers in an order, each as low as its spans fit between those placed before.

    Parameters
    ----------
    sections, spans
        The buffers, and what they take.
    buffers
        Buffer indices, in the order of their turns. Pinned buffers, which must not overlap, are
        placed first.
    deadline
        When to give up.

    Returns
    -------
    IntArray or None
        Offset of each buffer in units; ``None`` if the deadline came first.

    Notes
    -----
    A placed span [y + l, y + u) keeps a buffer whose span [l', u') is at the same time off all
    offsets between y + l - u' and y + u - l'. Sorted, these ranges leave the lowest place in one
    pass. O(k^2) for k spans.
    """
    offsets = sections.pinned.astype(np.int64)
    todo = np.ascontiguousarray(buffers[offsets[buffers] == FREE], dtype=np.int64)
    pieces = pieces_of(sections, spans)
    taken = np.empty(len(spans), dtype=np.int64)
    pinned = np.flatnonzero(offsets[spans.owner] != FREE)
    taken[: len(pinned)] = pinned
    done, count = 0, len(pinned)
    while done < len(todo):
        if deadline is not None and deadline.expired:
            return None
        done, count = _place(todo, done, pieces, offsets, taken, count)
    return offsets


@numba.njit(cache=True, nogil=True)
def _place(todo, done, pieces, offsets, taken, count):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Place buffers until the work is done; return how many are placed, and spans with them."""
    begin, end, lower, upper = pieces.begin, pieces.end, pieces.lower, pieces.upper
    work = 0
    while done < len(todo) and work < WORK:
        i = todo[done]
        step, own = pieces.alignment[i], range(pieces.first[i], pieces.first[i + 1])
        room = 0
        for k in own:
            for j in taken[:count]:
                room += begin[j] < end[k] and begin[k] < end[j]
        lows, highs = np.empty(room, np.int64), np.empty(room, np.int64)
        found = 0
        for k in own:
            for j in taken[:count]:
                if begin[j] < end[k] and begin[k] < end[j]:
                    lows[found] = offsets[pieces.owner[j]] + lower[j] - upper[k]
                    highs[found] = offsets[pieces.owner[j]] + upper[j] - lower[k]
                    found += 1
        place = np.int64(0)
        for t in np.argsort(lows):
            if place <= lows[t]:
                break
            if place < highs[t]:
                place = -(-highs[t] // step) * step
        offsets[i] = place
        for k in own:
            taken[count] = k
            count += 1
            work += count
        work += 1
        done += 1
    return done, count


def greedy_with_gaps(
    problem: Problem, sections: Sections, deadline: Deadline
) -> Iterator[tuple[str, IntArray]]:
    """Yield the name and the offsets of greedy placements that make use of gaps, order by order.

    Canonical ones, then first fit, as long as there is time; nothing if pinned buffers overlap.
    """
    if pins_contradict(problem):
        return
    spans = spans_of(problem, sections)
    for code in CODES:
        offsets = canonical_with_gaps(sections, spans, order(sections, code), deadline=deadline)
        if offsets is not None:
            yield f"canonical with gaps {code}", offsets
    for code in GREEDY_ORDERS if len(sections) < MANY else GREEDY_ORDERS[:4]:
        offsets = fit_into_gaps(sections, spans, order(sections, code), deadline)
        if offsets is not None:
            yield f"first fit into gaps {code}", offsets
