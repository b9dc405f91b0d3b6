"""The specification of a valid plan: naive, and independent of everything that makes plans."""

from __future__ import annotations

import bisect
import itertools

from memonger.errors import PlanError
from memonger.order_problem import Allocation, OrderProblem
from memonger.plan import ArenaPlan, OrderPlan, SharingPlan
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
    if problem.gapped:
        name = problem.buffers[problem.gapped[0]].name
        raise PlanError(f"buffer {name!r} has gaps, which plans of the form 'sharing' cannot keep")
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


def verify_order(problem: OrderProblem, plan: OrderPlan) -> int:
    """Check that an order is valid and return its cost in bytes.

    An order is valid iff every operator runs once, behind all that it must wait for.

    Parameters
    ----------
    problem
        The operators.
    plan
        What is to be checked.

    Returns
    -------
    int
        The most bytes live at once: what an operator allocates and what it reads last are live
        while it runs.

    Raises
    ------
    PlanError
        If the order is not valid; names the operators.

    Notes
    -----
    Runs the operators one by one. Linear in the size of the problem.
    """
    if sorted(plan.order) != list(range(len(problem))):
        raise PlanError("the order does not run every operator once")
    position = {operator: time for time, operator in enumerate(plan.order)}
    waits = [(held.producer, reader) for held in problem.allocations for reader in held.readers]
    for before, after in itertools.chain(problem.edges, waits):
        if position[before] > position[after]:
            raise PlanError(
                f"operator {after} ({problem.operators[after]}) runs before operator {before} "
                f"({problem.operators[before]}), which it must wait for"
            )
    made: dict[int, list[Allocation]] = {}
    freed: dict[int, int] = {}  # operator -> bytes
    for held in problem.allocations:
        made.setdefault(held.producer, []).append(held)
        if not held.kept:
            last = max((held.producer, *held.readers), key=position.__getitem__)
            freed[last] = freed.get(last, 0) + held.size
    live = peak = 0
    for operator in plan.order:
        live += sum(held.size for held in made.get(operator, ()))
        peak = max(peak, live)
        live -= freed.get(operator, 0)
    return peak


def verify_arena(problem: Problem, plan: ArenaPlan) -> int:
    """Check that an arena plan is valid and return its cost in bytes.

    A plan is valid iff it places every buffer at an offset that is not negative, a multiple of the
    buffer's alignment, and where the buffer is pinned to if it is; and no two buffers of one device
    take the same byte at the same time: in its gaps a buffer takes what their windows say.

    Parameters
    ----------
    problem
        The buffers, in interval time.
    plan
        What is to be checked.

    Returns
    -------
    int
        Sum over the devices of the highest end of a buffer that has a size, bytes; the whole
        buffer counts, gaps or not.

    Raises
    ------
    PlanError
        If the plan is not valid; names the buffers.

    Notes
    -----
    The sweep keeps the live buffers sorted by offset: as these do not overlap, a new one overlaps
    any of them iff it overlaps one of its two neighbours. O(n log n) comparisons.
    """
    if problem.vector_time is not None:
        raise PlanError("arena plans of nets that run in parallel cannot be checked")
    if problem.rules:
        raise PlanError(
            "rules speak of shared buffers, of which plans of the form 'arena' have none"
        )
    if len(plan.offsets) != len(problem):
        raise PlanError(
            f"the plan places {len(plan.offsets)} buffers, the problem has {len(problem)}"
        )
    for index, offset in enumerate(plan.offsets):
        _check_offset(problem, index, offset)
    # At one time ends come before starts: live ranges are half-open.
    events = [
        event
        for index, buffer in enumerate(problem.buffers)
        for span in buffer.spans
        for event in ((span.start, 1, index, span), (span.end, 0, index, span))
    ]
    events.sort()
    live: dict[str, list[_Taken]] = {device: [] for device in problem.devices}
    for _, begins, index, span in events:
        here = live[problem.buffers[index].device]
        entry = (plan.offsets[index] + span.lower, index, plan.offsets[index] + span.upper)
        at = bisect.bisect_left(here, entry)
        if not begins:
            del here[at]
            continue
        if at:
            _check_overlap(problem, plan, here[at - 1], entry)
        if at < len(here):
            _check_overlap(problem, plan, entry, here[at])
        here.insert(at, entry)
    return plan.cost(problem)


_Taken = tuple[int, int, int]
"""From which byte on a buffer takes memory, its index, and where that ends."""


def _check_offset(problem: Problem, index: int, offset: int) -> None:
    buffer = problem.buffers[index]
    if offset < 0:
        raise PlanError(f"buffer {buffer.name!r} has the negative offset {offset}")
    if offset % buffer.alignment:
        raise PlanError(
            f"buffer {buffer.name!r} lies at {offset}, no multiple of its alignment "
            f"{buffer.alignment}"
        )
    if buffer.offset is not None and offset != buffer.offset:
        raise PlanError(
            f"buffer {buffer.name!r} lies at {offset}, but is pinned to {buffer.offset}"
        )


def _check_overlap(problem: Problem, plan: ArenaPlan, lower: _Taken, upper: _Taken) -> None:
    """Check what two buffers take at a time, the one that begins lower first."""
    if lower[2] > upper[0]:
        one, other = problem.buffers[lower[1]], problem.buffers[upper[1]]
        raise PlanError(
            f"buffers {one.name!r} [{one.start}, {one.end}) at {plan.offsets[lower[1]]} and "
            f"{other.name!r} [{other.start}, {other.end}) at {plan.offsets[upper[1]]} are live at "
            "the same time and overlap"
        )
