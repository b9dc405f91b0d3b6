"""Presolve of the sharing form: what the class model needs, made small."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from memonger.problem import IntArray, Problem

BoolArray = npt.NDArray[np.bool_]


def clique_times(problem: Problem) -> IntArray:
    """Return the times of the maximal cliques: all sets of live buffers that no other contains.

    They lie at the starts that some end follows before the next start. O(n log n).
    """
    starts = np.unique(problem.starts)
    ends = np.sort(problem.ends)
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
    num_cliques
        Number of maximal cliques.
    """

    first: IntArray
    last: IntArray
    level: IntArray
    members: tuple[tuple[int, ...], ...]
    sizes: IntArray
    num_cliques: int

    def __len__(self) -> int:
        return len(self.members)

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
        change = np.zeros((len(self.sizes), self.num_cliques + 1), dtype=np.int64)
        np.add.at(change, (self.level, self.first), self.multiplicity)
        np.subtract.at(change, (self.level, self.last + 1), self.multiplicity)
        counts: IntArray = np.cumsum(np.cumsum(change[:, :-1], axis=1), axis=0)
        return counts


def compress(problem: Problem) -> Groups:
    """Return the groups of a problem whose buffers all have a positive size."""
    times = clique_times(problem)
    first = np.searchsorted(times, problem.starts, side="left")
    last = np.searchsorted(times, problem.ends, side="left") - 1
    sizes = np.unique(problem.sizes)[::-1].copy()
    level = np.searchsorted(-sizes, -problem.sizes)
    merged: dict[tuple[int, int, int], list[int]] = {}
    keys = zip(first.tolist(), last.tolist(), level.tolist(), strict=True)
    for buffer, key in enumerate(keys):
        merged.setdefault(key, []).append(buffer)
    columns = np.array(list(merged), dtype=np.int64).reshape(-1, 3).T
    members = tuple(tuple(group) for group in merged.values())
    return Groups(columns[0], columns[1], columns[2], members, sizes, len(times))


@dataclass(frozen=True)
class Limits:
    """What a plan of at most a given cost can look like: gap fixing.

    Parameters
    ----------
    low, high
        Bounds of M_k, the number of shared buffers of at least w_k, shape (D,).
    smallest
        ``smallest[g]``: the group may use no class before this one, shape (groups,).
    """

    low: IntArray
    high: IntArray
    smallest: IntArray

    def allowed(self, group: int, level: int) -> range:
        """Return the classes that a group of that level may use."""
        return range(int(self.smallest[group]), level + 1)


def gap_fixing(groups: Groups, cost: int) -> Limits:
    """Return what every plan that costs at most ``cost`` satisfies.

    With om_k the largest number of live buffers of at least w_k, a plan costs at least
    sum_k (w_k - w_(k+1)) om_k, and each shared buffer beyond om_k adds its step: M_k is at most
    om_k + slack // step_k. Where as many buffers of at least w_k are live as M_k can be, smaller
    ones live at that time find no room in the classes up to k (saturation).
    """
    low = groups.counts.max(axis=1)
    slack = cost - int(groups.steps @ low)
    high = low + max(0, slack) // groups.steps
    high = np.minimum(high, np.cumsum(np.bincount(
        groups.level, weights=groups.multiplicity, minlength=len(low)
    ).astype(np.int64)))  # fmt: skip
    high = np.minimum.accumulate(high[::-1])[::-1]  # M_k <= M_(k+1)
    smallest = np.zeros(len(groups), dtype=np.int64)
    for k in range(len(low)):
        full = np.concatenate([[0], np.cumsum(groups.counts[k] >= high[k])])
        meets = full[groups.last + 1] > full[groups.first]
        smallest = np.where(meets & (groups.level > k), k + 1, smallest)
    return Limits(low, high, smallest)
