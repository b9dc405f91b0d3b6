"""Reading what a command is given: a net, a graph, a model or a problem."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from memonger.cli.options import PlannedKind, naming
from memonger.errors import InputError
from memonger.instances.loading import format_of, load, load_graph_net, load_order_problem
from memonger.instances.nets import BuiltNet
from memonger.instances.onnx_shapes import parse_dimension
from memonger.net.netdef_pb2 import NetDef
from memonger.net.tensors import TensorType
from memonger.net.type_files import read_sizes, read_types
from memonger.order_problem import OrderProblem
from memonger.problem import Problem


class InputFormat(StrEnum):
    """The formats that are read."""

    JSON = "json"
    CSV = "csv"
    ONNX = "onnx"
    TFLITE = "tflite"
    NETDEF = "netdef"


Format = Annotated[
    InputFormat | None,
    typer.Option("--format", help="What FILE is; by default as its name ends, else a NetDef."),
]
Dim = Annotated[
    list[str] | None,
    typer.Option(
        "--dim",
        metavar="NAME=VALUE",
        help="ONNX only: a symbolic dimension (batch=1), or one of an input (input:0=1). May be "
        "given again.",
    ),
]
Subgraph = Annotated[
    int,
    typer.Option(
        "--subgraph", min=0, help="ONNX and TFLite only: which graph of FILE; 0 is the main one."
    ),
]


@dataclass(frozen=True)
class Reading:
    """How an input is read: as the options of a command say.

    Parameters
    ----------
    planned
        What of a graph is planned.
    format
        What the file is; ``None``: as its name ends.
    dim
        Texts ``NAME=VALUE``.
    subgraph
        Which graph of a model.
    in_place
        Whether pairs in place are wanted: of a graph only if so.
    """

    planned: PlannedKind | None = None
    format: InputFormat | None = None
    dim: list[str] | None = None
    subgraph: int = 0
    in_place: bool | None = None

    @classmethod
    def asked(cls, parameters: Mapping[str, Any]) -> Reading:
        """Return the reading that the parameters of a command name."""
        names = ("planned", "format", "dim", "subgraph", "in_place")
        return cls(**{name: parameters[name] for name in names if name in parameters})

    def holds_graph(self, file: str) -> bool:
        """Return whether a file may hold a graph."""
        return format_of(file, self.format) in {"json", "onnx", "tflite"}

    @property
    def keywords(self) -> dict[str, Any]:
        """What `load` and `load_order_problem` take."""
        return {
            "format": self.format,
            "planned": None if self.planned is None else self.planned.value,
            "dims": dict(map(parse_dimension, self.dim or ())),
            "subgraph": self.subgraph,
        }


AS_NAMED = Reading()


def read_net(
    source: str, shapes: list[Path] | None, sizes: Path | None, reading: Reading = AS_NAMED
) -> tuple[NetDef | Problem, dict[str, Any]]:
    """Read a net or a problem, and what is known of the blobs of a net.

    Returns
    -------
    tuple
        The net or problem, and the keyword arguments ``shapes`` and ``sizes`` for it.

    Raises
    ------
    InputError
        If something cannot be read, or shapes are given for a problem.
    """
    if reading.planned is not None and not reading.holds_graph(source):
        raise InputError(f"{source}: --planned is for graphs")
    loaded = load(source, **reading.keywords, in_place=bool(reading.in_place))
    known: dict[str, TensorType] = {}
    if isinstance(loaded, BuiltNet):
        known.update(loaded.types)
        loaded = loaded.net
    if isinstance(loaded, Problem):
        if shapes or sizes is not None:
            raise InputError(f"{source}: --shapes and --sizes are for nets; this is a problem")
        return loaded, {}
    for path in shapes or ():
        known.update(read_types(path))
    return loaded, {"shapes": known, "sizes": None if sizes is None else read_sizes(sizes)}


def read_as_net(
    source: str, shapes: list[Path] | None, sizes: Path | None, reading: Reading = AS_NAMED
) -> tuple[NetDef, dict[str, Any]]:
    """Read a net, or a graph or model as one; else as `read_net`.

    Raises
    ------
    InputError
        If it is a problem.
    """
    keywords = reading.keywords
    del keywords["planned"]
    found = load_graph_net(source, **keywords) if reading.holds_graph(source) else None
    if found is not None:
        if shapes or sizes is not None:
            raise InputError(f"{source}: --shapes and --sizes are for nets; this is a graph")
        return found.net, {"sizes": found.sizes}
    loaded, known = read_net(source, shapes, sizes, reading)
    if isinstance(loaded, Problem):
        raise InputError(f"{source}: this is a problem, not a net; see `memonger solve`")
    return loaded, known


def problem_of(
    file: str,
    shapes: list[Path] | None,
    sizes: Path | None,
    static: list[str] | None,
    alignment: int,
    reading: Reading = AS_NAMED,
) -> Problem:
    """Read a problem, or derive that of a net, sizes rounded up to the alignment.

    Raises
    ------
    InputError
        If something cannot be read, or an option does not go with the input.
    """
    loaded, known = read_net(file, shapes, sizes, reading)
    if not isinstance(loaded, Problem):
        from memonger.analysis import analyse_net

        with naming(file):
            return analyse_net(loaded, **known, static=static or (), alignment=alignment).problem
    if static:
        raise InputError(f"{file}: --static is for nets; this is a problem")
    return aligned(loaded, alignment)


def order_problem_of(file: str, reading: Reading, alignment: int) -> OrderProblem:
    """Read the operators of a graph, to be put in order; errors as `load_order_problem`."""
    return load_order_problem(file, **reading.keywords).aligned(alignment)


def aligned(problem: Problem, alignment: int) -> Problem:
    """Return the problem with all alignments multiples of one, bytes."""
    if alignment == 1:
        return problem
    buffers = (replace(b, alignment=math.lcm(b.alignment, alignment)) for b in problem.buffers)
    return replace(problem, buffers=tuple(buffers))
