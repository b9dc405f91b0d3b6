"""Unite the shared buffers of a plan: an improvement that needs no sizes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from memonger.heuristics.lanes import Lane, over_before
from memonger.plan import SharingPlan
from memonger.problem import Problem

BoolArray = npt.NDArray[np.bool_]

MANY = 32
"""Lanes from which on it pays to rule most of them out at once."""

TRIES = 64
"""Lanes that are looked at closely for one shared buffer."""


def unite(problem: Problem, plan: SharingPlan) -> SharingPlan:
    """Return a plan in which shared buffers of the given plan are put together as wholes.

    Parameters
    ----------
    problem
        The buffers, in interval or vector time; their sizes do not matter.
    plan
        A valid plan.

    Returns
    -------
    SharingPlan
        A valid plan that costs no more than the given one **whatever the sizes are**: each of its
        shared buffers is the union of some of the given ones, so its largest member is in one of
        them. No plan of another kind has this property.

    Notes
    -----
    First fit, those with the most members first; where very many lie open, into one of the first
    that a quick comparison does not rule out. O(n log n + n k) for k shared buffers, the second
    term in array operations.

    Examples
    --------
    >>> from memonger.problem import Buffer
    >>> problem = Problem((Buffer("a", 8, 0, 2), Buffer("b", 4, 1, 3), Buffer("c", 2, 2, 4)))
    >>> unite(problem, SharingPlan.of([0, 1, 2])).shared
    (0, 1, 0)
    """
    over = over_before(problem)
    groups = plan.members()
    lanes: list[Lane] = []
    devices = np.array([problem.devices.index(buffer.device) for buffer in problem.buffers])
    device_of = np.zeros(len(groups), dtype=np.intp)  # of the lanes
    placed = np.zeros(len(problem), dtype=np.intp)
    where = np.zeros(len(problem), dtype=np.intp)  # lanes of those placed
    count = 0
    labels = [0] * len(groups)
    for group in sorted(range(len(groups)), key=lambda k: (-len(groups[k]), groups[k][0])):
        members = groups[group]
        blocked = device_of[: len(lanes)] != devices[members[0]]
        if len(lanes) >= MANY:
            blocked[where[:count][_conflicts(problem, members[0], placed[:count])]] = True
        for label in np.flatnonzero(~blocked)[:TRIES].tolist():
            lane = lanes[label]
            if all(lane.position(problem, buffer, over) >= 0 for buffer in members):
                break
        else:
            label, lane = len(lanes), Lane()
            lanes.append(lane)
            device_of[label] = devices[members[0]]
        for buffer in members:
            lane.insert(problem, buffer, lane.position(problem, buffer, over))
            placed[count], where[count] = buffer, label
            count += 1
        labels[group] = label
    return SharingPlan.of(labels[group] for group in plan.shared)


def _conflicts(problem: Problem, buffer: int, others: npt.NDArray[np.intp]) -> BoolArray:
    """Return which of others surely conflict with a buffer: one comparison each, not exact."""
    time = problem.vector_time
    if time is None:
        start, end = problem.starts[buffer], problem.ends[buffer]
        conflicts: BoolArray = (problem.ends[others] > start) & (problem.starts[others] < end)
        return conflicts
    keys, key = time.key[others], time.key[buffer]
    earlier = time.end[others, keys] <= time.start[buffer, keys]
    later = time.start[others, key] >= time.end[buffer, key]
    crossing: BoolArray = ~(earlier | later)
    return crossing
