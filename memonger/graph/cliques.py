"""Time compressed to maximal cliques, identical buffers merged."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from memonger.problem import IntArray, Problem


def clique_times(starts: IntArray, ends: IntArray) -> IntArray:
    """Return the times of the maximal cliques: all sets of live buffers that no other contains.

    They lie at the starts that some end follows before the next start. O(n log n).
    """
    starts, ends = np.unique(starts), np.sort(ends)
    following = np.append(starts[1:], np.iinfo(np.int64).max)
    # ends in (start, next start], half-open ranges: the buffer is live at `start`, over after
    first_end = np.searchsorted(ends, starts, side="right")
    has_end = first_end < len(ends)
    following_end = ends[np.minimum(first_end, len(ends) - 1)]
    maximal = has_end & (following_end <= following)
    return starts[maximal]


@dataclass(frozen=True)
class Groups:
    """Buffers over compressed time, identical ones merged.

    Parameters
    ----------
    first, last
        Live range of each group in clique indices, both **inclusive**, shape (groups,).
    level
        Index of the group's size among the distinct sizes, 0 the largest, shape (groups,).
    members
        Buffer indices of each group; the multiplicity is their number.
    sizes
        Distinct sizes w_1 > ... > w_D, bytes.
    times
        A time of each maximal clique, ascending.
    """

    first: IntArray
    last: IntArray
    level: IntArray
    members: tuple[tuple[int, ...], ...]
    sizes: IntArray
    times: IntArray

    def __len__(self) -> int:
        return len(self.members)

    @property
    def num_cliques(self) -> int:
        """Number of maximal cliques."""
        return len(self.times)

    @cached_property
    def multiplicity(self) -> IntArray:
        """Number of buffers in each group, shape (groups,)."""
        return np.array([len(group) for group in self.members], dtype=np.int64)

    @cached_property
    def steps(self) -> IntArray:
        """Differences w_k - w_(k+1), with w_(D+1) = 0."""
        steps: IntArray = self.sizes - np.append(self.sizes[1:], 0)
        return steps

    @cached_property
    def gcd(self) -> int:
        """Greatest common divisor of the sizes: every cost is a multiple of it."""
        return math.gcd(*self.sizes.tolist())

    @cached_property
    def counts(self) -> IntArray:
        """``counts[k, q]``: live buffers of at least w_k in clique q, shape (D, cliques)."""
        change = np.zeros((len(self.sizes), self.num_cliques + 1), dtype=np.int32)
        np.add.at(change, (self.level, self.first), self.multiplicity)
        np.subtract.at(change, (self.level, self.last + 1), self.multiplicity)
        counts: IntArray = np.cumsum(
            np.cumsum(change[:, :-1], axis=1, dtype=np.int32), axis=0, dtype=np.int32
        )
        return counts


def compress(problem: Problem) -> Groups:
    """Return the groups of a problem whose buffers all have a positive size.

    Buffers are live until they are freed: where some may be taken over in place this is a
    relaxation. In vector time identical buffers are those whose vectors are equal too; the
    cliques are those of program order.
    """
    times = clique_times(problem.starts, problem.freed)
    first = np.searchsorted(times, problem.starts, side="left")
    last = np.searchsorted(times, problem.freed, side="left") - 1
    sizes = np.unique(problem.sizes)[::-1].copy()
    level = np.searchsorted(-sizes, -problem.sizes)
    rows = [first, last, level]
    if problem.vector_time is not None:
        vectors = np.hstack([problem.vector_time.start, problem.vector_time.end])
        rows.append(np.unique(vectors, axis=0, return_inverse=True)[1].reshape(-1))
    if problem.in_place:  # buffers of pairs are no two alike
        apart = np.zeros(len(problem), dtype=np.int64)
        paired = sorted({i for pair in problem.in_place for i in pair})
        apart[paired] = np.arange(1, len(paired) + 1)
        rows.append(apart)
    merged: dict[tuple[int, ...], list[int]] = {}
    for buffer, key in enumerate(zip(*(row.tolist() for row in rows), strict=True)):
        merged.setdefault(key, []).append(buffer)
    heads = np.array([group[0] for group in merged.values()], dtype=np.int64)
    members = tuple(tuple(group) for group in merged.values())
    return Groups(first[heads], last[heads], level[heads], members, sizes, times)
