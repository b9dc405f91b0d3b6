"""Capacity-profile sweeps: through time, over shared buffers opened beforehand."""

from __future__ import annotations

import bisect
import heapq

import numpy as np

from memonger.graph.profile import size_profile
from memonger.heuristics.classes import plan_from_classes
from memonger.heuristics.lanes import over_before
from memonger.plan import SharingPlan
from memonger.problem import Problem
from memonger.stop import Deadline


def profile_sweep(problem: Problem, *, reverse: bool = False) -> SharingPlan:
    """Sweep through time over the shared buffers that the threshold bound asks for.

    The profile says how many shared buffers of at least each size any plan needs; these are
    opened beforehand. Each buffer, in the order of its start, takes the smallest free one that is
    large enough; where none is free a new one of its own size is opened. If none ever is, the
    plan meets the threshold bound and is optimal.

    Parameters
    ----------
    problem
        The buffers; interval time only.
    reverse
        Sweep from the end of time to its start.

    Notes
    -----
    O(n log n): shared buffers are counted by size, not told apart, until all are assigned.
    """
    profile = size_profile(problem)
    level = np.searchsorted(-profile.sizes, -problem.sizes).tolist()  # 0 = the largest size
    starts, ends = problem.starts.tolist(), problem.freed.tolist()
    if reverse:
        starts, ends = [-end for end in ends], [-start for start in starts]
    free = [*np.diff(profile.counts, prepend=0).tolist(), 0]  # the last one: empty buffers
    open_levels = [k for k, count in enumerate(free) if count]
    busy: list[tuple[int, int]] = []
    classes = [0] * len(problem)
    for i in sorted(range(len(problem)), key=lambda i: (starts[i], level[i], i)):
        while busy and busy[0][0] <= starts[i]:
            _, over = heapq.heappop(busy)
            if free[over] == 0:
                bisect.insort(open_levels, over)
            free[over] += 1
        # Levels up to the buffer's own are large enough; the last of those is the smallest.
        at = bisect.bisect_right(open_levels, level[i]) - 1
        if at >= 0:
            chosen = open_levels[at]
            free[chosen] -= 1
            if free[chosen] == 0:
                del open_levels[at]
        else:
            chosen = level[i]
        classes[i] = chosen
        heapq.heappush(busy, (ends[i], chosen))
    return plan_from_classes(problem, classes)


def best_fit_sweep(problem: Problem, deadline: Deadline | None = None) -> SharingPlan | None:
    """Sweep through program order, each buffer into the free shared buffer nearest in size.

    Large enough ones first, the smallest of them; else the largest of the others grows. Works in
    vector time too, where a shared buffer is free if its last member is over before the buffer
    begins in every schedule. Returns ``None`` if the deadline comes first.

    Notes
    -----
    O(n k) for k shared buffers.
    """
    over = over_before(problem)
    capacities: list[int] = []  # ascending, with the number and the last member of each
    lanes: list[tuple[int, int]] = []
    shared = [0] * len(problem)
    sizes = problem.sizes.tolist()
    order = sorted(range(len(problem)), key=lambda i: (problem.buffers[i].start, -sizes[i], i))
    for step, i in enumerate(order):
        if deadline is not None and step % 256 == 0 and deadline.expired:
            return None
        enough = bisect.bisect_left(capacities, sizes[i])
        candidates = [*range(enough, len(lanes)), *range(enough - 1, -1, -1)]
        at = next((k for k in candidates if over(lanes[k][1], i)), -1)
        if at < 0:
            number, capacity = len(lanes), sizes[i]
        else:
            number, capacity = lanes[at][0], max(capacities[at], sizes[i])
            del lanes[at], capacities[at]
        into = bisect.bisect_left(capacities, capacity)
        capacities.insert(into, capacity)
        lanes.insert(into, (number, i))
        shared[i] = number
    return SharingPlan.of(shared)
