"""Unite the shared buffers of a plan: an improvement that needs no sizes."""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from memonger.plan import SharingPlan
from memonger.problem import Problem
from memonger.vector_time import ClockArray, IntArray, VectorArray, VectorTime

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
    that a glance does not rule out. O(n log n + e + k^2) for k shared buffers and e entries of
    vector time, compiled.

    Examples
    --------
    >>> from memonger.problem import Buffer
    >>> problem = Problem((Buffer("a", 8, 0, 2), Buffer("b", 4, 1, 3), Buffer("c", 2, 2, 4)))
    >>> unite(problem, SharingPlan.of([0, 1, 2])).shared
    (0, 1, 0)
    """
    if len(problem) == 0:
        return plan
    begins = problem.starts.tolist()
    groups = [sorted(group, key=begins.__getitem__) for group in plan.members()]
    groups.sort(key=lambda group: (-len(group), min(group)))
    members = np.array([buffer for group in groups for buffer in group], dtype=np.int64)
    first = np.cumsum([0, *map(len, groups)])
    numbers = {device: number for number, device in enumerate(problem.devices)}
    devices = np.array([numbers[problem.buffers[group[0]].device] for group in groups])
    time = problem.vector_time or VectorTime.of(problem.starts[:, None], problem.ends[:, None])
    times = Times(
        problem.starts, problem.ends, time.clock, time.begin, time.first, time.chain, time.until
    )
    shared = np.zeros(len(problem), dtype=np.int64)
    shared[members] = np.repeat(_first_fit(members, first, devices, times, TRIES), np.diff(first))
    return SharingPlan.of(shared.tolist())


class Times(NamedTuple):
    """The live ranges, for compiled functions: in program order, and those of `VectorTime`."""

    begin: IntArray
    over: IntArray
    clock: ClockArray
    moment: IntArray
    first: IntArray
    chain: IntArray
    until: VectorArray


@numba.njit(cache=True, nogil=True)
def _first_fit(members, first, devices, times, tries):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Return the lane of each group; members[first[g]:first[g + 1]] are in program order."""
    count = len(first) - 1
    chosen = np.zeros(count, np.int64)
    device = np.zeros(count, np.int64)  # of each lane
    head = np.zeros(count, np.int64)  # when the first member of a lane begins
    tail = np.zeros(count, np.int64)  # the last member of a lane
    lanes = [members[:0] for _ in range(0)]
    for g in range(count):
        group = members[first[g] : first[g + 1]]
        lane = -1
        looked = 0
        for k in range(len(lanes)):
            if device[k] != devices[g]:
                continue
            if not _may_fit(group, head[k], tail[k], times):
                continue
            if looked == tries:
                break
            looked += 1
            if _fits(group, lanes[k], times):
                lane = k
                break
        if lane < 0:
            lane = len(lanes)
            lanes.append(group.copy())
        else:
            lanes[lane] = _merge(lanes[lane], group, times.begin)
        device[lane] = devices[g]
        head[lane] = times.begin[lanes[lane][0]]
        tail[lane] = lanes[lane][-1]
        chosen[g] = lane
    return chosen


@numba.njit(cache=True, nogil=True)
def _may_fit(group, head, tail, times):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Return whether nothing speaks against a lane at first sight: true for what lies within."""
    if times.begin[tail] <= times.begin[group[0]]:
        return _over(tail, group[0], times, False)
    if times.begin[group[-1]] <= head:
        return times.over[group[-1]] <= head
    return True


@numba.njit(cache=True, nogil=True)
def _fits(group, lane, times):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Return whether each of the group is over, or begins, between its neighbours in the lane.

    To be over before another begins is transitive, so the neighbours are enough.
    """
    for closely in (False, True):  # the glance answers nearly always
        for buffer in group:
            low, high = 0, len(lane)
            while low < high:
                middle = (low + high) // 2
                if times.begin[lane[middle]] <= times.begin[buffer]:
                    low = middle + 1
                else:
                    high = middle
            if low > 0 and not _over(lane[low - 1], buffer, times, closely):
                return False
            if low < len(lane) and not _over(buffer, lane[low], times, closely):
                return False
    return True


@numba.njit(cache=True, nogil=True)
def _over(one, other, times, closely):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Return whether one buffer is over before another begins: in every schedule, if closely."""
    low, high = times.first[one], times.first[one + 1]
    moment = times.moment[other]
    for entry in range(low, high if closely else min(low + 1, high)):
        if times.clock[moment, times.chain[entry]] < times.until[entry]:
            return False
    return True


@numba.njit(cache=True, nogil=True)
def _merge(lane, group, begins):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    merged = np.empty(len(lane) + len(group), np.int64)
    i = j = 0
    for k in range(len(merged)):
        if j == len(group) or (i < len(lane) and begins[lane[i]] <= begins[group[j]]):
            merged[k] = lane[i]
            i += 1
        else:
            merged[k] = group[j]
            j += 1
    return merged
