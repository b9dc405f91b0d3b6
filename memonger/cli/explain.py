"""``memonger explain``: where the bytes go."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from memonger.cli import options
from memonger.cli.bench import size
from memonger.cli.console import out, print_json, table
from memonger.cli.order import Source, read_order_problem
from memonger.cli.ordered import program_order
from memonger.errors import InputError

if TYPE_CHECKING:  # it takes a second to import
    from memonger.explain import Explanation

SHOWN = 10


def explain(
    context: typer.Context,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A net, graph or problem; or a built-in net.")
    ],
    shapes: options.Shapes = None,
    sizes: options.Sizes = None,
    static: options.Static = None,
    alignment: options.Alignment = 1,
    planned: options.Planned = None,
    budget: Annotated[
        int | None,
        typer.Option(
            "--budget", parser=size, metavar="BYTES", help="Say whether it fits, such as in 8MiB."
        ),
    ] = None,
    time_limit: options.TimeLimit = None,
    workers: options.Workers = None,
    seed: options.Seed = 0,
    json_output: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Say where the bytes go, and whether a budget can be met.

    Without sharing, by Caffe2, at best, and in any order. Lists what is live at the peak, where
    it is, and what would lower it most.

    With --budget: exit code 0 if a plan fits, 4 if it is proven that none does, in no order of the
    operators; 5 if neither is known.

    For example:

      memonger explain resnet50

      memonger explain predict_net.pb --shapes shapes.json --budget 8MiB

      memonger explain graph.json.gz --json --time-limit 60s
    """
    from memonger.explain import explain as run

    source = Source.asked(context.params)
    problem = program_order(source)
    try:
        operators = read_order_problem(source)
    except InputError:  # a problem, or a net that runs in parallel: its order is what it is
        operators = None
    found = run(
        problem, operators, budget=budget, time_limit=time_limit, workers=workers, seed=seed
    )
    if json_output:
        print_json(_json(file, found))
    elif not quiet:
        _print(file, found)
    if found.budget is None:
        return 0
    return {True: 0, False: 4, None: 5}[found.budget.fits]


def _json(file: str, found: Explanation) -> dict[str, Any]:
    total = found.steps[0].bytes or 0
    data: dict[str, Any] = {
        "instance": file,
        "steps": [{**asdict(step), "share": _share(step.bytes, total)} for step in found.steps],
        "alignment": found.alignment,
        "peak_blobs": [asdict(blob) for blob in found.blobs],
        "peak_operators": [asdict(operator) for operator in found.operators],
        "remedies": [asdict(remedy) for remedy in found.remedies],
        "budget": None if found.budget is None else asdict(found.budget),
    }
    return data


def _share(part: int | None, total: int) -> float | None:
    return None if part is None or not total else part / total


def _print(file: str, found: Explanation) -> None:
    rows = table(f"{file}: where the bytes go", "", "bytes", "of no sharing", "saved", "cause")
    rows.columns[4].justify = "left"
    total, last = found.steps[0].bytes or 0, None
    for step in found.steps:
        if step.bytes is None:
            rows.add_row(step.name, "-", "-", "-", step.note)
            continue
        share = _share(step.bytes, total)
        saved = None if last is None else last - step.bytes
        unproven = step.note == "feasible" and step.name.startswith(("optimal", "best"))
        rows.add_row(
            step.name,
            f"{step.bytes:,}",
            "-" if share is None else f"{100 * share:.2f} %",
            "" if saved is None else f"{saved:,}",
            ("" if saved == 0 else step.cause) + (" (not proven optimal)" if unproven else ""),
        )
        last = step.bytes
    out.print(rows)
    if found.alignment:
        out.print(f"alignment takes {found.alignment:,} bytes of the load bound")
    _print_peak(found)
    if found.budget is not None:
        answer = {True: "yes", False: "no, proven", None: "unknown"}[found.budget.fits]
        out.print(f"fits in {found.budget.bytes:,} bytes: {answer}: {found.budget.reason}")
        for blob in found.budget.blobs[:SHOWN]:
            out.print(f"  {blob.bytes:,} bytes: {blob.name!r}")


def _print_peak(found: Explanation) -> None:
    live = table("live at the peak", "blob", "bytes", "from", "to", "")
    for blob in found.blobs[:SHOWN]:
        idle = "not touched here" if blob.idle else ""
        live.add_row(blob.name, f"{blob.bytes:,}", str(blob.producer), str(blob.last_reader), idle)
    out.print(live)
    busy = table("operators with the most live", "operator", "live", "allocates")
    for operator in found.operators:
        name = f"{operator.index} {operator.name}".strip()
        busy.add_row(name, f"{operator.live:,}", f"{operator.allocates:,}")
    out.print(busy)
    if found.remedies:
        help_ = table("what would lower the peak most", "kind", "saves", "how")
        help_.columns[2].justify = "left"
        for remedy in found.remedies:
            help_.add_row(remedy.kind, f"{remedy.saves:,}", remedy.what)
        out.print(help_)
