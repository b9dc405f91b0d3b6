"""An ordering problem as arrays: what compiled functions work on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numba
import numpy as np

from memonger.order_problem import BoolArray, OrderProblem
from memonger.problem import IntArray


class Rows(NamedTuple):
    """Rows of numbers one after the other: row r is ``items[first[r]:first[r + 1]]``."""

    first: IntArray
    items: IntArray


def rows_of(keys: IntArray, items: IntArray, count: int) -> Rows:
    """Return the items of each key, in the order in which they stand."""
    by_key = np.argsort(keys, kind="stable")
    first = np.zeros(count + 1, dtype=np.int64)
    np.cumsum(np.bincount(keys, minlength=count), out=first[1:])
    return Rows(first, np.ascontiguousarray(items[by_key]))


@dataclass(frozen=True, eq=False)
class OperatorDag:
    """Operators in a valid order, the edges between them, and what they allocate.

    Parameters
    ----------
    count
        Number of operators.
    edges
        Pairs (before, after) without repeats or cycles; shape (edges, 2). Each reader of an
        allocation is reached from its producer. `of` numbers operators so that before < after,
        which reductions and schedules rely on; probing adds edges that need not.
    sizes, producers, kept
        Of each allocation, shape (allocations,). Sizes are positive.
    reads
        Allocation -> its readers, ascending; none for what is kept.
    """

    count: int
    edges: IntArray
    sizes: IntArray
    producers: IntArray
    kept: BoolArray
    reads: Rows

    @classmethod
    def of(cls, problem: OrderProblem) -> OperatorDag:
        """Return the arrays of a problem; allocations without bytes and readers of kept ones go."""
        holds = problem.sizes > 0
        number = np.cumsum(holds) - 1
        allocation, reader = problem.reads
        wanted = holds[allocation] & ~problem.kept[allocation]
        return cls(
            len(problem),
            problem.precedence,
            problem.sizes[holds],
            problem.producers[holds],
            problem.kept[holds],
            rows_of(number[allocation[wanted]], reader[wanted], int(holds.sum())),
        )

    @cached_property
    def before(self) -> Rows:
        """Operator -> those that it directly waits for."""
        return rows_of(self.edges[:, 1], self.edges[:, 0], self.count)

    @cached_property
    def after(self) -> Rows:
        """Operator -> those that directly wait for it."""
        return rows_of(self.edges[:, 0], self.edges[:, 1], self.count)

    @cached_property
    def read_pairs(self) -> tuple[IntArray, IntArray]:
        """(allocation, reader) of every read, by allocation."""
        numbers = np.repeat(np.arange(len(self.sizes)), np.diff(self.reads.first))
        return numbers, self.reads.items

    @cached_property
    def inputs(self) -> Rows:
        """Operator -> the allocations that it reads."""
        allocation, reader = self.read_pairs
        return rows_of(reader, allocation, self.count)

    @cached_property
    def outputs(self) -> Rows:
        """Operator -> the allocations that it makes."""
        return rows_of(self.producers, np.arange(len(self.sizes)), self.count)

    @cached_property
    def allocated(self) -> IntArray:
        """Operator -> bytes that it allocates, shape (operators,)."""
        return self._added(np.ones(len(self.sizes), dtype=np.bool_))

    @cached_property
    def transient(self) -> IntArray:
        """Operator -> bytes that it allocates and nobody needs after it, shape (operators,)."""
        return self._added(~self.kept & (np.diff(self.reads.first) == 0))

    def _added(self, which: BoolArray) -> IntArray:
        found = np.zeros(self.count, dtype=np.int64)
        np.add.at(found, self.producers[which], self.sizes[which])
        return found

    @cached_property
    def kept_bytes(self) -> int:
        """Bytes that stay to the end."""
        return int(self.sizes[self.kept].sum())

    def loads(self, order: IntArray) -> IntArray:
        """Return operator -> the bytes live while it runs, shape (operators,)."""
        position = np.empty(self.count, dtype=np.int64)
        position[order] = np.arange(self.count)
        start = position[self.producers]
        end = start + 1
        allocation, reader = self.read_pairs
        np.maximum.at(end, allocation, position[reader] + 1)
        end[self.kept] = self.count
        change = np.zeros(self.count + 1, dtype=np.int64)
        np.add.at(change, start, self.sizes)
        np.subtract.at(change, end, self.sizes)
        loads: IntArray = np.cumsum(change[:-1])[position]
        return loads

    def ancestors(self, operator: int) -> BoolArray:
        """Return which operators run before one in every order, shape (operators,)."""
        found: BoolArray = _reached(self.before, operator, self.count)
        return found

    def descendants(self, operator: int) -> BoolArray:
        """Return which operators run after one in every order, shape (operators,)."""
        found: BoolArray = _reached(self.after, operator, self.count)
        return found


@numba.njit(cache=True, nogil=True)
def _reached(rows, start, count):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Return what is reached from ``start`` along rows, itself left out."""
    found = np.zeros(count, np.bool_)
    stack = [start]
    while stack:
        at = stack.pop()
        for other in rows.items[rows.first[at] : rows.first[at + 1]]:
            if not found[other]:
                found[other] = True
                stack.append(other)
    return found
