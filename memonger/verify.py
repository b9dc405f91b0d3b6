"""The specification of a valid plan: naive, and independent of everything that makes plans."""

from __future__ import annotations

import itertools

from memonger.errors import PlanError
from memonger.plan import SharingPlan
from memonger.problem import Problem


def verify_sharing(problem: Problem, plan: SharingPlan) -> int:
    """Check that a sharing plan is valid and return its cost in bytes.

    A plan is valid iff it places every buffer, and the buffers that share are of one device and
    pairwise disjoint in time, but for pairs that may be in place; and if it keeps the rules.

    Parameters
    ----------
    problem
        The buffers.
    plan
        What is to be checked.

    Returns
    -------
    int
        Sum over the shared buffers of their largest member, bytes.

    Raises
    ------
    PlanError
        If the plan is not valid; names the buffers.

    Notes
    -----
    Members of a shared buffer are checked in the order of their starts, neighbours only: being
    over before another begins is transitive, so this covers every pair. O(n log n), times the
    number of chains for vector time.
    """
    if len(plan.shared) != len(problem):
        raise PlanError(
            f"the plan places {len(plan.shared)} buffers, the problem has {len(problem)}"
        )
    groups: dict[int, list[int]] = {}
    for index, number in enumerate(plan.shared):
        if number < 0:
            raise PlanError(f"buffer {problem.buffers[index].name!r} is not placed")
        groups.setdefault(number, []).append(index)
    capacities: dict[int, int] = {}
    for number, members in groups.items():
        members.sort(key=lambda index: problem.buffers[index].start)
        for one, other in itertools.pairwise(members):
            _check_pair(problem, one, other)
        capacities[number] = max(problem.buffers[index].padded_size for index in members)
    if problem.rules:
        _check_rules(problem, plan, groups, capacities)
    return sum(capacities.values())


def _check_rules(
    problem: Problem, plan: SharingPlan, groups: dict[int, list[int]], capacities: dict[int, int]
) -> None:
    for device in problem.devices:
        own = {
            number: capacities[number]
            for number, members in groups.items()
            if problem.buffers[members[0]].device == device
        }
        problem.rules.check(plan.shared, lambda i: problem.buffers[i].name, own)


def _check_pair(problem: Problem, one: int, other: int) -> None:
    first, second = problem.buffers[one], problem.buffers[other]
    if first.device != second.device:
        raise PlanError(
            f"buffers {first.name!r} (device {first.device}) and {second.name!r} "
            f"(device {second.device}) share memory across devices"
        )
    time = problem.vector_time
    over = first.end <= second.start if time is None else time.over_before(one, other)
    if not over and (one, other) not in problem.takes_over:
        raise PlanError(
            f"buffers {first.name!r} [{first.start}, {first.end}) and {second.name!r} "
            f"[{second.start}, {second.end}) share memory but are live at the same time"
        )
