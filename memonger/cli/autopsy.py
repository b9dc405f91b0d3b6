"""``memonger autopsy``: the smallest problem on which a heuristic fails."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from memonger.cli import options
from memonger.cli.console import err, note, out, print_json
from memonger.cli.start import INTERRUPTED
from memonger.errors import MemongerError
from memonger.net.io import write_atomically
from memonger.order_problem import OrderProblem
from memonger.problem import Problem

if TYPE_CHECKING:
    from memonger.autopsy import Autopsy


def autopsy(
    algorithm: Annotated[
        str, typer.Argument(metavar="ALGORITHM", help="See memonger info --algorithms.")
    ],
    form: Annotated[str, typer.Option("--form", help="sharing, arena or order.")] = "sharing",
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
    """Find a smallest problem on which an algorithm fails.

    Its plan misses the optimum there; both plans are drawn. All problems of up to four buffers
    (operators, of the form order) of up to three bytes are gone through, smallest first; then
    larger ones are drawn, and the first that is missed is made smaller. Exit code 0 if one was
    found, 5 if not. 60 s by default.

    For example:

      memonger autopsy caffe2-dp

      memonger autopsy first-fit-size --form arena --output autopsy

      memonger autopsy min-memory --form order

      memonger show autopsy/plan.json autopsy/best.json -o autopsy.html
    """
    from memonger.autopsy import autopsy as search

    if output is not None:
        options.check_directory(output)

    def show(tried: int, count: int) -> None:
        if err.is_terminal and not quiet:
            err.print(f"{tried:,} problems, now of {count}", end="\r")

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


def summary(found: Autopsy) -> dict[str, Any]:
    """Return what was found, as JSON data."""
    data: dict[str, Any] = {
        "algorithm": found.algorithm,
        "form": found.form,
        "found": found.miss is not None,
        "smallest": found.smallest,
        "minimal": found.smallest or found.minimal,
        f"complete_to_{found.subject.noun}": found.complete,
        "tried": found.tried,
        "claim": found.claim,
    }
    if found.miss is not None:
        proof = found.miss.best.proof
        data |= {
            "n": len(found.miss.problem),
            "cost": found.miss.cost,
            "optimum": found.miss.best.objective,
            "proof": None if proof is None else proof.value,
            "problem": _problem_json(found.miss.problem),
        }
    return data


def _problem_json(problem: Problem | OrderProblem) -> dict[str, Any]:
    from memonger.instances.order_json import operators_to_json
    from memonger.instances.problem_json import problem_to_json

    if isinstance(problem, OrderProblem):
        return operators_to_json(problem)
    return problem_to_json(problem)


def _write(folder: Path, found: Autopsy, *, quiet: bool) -> None:
    """Write the problem, the plan of the algorithm and an optimal one.

    The operators of an order are in its plan files.
    """
    from dataclasses import replace

    from memonger.instances.order_json import order_to_json
    from memonger.instances.plan_json import plan_to_json
    from memonger.result import Status

    miss = found.miss
    assert miss is not None
    own = replace(
        miss.best,
        plan=miss.plan,
        objective=miss.cost,
        status=Status.FEASIBLE,
        algorithm=found.algorithm,
    )
    to_json = order_to_json if isinstance(miss.problem, OrderProblem) else plan_to_json
    files = {
        "plan.json": to_json(miss.problem, own),
        "best.json": to_json(miss.problem, miss.best),
        "autopsy.json": summary(found),
    }
    if isinstance(miss.problem, Problem):
        files["problem.json"] = _problem_json(miss.problem)
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        write_atomically(folder / name, (json.dumps(data) + "\n").encode())
    note(f"wrote {len(files)} files into {folder}", quiet=quiet)


def described(problem: Problem | OrderProblem) -> list[str]:
    """Return the buffers of a problem, or its operators and what they allocate, a line each."""
    if isinstance(problem, Problem):
        return [f"{b.name}: {bytes_of(b.size)}, [{b.start}, {b.end})" for b in problem.buffers]
    lines = []
    for held in problem.allocations:
        readers = ", ".join(problem.operators[reader] for reader in held.readers)
        lines.append(f"{held.name}: {bytes_of(held.size)}, read by {readers or 'nobody'}")
    return lines


def bytes_of(size: int) -> str:
    """Return so many bytes in words."""
    return "1 byte" if size == 1 else f"{size} bytes"


def _print(found: Autopsy) -> None:
    from memonger.autopsy import picture

    if found.miss is None:
        out.print(found.claim)
        return
    miss, proof, best = found.miss, found.miss.best.proof, found.miss.best.plan
    assert best is not None
    out.print(
        f"{found.algorithm} needs {bytes_of(miss.cost)} where {miss.best.objective} would do "
        f"(proven by {proof.value if proof else 'nothing'}); "
        f"{len(miss.problem)} {found.subject.noun}:"
    )
    for line in described(miss.problem):
        out.print(f"  {line}", markup=False)
    for title, plan in ((found.algorithm, miss.plan), ("optimal", best)):
        try:
            drawn = picture(miss.problem, plan)
        except MemongerError as error:
            drawn = f"({error})"
        out.print(f"\n{title}:\n{drawn}", markup=False)
    out.print(f"\n{found.claim}; {found.tried:,} problems tried")
