"""Greedy by breadth: the operators with the most live bytes first."""

from __future__ import annotations

import numpy as np

from memonger.graph.cliques import clique_times
from memonger.heuristics.lane_table import LaneRule, fill
from memonger.plan import SharingPlan
from memonger.problem import IntArray, Problem
from memonger.stop import Deadline


def greedy_by_breadth(problem: Problem, deadline: Deadline | None = None) -> SharingPlan | None:
    """Place what is live at the busiest time first, largest first, into what is large enough.

    Each buffer takes the smallest shared buffer that is large enough and has room in time, or
    lets the largest of the others grow. ``None`` if the deadline comes first.

    Notes
    -----
    O(n log n + n k) for k shared buffers.

    References
    ----------
    Y. Pisarchyk, J. Lee, "Efficient memory management for deep neural net inference", 2020.
    """
    return fill(problem, breadth_order(problem), LaneRule.SUFFICIENT, deadline)


def breadth_order(problem: Problem) -> IntArray:
    """Return the buffers by the largest load during their lives, then by size, both descending.

    A buffer's turn comes with the busiest time that it is live at, the earliest of equal ones.
    """
    times = clique_times(problem.starts, problem.ends)
    first = np.searchsorted(times, problem.starts)
    last = np.searchsorted(times, problem.ends) - 1
    change = np.zeros(len(times) + 1, dtype=np.int64)
    np.add.at(change, first, problem.sizes)
    np.subtract.at(change, last + 1, problem.sizes)
    load = np.cumsum(change[:-1])
    turn = np.empty(len(load), dtype=np.int64)  # when each time has its turn
    turn[np.argsort(-load, kind="stable")] = np.arange(len(load))
    earliest = range_minima(turn, first, last)
    return np.lexsort((problem.starts, -problem.sizes, earliest))


def range_minima(values: IntArray, first: IntArray, last: IntArray) -> IntArray:
    """Return min(values[first..last]), both inclusive, for many ranges: a sparse table.

    O(m log m) for m values, O(1) a range.
    """
    if not len(first):
        return np.zeros(0, dtype=np.int64)
    rows = [values]
    while len(rows[-1]) > 1 << (len(rows) - 1):
        width = 1 << (len(rows) - 1)
        rows.append(np.minimum(rows[-1][:-width], rows[-1][width:]))
    power = np.frexp(last - first + 1)[1] - 1  # exact: ranges are far shorter than 2^53
    result = np.empty(len(first), dtype=np.int64)
    for k in np.unique(power).tolist():
        own = power == k
        result[own] = np.minimum(rows[k][first[own]], rows[k][last[own] + 1 - (1 << k)])
    return result
