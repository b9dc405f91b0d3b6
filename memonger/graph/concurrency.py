"""Which operators are ordered in every schedule: vector clocks over a chain cover."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from memonger.net.defuse import DefUse
from memonger.net.hazards import hazards

Int32Array = npt.NDArray[np.int32]


@dataclass(frozen=True)
class VectorClocks:
    """For every operator, how much of each chain has finished before it can start.

    The operators are covered by chains: paths of the dependency graph, so that the operators of
    a chain run one after the other in every schedule.

    Parameters
    ----------
    chain
        Operator -> number of its chain, shape (operators,).
    position
        Operator -> its position in the chain, from 0, shape (operators,).
    before
        ``before[v, c]`` is how many operators of chain ``c`` precede operator ``v`` in every
        schedule, ``v`` itself not counted; shape (operators, chains).
    """

    chain: Int32Array
    position: Int32Array
    before: Int32Array

    @property
    def num_chains(self) -> int:
        """Number of chains; 1 where the operators are totally ordered."""
        return int(self.before.shape[1])

    def precedes(self, first: int, second: int) -> bool:
        """Return whether ``first`` finishes before ``second`` starts in every schedule."""
        return bool(self.before[second, self.chain[first]] > self.position[first])


def vector_clocks(num_operators: int, edges: Iterable[tuple[int, int]]) -> VectorClocks:
    """Return vector clocks for a dependency graph whose operators are in topological order.

    Parameters
    ----------
    num_operators
        Number of operators.
    edges
        Pairs (before, after) with before < after; repeats allowed.

    Notes
    -----
    Each operator extends a chain that is over before it can start, the one with the latest tail,
    or opens a new one (a greedy chain cover: exact on chains, forks and series-parallel nets).
    Time and memory O((operators + edges) x chains).

    References
    ----------
    C. J. Fidge, "Timestamps in message-passing systems that preserve the partial ordering", 1988;
    F. Mattern, "Virtual time and global states of distributed systems", 1989.

    Examples
    --------
    A diamond: 1 and 2 run at the same time.

    >>> clocks = vector_clocks(4, [(0, 1), (0, 2), (1, 3), (2, 3)])
    >>> clocks.precedes(1, 2), clocks.precedes(2, 1), clocks.precedes(0, 3)
    (False, False, True)
    """
    predecessors: list[set[int]] = [set() for _ in range(num_operators)]
    for before, after in edges:
        predecessors[after].add(before)
    chain = np.zeros(num_operators, dtype=np.int32)
    position = np.zeros(num_operators, dtype=np.int32)
    lengths = np.zeros(0, dtype=np.int32)  # operators in each chain so far
    tails = np.zeros(0, dtype=np.int64)  # last operator of each chain
    rows: list[Int32Array] = []
    for operator, earlier in enumerate(predecessors):
        row = np.zeros(len(lengths), dtype=np.int32)
        for predecessor in earlier:
            other = rows[predecessor]
            np.maximum(row[: len(other)], other, out=row[: len(other)])
            own = chain[predecessor]
            row[own] = max(row[own], position[predecessor] + 1)
        rows.append(row)
        over = np.flatnonzero(row == lengths)
        if over.size:
            best = int(over[np.argmax(tails[over])])
        else:
            best = len(lengths)
            lengths = np.append(lengths, np.int32(0))
            tails = np.append(tails, 0)
        chain[operator], position[operator] = best, lengths[best]
        lengths[best] += 1
        tails[best] = operator
    before_all = np.zeros((num_operators, max(1, len(lengths))), dtype=np.int32)
    for operator, row in enumerate(rows):
        before_all[operator, : len(row)] = row
    return VectorClocks(chain, position, before_all)


def clocks_of(def_use: DefUse) -> VectorClocks:
    """Return the vector clocks of a net that runs its operators as their hazards allow."""
    edges = ((hazard.before, hazard.after) for hazard in hazards(def_use, declared=True))
    return vector_clocks(len(def_use.reads), edges)
