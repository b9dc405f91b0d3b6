"""The linear relaxation of the class model, in sparse form.

The rows "at every clique at most N_c live buffers of class c" are written as a chain of slacks:
with s_j the room left in class c at its j-th maximal clique,

    s_0 + sum_{begin at 0} x = N_c
    s_j - s_(j-1) + sum_{begin at j} x - sum_{over before j} x = 0          j = 1, 2, ...

so that a variable x has three coefficients, however long it lives. Where some sizes belong to no
group, as when only some cliques count, the classes from one size of a group (exclusive) to the
next (inclusive) take the same groups and share their rows, in which the sum of their N_c stands;
the variables x are those of the last of them.

The value equals that of the
set-partitioning relaxation (columns = sets of disjoint buffers), as the interval rows of one class
are totally unimodular.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from memonger.graph.cliques import Groups
from memonger.problem import IntArray
from memonger.solver.presolve import Limits, Pairs, allowed_pairs

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Chain:
    """The rows of one class.

    Parameters
    ----------
    kind
        The class; the last of those that share the rows.
    top
        The first of them.
    cliques
        Its maximal cliques, as indices into the cliques of all groups.
    row
        The first of its rows; one a clique.
    """

    kind: int
    top: int
    cliques: IntArray
    row: int


@dataclass(frozen=True)
class ClassLp:
    """The relaxation as ``min cost x, matrix x = right, low <= x <= high``.

    Columns: the pairs, then N_c, then M_k, then the slacks. Rows: the groups, then the chains,
    then M_k - M_(k-1) - N_k = 0.

    Parameters
    ----------
    pairs, chains
        What the columns and the rows stand for.
    matrix, right, cost, low, high
        The linear program; costs are in units of the gcd of the sizes.
    """

    pairs: Pairs
    chains: tuple[Chain, ...]
    matrix: sparse.csr_matrix
    right: FloatArray
    cost: FloatArray
    low: FloatArray
    high: FloatArray

    @property
    def first_count(self) -> int:
        """Column of N_0; M_0 follows after all N."""
        return len(self.pairs)


class _Triplets:
    """Coefficients of a sparse matrix, collected piece by piece."""

    def __init__(self) -> None:
        self.rows: list[IntArray] = []
        self.columns: list[IntArray] = []
        self.values: list[FloatArray] = []

    def add(self, rows: IntArray, columns: IntArray, value: float) -> None:
        rows, columns = np.broadcast_arrays(rows, columns)
        self.rows.append(rows)
        self.columns.append(columns)
        self.values.append(np.full(len(rows), value))

    def matrix(self, shape: tuple[int, int]) -> sparse.csr_matrix:
        places = (np.concatenate(self.rows), np.concatenate(self.columns))
        return sparse.csr_matrix((np.concatenate(self.values), places), shape=shape)


def build_class_lp(groups: Groups, limits: Limits, pairs: Pairs | None = None) -> ClassLp:
    """Return the relaxation for plans within the limits.

    Every group must have a class left in the limits. Linear in the number of pairs.
    """
    pairs = allowed_pairs(groups, limits) if pairs is None else pairs
    num_classes = len(groups.sizes)
    counts = len(pairs) + np.arange(num_classes)  # columns N_c
    totals = counts + num_classes  # columns M_k
    entries = _Triplets()
    entries.add(pairs.group, np.arange(len(pairs)), 1.0)
    row, slack = len(groups), len(pairs) + 2 * num_classes
    chains = []
    tops = np.append(0, np.unique(groups.level) + 1)
    edges = np.searchsorted(pairs.kind, np.arange(num_classes + 1))
    for c in range(num_classes):
        columns = np.arange(edges[c], edges[c + 1])
        if not len(columns):
            continue
        first, last = groups.first[pairs.group[columns]], groups.last[pairs.group[columns]]
        cliques = maximal_among(first, last)
        size = len(cliques)
        entries.add(row + np.searchsorted(cliques, first), columns, 1.0)
        over = np.searchsorted(cliques, last, side="right")
        ended = over < size
        entries.add(row + over[ended], columns[ended], -1.0)
        own = np.arange(size)
        entries.add(row + own, slack + own, 1.0)
        entries.add(row + own[1:], slack + own[:-1], -1.0)
        top = int(tops[np.searchsorted(tops, c, side="right") - 1])
        entries.add(np.array([row]), counts[top : c + 1], -1.0)
        chains.append(Chain(c, top, cliques, row))
        row, slack = row + size, slack + size
    ladder = row + np.arange(num_classes)
    entries.add(ladder, totals, 1.0)
    entries.add(ladder, counts, -1.0)
    entries.add(ladder[1:], totals[:-1], -1.0)
    right = np.zeros(row + num_classes)
    right[: len(groups)] = groups.multiplicity
    cost, low, high = np.zeros(slack), np.zeros(slack), np.full(slack, np.inf)
    cost[totals] = groups.steps // groups.gcd
    low[totals], high[totals] = limits.low, limits.high
    matrix = entries.matrix((len(right), slack))
    return ClassLp(pairs, tuple(chains), matrix, right, cost, low, high)


def maximal_among(first: IntArray, last: IntArray) -> IntArray:
    """Return the starts of the maximal cliques of some inclusive ranges, ascending."""
    starts, ends = np.unique(first), np.unique(last)
    following = np.append(starts[1:], np.iinfo(np.int64).max)
    next_end = ends[np.searchsorted(ends, starts)]  # some range that holds a start ends after it
    maximal: IntArray = starts[next_end < following]
    return maximal
