"""Flows that show how much is live whenever an operator runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from memonger.errors import PlanError
from memonger.order_problem import OrderProblem

Edge = tuple[int, int]
Rows = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class Flow:
    """A flow of bytes through allocations and operators.

    Parameters
    ----------
    reads
        Rows (allocation, reader, bytes): the flow from an allocation to one of its readers.
    waits
        Rows (after, before, bytes): the flow from an operator to one that it waits for.
    ends
        Rows (allocation, bytes): the flow that leaves in an allocation.
    """

    reads: Rows = ()
    waits: Rows = ()
    ends: tuple[tuple[int, int], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the flow as JSON data."""
        return {
            "reads": [list(row) for row in self.reads],
            "waits": [list(row) for row in self.waits],
            "ends": [list(row) for row in self.ends],
        }


class Precedence:
    """Which operators run before which, for sure: a set of edges that grows.

    Parameters
    ----------
    edges
        Pairs (before, after).
    """

    def __init__(self, edges: Iterable[Edge]) -> None:
        self.edges: set[Edge] = set()
        self._before: dict[int, list[int]] = defaultdict(list)
        self._after: dict[int, list[int]] = defaultdict(list)
        for before, after in edges:
            self.add(before, after)

    @classmethod
    def of(cls, problem: OrderProblem) -> Precedence:
        """Return what a problem says."""
        return cls((int(before), int(after)) for before, after in problem.precedence)

    def add(self, before: int, after: int) -> None:
        """Add an edge."""
        if (before, after) not in self.edges:
            self.edges.add((before, after))
            self._before[after].append(before)
            self._after[before].append(after)

    def ancestors(self, operator: int) -> set[int]:
        """Return the operators that run before one; itself only if there is a cycle."""
        return _reached(self._before, operator)

    def descendants(self, operator: int) -> set[int]:
        """Return the operators that run after one; itself only if there is a cycle."""
        return _reached(self._after, operator)


def bytes_at(
    problem: OrderProblem,
    precedence: Precedence,
    operator: int,
    flow: Flow,
    ran: Iterable[int] = (),
    waiting: Iterable[int] = (),
) -> int:
    """Return how many bytes are live for sure while an operator runs, as a flow shows.

    When it runs, its ancestors have run, and neither it nor a descendant has. Of what ancestors
    have allocated, that is live for sure which is kept, or which it or a descendant reads. More is
    proven by a flow: bytes go from another allocation of an ancestor to its readers; from an
    operator to those that it waits for, or to what it allocates itself; from there to the readers
    of that; and they end in an allocation that is live for sure once it is made. Follow a byte of
    it up to the first operator that has not run. What has run has waited for others that have, so
    the byte stops in an allocation whose reader has not run, or goes on to its end: either way in
    one that is live. No allocation carries more bytes than it has, so as many bytes are live as
    flow.

    Parameters
    ----------
    problem
        The operators and their allocations.
    precedence
        What waits for what.
    operator
        The operator, in program order.
    flow
        The flow.
    ran, waiting
        Operators that are supposed to have run, with their ancestors, and not to have run, with
        their descendants.

    Raises
    ------
    PlanError
        If it is no flow of that kind. Linear in the size of the problem.
    """
    before, later = precedence.ancestors(operator), {operator, *precedence.descendants(operator)}
    for other in ran:
        before |= {other, *precedence.ancestors(other)}
    for other in waiting:
        later |= {other, *precedence.descendants(other)}
    if not before.isdisjoint(later):
        raise PlanError("the certificate is not valid: an operator has run, and has not")
    sure = [held.kept or not later.isdisjoint(held.readers) for held in problem.allocations]
    total = sum(
        held.size for i, held in enumerate(problem.allocations)
        if held.producer == operator or (sure[i] and held.producer in before)
    )  # fmt: skip
    return total + _amount(problem, precedence, flow, before, later, sure)


def _amount(
    problem: OrderProblem,
    precedence: Precedence,
    flow: Flow,
    before: set[int],
    later: set[int],
    sure: list[bool],
) -> int:
    """Return the bytes of the flow, once it is shown to be one."""
    through: dict[int, int] = defaultdict(int)  # allocation -> bytes
    balance: dict[int, int] = defaultdict(int)  # free operator -> bytes that reach it
    for index, reader, amount in flow.reads:
        held = _allocation(problem, index)
        _require(amount > 0 and reader in held.readers and not sure[index])
        _require(reader not in before and reader not in later)
        through[index] += amount
        balance[reader] += amount
    for one, other, amount in flow.waits:
        _require(amount > 0 and (other, one) in precedence.edges)
        _require(not {one, other} & before and not {one, other} & later)
        balance[one] -= amount
        balance[other] += amount
    for index, amount in flow.ends:
        _allocation(problem, index)
        _require(amount > 0 and sure[index])
        through[index] += amount
    found = 0
    for index, amount in through.items():
        held = problem.allocations[index]
        _require(amount <= held.size and held.producer not in later)
        if held.producer in before:
            _require(not sure[index])
            found += amount
        else:
            balance[held.producer] -= amount
    _require(not any(balance.values()))
    return found


def _require(condition: bool) -> None:
    if not condition:
        raise PlanError("the certificate is not valid: what it lists is no flow")


def _allocation(problem: OrderProblem, index: int) -> Any:  # noqa: ANN401
    _require(0 <= index < len(problem.allocations))
    return problem.allocations[index]


def _reached(steps: Mapping[int, list[int]], start: int) -> set[int]:
    found: set[int] = set()
    stack = [start]
    while stack:
        for other in steps.get(stack.pop(), ()):
            if other not in found:
                found.add(other)
                stack.append(other)
    return found
