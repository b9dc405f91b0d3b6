"""Certificates for the order form: evidence that no order has a lower peak."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from memonger.errors import PlanError
from memonger.order_flow import Flow, Precedence, bytes_at
from memonger.order_problem import OrderProblem

FORMAT = "memonger-certificate/1"


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
    """A flow that shows how much is live whenever an operator runs: see `bytes_at`.

    Parameters
    ----------
    operator
        The operator, in program order.
    flow
        The flow.
    """

    operator: int
    flow: Flow
    kind: ClassVar[str] = "cut"

    def bound(self, problem: OrderProblem) -> int:
        """Return the lower bound in bytes that the flow proves for all orders of a problem.

        Raises
        ------
        PlanError
            If it is no flow of that kind. Linear in the size of the problem.
        """
        _known(problem, self.operator)
        return bytes_at(problem, Precedence.of(problem), self.operator, self.flow)

    def to_json(self) -> dict[str, Any]:
        """Return the certificate as JSON data, without its format."""
        return {"kind": self.kind, "operator": self.operator, **self.flow.to_json()}


@dataclass(frozen=True)
class ProbeStep:
    """One conclusion about all orders within a budget.

    Parameters
    ----------
    operator
        An operator that does not fit, as the flow shows,
    other
        if this one has run before it, or has not; ``None``: in any case.
    ran
        Whether it is supposed to have run. The conclusion is that ``operator`` runs before
        ``other`` if so, else after it.
    flow
        A flow.
    """

    operator: int
    other: int | None
    ran: bool
    flow: Flow

    @property
    def edge(self) -> tuple[int, int] | None:
        """What is concluded, (before, after); ``None``: that there is no order."""
        if self.other is None:
            return None
        return (self.operator, self.other) if self.ran else (self.other, self.operator)


@dataclass(frozen=True)
class ProbeCertificate:
    """Conclusions, each from those before it, that contradict each other.

    Suppose that there were an order within the budget. Each step says that an operator would not
    fit if another one had run before it, or had not; so their order is certain, and is an edge
    that the flows of later steps may go along. At last these edges form a cycle, or an operator
    does not fit at all.

    Parameters
    ----------
    budget
        Bytes; more are live at some time in every order.
    steps
        The conclusions.
    """

    budget: int
    steps: tuple[ProbeStep, ...]
    kind: ClassVar[str] = "probe"

    def bound(self, problem: OrderProblem) -> int:
        """Return the lower bound in bytes that is proven for all orders of a problem.

        Raises
        ------
        PlanError
            If a step is not shown, or there is no contradiction. O(steps x size of the problem).
        """
        precedence = Precedence.of(problem)
        for step in self.steps:
            others = [step.other] if step.other is not None else []
            _known(problem, step.operator, *others)
            ran, waiting = (others, []) if step.ran else ([], others)
            live = bytes_at(problem, precedence, step.operator, step.flow, ran, waiting)
            if live <= self.budget:
                raise PlanError("the certificate is not valid: an operator fits within the budget")
            if step.edge is None:
                return self.budget + 1
            before, after = step.edge
            if before == after or before in precedence.descendants(after):
                return self.budget + 1
            precedence.add(before, after)
        raise PlanError("the certificate is not valid: its steps lead to no contradiction")

    def to_json(self) -> dict[str, Any]:
        """Return the certificate as JSON data, without its format."""
        steps = [
            {"operator": step.operator, "other": step.other, "ran": step.ran, **step.flow.to_json()}
            for step in self.steps
        ]
        return {"kind": self.kind, "budget": self.budget, "steps": steps}


OrderCertificate = KeptCertificate | CutCertificate | ProbeCertificate


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


def _known(problem: OrderProblem, *operators: int) -> None:
    if not all(0 <= operator < len(problem) for operator in operators):
        raise PlanError("the certificate is not valid: there is no such operator")


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
            return CutCertificate(_number(data["operator"]), _flow(data))
        if data["kind"] == ProbeCertificate.kind:
            return ProbeCertificate(_number(data["budget"]), tuple(map(_step, data["steps"])))
    except (KeyError, TypeError, ValueError):
        raise PlanError("the certificate is malformed") from None
    raise PlanError(f"unknown kind of certificate {data['kind']!r}")


def _step(data: Any) -> ProbeStep:  # noqa: ANN401
    if type(data["ran"]) is not bool:
        raise PlanError("the certificate is malformed")
    other = None if data["other"] is None else _number(data["other"])
    return ProbeStep(_number(data["operator"]), other, data["ran"], _flow(data))


def _flow(data: Any) -> Flow:  # noqa: ANN401
    return Flow(_rows(data["reads"], 3), _rows(data["waits"], 3), _rows(data["ends"], 2))


def _number(data: Any) -> int:  # noqa: ANN401
    return int(_rows([[data]], 1)[0][0])


def _rows(data: Any, width: int) -> Any:  # noqa: ANN401
    """Return rows of integers as tuples."""
    rows = tuple(tuple(row) for row in data)
    if any(len(row) != width or any(type(entry) is not int for entry in row) for row in rows):
        raise PlanError("the certificate is malformed: its rows are integers")
    return rows
