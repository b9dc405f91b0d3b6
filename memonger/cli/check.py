"""``memonger check``: a plan against its problem, or a rewritten net against its original."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any

import typer

from memonger.certificate import check_certificate
from memonger.cli import options, reading
from memonger.cli.claims import check_claims, what_holds
from memonger.cli.console import out, print_json
from memonger.cli.order import Source, check_order
from memonger.cli.ordered import problem_in_order, program_order
from memonger.errors import EquivalenceError, PlanError
from memonger.instances.loading import load_form, load_plan
from memonger.instances.plan_json import PlanFile
from memonger.instances.problem_json import gaps_to_json
from memonger.net.netdef_pb2 import NetDef
from memonger.problem import Buffer, Problem


def check(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="The problem or net; a plan, to check it alone.")
    ],
    plan: Annotated[
        str | None,
        typer.Argument(metavar="[PLAN.json]", help="The plan, or a rewritten net."),
    ] = None,
    shapes: options.Shapes = None,
    sizes: options.Sizes = None,
    static: options.Static = None,
    alignment: options.Alignment = 1,
    planned: options.Planned = None,
    format: reading.Format = None,
    dim: reading.Dim = None,
    subgraph: reading.Subgraph = 0,
    unpin: options.Unpin = False,
    require_optimal: options.RequireOptimal = False,
    json_output: options.Json = False,
) -> int:
    """Check plans and certificates, or that two nets compute the same.

    A plan is checked against a problem, a rewritten net against its original.

    Nothing that the plan claims is believed: the buffers are compared with those of FILE (give the
    same --unpin, and for a net the same --shapes, --sizes, --static and --alignment, as for the
    plan), validity and cost are worked out anew, the certificate is added up. A plan checked alone
    is shown to be consistent with the buffers that it lists itself.

    For example:

      memonger check problem.json plan.json

      memonger check predict_net.pb plan.json --sizes sizes.json

      memonger check predict_net.pb optimized.pb
    """
    if plan is not None and not plan.endswith((".json", ".json.gz")):
        how = reading.Reading(None, format, dim, subgraph)
        return _check_net(file, plan, how, json_output=json_output)
    own = file if plan is None else plan
    how = reading.Reading(planned, format, dim, subgraph)
    if load_form(own) == "order":
        source = Source(file, shapes, sizes, static, alignment, how)
        found = check_order(own, None if plan is None else source)
        return _report(
            file, "order", found, json_output=json_output, require_optimal=require_optimal
        )
    claimed = load_plan(own)
    if plan is not None:
        permitted = replace(how, in_place=bool(claimed.problem.in_place))
        source = Source(file, shapes, sizes, static, alignment, permitted)
        if claimed.order is None:
            expected = program_order(source)
        else:
            expected = problem_in_order(source, claimed.order)
        expected = options.without_pins(expected) if unpin else expected
        _same_buffers(claimed.form.name, expected, claimed.problem)
        claimed = _for(expected, claimed)
    report = check_plan(claimed)
    return _report(
        file,
        claimed.form.name,
        report,
        json_output=json_output,
        require_optimal=require_optimal,
    )


def _report(
    file: str, form: str, report: dict[str, Any], *, json_output: bool, require_optimal: bool
) -> int:
    """Print what holds; return the exit code."""
    code = 10 if require_optimal and not report["proven_optimal"] else 0
    if json_output:
        print_json({"instance": file, "form": form, "valid": True, **report})
        return code
    what = "operators" if form == "order" else "buffers"
    out.print(f"valid: {report[what]} {what}, {report['objective']:,} bytes")
    if report["certificate"]:
        out.print(f"the certificate proves a bound of {report['certified_bound']:,} bytes")
    else:
        out.print(f"the bound of {report['bound']:,} bytes is claimed without a certificate")
    if report["proven_optimal"]:
        out.print("optimal, proven by the certificate")
    elif report["status"] == "optimal":
        out.print(f"optimal is claimed (by {report['proof']}), not certified")
    return code


def check_plan(claimed: PlanFile) -> dict[str, Any]:
    """Check everything that a plan file claims; return what is so.

    Raises
    ------
    PlanError
        If a claim does not hold.
    """
    cost = claimed.form.verify(claimed.problem, claimed.plan)
    check_claims(claimed, cost)
    certified = None
    if claimed.certificate is not None:
        certified = check_certificate(
            claimed.problem, claimed.certificate, claimed.bound, claimed.form.certificates
        )
    return {**what_holds(claimed, cost, certified), "buffers": len(claimed.problem)}


def _for(expected: Problem, claimed: PlanFile) -> PlanFile:
    """Return the plan as one for the input, once it keeps to its own in-place pairs and rules."""
    claimed.form.verify(claimed.problem, claimed.plan)
    rows = {buffer.name: i for i, buffer in enumerate(claimed.problem.buffers)}
    plan = claimed.plan.part([rows[buffer.name] for buffer in expected.buffers])
    return replace(claimed, problem=expected, plan=plan)


_FACTS: dict[str, tuple[str, Callable[[Buffer], tuple[object, ...]]]] = {
    "sharing": (
        "size, start, end, device",
        lambda b: (b.padded_size, b.start, b.end, b.device),
    ),
    "arena": (
        "size, start, end, device, alignment, offset, gaps",
        lambda b: (b.size, b.start, b.end, b.device, b.alignment, b.offset, gaps_to_json(b.gaps)),
    ),
}
"""What must be the same of the buffers of a plan and of the input, by form."""


def _same_buffers(form: str, expected: Problem, planned: Problem) -> None:
    """Compare the buffers of the input with those that a plan says it places."""
    what, facts = _FACTS[form]
    ours = {b.name: facts(b) for b in expected.buffers}
    theirs = {b.name: facts(b) for b in planned.buffers}
    for name in ours:
        if name not in theirs:
            raise PlanError(f"buffer {name!r} is not placed")
        if ours[name] != theirs[name]:
            raise PlanError(
                f"buffer {name!r} is ({what}) {ours[name]}, the plan takes it for {theirs[name]}"
            )
    for name in theirs:
        if name not in ours:
            raise PlanError(f"the plan places {name!r}, which is no buffer of the input")
    if len(expected) and (expected.vector_time is None) != (planned.vector_time is None):
        raise PlanError("the plan is for a net that runs in another way (in order, or in parallel)")
    if len(expected) and expected.vector_time is not None and planned.vector_time is not None:
        rows = {b.name: i for i, b in enumerate(planned.buffers)}
        order = [rows[b.name] for b in expected.buffers]
        for one, two in (
            (expected.vector_time.start, planned.vector_time.start[order]),
            (expected.vector_time.end, planned.vector_time.end[order]),
        ):
            if one.shape != two.shape or (one != two).any():
                raise PlanError("the plan takes the net for one with other dependencies")


def _check_net(original: str, rewritten: str, how: reading.Reading, *, json_output: bool) -> int:
    from memonger.rewrite.equivalence import verify_equivalence

    nets = [
        reading.read_as_net(source, None, None, given)[0]
        for source, given in ((original, how), (rewritten, reading.AS_NAMED))
    ]
    order = None
    try:
        verify_equivalence(nets[0], nets[1])
    except EquivalenceError as error:
        order = _order_of(nets[0], nets[1], error)
        verify_equivalence(nets[0], nets[1], order=order)
    operators = len(nets[0].op)
    if json_output:
        more = {} if order is None else {"order": order}
        print_json({"instance": original, "equivalent": True, "operators": operators, **more})
    else:
        where = "" if order is None else ", in another order"
        out.print(f"equivalent: {operators} operators compute the same{where}")
    return 0


def _order_of(original: NetDef, rewritten: NetDef, error: EquivalenceError) -> list[int]:
    """Return the order that a net was put in; raise the error if it is in the same one."""
    from memonger.rewrite.matching import matching_order

    if len(original.op) != len(rewritten.op):
        raise error
    try:
        order = matching_order(original, rewritten)
    except EquivalenceError:
        raise error from None
    if order == sorted(order):
        raise error
    return order
