"""Options that several commands share."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from memonger.errors import InputError, NetError, PlanError, ProblemError, ShapeError
from memonger.instances.loading import load_plan
from memonger.net.io import parse_json, read_bytes
from memonger.parameters import DEFAULTS, Parameters, parameters_from_json
from memonger.plan import ArenaPlan, SharingPlan
from memonger.problem import Problem

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|)")
_SECONDS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}


def duration(text: str) -> float:
    """Return the seconds in a text such as ``90``, ``60s``, ``1.5m``, ``500ms``.

    Examples
    --------
    >>> duration("1.5m")
    90.0
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise typer.BadParameter(f"{text!r} is no duration; examples: 90, 60s, 5m, 500ms")
    return float(match[1]) * _SECONDS[match[2]]


Shapes = Annotated[
    list[Path] | None,
    typer.Option(
        "--shapes",
        metavar="FILE",
        help='Shapes: JSON {blob: [dims] or {"shape": [dims], "dtype": "int64"}}, or an init net '
        "whose fills tell them. May be given again; later files win.",
    ),
]
Sizes = Annotated[
    Path | None,
    typer.Option("--sizes", metavar="FILE", help="Sizes: JSON {blob: bytes}; they win."),
]
Static = Annotated[
    list[str] | None,
    typer.Option("--static", metavar="BLOB", help="A blob to leave alone; may be given again."),
]


class PlannedKind(StrEnum):
    """Which tensors of a graph are planned."""

    ACTIVATIONS = "activations"
    WITH_OUTPUTS = "activations+outputs"


Planned = Annotated[
    PlannedKind | None,
    typer.Option(
        "--planned",
        help="Graphs only: by default activations for inference, with outputs for training.",
    ),
]
Alignment = Annotated[
    int, typer.Option("--alignment", min=1, help="Round sizes up to a multiple, in bytes.")
]
Unpin = Annotated[
    bool,
    typer.Option(
        "--unpin",
        help="Drop the offsets that buffers are pinned to: a solution in MiniMalloc's CSV, read as "
        "a problem, pins them all.",
    ),
]
Order = Annotated[
    str,
    typer.Option(
        "--order",
        help="program; topological or longest-path (Caffe2's); min-memory or optimal: operators "
        "are reordered where that saves memory.",
    ),
]
Algorithm = Annotated[
    str, typer.Option("--algorithm", help="`memonger info --algorithms` lists them.")
]
TimeLimit = Annotated[
    float | None,
    typer.Option(
        "--time-limit", parser=duration, metavar="TIME", help="Such as 60s, 5m; none by default."
    ),
]
Workers = Annotated[
    int | None,
    typer.Option("--workers", min=1, help="Threads; by default one a processor, at most 8."),
]
ParametersFile = Annotated[
    Path | None,
    typer.Option(
        "--parameters",
        metavar="FILE",
        help="Parameters of the solvers, as memonger tune writes them.",
    ),
]
Seed = Annotated[
    int,
    typer.Option(
        "--seed", min=0, help="With --workers 1, one seed gives one plan, if no time limit is met."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
JsonLines = Annotated[
    bool,
    typer.Option(
        "--json-lines", help="Print a JSON object for every improvement, then that of --json."
    ),
]
Hint = Annotated[
    Path | None,
    typer.Option("--hint", metavar="PLAN.json", help="Start from a plan; never end up worse."),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print nothing but errors, and what --json asks for.")
]
RequireOptimal = Annotated[
    bool,
    typer.Option("--require-optimal", help="Exit with 10 unless the plan is proven optimal."),
]


@contextmanager
def naming(source: str) -> Iterator[None]:
    """Put the name of the input before errors that speak of its operators, blobs or buffers."""
    try:
        yield
    except (NetError, ShapeError, ProblemError) as error:
        if source in str(error):
            raise
        raise type(error)(f"{source}: {error}") from None


def without_pins(problem: Problem) -> Problem:
    """Return the problem with all buffers free to lie anywhere in their arenas."""
    return replace(problem, buffers=tuple(replace(b, offset=None) for b in problem.buffers))


def read_hint(path: Path, problem: Problem, form: str) -> SharingPlan | ArenaPlan:
    """Read a plan for a problem: buffers are matched by their names.

    Raises
    ------
    InputError
        If it cannot be read, is for other buffers, or breaks a rule of the problem.
    """
    found = load_plan(path)
    if found.form.name != form:
        raise InputError(f"{path}: a plan of the form {found.form.name!r}, not {form!r}")
    rows = {buffer.name: i for i, buffer in enumerate(found.problem.buffers)}
    names = [buffer.name for buffer in problem.buffers]
    missing = next((name for name in names if name not in rows), None)
    if missing is not None or len(names) != len(rows):
        detail = f"it does not place {missing!r}" if missing else "it places other buffers besides"
        raise InputError(f"{path}: no plan for this problem: {detail}")
    plan = found.plan.part([rows[name] for name in names])
    try:
        found.form.verify(problem, plan)
    except PlanError as error:
        raise InputError(f"{path}: no plan for this problem: {error}") from None
    return plan


def read_parameters(file: Path | None) -> Parameters:
    """Return the parameters in a file; the defaults without one.

    Raises
    ------
    InputError
        If it cannot be read, or gives none.
    """
    if file is None:
        return DEFAULTS
    import memonger.solver.solve  # noqa: F401  (declares the parameters)

    return parameters_from_json(parse_json(read_bytes(file), str(file)), str(file))


def given(context: typer.Context) -> dict[str, str]:
    """Return the parameters that are on the command line, with the names of their options."""
    found = {}
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if parameter.name is not None and source is not None and source.name != "DEFAULT":
            found[parameter.name] = max(parameter.opts, key=len)
    return found


def check_new(source: str | Path, target: Path) -> None:
    """Refuse to write over the input."""
    if target.is_file() and Path(source).is_file() and target.samefile(source):
        raise InputError(f"{target}: this is the input; name another file")


def check_target(path: Path | None) -> None:
    """Refuse a file that could not be written at the end, before the work begins."""
    if path == Path("-"):
        raise InputError("-: not the name of a file; the output itself is /dev/stdout")
    if path is not None and not path.parent.is_dir():
        raise InputError(f"{path}: there is no directory {str(path.parent)!r}")
    if path is not None and path.is_dir():
        raise InputError(f"{path}: this is a directory")


def check_directory(path: Path) -> None:
    """Refuse a directory that could not be made at the end; it is not made yet."""
    try:
        there = next(p for p in (path.absolute(), *path.absolute().parents) if os.path.lexists(p))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot make it: {error}") from None
    if not there.is_dir():
        raise InputError(f"{path}: cannot make it: {there} is no directory")
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"{path}: cannot make it: no permission to write to {there}")


def check_stdout(path: Path | None, *, json_output: bool, quiet: bool) -> None:
    """Refuse to write a file to stdout when something else goes there too."""
    if path is None or sys.stdout is None or (quiet and not json_output):
        return
    try:
        target, stdout = path.stat(), os.fstat(1)
    except (OSError, ValueError):
        return
    if os.path.samestat(target, stdout) and not _is_null(target):
        what = "--json prints there too" if json_output else "the result is printed there too: -q"
        raise InputError(f"{path}: this is stdout; {what}")


def _is_null(found: os.stat_result) -> bool:
    """Return whether this is the device that swallows all."""
    return os.path.samestat(found, os.stat(os.devnull))
