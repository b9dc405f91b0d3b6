"""Caffe2's greedy assignment, the baseline that people have used."""

from __future__ import annotations

from memonger.plan import SharingPlan
from memonger.problem import Problem
from memonger.stop import Deadline


def caffe2_greedy(
    problem: Problem, *, by_size: bool = True, deadline: Deadline | None = None
) -> SharingPlan | None:
    """Return the plan of Caffe2's ``compute_assignments_greedy``.

    Buffers are taken in the order of their ends. Each goes to the free shared buffer whose
    largest member is nearest in size (the first of equals), or opens a new one where none is
    free; without sizes, to the first free one.

    Parameters
    ----------
    problem
        The buffers; interval time only.
    by_size
        Whether sizes are known to it: Caffe2's default is to run without.
    deadline
        When to give up: then ``None`` is returned.

    Notes
    -----
    A buffer that is taken later ends later, so a shared buffer is free for it iff the last one in
    it is over before it starts. O(n k) for k shared buffers, as in the original.

    References
    ----------
    Caffe2, ``caffe2/python/memonger.py``.
    """
    order = sorted(range(len(problem)), key=lambda i: (problem.buffers[i].end, i))
    sizes, starts, ends = (a.tolist() for a in (problem.sizes, problem.starts, problem.ends))
    shared = [-1] * len(problem)
    last_end: list[int] = []
    largest: list[int] = []
    for step, i in enumerate(order):
        if deadline is not None and step % 256 == 0 and deadline.expired:
            return None
        best, best_gap = -1, 0
        for number, end in enumerate(last_end):
            if end > starts[i]:
                continue
            gap = abs(largest[number] - sizes[i]) if by_size else 0
            if best < 0 or gap < best_gap:
                best, best_gap = number, gap
                if gap == 0:
                    break
        if best < 0:
            best = len(last_end)
            last_end.append(0)
            largest.append(0)
        last_end[best] = ends[i]
        largest[best] = max(largest[best], sizes[i])
        shared[i] = best
    return SharingPlan.of(shared)
