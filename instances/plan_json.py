"""Plans as JSON: ``memonger-plan/1``. A plan repeats its buffers, so it can be checked alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import memonger
from memonger.certificate import Certificate, certificate_from_json, certificate_to_json
from memonger.errors import InputError, PlanError
from memonger.instances.problem_json import FORMAT as PROBLEM_FORMAT
from memonger.instances.problem_json import names_of, problem_from_json, rules_to_json
from memonger.plan import SharingPlan
from memonger.problem import Problem
from memonger.result import Result

FORMAT = "memonger-plan/1"


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
    """

    problem: Problem
    plan: SharingPlan
    status: str
    objective: int
    bound: int
    proof: str | None
    certificate: Certificate | None


def plan_to_json(problem: Problem, result: Result) -> dict[str, Any]:
    """Return a result as the JSON data of a plan file.

    Raises
    ------
    PlanError
        If the result has no plan.
    """
    if result.plan is None:
        raise PlanError("there is no plan to write")
    data: dict[str, Any] = {
        "format": FORMAT,
        "form": "sharing",
        "instance": problem.name,
        "status": result.status.value,
        "objective": result.objective,
        "bound": result.bound,
        "proof": None if result.proof is None else result.proof.value,
        "order": None,
        "buffers": {b.name: [b.padded_size, b.start, b.end] for b in problem.buffers},
        "sharing": {
            buffer.name: number
            for buffer, number in zip(problem.buffers, result.plan.shared, strict=True)
        },
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


def plan_from_json(data: object, source: str = "plan") -> PlanFile:
    """Return what the JSON data of a plan file say.

    Raises
    ------
    InputError
        If they are no plan, or one of a form that this version cannot check.
    PlanError
        If the certificate is malformed.
    """
    if not isinstance(data, Mapping) or data.get("format") != FORMAT:
        raise InputError(f"{source}: expected the format {FORMAT!r}")
    if data.get("form") != "sharing":
        raise InputError(f"{source}: this version checks plans of the form 'sharing' only")
    try:
        problem = _problem(data, source)
        numbers = data["sharing"]
        labels = [numbers[buffer.name] for buffer in problem.buffers]
        if len(numbers) != len(labels) or not all(type(n) is int and n >= 0 for n in labels):
            raise InputError(f"{source}: 'sharing' must give each buffer a number of at least 0")
        claimed = (data["objective"], data["bound"])
        if not all(type(value) is int for value in claimed):
            raise InputError(f"{source}: 'objective' and 'bound' must be integers")
        certificate = data.get("certificate")
        return PlanFile(
            problem,
            SharingPlan.of(labels),
            str(data["status"]),
            *claimed,
            None if data.get("proof") is None else str(data["proof"]),
            None if certificate is None else certificate_from_json(certificate),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        detail = f"{error} is missing" if isinstance(error, KeyError) else "it is malformed"
        raise InputError(f"{source}: {detail}") from None


def _problem(data: Mapping[str, Any], source: str) -> Problem:
    devices = data.get("devices", {})
    vectors = data.get("vector_time", {})
    buffers = []
    for name, (size, start, end) in data["buffers"].items():
        entry: dict[str, Any] = {"name": name, "size": size, "start": start, "end": end}
        if name in devices:
            entry["device"] = devices[name]
        if name in vectors:
            entry["vector_start"], entry["vector_end"] = vectors[name]
        buffers.append(entry)
    problem = {"format": PROBLEM_FORMAT, "name": data.get("instance", ""), "buffers": buffers}
    problem |= {key: data[key] for key in ("in_place", "rules") if key in data}
    return problem_from_json(problem, source)
