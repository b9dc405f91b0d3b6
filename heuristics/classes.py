"""Capacity classes: from an assignment to classes to a plan."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import networkx as nx

from memonger.plan import SharingPlan
from memonger.problem import Problem


def plan_from_classes(problem: Problem, classes: Sequence[int]) -> SharingPlan:
    """Return a plan in which each class uses as few shared buffers as it ever needs at once.

    Interval graphs are perfect: the buffers of a class, taken by their starts, fit into as many
    shared buffers as the largest number of them that is live at one time. Where buffers may take
    over others in place, as many of one class as possible do so at each operator (a maximum
    matching), which is best: what is live at one time only depends on their number.

    Parameters
    ----------
    problem
        The buffers; interval time only.
    classes
        Buffer index -> class.

    Notes
    -----
    O(n log n), and a matching for each operator that has in-place pairs.
    """
    order = sorted(range(len(problem)), key=lambda i: (problem.buffers[i].start, i))
    heir_of = {taken: over for over, taken in _takeovers(problem, classes).items()}
    inherits = set(heir_of.values())
    busy: dict[int, list[tuple[int, int]]] = {}  # class -> heap of (end, shared buffer)
    shared = [0] * len(problem)
    opened = 0
    for i in order:
        if i in inherits:
            continue
        buffer = problem.buffers[i]
        heap = busy.setdefault(classes[i], [])
        if heap and heap[0][0] <= buffer.start:
            number = heapq.heappop(heap)[1]
        else:
            number, opened = opened, opened + 1
        last = i  # a whole line of heirs moves in
        shared[i] = number
        while last in heir_of:
            last = heir_of[last]
            shared[last] = number
        heapq.heappush(heap, (problem.buffers[last].end, number))
    return SharingPlan.of(shared)


def _takeovers(problem: Problem, classes: Sequence[int]) -> dict[int, int]:
    """Return buffer -> the one of its class that it takes over, as many as can be."""
    by_place: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for taken, over in problem.in_place:
        if classes[taken] == classes[over]:
            by_place.setdefault((problem.buffers[over].start, classes[over]), []).append(
                (taken, over)
            )
    found: dict[int, int] = {}
    for _, pairs in sorted(by_place.items()):
        # No buffer is on both sides here: it would begin and be read last at one operator.
        graph = nx.Graph(pairs)
        matching = nx.bipartite.hopcroft_karp_matching(graph, sorted({p for p, _ in pairs}))
        found.update({over: matching[over] for _, over in sorted(pairs) if over in matching})
    return found
