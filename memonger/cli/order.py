"""``memonger solve --form order``: the order of the operators that needs the least memory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from memonger.cli import options
from memonger.cli.claims import check_claims, what_holds
from memonger.cli.console import (
    exit_code,
    json_line,
    out,
    print_json,
    progress,
    result_json,
    table,
    verdict,
)
from memonger.cli.reading import Reading, order_problem_of, read_net
from memonger.errors import InputError, PlanError
from memonger.instances.loading import load_order_plan
from memonger.net.io import write_atomically
from memonger.net.schema import is_sequential
from memonger.order_certificate import check_order_certificate
from memonger.order_problem import OrderProblem
from memonger.plan import OrderPlan
from memonger.problem import Problem
from memonger.result import OrderResult
from memonger.verify import verify_order

if TYPE_CHECKING:  # it takes a second to import
    from memonger.solver.order_choice import Choice


@dataclass(frozen=True)
class Source:
    """Where an ordering problem is read from: as the options of `solve` say."""

    file: str
    shapes: list[Path] | None
    sizes: Path | None
    static: list[str] | None
    alignment: int
    reading: Reading

    @classmethod
    def asked(cls, parameters: Mapping[str, Any]) -> Source:
        """Return the source that the parameters of a command name."""
        own = {f.name: parameters[f.name] for f in fields(cls) if f.name != "reading"}
        return cls(**own, reading=Reading.asked(parameters))

    def with_alignment(self, alignment: int) -> Source:
        """Return the same with another alignment."""
        return replace(self, alignment=alignment)


def read_order_problem(source: Source) -> OrderProblem:
    """Return the ordering problem of a graph, a net, or a plan of the form ``order``.

    Raises
    ------
    InputError
        If it cannot be read, or an option does not go with it.
    """
    file = source.file
    if source.reading.holds_graph(file):
        if source.shapes or source.sizes is not None or source.static:
            raise InputError(f"{file}: --shapes, --sizes and --static are for nets")
        return order_problem_of(file, source.reading, source.alignment)
    from memonger.analysis import analyse_net
    from memonger.graph.operator_order import order_problem_of_net

    net, known = read_net(file, source.shapes, source.sizes, source.reading)
    if isinstance(net, Problem):
        raise InputError(f"{file}: no operators to put in order: that takes a graph or a net")
    if not is_sequential(net.type):
        raise InputError(f"{file}: a net that runs in parallel has no order to choose")
    with options.naming(file):
        analysis = analyse_net(net, **known, static=source.static or (), alignment=source.alignment)
        return order_problem_of_net(analysis.net, analysis.def_use, analysis.planned)


NOT_FOR_ORDERS = ("capacity", "max_buffers", "in_place", "unpin", "order", "parameters")


def solve_order(context: typer.Context) -> int:
    """Do what the options of `solve` ask for in the form ``order``; return the exit code."""
    from memonger.instances.order_json import order_to_json
    from memonger.solver.order import solve_order as run

    given = options.given(context)
    for name in NOT_FOR_ORDERS:
        if name in given:
            raise InputError(f"{given[name]} is not for --form order")
    asked = context.params
    file, output, quiet = asked["file"], asked["output"], asked["quiet"]
    machine = asked["json_output"] or asked["json_lines"]
    problem = read_order_problem(Source.asked(asked))
    options.check_target(output)
    options.check_stdout(output, json_output=machine, quiet=quiet)
    if output is not None:
        options.check_new(file, output)
    hint = None if asked["hint"] is None else _read_hint(asked["hint"], problem)
    with progress(file, quiet=quiet) as show:
        result = run(
            problem,
            asked["algorithm"],
            time_limit=asked["time_limit"],
            seed=asked["seed"],
            hint=hint,
            report=json_line if asked["json_lines"] else show,
        )
    if output is not None:
        write_atomically(output, json.dumps(order_to_json(problem, result)).encode())
    if machine:
        print_json(order_summary(file, problem, result))
    elif not quiet:
        _print(file, problem, result)
    return exit_code(result, require_optimal=asked["require_optimal"])


def order_summary(file: str, problem: OrderProblem, result: OrderResult) -> dict[str, Any]:
    """Return what ``--json`` says of an order: n counts the operators."""
    return {
        **result_json(file, "order", len(problem), result),
        "program_order": problem.peak(range(len(problem))),
        "allocations": len(problem.allocations),
    }


def order_json(choice: Choice | None) -> dict[str, Any] | None:
    """Return what ``--json`` says of the order that was planned in; null: program order."""
    if choice is None:
        return None
    return {
        "source": choice.source,
        "operators": list(choice.order),
        "peak": choice.lowest.objective,
        "bound": choice.lowest.bound,
        "proof": None if choice.lowest.proof is None else choice.lowest.proof.value,
    }


def check_order(plan: str, source: Source | None) -> dict[str, Any]:
    """Check an order and its certificate, against its graph or net if there is one.

    Returns what holds.

    Raises
    ------
    PlanError
        If a claim does not hold.
    """
    claimed = load_order_plan(plan)
    problem = claimed.problem if source is None else read_order_problem(source)
    if source is not None:
        _same_problem(problem, claimed.problem)
    cost = verify_order(problem, claimed.plan)
    check_claims(claimed, cost)
    certified = None
    if claimed.certificate is not None:
        # Its allocations are numbered as in the plan, which names the same ones.
        certified = check_order_certificate(claimed.problem, claimed.certificate, claimed.bound)
    return {**what_holds(claimed, cost, certified), "operators": len(problem)}


def _same_problem(expected: OrderProblem, planned: OrderProblem) -> None:
    """Compare the operators of the input with those that a plan says it orders."""
    if len(expected) != len(planned):
        raise PlanError(f"the input has {len(expected)} operators, the plan is for {len(planned)}")
    if expected.precedence.tolist() != planned.precedence.tolist():
        raise PlanError("the plan is for operators with other dependencies")
    ours = {held.name: held for held in expected.allocations}
    theirs = {held.name: held for held in planned.allocations}
    for name in ours.keys() | theirs.keys():
        if ours.get(name) != theirs.get(name):
            raise PlanError(f"allocation {name!r} is not the same in the input and in the plan")


def _read_hint(path: Path, problem: OrderProblem) -> OrderPlan:
    plan = load_order_plan(path).plan
    try:
        verify_order(problem, plan)
    except PlanError as error:
        raise InputError(f"{path}: no order for this problem: {error}") from None
    return plan


def _print(file: str, problem: OrderProblem, result: OrderResult) -> None:
    before = problem.peak(range(len(problem)))

    def share(size: int) -> str:
        return f"{100 * size / before:.1f} %" if before else "-"

    rows = table(file, "order", "peak, bytes", "of program order")
    rows.add_row("program order", f"{before:,}", share(before))
    label = result.status.value if result.algorithm == "optimal" else result.algorithm
    rows.add_row(f"memonger ({label})", f"{result.objective or 0:,}", share(result.objective or 0))
    rows.add_row("lower bound, any order", f"{result.bound:,}", share(result.bound))
    out.print(rows)
    out.print(f"{verdict(result)}; {result.seconds:.2f} s")


def describe_order(file: str, *, json_output: bool) -> int:
    """Describe a plan of the form order, without checking it."""
    claimed = load_order_plan(file)
    problem = claimed.problem
    data = {
        "instance": file,
        "form": "order",
        "operators": len(problem),
        "allocations": len(problem.allocations),
        "program_order": problem.peak(range(len(problem))),
        "objective": claimed.objective,
        "bound": claimed.bound,
        "status": claimed.status,
        "proof": claimed.proof,
    }
    if json_output:
        print_json(data)
        return 0
    rows = table(file, "", "")
    rows.show_header = False
    for key, value in list(data.items())[2:]:
        text = f"{value:,}" if isinstance(value, int) else str(value or "none")
        rows.add_row(
            {"program_order": "peak in program order", "objective": "peak"}.get(key, key), text
        )
    out.print(rows)
    return 0
