"""Certificates for the order form: evidence that no order has a lower peak."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from memonger.errors import PlanError
from memonger.order_problem import OrderProblem

FORMAT = "memonger-certificate/1"
Rows = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class KeptCertificate:
    """What is kept is live together at the end: its bytes are a bound."""

    kind: ClassVar[str] = "kept"

    def bound(self, problem: OrderProblem) -> int:
        """Return the lower bound in bytes for all orders of a problem."""
        return sum(held.size for held in problem.allocations if held.kept)

    def to_json(self) -> dict[str, Any]:
        """Return the certificate as JSON data, without its format."""
        return {"kind": self.kind}


@dataclass(frozen=True)
class CutCertificate:
    """A flow that shows how much is live whenever an operator runs.

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
    operator
        The operator, in program order.
    reads
        Rows (allocation, reader, bytes): the flow from an allocation to one of its readers.
    waits
        Rows (after, before, bytes): the flow from an operator to one that it waits for.
    ends
        Rows (allocation, bytes): the flow that leaves in an allocation.
    """

    operator: int
    reads: Rows
    waits: Rows
    ends: tuple[tuple[int, int], ...]
    kind: ClassVar[str] = "cut"

    def bound(self, problem: OrderProblem) -> int:
        """Return the lower bound in bytes that the flow proves for all orders of a problem.

        Raises
        ------
        PlanError
            If it is no flow of that kind. Linear in the size of the problem.
        """
        if not 0 <= self.operator < len(problem):
            raise PlanError("the certificate is not valid: there is no such operator")
        before, after = _related(problem, self.operator)
        later = {self.operator, *after}
        sure = [held.kept or not later.isdisjoint(held.readers) for held in problem.allocations]
        total = sum(
            held.size for i, held in enumerate(problem.allocations)
            if held.producer == self.operator or (sure[i] and held.producer in before)
        )  # fmt: skip
        return total + self._flow(problem, before, later, sure)

    def _flow(
        self, problem: OrderProblem, before: set[int], later: set[int], sure: list[bool]
    ) -> int:
        """Return the bytes of the flow, once it is shown to be one."""
        through: dict[int, int] = defaultdict(int)  # allocation -> bytes
        balance: dict[int, int] = defaultdict(int)  # free operator -> bytes that reach it
        edges = {(int(one), int(two)) for one, two in problem.precedence}
        for index, reader, amount in self.reads:
            held = _allocation(problem, index)
            _require(amount > 0 and reader in held.readers and not sure[index])
            _require(reader not in before and reader not in later)
            through[index] += amount
            balance[reader] += amount
        for one, other, amount in self.waits:
            _require(amount > 0 and (other, one) in edges)
            _require(not {one, other} & before and not {one, other} & later)
            balance[one] -= amount
            balance[other] += amount
        for index, amount in self.ends:
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

    def to_json(self) -> dict[str, Any]:
        """Return the certificate as JSON data, without its format."""
        return {
            "kind": self.kind,
            "operator": self.operator,
            "reads": [list(row) for row in self.reads],
            "waits": [list(row) for row in self.waits],
            "ends": [list(row) for row in self.ends],
        }


OrderCertificate = KeptCertificate | CutCertificate


def check_order_certificate(problem: OrderProblem, certificate: object, claimed: int) -> int:
    """Check that a certificate proves the claimed bound; return the bound that it proves.

    Raises
    ------
    PlanError
        If it proves less than is claimed.
    """
    if not isinstance(certificate, OrderCertificate):
        raise PlanError("the certificate proves nothing about orders")
    proven = certificate.bound(problem)
    if proven < claimed:
        raise PlanError(f"the certificate proves {proven} bytes, {claimed} are claimed")
    return proven


def _require(condition: bool) -> None:
    if not condition:
        raise PlanError("the certificate is not valid: what it lists is no flow")


def _allocation(problem: OrderProblem, index: int) -> Any:  # noqa: ANN401
    _require(0 <= index < len(problem.allocations))
    return problem.allocations[index]


def _related(problem: OrderProblem, operator: int) -> tuple[set[int], set[int]]:
    """Return the ancestors and the descendants of an operator."""
    before: dict[int, list[int]] = defaultdict(list)
    after: dict[int, list[int]] = defaultdict(list)
    for one, other in problem.precedence.tolist():
        before[other].append(one)
        after[one].append(other)
    return _reached(before, operator), _reached(after, operator)


def _reached(steps: Mapping[int, list[int]], start: int) -> set[int]:
    found: set[int] = set()
    stack = [start]
    while stack:
        for other in steps.get(stack.pop(), ()):
            if other not in found:
                found.add(other)
                stack.append(other)
    return found


def order_certificate_from_json(data: object) -> OrderCertificate:
    """Return the certificate that JSON data describe.

    Raises
    ------
    PlanError
        If they describe none that this version can check.
    """
    try:
        if not isinstance(data, dict) or data["format"] != FORMAT:
            raise PlanError("the certificate is malformed")
        if data["kind"] == KeptCertificate.kind:
            return KeptCertificate()
        if data["kind"] == CutCertificate.kind:
            reads, waits = ((_rows(data[key], 3)) for key in ("reads", "waits"))
            (operator,) = _rows([[data["operator"]]], 1)[0]
            return CutCertificate(operator, reads, waits, _rows(data["ends"], 2))
    except (KeyError, TypeError, ValueError):
        raise PlanError("the certificate is malformed") from None
    raise PlanError(f"unknown kind of certificate {data['kind']!r}")


def _rows(data: Any, width: int) -> Any:  # noqa: ANN401
    """Return rows of integers as tuples."""
    rows = tuple(tuple(row) for row in data)
    if any(len(row) != width or any(type(entry) is not int for entry in row) for row in rows):
        raise PlanError("the certificate is malformed: its rows are integers")
    return rows
