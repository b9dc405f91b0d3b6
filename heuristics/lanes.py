"""Shared buffers as lanes in time, open for placement in any order."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Sequence

import numpy as np

from memonger.problem import Problem

Over = Callable[[int, int], bool]


def over_before(problem: Problem) -> Over:
    """Return the test whether one buffer is over before another begins, in every schedule."""
    if problem.vector_time is not None:
        return problem.vector_time.over_before
    starts, ends = problem.starts.tolist(), problem.ends.tolist()
    return lambda one, other: ends[one] <= starts[other]


def follows(problem: Problem, pairs: Sequence[tuple[int, int]]) -> list[bool]:
    """Return of each pair whether the first is over before the second begins: `over_before`."""
    first, second = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    if problem.vector_time is not None:
        return list(problem.vector_time.pairs_over_before(first, second))
    return list(problem.ends[first] <= problem.starts[second])


class Lane:
    """One shared buffer: its members in the order of their starts.

    Being over before another begins is transitive, so a buffer fits in a lane iff it fits
    between the two neighbours that its start puts it between.
    """

    __slots__ = ("members", "starts")

    def __init__(self) -> None:
        self.members: list[int] = []
        self.starts: list[int] = []

    def position(self, problem: Problem, buffer: int, over: Over) -> int:
        """Return where the buffer would stand among the members, or -1 where it does not fit."""
        at = bisect.bisect_right(self.starts, problem.buffers[buffer].start)
        if at and not over(self.members[at - 1], buffer):
            return -1
        if at < len(self.members) and not over(buffer, self.members[at]):
            return -1
        return at

    def insert(self, problem: Problem, buffer: int, position: int) -> None:
        """Put a buffer where `position` said."""
        self.members.insert(position, buffer)
        self.starts.insert(position, problem.buffers[buffer].start)
