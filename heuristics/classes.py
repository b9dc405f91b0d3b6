"""Capacity classes: from an assignment to classes to a plan."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from memonger.plan import SharingPlan
from memonger.problem import Problem


def plan_from_classes(problem: Problem, classes: Sequence[int]) -> SharingPlan:
    """Return a plan in which each class uses as few shared buffers as it ever needs at once.

    Interval graphs are perfect: the buffers of a class, taken by their starts, fit into as many
    shared buffers as the largest number of them that is live at one time.

    Parameters
    ----------
    problem
        The buffers; interval time only.
    classes
        Buffer index -> class.

    Notes
    -----
    O(n log n).
    """
    order = sorted(range(len(problem)), key=lambda i: (problem.buffers[i].start, i))
    busy: dict[int, list[tuple[int, int]]] = {}  # class -> heap of (end, shared buffer)
    shared = [0] * len(problem)
    opened = 0
    for i in order:
        buffer = problem.buffers[i]
        heap = busy.setdefault(classes[i], [])
        if heap and heap[0][0] <= buffer.start:
            number = heap[0][1]
            heapq.heapreplace(heap, (buffer.end, number))
            shared[i] = number
        else:
            heapq.heappush(heap, (buffer.end, opened))
            shared[i] = opened
            opened += 1
    return SharingPlan.of(shared)
