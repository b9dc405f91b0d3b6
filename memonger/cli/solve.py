"""``memonger solve``: plan a problem, or the live ranges of a net."""

from __future__ import annotations

import json
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from memonger.cli import options
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
from memonger.cli.order import solve_order
from memonger.errors import InputError
from memonger.instances.loading import load_hints
from memonger.net.io import write_atomically
from memonger.plan import ArenaPlan, SharingPlan
from memonger.result import ArenaResult, SharingResult


class Form(StrEnum):
    """The forms of planning that this version solves."""

    SHARING = "sharing"
    ARENA = "arena"
    ORDER = "order"


def solve(
    context: typer.Context,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A problem, graph or net; or a built-in net.")
    ],
    form: Annotated[Form, typer.Option("--form", help="What to decide.")] = Form.SHARING,
    shapes: options.Shapes = None,
    sizes: options.Sizes = None,
    static: options.Static = None,
    algorithm: options.Algorithm = "optimal",
    alignment: options.Alignment = 1,
    planned: options.Planned = None,
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
        bool,
        typer.Option(
            "--in-place/--no-in-place",
            help="Whether buffers may take over others where the problem says so.",
        ),
    ] = True,
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

      memonger solve problem.json --hint plan.json --json-lines

      memonger solve A.1048576.csv --form arena --output plan.json

      memonger solve solution.csv --form arena --unpin

      memonger solve graph.json.gz --form order --output order.json
    """
    from memonger.instances.plan_json import plan_to_json
    from memonger.solver.solve import solve as run

    if form is Form.ORDER:
        return solve_order(context)
    problem = options.problem_of(file, shapes, sizes, static, alignment, planned)
    if not in_place and problem.in_place:
        problem = replace(problem, in_place=())
    if max_buffers is not None:
        problem = replace(problem, rules=replace(problem.rules, at_most=max_buffers))
    if max_buffers is not None and form is Form.ARENA:
        raise InputError("--max-buffers is for --form sharing: an arena has none")
    if unpin:
        problem = options.without_pins(problem)
    start: SharingPlan | ArenaPlan | None = None
    if hint is not None:
        start = options.read_hint(hint, problem, form.value)
    elif form is Form.ARENA:
        start = load_hints(file, problem)
    options.check_target(output)
    options.check_stdout(output, json_output=json_output or json_lines, quiet=quiet)
    if output is not None:
        options.check_new(file, output)
    with progress(file, quiet=quiet) as show:
        result = run(
            problem,
            algorithm,
            form=form.value,
            time_limit=time_limit,
            workers=workers,
            seed=seed,
            hint=start,
            report=json_line if json_lines else show,
            capacity=capacity,
        )
    if output is not None and result.plan is not None:
        write_atomically(output, json.dumps(plan_to_json(problem, result)).encode())
    code = exit_code(result, require_optimal=require_optimal)
    answer = ""
    if capacity is not None:
        code, answer = _fits(result.objective, result.bound, capacity, code)
    if json_output or json_lines:
        data = result_json(file, form.value, len(problem), result)
        if capacity is not None:
            data["capacity"], data["fits"] = capacity, answer
        print_json(data)
    elif not quiet:
        _print(file, form.value, problem.total, result, capacity, answer)
    return code


def _print(
    file: str,
    form: str,
    total: int,
    result: SharingResult | ArenaResult,
    capacity: int | None,
    answer: str,
) -> None:
    rows = table(file, form, "bytes")
    rows.add_row("no sharing", f"{total:,}")
    label = result.status.value if result.algorithm == "optimal" else result.algorithm
    rows.add_row(
        f"memonger ({label})", "-" if result.objective is None else f"{result.objective:,}"
    )
    rows.add_row("lower bound", f"{result.bound:,}")
    out.print(rows)
    out.print(f"{verdict(result)}; {result.seconds:.2f} s")
    if capacity is not None:
        out.print(f"fits in {capacity:,} bytes: {answer}")


def _fits(objective: int | None, bound: int, capacity: int, code: int) -> tuple[int, str]:
    if objective is not None and objective <= capacity:
        return code, "yes"
    if code == 4:
        return code, "no, proven"
    return (4, "no, proven") if bound > capacity else (5, "unknown")
