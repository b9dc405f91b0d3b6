"""Orders as JSON: plans of the form ``order``, ``memonger-plan/1``, which can be checked alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from reprlib import repr as shown
from typing import Any

from memonger.errors import InputError, PlanError, ProblemError
from memonger.instances.plan_json import FORMAT, claims_to_json
from memonger.order_certificate import OrderCertificate, order_certificate_from_json
from memonger.order_problem import Allocation, OrderProblem
from memonger.plan import OrderPlan
from memonger.result import OrderResult, Proof

FORM = "order"


@dataclass(frozen=True)
class OrderFile:
    """What a plan file of the form ``order`` holds; nothing is believed before it is checked.

    Parameters
    ----------
    problem
        The operators that were put in order.
    plan
        The order.
    status, objective, bound, proof
        As claimed.
    certificate
        Evidence for the bound, or ``None``.
    """

    problem: OrderProblem
    plan: OrderPlan
    status: str
    objective: int
    bound: int
    proof: str | None
    certificate: OrderCertificate | None


def order_to_json(problem: OrderProblem, result: OrderResult) -> dict[str, Any]:
    """Return a result as the JSON data of a plan file."""
    assert result.plan is not None  # program order at least
    return {
        "format": FORMAT,
        "form": FORM,
        "instance": problem.name,
        "order": list(result.plan.order),
        **operators_to_json(problem),
        **claims_to_json(result),
    }


def operators_to_json(problem: OrderProblem) -> dict[str, Any]:
    """Return the operators of a plan file, what they wait for and what they allocate."""
    return {
        "operators": list(problem.operators),
        "edges": [list(edge) for edge in problem.edges],
        "allocations": {
            held.name: [held.size, held.producer, list(held.readers), held.kept]
            for held in problem.allocations
        },
    }


def order_from_json(data: object, source: str = "plan") -> OrderFile:
    """Return what the JSON data of a plan file say.

    Raises
    ------
    InputError
        If they are no plan of the form ``order``; names the field.
    """
    if not isinstance(data, Mapping) or data.get("format") != FORMAT:
        raise InputError(f"{source}: expected the format {FORMAT!r}")
    if data.get("form") != FORM:
        raise InputError(f"{source}: 'form' is {shown(data.get('form'))}, not {FORM!r}")
    for key in ("order", "operators", "edges", "objective", "bound"):
        kind = int if key in ("objective", "bound") else list
        if type(data.get(key)) is not kind:
            raise InputError(f"{source}: {key!r} must be of type {kind.__name__}")
    order = data["order"]
    if any(type(number) is not int for number in order):
        raise InputError(f"{source}: 'order' must list operator indices")
    if not isinstance(data.get("status"), str):
        raise InputError(f"{source}: 'status' must be a string, got {shown(data.get('status'))}")
    proof = data.get("proof")
    if proof is not None and proof not in list(Proof):
        raise InputError(f"{source}: 'proof' is {shown(proof)}; known: {', '.join(Proof)}, null")
    certificate = data.get("certificate")
    try:
        certified = None if certificate is None else order_certificate_from_json(certificate)
        problem = _problem(data)
    except (PlanError, ProblemError) as error:
        raise InputError(f"{source}: {error}") from None
    return OrderFile(
        problem, OrderPlan(tuple(order)), data["status"], data["objective"], data["bound"],
        proof, certified,
    )  # fmt: skip


def _problem(data: Mapping[str, Any]) -> OrderProblem:
    if not all(isinstance(name, str) for name in data["operators"]):
        raise ProblemError("'operators' must be names")
    edges = []
    for edge in data["edges"]:
        if not isinstance(edge, list) or [type(end) for end in edge] != [int, int]:
            raise ProblemError(f"'edges' must be pairs of operators, got {shown(edge)}")
        edges.append((edge[0], edge[1]))
    rows = data.get("allocations")
    if not isinstance(rows, Mapping):
        raise ProblemError("'allocations' must be an object of name -> [size, producer, readers]")
    allocations = []
    for name, row in rows.items():
        kinds = [type(entry) for entry in row] if isinstance(row, list) else []
        if kinds != [int, int, list, bool] or any(type(r) is not int for r in row[2]):
            raise ProblemError(
                f"allocation {name!r} must be [size, producer, [readers], kept], got {shown(row)}"
            )
        allocations.append(Allocation(name, row[0], row[1], tuple(row[2]), row[3]))
    return OrderProblem(
        tuple(data["operators"]), tuple(edges), tuple(allocations), str(data.get("instance", ""))
    )
