"""Read anything that can be planned: a path, or the name of an instance."""

from __future__ import annotations

import difflib
import gzip
import io
import os
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from memonger.errors import InputError, ProblemError
from memonger.instances.catalog import Entry, find, graphs, load_named
from memonger.instances.graph_json import FORMAT as GRAPH_FORMAT
from memonger.instances.graph_json import (
    Planned,
    order_problem_from_graph,
    problem_from_graph,
)
from memonger.instances.graph_net import GraphNet, net_of_graph
from memonger.instances.minimalloc_csv import hints_from_csv, problem_from_csv
from memonger.instances.nets import NETS, BuiltNet
from memonger.instances.order_json import FORM as ORDER_FORM
from memonger.instances.order_json import OrderFile, order_from_json
from memonger.instances.plan_json import FORMAT as PLAN_FORMAT
from memonger.instances.plan_json import PlanFile, plan_from_json
from memonger.instances.problem_json import FORMAT as PROBLEM_FORMAT
from memonger.instances.problem_json import problem_from_json
from memonger.net.io import bounded, max_bytes, parse_json, parse_net, read_bytes
from memonger.net.netdef_pb2 import NetDef
from memonger.order_problem import OrderProblem
from memonger.plan import ArenaPlan
from memonger.problem import Problem

Loaded = NetDef | BuiltNet | Problem
FileFormat = Literal["json", "csv", "onnx", "tflite", "netdef"]
FORMATS: tuple[FileFormat, ...] = get_args(FileFormat)

_JSON_READERS: dict[str, Callable[[object, str], Problem]] = {
    PROBLEM_FORMAT: problem_from_json,
    GRAPH_FORMAT: problem_from_graph,
    PLAN_FORMAT: lambda data, source: plan_from_json(data, source).problem,
}
_ENDINGS: dict[str, FileFormat] = {
    ".json": "json",
    ".json.gz": "json",
    ".csv": "csv",
    ".onnx": "onnx",
    ".tflite": "tflite",
}


def format_of(path: str | os.PathLike[str], given: str | None = None) -> FileFormat:
    """Return the format of a file: the one given, or that of its ending; NetDef by default.

    Raises
    ------
    InputError
        If the format given is unknown.
    """
    name = os.fspath(path)
    if given is not None:
        found = next((known for known in FORMATS if known == given), None)
        if found is None:
            raise InputError(f"{name}: unknown format {given!r}; known: {', '.join(FORMATS)}")
        return found
    if name in graphs() and not Path(name).exists():
        return "json"
    return next((kind for ending, kind in _ENDINGS.items() if name.endswith(ending)), "netdef")


def load(
    path: str | os.PathLike[str],
    format: str | None = None,
    *,
    planned: Planned | None = None,
    dims: Mapping[str, int] | None = None,
    subgraph: int = 0,
    in_place: bool = False,
) -> Loaded:
    """Read a net or a problem.

    Parameters
    ----------
    path
        A file, or the name of an instance: of a built-in net (``resnet50``), of a real graph that
        comes with memonger (``mobilenet_v2_b1``), or of a generated instance
        (``churn-1000-seed3``). A file goes before a name.
    format
        ``json`` (problem, graph, or plan: then its problem), ``csv`` (MiniMalloc), ``onnx``,
        ``tflite``, ``netdef`` (binary or text). By default as the name ends: ``.json``,
        ``.json.gz``, ``.csv``, ``.onnx``, ``.tflite``; any other is a NetDef.
    planned
        For graphs: what is planned, see `problem_from_graph`.
    dims
        For ONNX: values of symbolic dimensions, see `graph_from_onnx`.
    subgraph
        For ONNX and TFLite: which of the graphs in the file; 0 is the main one.
    in_place
        For graphs and models: whether buffers may be written over others where operators permit.

    Returns
    -------
    NetDef or BuiltNet or Problem
        Built-in and generated nets come with the types of their external inputs. ONNX and TFLite
        models are read as graphs, and come as the problem of their live ranges.

    Raises
    ------
    InputError
        If there is no such file or instance, or the file cannot be used; one line, names it. Files
        of more than 2 GiB are refused unless the variable ``MEMONGER_MAX_BYTES`` says otherwise.
    MissingExtraError
        If what reads the format is not installed.
    """
    name, entry = _located(path)
    kind = format_of(name, format)
    _check_options(name, kind, dims, subgraph)
    if entry is not None and entry.source == entry.name:
        return load_named(name)
    if kind == "netdef":
        return parse_net(read_bytes(name), name)
    if kind == "csv":
        return problem_from_csv(_read_text(name), name)
    data = _read_graph(name, kind, dims, subgraph)
    what = data.get("format") if isinstance(data, dict) else None
    if not isinstance(what, str) or what not in _JSON_READERS:
        raise ProblemError(f"{name}: unknown format {what!r}; known: {', '.join(_JSON_READERS)}")
    if what == GRAPH_FORMAT:
        return problem_from_graph(data, name, planned, in_place=in_place)
    return _JSON_READERS[what](data, name)


def _located(path: str | os.PathLike[str]) -> tuple[str, Entry | None]:
    """Return the file that is meant, or the name and entry of an instance that is none."""
    name = os.fspath(path)
    try:
        exists = Path(name).exists()
    except (OSError, ValueError) as error:
        raise InputError(f"{name[:100]!r}: no usable path: {error}") from None
    if exists:
        return name, None
    entry = find(name)
    if entry is not None:
        return entry.source, entry
    if not Path(name).suffix and os.sep not in name:
        near = difflib.get_close_matches(name.lower(), [*NETS, *graphs()], n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "memonger info --list shows them"
        raise InputError(f"{name}: no such file, and no instance of that name; {hint}")
    return name, None


def _read_graph(
    name: str, kind: FileFormat, dims: Mapping[str, int] | None, subgraph: int
) -> object:
    """Return the data of a JSON file, or the graph of a model."""
    if kind == "onnx":
        from memonger.instances.onnx_graph import graph_from_onnx

        return graph_from_onnx(read_bytes(name), name, dims, subgraph)
    if kind == "tflite":
        from memonger.instances.tflite_graph import graph_from_tflite

        return graph_from_tflite(read_bytes(name), name, subgraph)
    return read_json(name)


def _check_options(
    name: str, kind: FileFormat, dims: Mapping[str, int] | None, subgraph: int
) -> None:
    if dims and kind != "onnx":
        raise InputError(f"{name}: dimensions are given for ONNX models only")
    if subgraph and kind not in {"onnx", "tflite"}:
        raise InputError(f"{name}: only ONNX and TFLite models have subgraphs")


def load_order_problem(
    path: str | os.PathLike[str],
    format: str | None = None,
    *,
    planned: Planned | None = None,
    dims: Mapping[str, int] | None = None,
    subgraph: int = 0,
) -> OrderProblem:
    """Read the operators that are to be put in order: of a graph, or of a plan of that form.

    Parameters
    ----------
    path
        A file of JSON, ONNX or TFLite.
    format, planned, dims, subgraph
        As for `load`.

    Raises
    ------
    InputError
        If it cannot be read or has no operators.
    """
    name, _ = _located(path)
    what = format_of(name, format)
    _check_options(name, what, dims, subgraph)
    data = _read_graph(name, what, dims, subgraph)
    kind = data.get("format") if isinstance(data, dict) else None
    if kind == GRAPH_FORMAT:
        return order_problem_from_graph(data, name, planned)
    if isinstance(data, dict) and kind == PLAN_FORMAT and data.get("form") == ORDER_FORM:
        return order_from_json(data, name).problem
    raise InputError(f"{name}: no operators to put in order: that takes a graph or a net")


def load_graph_net(
    path: str | os.PathLike[str],
    format: str | None = None,
    *,
    dims: Mapping[str, int] | None = None,
    subgraph: int = 0,
) -> GraphNet | None:
    """Read a graph or a model as a net; ``None`` if the file holds something else.

    Parameters
    ----------
    path
        A file of JSON, ONNX or TFLite, or the name of a real graph.
    format, dims, subgraph
        As for `load`.

    Raises
    ------
    InputError
        As `load` does.
    """
    name, _ = _located(path)
    what = format_of(name, format)
    if what not in {"json", "onnx", "tflite"}:
        return None
    _check_options(name, what, dims, subgraph)
    data = _read_graph(name, what, dims, subgraph)
    if not isinstance(data, dict) or data.get("format") != GRAPH_FORMAT:
        return None
    return net_of_graph(data, name)


def load_form(path: str | os.PathLike[str]) -> str | None:
    """Return the form of planning that a plan file names, if it names one."""
    data = read_json(path)
    form = data.get("form") if isinstance(data, dict) else None
    return form if isinstance(form, str) else None


def load_order_plan(path: str | os.PathLike[str]) -> OrderFile:
    """Read a plan of the form ``order``."""
    return order_from_json(read_json(path), os.fspath(path))


def load_hints(
    path: str | os.PathLike[str], problem: Problem, format: str | None = None
) -> ArenaPlan | None:
    """Return the placement that a file hints at: a CSV of MiniMalloc, with all hints, that fit.

    Parameters
    ----------
    path
        The file that the problem is from.
    problem
        The problem, for which the hints must be valid.
    format
        As for `load`.
    """
    name = os.fspath(path)
    if format_of(name, format) != "csv":
        return None
    return hints_from_csv(_read_text(name), problem, name)


def _read_text(name: str) -> str:
    try:
        return read_bytes(name).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ProblemError(f"{name}: not a text file") from None


def load_plan(path: str | os.PathLike[str]) -> PlanFile:
    """Read a plan file; errors as in `memonger.instances.plan_json.plan_from_json`."""
    return plan_from_json(read_json(path), os.fspath(path))


def read_json(path: str | os.PathLike[str]) -> Any:  # noqa: ANN401
    """Return the data of a JSON file, compressed by gzip if its name ends in ``.gz``."""
    content = read_bytes(path)
    if os.fspath(path).endswith(".gz"):
        limit = max_bytes()
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
                content = bounded(file, os.fspath(path), limit)
        except (OSError, EOFError, zlib.error):
            raise InputError(f"{os.fspath(path)}: not a whole file of gzip") from None
    return parse_json(content, os.fspath(path))
