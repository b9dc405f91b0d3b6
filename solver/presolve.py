"""Presolve of the sharing form: what a plan of at most a given cost can look like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from memonger.graph.cliques import Groups
from memonger.problem import IntArray

BoolArray = npt.NDArray[np.bool_]


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


def gap_fixing(groups: Groups, cost: int) -> Limits:
    """Return what every plan that costs at most ``cost`` satisfies.

    With om_k the largest number of live buffers of at least w_k, a plan costs at least
    sum_k (w_k - w_(k+1)) om_k, and each shared buffer beyond om_k adds its step: M_k is at most
    om_k + slack // step_k. Where as many buffers of at least w_k are live as M_k can be, smaller
    ones live at that time find no room in the classes up to k (saturation).
    """
    low = groups.counts.max(axis=1).astype(np.int64)
    slack = cost - int(groups.steps @ low)
    high = low + max(0, slack) // groups.steps
    high = np.minimum(high, np.cumsum(np.bincount(
        groups.level, weights=groups.multiplicity, minlength=len(low)
    ).astype(np.int64)))  # fmt: skip
    return _saturated(groups, low, high)


def restricted(
    groups: Groups, low: IntArray, cost: int, cliques: IntArray
) -> tuple[Groups, Limits]:
    """Return what is left of the buffers at some of the cliques, and what holds of it.

    Buffers that are live at none of them are left out, and those that are live at the same ones
    are merged: every plan of all buffers holds one of these, with the same M_k.

    Parameters
    ----------
    groups
        All buffers.
    low
        The largest number of live buffers of at least each size, at any clique; shape (D,).
    cost
        The limits hold for all plans that cost at most so many bytes.
    cliques
        Indices of the cliques to keep, ascending.
    """
    first = np.searchsorted(cliques, groups.first)
    last = np.searchsorted(cliques, groups.last, side="right") - 1
    kept = np.flatnonzero(first <= last)
    rows = np.stack([first[kept], last[kept], groups.level[kept]], axis=1)
    rows, group_of = np.unique(rows, axis=0, return_inverse=True)
    members: list[list[int]] = [[] for _ in range(len(rows))]
    for old, new in zip(kept.tolist(), group_of.reshape(-1).tolist(), strict=True):
        members[new] += groups.members[old]
    first, last, level = (rows[:, column].copy() for column in range(3))
    times = groups.times[cliques]
    part = Groups(first, last, level, tuple(map(tuple, members)), groups.sizes, times)
    return part, _saturated(part, low, low + max(0, cost - int(part.steps @ low)) // part.steps)


def _saturated(groups: Groups, low: IntArray, high: IntArray) -> Limits:
    """Return limits of M_k with the classes that they leave to each group."""
    high = np.minimum.accumulate(high[::-1])[::-1]  # M_k <= M_(k+1)
    smallest = np.zeros(len(groups), dtype=np.int64)
    for k in range(len(low)):
        full = np.concatenate([[0], np.cumsum(groups.counts[k] >= high[k])])
        meets = full[groups.last + 1] > full[groups.first]
        smallest = np.where(meets & (groups.level > k), k + 1, smallest)
    return Limits(low, high, smallest)


@dataclass(frozen=True)
class Pairs:
    """The pairs (group, class) that may be, in the order of the classes.

    Parameters
    ----------
    group, kind
        Group and class of each pair, shape (pairs,).
    """

    group: IntArray
    kind: IntArray

    def __len__(self) -> int:
        return len(self.group)


def allowed_pairs(groups: Groups, limits: Limits) -> Pairs:
    """Return the pairs that the limits leave: classes that may be used, by groups that may.

    Of classes that no group tells apart (where no group has a size, see `restricted`) only the
    last one counts, which stands for them all.
    """
    ends = np.unique(groups.level)
    below = np.concatenate([[0], limits.low[ends[:-1]]])
    usable = ends[limits.high[ends] > below]
    group, kind = [], []
    for c in usable.tolist():
        members = np.flatnonzero((limits.smallest <= c) & (groups.level >= c))
        group.append(members)
        kind.append(np.full(len(members), c, dtype=np.int64))
    if not group:
        empty = np.zeros(0, dtype=np.int64)
        return Pairs(empty, empty)
    return Pairs(np.concatenate(group), np.concatenate(kind))


@dataclass(frozen=True)
class Reduction:
    """What is left of the class model for plans of at most a certain cost.

    Parameters
    ----------
    limits
        Bounds of M_k.
    pairs
        The pairs (group, class) that remain.
    most
        Largest N_c, shape (classes,).
    full
        Class -> cliques at which as many buffers of the class are live as it has shared buffers.
    """

    limits: Limits
    pairs: Pairs
    most: IntArray
    full: dict[int, IntArray]


def unreduced(groups: Groups, limits: Limits) -> Reduction:
    """Return the class model as the limits alone leave it."""
    below = np.concatenate([[0], limits.low[:-1]])
    return Reduction(limits, allowed_pairs(groups, limits), limits.high - below, {})
