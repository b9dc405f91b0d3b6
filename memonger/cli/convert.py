"""``memonger convert``: problems and arena plans between formats."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from memonger.cli import options, reading
from memonger.cli.console import note
from memonger.errors import InputError
from memonger.instances.c_header import plan_to_header
from memonger.instances.loading import load_plan, read_json
from memonger.instances.minimalloc_csv import plan_to_csv, problem_to_csv
from memonger.instances.order_json import FORM as ORDER_FORM
from memonger.instances.perfetto import plan_to_trace
from memonger.instances.plan_json import FORMAT as PLAN_FORMAT
from memonger.instances.plan_json import PlanFile
from memonger.instances.problem_json import problem_to_json
from memonger.instances.tflite_offsets import plan_to_words
from memonger.net.io import save_net, write_atomically
from memonger.net.type_files import types_to_json
from memonger.plan import ArenaPlan
from memonger.problem import Problem


class Format(StrEnum):
    """What can be written."""

    PROBLEM = "problem"
    CSV = "csv"
    HEADER = "c-header"
    WORDS = "tflite"
    TRACE = "perfetto"
    NET = "netdef"


_ENDINGS = {
    ".perfetto.json": Format.TRACE,
    ".json": Format.PROBLEM,
    ".json.gz": Format.PROBLEM,
    ".csv": Format.CSV,
    ".h": Format.HEADER,
    ".bin": Format.WORDS,
    ".pb": Format.NET,
    ".pbtxt": Format.NET,
}

_PLAN_WRITERS: dict[Format, Callable[[Problem, ArenaPlan], str | bytes]] = {
    Format.CSV: plan_to_csv,
    Format.HEADER: plan_to_header,
    Format.WORDS: plan_to_words,
    Format.TRACE: lambda problem, plan: json.dumps(plan_to_trace(problem, plan)),
}


def convert(
    file: Annotated[
        str,
        typer.Argument(
            metavar="IN", help="A problem, graph or net; a built-in net; an arena plan."
        ),
    ],
    output: Annotated[Path, typer.Argument(metavar="OUT", help="The file to write.")],
    to: Annotated[
        Format | None, typer.Option("--to", help="What to write; by default as OUT ends.")
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
    tensors: Annotated[
        Path | None,
        typer.Option(
            "--tensors",
            metavar="NAMES.json",
            help="For --to tflite: the names of all tensors of the model, in order; those that are "
            "not planned get -1. By default the tensors are the buffers.",
        ),
    ] = None,
    quiet: options.Quiet = False,
) -> int:
    """Write a problem, a plan or a net in another format.

    Graphs and models of other frameworks become a NetDef (.pb, .pbtxt), the sizes of its blobs
    beside it (.sizes.json). Problems, and those of graphs and nets, become memonger-problem/1
    (.json, .json.gz) or MiniMalloc's CSV (.csv). Plans of the arena form become the solution in
    MiniMalloc's CSV (.csv), a C header (.h), the OfflineMemoryAllocation of TensorFlow Lite for
    Microcontrollers (.bin), a trace for Perfetto (.perfetto.json), or their problem (.json); they
    are verified before.

    For example:

      memonger convert A.1048576.csv problem.json

      memonger convert predict_net.pb problem.csv --shapes shapes.json

      memonger solve problem.json --form arena --output plan.json

      memonger convert plan.json arena.h

      memonger convert model.onnx net.pb --dim batch=1

      memonger convert plan.json trace.json --to perfetto
    """
    target = _format_of(output) if to is None else to
    options.check_target(output)
    options.check_new(file, output)
    if tensors is not None and target is not Format.WORDS:
        raise InputError("--tensors is for --to tflite")
    content: str | bytes
    how = reading.Reading(planned, format, dim, subgraph)
    if target is Format.NET:
        if shapes or sizes or static or alignment != 1 or planned or unpin:
            raise InputError(f"{output}: a net is written as it is, without any of these options")
        _write_net(file, how, output, quiet=quiet)
        return 0
    claimed = _plan_in(file) if target is not Format.PROBLEM else None
    if claimed is None:
        if target not in (Format.PROBLEM, Format.CSV):
            raise InputError(
                f"{file}: no plan, which --to {target} needs: memonger solve --form arena "
                "--output PLAN.json makes one"
            )
        problem = reading.problem_of(file, shapes, sizes, static, alignment, how)
        with options.naming(file):
            content = _problem_as(target, options.without_pins(problem) if unpin else problem)
    else:
        if shapes or sizes or static or alignment != 1 or planned or unpin:
            raise InputError(
                f"{file}: this is a plan; --shapes, --sizes, --static, --alignment, --planned and "
                "--unpin are for what is to be planned"
            )
        with options.naming(file):
            content = _plan_as(target, claimed, file, tensors)
    try:
        data = content.encode() if isinstance(content, str) else content
    except UnicodeEncodeError:  # JSON may spell half a character
        raise InputError(f"{file}: a name has characters that no text file can hold") from None
    if output.name.endswith(".gz"):
        data = gzip.compress(data, mtime=0)
    write_atomically(output, data)
    note(f"wrote {output}", quiet=quiet)
    return 0


def _write_net(file: str, how: reading.Reading, output: Path, *, quiet: bool) -> None:
    """Write a net, or a graph or model as one; beside it what is known of its blobs."""
    net, known = reading.read_as_net(file, None, None, how)
    if known.get("sizes"):
        kind, data = "sizes", known["sizes"]
    else:
        kind, data = "shapes", types_to_json(known.get("shapes", {}))
    if data:
        beside = output.with_suffix(f".{kind}.json")
        write_atomically(beside, (json.dumps(data, indent=1) + "\n").encode())
        note(f"wrote {beside}", quiet=quiet)
    save_net(net, output)
    note(f"wrote {output}", quiet=quiet)


def _format_of(output: Path) -> Format:
    for ending, target in _ENDINGS.items():
        if output.name.endswith(ending):
            return target
    raise InputError(f"{output}: ends in none of {', '.join(_ENDINGS)}; or say --to")


def _plan_in(file: str) -> PlanFile | None:
    """Return the plan in a file, ``None`` if it holds something else."""
    if not file.endswith((".json", ".json.gz")):
        return None
    data = read_json(file)
    is_plan = isinstance(data, dict) and data.get("format") == PLAN_FORMAT
    if is_plan and data.get("form") == ORDER_FORM:
        raise InputError(
            f"{file}: an order places no buffers; for a plan in the best order: "
            "memonger solve GRAPH --order optimal --form arena -o PLAN.json"
        )
    return load_plan(file) if is_plan else None


def _problem_as(target: Format, problem: Problem) -> str:
    if target is Format.CSV:
        return problem_to_csv(problem)
    return json.dumps(problem_to_json(problem), indent=1) + "\n"


def _plan_as(target: Format, claimed: PlanFile, file: str, tensors: Path | None) -> str | bytes:
    plan = claimed.plan
    if not isinstance(plan, ArenaPlan):
        raise InputError(
            f"{file}: a plan of the form 'sharing', which has no offsets: --to {target} is for "
            "those of memonger solve --form arena"
        )
    if tensors is None:
        return _PLAN_WRITERS[target](claimed.problem, plan)
    names = read_json(tensors)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError(f"{tensors}: expected a list of names")
    return plan_to_words(claimed.problem, plan, names)
