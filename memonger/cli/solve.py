"""``memonger solve``: plan a problem, or the live ranges of a net."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from memonger.cli import options, reading
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
from memonger.cli.order import Source, solve_order
from memonger.cli.ordered import Ordered, candidates
from memonger.errors import InputError
from memonger.instances.loading import load_hints
from memonger.net.io import write_atomically
from memonger.plan import ArenaPlan, SharingPlan
from memonger.problem import Problem
from memonger.result import ArenaResult, SharingResult, Status
from memonger.stop import Deadline


class Form(StrEnum):
    """The forms of planning that this version solves."""

    SHARING = "sharing"
    ARENA = "arena"
    ORDER = "order"


def solve(
    context: typer.Context,
    file: Annotated[
        str,
        typer.Argument(metavar="FILE", help="A problem, graph, net or model; or a built-in net."),
    ],
    form: Annotated[Form, typer.Option("--form", help="What to decide.")] = Form.SHARING,
    shapes: options.Shapes = None,
    sizes: options.Sizes = None,
    static: options.Static = None,
    order: options.Order = "program",
    algorithm: options.Algorithm = "optimal",
    alignment: options.Alignment = 1,
    planned: options.Planned = None,
    format: reading.Format = None,
    dim: reading.Dim = None,
    subgraph: reading.Subgraph = 0,
    capacity: Annotated[
        int | None,
        typer.Option(
            "--capacity",
            min=0,
            metavar="BYTES",
            help="Ask whether a plan fits in it; an arena need be no lower then.",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="PLAN.json", help="Write the plan.")
    ] = None,
    in_place: Annotated[
        bool | None,
        typer.Option(
            "--in-place/--no-in-place",
            help="Whether buffers may take over others where it is permitted; by default where a "
            "problem says so, and not in graphs.",
        ),
    ] = None,
    max_buffers: Annotated[
        int | None,
        typer.Option(
            "--max-buffers", min=0, metavar="K", help="At most K shared buffers, on each device."
        ),
    ] = None,
    unpin: options.Unpin = False,
    hint: options.Hint = None,
    time_limit: options.TimeLimit = None,
    workers: options.Workers = None,
    seed: options.Seed = 0,
    parameters: options.ParametersFile = None,
    require_optimal: options.RequireOptimal = False,
    json_output: options.Json = False,
    json_lines: options.JsonLines = False,
    quiet: options.Quiet = False,
) -> int:
    """Find the cheapest plan of a problem and prove it.

    The form order takes a graph or a net, and looks for the order of its operators in which the
    fewest bytes are live at once.

    In the arena form, the column `hint` of a MiniMalloc CSV is where the search starts, if it is a
    valid placement of all buffers and there is no --hint.

    With --capacity: exit code 0 if the plan fits, 4 if it is proven that none does, 5 if neither
    is known.

    For example:

      memonger solve problem.json --output plan.json

      memonger solve A.1048576.csv --algorithm by-size --json

      memonger solve graph.json.gz --time-limit 60s --capacity 67108864

      memonger solve graph.json.gz --in-place

      memonger solve problem.json --hint plan.json --json-lines

      memonger solve A.1048576.csv --form arena --output plan.json

      memonger solve solution.csv --form arena --unpin

      memonger solve graph.json.gz --form order --output order.json

      memonger solve graph.json.gz --form arena --order optimal

      memonger solve model.onnx --form arena --dim batch=1

      memonger solve model.tflite --form arena --alignment 16
    """
    if form is Form.ORDER:
        return solve_order(context)
    if max_buffers is not None and form is Form.ARENA:
        raise InputError("--max-buffers is for --form sharing: an arena has none")
    if in_place and (form is Form.ARENA or order != "program"):
        raise InputError("--in-place is for --form sharing, in program order")
    if order != "program" and (hint is not None or capacity is not None):
        raise InputError("--hint and --capacity are about one order: they go with program order")
    options.check_target(output)
    options.check_stdout(output, json_output=json_output or json_lines, quiet=quiet)
    if output is not None:
        options.check_new(file, output)
    return _solve_buffers(context.params)


def _prepared(problem: Problem, asked: Mapping[str, Any]) -> Problem:
    """Return the problem as the options want it."""
    if asked["in_place"] is False and problem.in_place:
        problem = replace(problem, in_place=())
    if asked["max_buffers"] is not None:
        problem = replace(problem, rules=replace(problem.rules, at_most=asked["max_buffers"]))
    return options.without_pins(problem) if asked["unpin"] else problem


def _solve_buffers(asked: Mapping[str, Any]) -> int:
    """Plan the buffers of a problem, in every order that may be the best; return the exit code."""
    from memonger.instances.plan_json import plan_to_json

    file, form = asked["file"], asked["form"].value
    deadline = Deadline(asked["time_limit"])
    found = candidates(
        Source.asked(asked), asked["order"], form, asked["time_limit"], asked["seed"]
    )
    found = [replace(each, problem=_prepared(each.problem, asked)) for each in found]
    ordered, result = _best(found, asked, deadline)
    problem = ordered.problem
    if asked["output"] is not None and result.plan is not None:
        data = plan_to_json(problem, result, ordered.order)
        write_atomically(asked["output"], json.dumps(data).encode())
    code = exit_code(result, require_optimal=asked["require_optimal"])
    answer, capacity = "", asked["capacity"]
    if capacity is not None:
        code, answer = _fits(result.objective, result.bound, capacity, code)
    if asked["json_output"] or asked["json_lines"]:
        data = result_json(file, form, len(problem), result)
        if capacity is not None:
            data["capacity"], data["fits"] = capacity, answer
        if asked["order"] != "program":
            data["order"] = None if ordered.order is None else list(ordered.order)
        print_json(data)
    elif not asked["quiet"]:
        bound = "lower bound" if ordered.order is None else "lower bound, this order"
        _print(file, form, problem.total, result, bound)
        if capacity is not None:
            out.print(f"fits in {capacity:,} bytes: {answer}")
    return code


def _best(
    found: Sequence[Ordered], asked: Mapping[str, Any], deadline: Deadline
) -> tuple[Ordered, SharingResult | ArenaResult]:
    """Return the order whose plan is the cheapest, and that plan."""
    from memonger.solver.order_choice import SEARCHED, cheapest_plan
    from memonger.solver.solve import solve as run

    file, form = asked["file"], asked["form"].value
    parameters = options.read_parameters(asked["parameters"])
    with progress(file, quiet=asked["quiet"]) as show:

        def plan(number: int, limit: float | None) -> SharingResult | ArenaResult:
            return run(
                found[number].problem,
                asked["algorithm"],
                form=form,
                time_limit=limit,
                workers=asked["workers"],
                seed=asked["seed"],
                hint=_start(found[number].problem, asked),
                report=json_line if asked["json_lines"] else show,
                capacity=asked["capacity"],
                parameters=parameters,
            )

        best, result = cheapest_plan([each.problem for each in found], form, deadline, plan)
    if result.status is Status.INFEASIBLE and asked["order"] in SEARCHED:
        result = replace(result, status=Status.UNKNOWN)  # other orders may have a plan
    return found[best], result


def _start(problem: Problem, asked: Mapping[str, Any]) -> SharingPlan | ArenaPlan | None:
    """Return the plan to start from, if there is one."""
    if asked["hint"] is not None:
        return options.read_hint(asked["hint"], problem, asked["form"].value)
    if asked["form"] is not Form.ARENA:
        return None
    return load_hints(asked["file"], problem, asked["format"])


def _print(
    file: str,
    form: str,
    total: int,
    result: SharingResult | ArenaResult,
    bound: str,
) -> None:
    rows = table(file, form, "bytes")
    rows.add_row("no sharing", f"{total:,}")
    label = result.status.value if result.algorithm == "optimal" else result.algorithm
    rows.add_row(
        f"memonger ({label})", "-" if result.objective is None else f"{result.objective:,}"
    )
    rows.add_row(bound, f"{result.bound:,}")
    out.print(rows)
    out.print(f"{verdict(result)}; {result.seconds:.2f} s")


def _fits(objective: int | None, bound: int, capacity: int, code: int) -> tuple[int, str]:
    if objective is not None and objective <= capacity:
        return code, "yes"
    if code == 4:
        return code, "no, proven"
    return (4, "no, proven") if bound > capacity else (5, "unknown")
