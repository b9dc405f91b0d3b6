"""Greedy by size: the largest buffer first, so that a shared buffer never grows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from memonger.heuristics.lane_table import LaneRule, fill
from memonger.heuristics.lanes import Lane, over_before
from memonger.plan import SharingPlan
from memonger.problem import Problem
from memonger.stop import Deadline

Choice = Callable[[Problem, list[tuple[Lane, int]], int], int]
"""(problem, lanes that fit with the position in each, buffer) -> index into that list."""


def first_fit(problem: Problem, fitting: list[tuple[Lane, int]], buffer: int) -> int:
    """Take the lane that was opened first: the largest one."""
    del problem, fitting, buffer
    return 0


def tight_gap(problem: Problem, fitting: list[tuple[Lane, int]], buffer: int) -> int:
    """Take the lane with the least idle time between the buffer and its nearest neighbour."""
    own = problem.buffers[buffer]

    def idle(lane: Lane, position: int) -> int:
        gaps = []
        if position:
            gaps.append(own.start - problem.buffers[lane.members[position - 1]].end)
        if position < len(lane.members):
            gaps.append(problem.buffers[lane.members[position]].start - own.end)
        return min(gaps)

    return min(range(len(fitting)), key=lambda i: idle(*fitting[i]))


_RULES = {first_fit: LaneRule.FIRST, tight_gap: LaneRule.TIGHT}


def greedy_by_size(
    problem: Problem, choose: Choice = first_fit, deadline: Deadline | None = None
) -> SharingPlan | None:
    """Place the buffers in descending order of size, each into a lane that has room in time.

    Parameters
    ----------
    problem
        The buffers, in interval or vector time.
    choose
        Which of the lanes with room; ``first_fit`` and ``tight_gap`` stand ready.
    deadline
        When to give up.

    Returns
    -------
    SharingPlan or None
        ``None`` if the deadline came first, or the table of `lane_table` would be too large.

    Notes
    -----
    Ties in size go to the earlier start, then to the name. O(n k log n) for k shared buffers.

    References
    ----------
    Y. Pisarchyk, J. Lee, "Efficient memory management for deep neural net inference", 2020.
    """
    order = sorted(
        range(len(problem)),
        key=lambda i: (-problem.sizes[i], problem.buffers[i].start, problem.buffers[i].name),
    )
    if problem.vector_time is None and choose in _RULES:
        return fill(problem, np.array(order, dtype=np.int64), _RULES[choose], deadline)
    over = over_before(problem)
    lanes: list[Lane] = []
    shared = [0] * len(problem)
    numbers: dict[int, int] = {}
    only_first = choose is first_fit
    for step, buffer in enumerate(order):
        if deadline is not None and step % 16 == 0 and deadline.expired:
            return None
        fitting: list[tuple[Lane, int]] = []
        for lane in lanes:
            position = lane.position(problem, buffer, over)
            if position >= 0:
                fitting.append((lane, position))
                if only_first:
                    break
        if fitting:
            lane, position = fitting[choose(problem, fitting, buffer)]
        else:
            lane, position = Lane(), 0
            numbers[id(lane)] = len(lanes)
            lanes.append(lane)
        lane.insert(problem, buffer, position)
        shared[buffer] = numbers[id(lane)]
    return SharingPlan.of(shared)
