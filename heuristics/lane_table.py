"""Shared buffers as rows of a table over the cliques: greedy placement in any order, compiled.

Interval time only; `memonger.heuristics.lanes` does the same for vector time.
"""

from __future__ import annotations

from enum import IntEnum

import numba
import numpy as np

from memonger.graph.cliques import clique_times
from memonger.plan import SharingPlan
from memonger.problem import IntArray, Problem
from memonger.stop import Deadline

MAX_CELLS = 100_000_000  # 400 MB
CHUNK = 256  # buffers between two looks at the clock


class LaneRule(IntEnum):
    """Which of the shared buffers with room in time a buffer takes."""

    FIRST = 0
    """The one that was opened first."""
    TIGHT = 1
    """The one with the least time to the nearest neighbour."""
    SUFFICIENT = 2
    """The smallest that is large enough, else the largest."""
    NEAREST = 3
    """The one nearest in size."""
    EQUAL = 4
    """One of exactly its size, or none."""


def fill(
    problem: Problem, order: IntArray, rule: LaneRule, deadline: Deadline | None = None
) -> SharingPlan | None:
    """Place buffers in an order, each into an open shared buffer by a rule, or into a new one.

    Parameters
    ----------
    problem
        The buffers; interval time only.
    order
        Buffer indices.
    rule
        Ties go to the one that was opened first.
    deadline
        When to give up.

    Returns
    -------
    SharingPlan or None
        ``None`` if the deadline came first, or if the table would grow beyond MAX_CELLS.

    Notes
    -----
    O(n k) for k shared buffers, besides the cells that are filled and looked at.
    """
    times = clique_times(problem.starts, problem.ends)
    first = np.searchsorted(times, problem.starts)
    last = np.searchsorted(times, problem.ends) - 1
    table = np.zeros((16, max(1, len(times))), np.int32)
    capacity = np.zeros(len(problem), np.int64)
    shared = np.full(len(problem), -1, np.int64)
    opened = np.zeros(1, np.int64)
    done = 0
    while done < len(order):
        if deadline is not None and deadline.expired:
            return None
        part = order[done : done + CHUNK]
        placed = _fill(
            part, times, first, last, problem.starts, problem.ends, problem.sizes, int(rule),
            table, capacity, shared, opened,
        )  # fmt: skip
        done += placed
        if placed < len(part):
            if 2 * table.size > MAX_CELLS:
                return None
            table = np.concatenate([table, np.zeros_like(table)])
    return SharingPlan.of(shared)


@numba.njit(cache=True, nogil=True)
def _fill(order, times, first, last, starts, ends, sizes, rule, table, capacity, shared, opened):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Place buffers until the table has no row left; return how many."""
    for position in range(len(order)):
        i = order[position]
        best = -1
        best_score = np.int64(1) << 62
        for lane in range(opened[0]):
            if rule == 4 and capacity[lane] != sizes[i]:
                continue
            row = table[lane]
            free = True
            for q in range(first[i], last[i] + 1):
                if row[q]:
                    free = False
                    break
            if not free:
                continue
            score = np.int64(0)
            if rule == 1:
                score = _idle(row, times, first[i], last[i], starts, ends, i, best_score)
            elif rule == 2:
                more = capacity[lane] - sizes[i]
                score = more if more >= 0 else (np.int64(1) << 61) - more
            elif rule == 3:
                score = abs(capacity[lane] - sizes[i])
            if score < best_score:
                best, best_score = lane, score
                if rule == 0 or rule == 4:
                    break
        if best < 0:
            best = opened[0]
            if best == len(table):
                return position
            opened[0] += 1
        shared[i] = best
        capacity[best] = max(capacity[best], sizes[i])
        table[best, first[i] : last[i] + 1] = i + 1
    return len(order)


@numba.njit(cache=True, nogil=True)
def _idle(row, times, begin, end, starts, ends, i, enough):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Return the time to the nearest neighbour in a row, ``enough`` if it is at least that."""
    best = enough
    for q in range(begin - 1, -1, -1):
        if row[q]:
            best = min(best, starts[i] - ends[row[q] - 1])
            break
        if starts[i] - times[q] >= best:  # whatever comes before is over by then
            break
    for q in range(end + 1, len(row)):
        if row[q]:
            best = min(best, starts[row[q] - 1] - ends[i])
            break
        if times[q] - ends[i] >= best:
            break
    return best
