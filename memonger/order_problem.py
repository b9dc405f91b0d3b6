"""The ordering problem: operators, what must run before what, and the memory they allocate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from memonger.errors import ProblemError
from memonger.problem import MAX_TOTAL_BYTES, Buffer, IntArray, Problem

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Allocation:
    """Memory that one operator allocates and others read.

    Parameters
    ----------
    name
        Unique in its problem.
    size
        Bytes, at least 0, alignment included.
    producer
        The operator that allocates it: index in program order.
    readers
        The operators that need it after that, ascending, each once; views and writes in place
        count.
    kept
        Whether it stays to the end, such as a result.
    """

    name: str
    size: int
    producer: int
    readers: tuple[int, ...] = ()
    kept: bool = False


@dataclass(frozen=True, eq=False)
class OrderProblem:
    """A list of operators to be put in order.

    While an operator runs, these are live: what ran operators have allocated and somebody still
    reads, what it reads itself, and what it allocates. The cost of an order is its peak: the most
    bytes that are live at once, of all devices together.

    Parameters
    ----------
    operators
        Their names, in program order, which is valid.
    edges
        Pairs (before, after) of operator indices, before < after; the readers of an allocation
        wait for its producer besides. Repeats allowed.
    allocations
        What the operators allocate.
    name
        What the problem is called in reports.

    Raises
    ------
    ProblemError
        If an edge or a reader stands before what it must wait for or is no operator, readers do
        not ascend, a name stands twice, or the sizes add up to 2^62 bytes or more. Names the
        allocation.

    Examples
    --------
    >>> problem = OrderProblem(
    ...     ("a", "b", "c"), (), (Allocation("x", 4, 0, (2,)), Allocation("y", 2, 1, ()))
    ... )
    >>> problem.loads([0, 1, 2]).tolist(), problem.loads([1, 0, 2]).tolist()
    ([4, 6, 4], [2, 4, 4])
    """

    operators: tuple[str, ...]
    edges: tuple[tuple[int, int], ...]
    allocations: tuple[Allocation, ...]
    name: str = ""

    def __post_init__(self) -> None:
        count = len(self.operators)
        for before, after in self.edges:
            if not 0 <= before < after < count:
                raise ProblemError(f"the edge ({before}, {after}) does not go forward")
        seen: set[str] = set()
        for held in self.allocations:
            if held.name in seen:
                raise ProblemError(f"allocation {held.name!r} stands twice in the problem")
            seen.add(held.name)
            numbers = (held.size, held.producer, *held.readers)
            if not all(isinstance(number, int | np.integer) for number in numbers):
                raise ProblemError(f"allocation {held.name!r}: size and operators must be integers")
            # Readers are counted down as they run: one that stands twice would never be done.
            if any(one >= other for one, other in pairwise(held.readers)):
                raise ProblemError(
                    f"allocation {held.name!r}: readers must ascend, without repeats"
                )
            if held.size < 0:
                raise ProblemError(f"allocation {held.name!r} has the size {held.size}")
            if not 0 <= held.producer < count:
                raise ProblemError(f"allocation {held.name!r}: no operator {held.producer}")
            if any(not held.producer < reader < count for reader in held.readers):
                raise ProblemError(f"allocation {held.name!r} is read before it is allocated")
        if self.total >= MAX_TOTAL_BYTES:
            raise ProblemError(f"the allocations add up to {self.total} bytes; the limit is 2^62")

    def __len__(self) -> int:
        return len(self.operators)

    @cached_property
    def total(self) -> int:
        """Bytes of all allocations together."""
        return sum(held.size for held in self.allocations)

    @cached_property
    def sizes(self) -> IntArray:
        """Bytes, shape (allocations,)."""
        return np.array([held.size for held in self.allocations], dtype=np.int64)

    @cached_property
    def producers(self) -> IntArray:
        """Operators that allocate, shape (allocations,)."""
        return np.array([held.producer for held in self.allocations], dtype=np.int64)

    @cached_property
    def kept(self) -> BoolArray:
        """What stays to the end, shape (allocations,)."""
        return np.array([held.kept for held in self.allocations], dtype=np.bool_)

    @cached_property
    def reads(self) -> tuple[IntArray, IntArray]:
        """(allocation, reader) of every read, by allocation; two arrays of shape (reads,)."""
        counts = [len(held.readers) for held in self.allocations]
        readers = [reader for held in self.allocations for reader in held.readers]
        return np.repeat(np.arange(len(counts)), counts), np.array(readers, dtype=np.int64)

    @cached_property
    def precedence(self) -> IntArray:
        """All pairs (before, after), those of the readers included; shape (pairs, 2), by after."""
        allocation, reader = self.reads
        edges = np.array(self.edges, dtype=np.int64).reshape(-1, 2)
        waits = np.stack([self.producers[allocation], reader], axis=1)
        pairs = np.unique(np.concatenate([edges, waits])[:, ::-1], axis=0)
        return np.ascontiguousarray(pairs[:, ::-1])

    def aligned(self, alignment: int) -> OrderProblem:
        """Return the problem with sizes rounded up to multiples of so many bytes."""
        if alignment == 1:
            return self
        allocations = tuple(
            replace(held, size=-(-held.size // alignment) * alignment) for held in self.allocations
        )
        return replace(self, allocations=allocations)

    def live_ranges(self, order: Sequence[int]) -> tuple[IntArray, IntArray]:
        """Return (start, end) of each allocation in an order: half-open, in positions."""
        position = np.empty(len(self), dtype=np.int64)
        position[np.asarray(order, dtype=np.int64)] = np.arange(len(self))
        start = position[self.producers]
        end = start + 1
        allocation, reader = self.reads
        np.maximum.at(end, allocation, position[reader] + 1)
        end[self.kept] = len(self)
        return start, end

    def loads(self, order: Sequence[int]) -> IntArray:
        """Return the bytes live while the operator at each position runs, shape (operators,)."""
        start, end = self.live_ranges(order)
        change = np.zeros(len(self) + 1, dtype=np.int64)
        np.add.at(change, start, self.sizes)
        np.subtract.at(change, end, self.sizes)
        live: IntArray = np.cumsum(change[:-1])
        return live

    def peak(self, order: Sequence[int]) -> int:
        """Return the most bytes live at once; 0 without operators."""
        return int(self.loads(order).max(initial=0))

    def in_order(self, order: Sequence[int]) -> Problem:
        """Return the allocations with the live ranges of an order: what is planned next.

        Allocations without bytes are left out.
        """
        start, end = self.live_ranges(order)
        return Problem(
            tuple(
                Buffer(held.name, held.size, int(start[i]), int(end[i]))
                for i, held in enumerate(self.allocations)
                if held.size
            ),
            self.name,
        )
