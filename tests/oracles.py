"""Deliberately naive re-statements of what memonger computes, from the definitions alone."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from memonger.problem import Problem

MAX_BRUTE_FORCE = 9


def padded(size: int, alignment: int) -> int:
    """Return the first multiple of the alignment that is not below the size."""
    while size % alignment:
        size += 1
    return size


def may_share(problem: Problem, first: int, second: int) -> bool:
    """Return whether two buffers may share memory, by the definition."""
    one, other = problem.buffers[first], problem.buffers[second]
    if one.device != other.device:
        return False
    time = problem.vector_time
    if time is None:
        if (first, second) in problem.in_place or (second, first) in problem.in_place:
            return True
        return max(one.start, other.start) >= min(one.end, other.end)
    chains = range(time.start.shape[1])
    before = all(time.end[first][c] <= time.start[second][c] for c in chains)
    after = all(time.end[second][c] <= time.start[first][c] for c in chains)
    return before or after


def is_valid(problem: Problem, shared: Sequence[int]) -> bool:
    """Return whether a plan is valid: every pair of buffers that share may do so. O(n^2)."""
    if len(shared) != len(problem) or any(number < 0 for number in shared):
        return False
    return all(
        shared[i] != shared[j] or may_share(problem, i, j)
        for j in range(len(shared))
        for i in range(j)
    )


def cost_of(problem: Problem, shared: Sequence[int]) -> int:
    """Return the sum over the shared buffers of their largest member."""
    total = 0
    for number in set(shared):
        members = [b for b, k in zip(problem.buffers, shared, strict=True) if k == number]
        total += max(padded(b.size, b.alignment) for b in members)
    return total


def valid_plans(problem: Problem) -> Iterator[tuple[int, ...]]:
    """Yield every valid plan once: all set partitions without a conflict inside a part."""
    count = len(problem)
    assert count <= MAX_BRUTE_FORCE
    allowed = [[may_share(problem, i, j) for j in range(count)] for i in range(count)]
    shared: list[int] = []

    def extend(used: int) -> Iterator[tuple[int, ...]]:
        index = len(shared)
        if index == count:
            yield tuple(shared)
            return
        for number in range(used + 1):
            if all(allowed[index][j] for j in range(index) if shared[j] == number):
                shared.append(number)
                yield from extend(max(used, number + 1))
                shared.pop()

    yield from extend(0)


def optimum(problem: Problem) -> int:
    """Return the cost of a cheapest plan: the same enumeration, cut off at the best so far."""
    count = len(problem)
    assert count <= MAX_BRUTE_FORCE
    allowed = [[may_share(problem, i, j) for j in range(count)] for i in range(count)]
    sizes = [padded(b.size, b.alignment) for b in problem.buffers]
    best = sum(sizes)
    groups: list[list[int]] = []

    def extend(index: int, cost: int) -> None:
        nonlocal best
        if cost >= best:
            return
        if index == count:
            best = cost
            return
        for group in groups:
            if all(allowed[index][j] for j in group):
                growth = max(0, sizes[index] - max(sizes[j] for j in group))
                group.append(index)
                extend(index + 1, cost + growth)
                group.pop()
        groups.append([index])
        extend(index + 1, cost + sizes[index])
        groups.pop()

    extend(0, 0)
    return best


def threshold_bound(problem: Problem) -> int:
    """Return the threshold bound of one device, level by level and time by time."""
    sizes = [padded(b.size, b.alignment) for b in problem.buffers]
    levels = sorted({size for size in sizes if size}, reverse=True)
    times = {b.start for b in problem.buffers}
    total = 0
    for level, smaller in zip(levels, [*levels, 0][1:], strict=True):
        deepest = max(
            sum(
                1
                for b, size in zip(problem.buffers, sizes, strict=True)
                if size >= level and b.start <= time < b.end
            )
            for time in times
        )
        total += (level - smaller) * deepest
    return total


def caffe2_greedy(problem: Problem, *, by_size: bool) -> tuple[int, ...]:
    """Restate Caffe2's ``compute_assignments_greedy`` over lists of blobs."""
    blobs = sorted(enumerate(problem.buffers), key=lambda item: item[1].end)
    assignments: list[list[int]] = []
    for index, blob in blobs:
        candidates = []
        for group in assignments:
            last = problem.buffers[group[-1]]
            if last.end > blob.start:
                continue
            largest = max(problem.buffers[i].padded_size for i in group)
            candidates.append((abs(largest - blob.padded_size) if by_size else 0, group))
        if candidates:
            min(candidates, key=lambda pair: pair[0])[1].append(index)
        else:
            assignments.append([index])
    shared = [0] * len(problem)
    for number, group in enumerate(assignments):
        for index in group:
            shared[index] = number
    return tuple(shared)


def first_fit(problem: Problem, order: Sequence[int]) -> list[int]:
    """Return the offsets when buffers are placed in an order, each as low as it goes. O(n^3)."""
    offsets: dict[int, int] = {}
    for i in order:
        buffer = problem.buffers[i]
        if buffer.offset is not None:
            offsets[i] = buffer.offset
            continue
        others = [
            (offsets[j], offsets[j] + problem.buffers[j].size)
            for j in offsets
            if problem.conflict(i, j) and problem.buffers[j].device == buffer.device
        ]
        places = [0, *(padded(end, buffer.alignment) for _, end in others)]
        offsets[i] = min(
            place
            for place in places
            if all(place + buffer.size <= low or high <= place for low, high in others)
        )
    return [offsets[i] for i in range(len(problem))]


def smallest_peak(problem: Problem) -> int | None:
    """Return the least bytes of an arena, by all orders; ``None`` where pins contradict.

    In some best plan no buffer can lie lower. Placed in the order of the offsets of that plan, pins
    before all others, no buffer comes to lie above its offset there.
    """
    assert len(problem) <= MAX_BRUTE_FORCE
    pinned = [i for i, b in enumerate(problem.buffers) if b.offset is not None]
    ends = {i: (problem.buffers[i].offset or 0) + problem.buffers[i].size for i in pinned}
    for i, j in itertools.permutations(pinned, 2):
        starts = problem.buffers[i].offset or 0, problem.buffers[j].offset or 0
        if problem.conflict(i, j) and starts[0] <= starts[1] < ends[i]:
            return None
    free = [i for i, b in enumerate(problem.buffers) if b.offset is None]
    return min(
        max(
            (
                offset + buffer.size
                for offset, buffer in zip(
                    first_fit(problem, [*pinned, *order]), problem.buffers, strict=True
                )
            ),
            default=0,
        )
        for order in itertools.permutations(free)
    )


def taken_bytes(problem: Problem, index: int, time: int) -> range:
    """Return the bytes that a buffer takes at a time, from its offset on, by the definition."""
    buffer = problem.buffers[index]
    if not buffer.start <= time < buffer.end:
        return range(0)
    for gap in buffer.gaps:
        if gap.start <= time < gap.end:
            return range(gap.lower, gap.upper)
    return range(buffer.size)


def smallest_peak_with_gaps(problem: Problem) -> int | None:
    """Return the least bytes of an arena, all offsets tried; ``None`` where pins contradict.

    An arena of C bytes over all times is one integer, a bit for each byte and time: moving a buffer
    by a byte shifts what it takes by a bit. For small problems of one device.
    """
    problem = problem.subproblem([i for i, b in enumerate(problem.buffers) if b.size])
    horizon = max((b.end for b in problem.buffers), default=0)
    top = sum(b.size + b.alignment for b in problem.buffers)
    top += max((b.offset for b in problem.buffers if b.offset is not None), default=0)
    cells = []
    for i in range(len(problem)):
        cells.append(0)
        for time in range(horizon):
            for byte in taken_bytes(problem, i, time):
                cells[i] |= 1 << (time * (top + 1) + byte)

    def fits(capacity: int, index: int, taken: int) -> bool:
        if index == len(problem):
            return True
        buffer = problem.buffers[index]
        places = range(0, capacity - buffer.size + 1, buffer.alignment)
        if buffer.offset is not None:
            places = range(buffer.offset, min(buffer.offset + 1, capacity - buffer.size + 1))
        return any(
            not taken & (cells[index] << place)
            and fits(capacity, index + 1, taken | (cells[index] << place))
            for place in places
        )

    if not fits(top, 0, 0):
        return None
    return next(capacity for capacity in range(top + 1) if fits(capacity, 0, 0))
