"""Plans as JSON: ``memonger-plan/1``. A plan repeats its buffers, so it can be checked alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from reprlib import repr as shown
from typing import Any

import memonger
from memonger.certificate import Certificate, certificate_from_json, certificate_to_json
from memonger.errors import InputError, PlanError
from memonger.forms import ARENA_FORM, FORMS, SHARING_FORM, Form
from memonger.instances.problem_json import FORMAT as PROBLEM_FORMAT
from memonger.instances.problem_json import (
    gaps_to_json,
    names_of,
    problem_from_json,
    rules_to_json,
)
from memonger.plan import ArenaPlan, SharingPlan
from memonger.problem import Problem
from memonger.result import ArenaResult, OrderResult, Proof, SharingResult

FORMAT = "memonger-plan/1"

_NUMBERS = ("size", "start", "end")
_FIELDS = {"devices": "device", "alignments": "alignment", "pinned": "offset", "gaps": "gaps"}
_COLUMNS = ("buffers", *_FIELDS, "vector_time")


@dataclass(frozen=True)
class PlanFile:
    """What a plan file holds.

    Parameters
    ----------
    problem
        The buffers that were planned.
    plan
        The plan.
    status, objective, bound, proof
        As claimed; nothing is believed before it is checked.
    certificate
        Evidence for the bound, or ``None``.
    order
        The order of operators that the live ranges are of; ``None``: program order.
    """

    problem: Problem
    plan: SharingPlan | ArenaPlan
    status: str
    objective: int
    bound: int
    proof: str | None
    certificate: Certificate | None
    order: tuple[int, ...] | None = None

    @property
    def form(self) -> Form[Any]:
        """The form of planning that the plan is of."""
        return SHARING_FORM if isinstance(self.plan, SharingPlan) else ARENA_FORM


def claims_to_json(result: SharingResult | ArenaResult | OrderResult) -> dict[str, Any]:
    """Return what every plan file says of its result, whatever the form."""
    return {
        "status": result.status.value,
        "objective": result.objective,
        "bound": result.bound,
        "proof": None if result.proof is None else result.proof.value,
        "certificate": None
        if result.certificate is None
        else certificate_to_json(result.certificate),
        "made_by": {
            "version": memonger.__version__,
            "algorithm": result.algorithm,
            "seed": result.seed,
            "workers": result.workers,
        },
    }


def plan_to_json(
    problem: Problem, result: SharingResult | ArenaResult, order: Sequence[int] | None = None
) -> dict[str, Any]:
    """Return a result as the JSON data of a plan file.

    ``order`` is the order of operators that the live ranges are of, unless it is program order.

    Raises
    ------
    PlanError
        If the result has no plan.
    """
    plan = result.plan
    if plan is None:
        raise PlanError("there is no plan to write")
    sharing = isinstance(plan, SharingPlan)
    data: dict[str, Any] = {
        "format": FORMAT,
        "form": "sharing" if sharing else "arena",
        "instance": problem.name,
        "order": None if order is None else list(order),
        "buffers": {
            b.name: [b.padded_size if sharing else b.size, b.start, b.end] for b in problem.buffers
        },
        **_placed(problem, plan),
        **claims_to_json(result),
    }
    if any(problem.devices):
        data["devices"] = {b.name: b.device for b in problem.buffers}
    if problem.in_place:
        data["in_place"] = names_of(problem, problem.in_place)
    if problem.rules:
        data["rules"] = rules_to_json(problem)
    if problem.vector_time is not None:
        time = problem.vector_time
        data["vector_time"] = {
            b.name: [time.start[i].tolist(), time.end[i].tolist()]
            for i, b in enumerate(problem.buffers)
        }
    return data


def _placed(problem: Problem, plan: SharingPlan | ArenaPlan) -> dict[str, Any]:
    """Return where the buffers lie, and for an arena what their offsets must keep to."""
    names = [buffer.name for buffer in problem.buffers]
    if isinstance(plan, SharingPlan):
        return {"sharing": dict(zip(names, plan.shared, strict=True))}
    data: dict[str, Any] = {"offsets": dict(zip(names, plan.offsets, strict=True))}
    alignments = {b.name: b.alignment for b in problem.buffers if b.alignment > 1}
    pinned = {b.name: b.offset for b in problem.buffers if b.offset is not None}
    if alignments:
        data["alignments"] = alignments
    if pinned:
        data["pinned"] = pinned
    if problem.gapped:
        data["gaps"] = {b.name: gaps_to_json(b.gaps) for b in problem.buffers if b.gaps}
    return data


def plan_from_json(data: object, source: str = "plan") -> PlanFile:
    """Return what the JSON data of a plan file say.

    Raises
    ------
    InputError
        If they are no plan, or one of a form that this version cannot check; names the field.
    """
    if not isinstance(data, Mapping) or data.get("format") != FORMAT:
        raise InputError(f"{source}: expected the format {FORMAT!r}")
    if data.get("form") not in list(FORMS):  # it may be anything
        raise InputError(
            f"{source}: 'form' is {shown(data.get('form'))}; known: {', '.join(FORMS)}"
        )
    where = "sharing" if data["form"] == "sharing" else "offsets"
    for key in ("buffers", where, "objective", "bound", "status"):
        if key not in data:
            raise InputError(f"{source}: {key!r} is missing")
    for key in ("alignments", "pinned", "gaps"):
        if where == "sharing" and data.get(key):
            raise InputError(f"{source}: {key!r} is for plans of the form 'arena'")
    problem = _problem(data, source)
    for key in ("objective", "bound"):
        if type(data[key]) is not int:
            raise InputError(f"{source}: {key!r} must be an integer, got {shown(data[key])}")
    if not isinstance(data["status"], str):
        raise InputError(f"{source}: 'status' must be a string, got {shown(data['status'])}")
    proof = data.get("proof")
    if proof is not None and proof not in list(Proof):
        known = ", ".join(Proof)
        raise InputError(f"{source}: 'proof' is {shown(proof)}; known: {known}, null")
    certificate = data.get("certificate")
    try:
        certified = None if certificate is None else certificate_from_json(certificate)
    except PlanError as error:
        raise InputError(f"{source}: 'certificate': {error}") from None
    numbers = _numbers(where, data[where], problem, source)
    order = data.get("order")
    if order is not None and not (
        isinstance(order, list) and all(type(number) is int for number in order)
    ):
        raise InputError(f"{source}: 'order' must list operator indices, got {shown(order)}")
    return PlanFile(
        problem,
        SharingPlan.of(numbers) if where == "sharing" else ArenaPlan(tuple(numbers)),
        data["status"],
        data["objective"],
        data["bound"],
        proof,
        certified,
        None if order is None else tuple(order),
    )


def _numbers(key: str, placed: object, problem: Problem, source: str) -> list[int]:
    """Return the numbers that say where the buffers lie, in the order of the buffers."""
    if not isinstance(placed, Mapping):
        raise InputError(f"{source}: {key!r} must be an object of buffer -> number")
    numbers = []
    for buffer in problem.buffers:
        if buffer.name not in placed:
            raise InputError(f"{source}: {key!r} does not place {buffer.name!r}")
        number = placed[buffer.name]
        if type(number) is not int or number < 0:
            raise InputError(
                f"{source}: {key!r} of {buffer.name!r} must be a number of at least 0, "
                f"got {shown(number)}"
            )
        numbers.append(number)
    if len(placed) != len(numbers):
        names = {buffer.name for buffer in problem.buffers}
        other = next(name for name in placed if name not in names)
        raise InputError(f"{source}: {key!r} places {other!r}, which is no buffer")
    return numbers


def _problem(data: Mapping[str, Any], source: str) -> Problem:
    columns = {key: data.get(key, {}) for key in _COLUMNS}
    for key, column in columns.items():
        if not isinstance(column, Mapping):
            raise InputError(f"{source}: {key!r} must be an object with an entry for each buffer")
        for name in column:
            if name not in columns["buffers"]:
                raise InputError(f"{source}: {key!r} speaks of {name!r}, which is no buffer")
    buffers = []
    for name, entry in columns["buffers"].items():
        if not isinstance(entry, list) or len(entry) != 3:
            raise InputError(f"{source}: buffer {name!r} must be [size, start, end]")
        buffer: dict[str, Any] = {"name": name, **dict(zip(_NUMBERS, entry, strict=True))}
        for key, field in _FIELDS.items():
            if name in columns[key]:
                buffer[field] = columns[key][name]
        if name in columns["vector_time"]:
            vectors = columns["vector_time"][name]
            if not isinstance(vectors, list) or len(vectors) != 2:
                raise InputError(f"{source}: 'vector_time' of {name!r} must be [start, end]")
            buffer["vector_start"], buffer["vector_end"] = vectors
        buffers.append(buffer)
    problem = {"format": PROBLEM_FORMAT, "name": data.get("instance", ""), "buffers": buffers}
    problem |= {key: data[key] for key in ("in_place", "rules") if key in data}
    return problem_from_json(problem, source)
