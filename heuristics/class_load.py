"""Class-load first fit: buffers go into capacity classes by load, not into shared buffers.

A class of N shared buffers takes any set of buffers of which at no time more than N are live
(interval graphs are perfect). Placing by load never commits a buffer to one shared buffer, so no
idle time is lost to an unlucky choice among equal ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import numba
import numpy as np

from memonger.graph.cliques import Groups, compress
from memonger.heuristics.classes import plan_from_classes
from memonger.plan import SharingPlan
from memonger.problem import IntArray, Problem
from memonger.stop import Deadline

# Entries of the table (sizes x cliques) that is worked on, here and in presolve; 80 MB.
MAX_TABLE = 20_000_000
CHUNK = 256  # buffers between two looks at the clock


class Rule(IntEnum):
    """Which of the classes with room a buffer takes."""

    LARGEST = 0
    """The first: the largest capacity."""
    SMALLEST = 1
    """The last: the capacity nearest to the size."""
    SNUG = 2
    """Where the least time before and after it is idle."""
    FULL = 3
    """Where the least room is left over its live range, on average."""


@dataclass(frozen=True)
class Placement:
    """Buffers in classes.

    Parameters
    ----------
    classes
        Buffer index -> class, shape (buffers,); -1 where it has none yet.
    capacity
        Shared buffers of each class, shape (classes,).
    """

    classes: IntArray
    capacity: IntArray

    def cost(self, groups: Groups) -> int:
        """Return the bytes of the shared buffers."""
        return int(self.capacity @ groups.sizes)


def orders(groups: Groups) -> Iterator[IntArray]:
    """Yield orders of the groups: by level, and among equal levels by length, start or end."""
    first, last, level = groups.first, groups.last, groups.level
    for key in (first - last, first, -last, last, last - first, -first):
        yield np.lexsort((key, level))


def place(
    groups: Groups,
    order: IntArray,
    rule: Rule,
    capacity: IntArray,
    classes: IntArray | None = None,
    deadline: Deadline | None = None,
) -> Placement | None:
    """Put every buffer that has no class yet into one with room, opening what is missing.

    Parameters
    ----------
    groups
        The buffers over compressed time.
    order
        Order of the groups.
    rule
        Which class with room to take; without one, the own class gets another shared buffer.
    capacity
        Shared buffers to begin with, shape (classes,).
    classes
        Classes given beforehand, shape (buffers,), -1 for none; they open what they need.
    deadline
        When to give up.

    Returns
    -------
    Placement or None
        ``None`` if the deadline came first. The capacities are those that the loads reach.

    Notes
    -----
    O(n D L) for D classes and live ranges of L cliques; a table of D times all cliques.
    """
    chosen = np.full(int(groups.multiplicity.sum()), -1, np.int64) if classes is None else classes
    flat, offsets = _flat_members(groups)
    load = np.zeros((len(groups.sizes), groups.num_cliques), np.int32)
    chosen, room = chosen.copy(), capacity.astype(np.int64)
    _load_given(groups.first, groups.last, flat, offsets, load, room, chosen)
    for begin in range(0, len(order), CHUNK):
        if deadline is not None and deadline.expired:
            return None
        part = order[begin : begin + CHUNK]
        _place(
            part, groups.first, groups.last, groups.level, flat, offsets, int(rule),
            load, room, chosen,
        )  # fmt: skip
    return Placement(chosen, load.max(axis=1).astype(np.int64))


def _flat_members(groups: Groups) -> tuple[IntArray, IntArray]:
    """Return the members of all groups in one array, and where each group begins."""
    flat = np.fromiter((i for group in groups.members for i in group), np.int64)
    return flat, np.concatenate([[0], np.cumsum(groups.multiplicity)])


def class_load(problem: Problem, deadline: Deadline | None = None) -> SharingPlan | None:
    """Return the best plan of class-load first fit over several orders and rules.

    Parameters
    ----------
    problem
        The buffers; interval time only.
    deadline
        When to stop; the best plan so far counts.

    Returns
    -------
    SharingPlan or None
        ``None`` if the table of loads would be too large, or if nothing was ready in time.
    """
    positive = np.flatnonzero(problem.sizes > 0)
    if not len(positive):
        return SharingPlan(tuple(range(len(problem))))
    core = problem.subproblem(positive.tolist())
    groups = compress(core)
    if len(groups.sizes) * groups.num_cliques > MAX_TABLE:
        return None
    best = best_placement(groups, deadline)
    return None if best is None else plan_of(problem, positive, core, best)


def plan_of(
    problem: Problem, positive: IntArray, core: Problem, placement: Placement
) -> SharingPlan:
    """Return the plan of a problem, given a placement of its buffers of positive size."""
    labels = [-1 - index for index in range(len(problem))]  # empty buffers stay alone
    shared = plan_from_classes(core, placement.classes.tolist()).shared
    for index, label in zip(positive.tolist(), shared, strict=True):
        labels[index] = label
    return SharingPlan.of(labels)


def best_placement(groups: Groups, deadline: Deadline | None = None) -> Placement | None:
    """Return the cheapest placement over all orders and rules, empty and pre-opened classes.

    Stops at the threshold bound.
    """
    profile = groups.counts.max(axis=1).astype(np.int64)
    bound = int(groups.steps @ profile)
    best: Placement | None = None
    for order in orders(groups):
        for rule in Rule:
            for capacity in (np.zeros_like(profile), np.diff(profile, prepend=0)):
                found = place(groups, order, rule, capacity, deadline=deadline)
                if found is None:
                    return best
                if best is None or found.cost(groups) < best.cost(groups):
                    best = found
                    if best.cost(groups) <= bound:
                        return best
    return best


@numba.njit(cache=True, nogil=True)
def _load_given(first, last, flat, offsets, load, capacity, classes):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Load the table with the buffers that have a class, and open what they need."""
    for g in range(len(first)):
        for p in range(offsets[g], offsets[g + 1]):
            c = classes[flat[p]]
            if c >= 0:
                for q in range(first[g], last[g] + 1):
                    load[c, q] += 1
                    if load[c, q] > capacity[c]:
                        capacity[c] = load[c, q]


@numba.njit(cache=True, nogil=True)
def _place(order, first, last, level, flat, offsets, rule, load, capacity, classes):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    for g in order:
        begin, end = first[g], last[g]
        for p in range(offsets[g], offsets[g + 1]):
            if classes[flat[p]] >= 0:
                continue
            best = -1
            best_score = np.int64(1) << 60
            for step in range(level[g] + 1):
                c = step if rule == 0 else level[g] - step  # on ties the smaller capacity
                score = _score(load[c], capacity[c], begin, end, rule)
                if score >= 0 and score < best_score:
                    best, best_score = c, score
                    if rule < 2:
                        break
            if best < 0:
                best = level[g]
                capacity[best] += 1
            classes[flat[p]] = best
            for q in range(begin, end + 1):
                load[best, q] += 1


@numba.njit(cache=True, nogil=True)
def _score(load, capacity, begin, end, rule):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Return how bad a class is for a live range; -1 where it has no room."""
    room = np.int64(0)
    for q in range(begin, end + 1):
        if load[q] >= capacity:
            return np.int64(-1)
        room += capacity - load[q]
    if rule < 2:
        return np.int64(0)
    if rule == 3:
        return room * 64 // (end - begin + 1)
    idle = np.int64(0)
    for q in range(begin - 1, max(-1, begin - 65), -1):
        if load[q] >= capacity:
            break
        idle += 1
    for q in range(end + 1, min(len(load), end + 65)):
        if load[q] >= capacity:
            break
        idle += 1
    return idle
