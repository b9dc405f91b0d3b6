"""``memonger autopsy``: the smallest problem on which a heuristic fails."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from memonger.cli import options
from memonger.cli.console import err, note, out, print_json
from memonger.cli.start import INTERRUPTED
from memonger.net.io import write_atomically


def autopsy(
    algorithm: Annotated[
        str, typer.Argument(metavar="ALGORITHM", help="See memonger info --algorithms.")
    ],
    form: Annotated[str, typer.Option("--form", help="sharing or arena.")] = "sharing",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="DIR", help="Write the problem and both plans there."
        ),
    ] = None,
    time_limit: options.TimeLimit = None,
    seed: options.Seed = 0,
    json_output: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Look for a smallest problem on which an algorithm misses the optimum, and draw both plans.

    All problems of up to four buffers of up to three bytes are gone through, fewest buffers first,
    then smallest sizes; then larger ones are drawn, and the first that is missed is made smaller.
    Exit code 0 if one was found, 5 if not. 60 s by default.

    For example:

      memonger autopsy caffe2-dp

      memonger autopsy first-fit-size --form arena --output autopsy

      memonger show autopsy/plan.json autopsy/best.json -o autopsy.html
    """
    from memonger.autopsy import autopsy as search

    if output is not None:
        options.check_directory(output)

    def show(tried: int, buffers: int) -> None:
        if err.is_terminal and not quiet:
            err.print(f"{tried:,} problems, now of {buffers} buffers", end="\r")

    limit = 60.0 if time_limit is None else time_limit
    found = search(algorithm, form, seed=seed, time_limit=limit, report=show)
    if output is not None and found.miss is not None:
        _write(output, found, quiet=quiet or json_output)
    if json_output:
        print_json(summary(found))
    elif not quiet:
        _print(found)
    if found.interrupted:
        return INTERRUPTED
    return 0 if found.miss is not None else 5


def summary(found: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return what was found, as JSON data."""
    from memonger.instances.problem_json import problem_to_json

    data: dict[str, Any] = {
        "algorithm": found.algorithm,
        "form": found.form,
        "found": found.miss is not None,
        "smallest": found.smallest,
        "complete_to_buffers": found.complete,
        "tried": found.tried,
        "claim": found.claim,
    }
    if found.miss is not None:
        data |= {
            "n": len(found.miss.problem),
            "cost": found.miss.cost,
            "optimum": found.miss.best.objective,
            "proof": found.miss.best.proof.value,
            "problem": problem_to_json(found.miss.problem),
        }
    return data


def _write(folder: Path, found: Any, *, quiet: bool) -> None:  # noqa: ANN401
    """Write the problem, the plan of the algorithm and an optimal one."""
    from dataclasses import replace

    from memonger.instances.plan_json import plan_to_json
    from memonger.instances.problem_json import problem_to_json
    from memonger.result import Status

    miss = found.miss
    own = replace(
        miss.best,
        plan=miss.plan,
        objective=miss.cost,
        status=Status.FEASIBLE,
        algorithm=found.algorithm,
    )
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "problem.json": problem_to_json(miss.problem),
        "plan.json": plan_to_json(miss.problem, own),
        "best.json": plan_to_json(miss.problem, miss.best),
        "autopsy.json": summary(found),
    }
    for name, data in files.items():
        write_atomically(folder / name, (json.dumps(data) + "\n").encode())
    note(f"wrote {len(files)} files into {folder}", quiet=quiet)


def _print(found: Any) -> None:  # noqa: ANN401
    from memonger.autopsy import picture

    if found.miss is None:
        out.print(found.claim)
        return
    miss = found.miss
    out.print(
        f"{found.algorithm} needs {miss.cost} bytes where {miss.best.objective} are enough "
        f"(proven by {miss.best.proof.value}); {len(miss.problem)} buffers:"
    )
    for buffer in miss.problem.buffers:
        out.print(
            f"  {buffer.name}: {buffer.size} bytes, [{buffer.start}, {buffer.end})", markup=False
        )
    for title, plan in ((found.algorithm, miss.plan), ("optimal", miss.best.plan)):
        out.print(f"\n{title}:\n{picture(miss.problem, plan)}", markup=False)
    out.print(f"\n{found.claim}; {found.tried:,} problems tried")
