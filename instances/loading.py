"""Read anything that can be planned: a path or the name of a built-in net."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from memonger.errors import InputError, ProblemError
from memonger.instances.graph_json import FORMAT as GRAPH_FORMAT
from memonger.instances.graph_json import (
    Planned,
    order_problem_from_graph,
    problem_from_graph,
)
from memonger.instances.minimalloc_csv import hints_from_csv, problem_from_csv
from memonger.instances.nets import NETS, BuiltNet, build
from memonger.instances.order_json import FORM as ORDER_FORM
from memonger.instances.order_json import OrderFile, order_from_json
from memonger.instances.plan_json import FORMAT as PLAN_FORMAT
from memonger.instances.plan_json import PlanFile, plan_from_json
from memonger.instances.problem_json import FORMAT as PROBLEM_FORMAT
from memonger.instances.problem_json import problem_from_json
from memonger.net.io import parse_json, parse_net, read_bytes
from memonger.net.netdef_pb2 import NetDef
from memonger.order_problem import OrderProblem
from memonger.plan import ArenaPlan
from memonger.problem import Problem

Loaded = NetDef | BuiltNet | Problem

_JSON_READERS: dict[str, Callable[[object, str], Problem]] = {
    PROBLEM_FORMAT: problem_from_json,
    GRAPH_FORMAT: problem_from_graph,
    PLAN_FORMAT: lambda data, source: plan_from_json(data, source).problem,
}


def load(path: str | os.PathLike[str], planned: Planned | None = None) -> Loaded:
    """Read a net or a problem.

    Parameters
    ----------
    path
        The name of a built-in net, or a file: ``.json`` or ``.json.gz`` (problem, graph, or plan:
        then its problem), ``.csv`` (MiniMalloc), any other a NetDef, binary or text.
    planned
        For graphs: what is planned, see `problem_from_graph`.

    Returns
    -------
    NetDef or BuiltNet or Problem
        A built-in net comes with the types of its external inputs.

    Raises
    ------
    InputError
        If there is no such file or net, or the file cannot be used; one line, names the file.
    """
    name = os.fspath(path)
    try:
        exists = Path(name).exists()
    except (OSError, ValueError) as error:
        raise InputError(f"{name[:100]!r}: no usable path: {error}") from None
    if name in NETS and not exists:
        return build(name)
    if not exists and not Path(name).suffix and os.sep not in name:
        known = ", ".join(NETS)
        raise InputError(f"{name}: no such file, and no built-in net of that name ({known})")
    if name.endswith((".json", ".json.gz")):
        data = read_json(name)
        kind = data.get("format") if isinstance(data, dict) else None
        if not isinstance(kind, str) or kind not in _JSON_READERS:
            raise ProblemError(
                f"{name}: unknown format {kind!r}; known: {', '.join(_JSON_READERS)}"
            )
        if kind == GRAPH_FORMAT:
            return problem_from_graph(data, name, planned)
        return _JSON_READERS[kind](data, name)
    if name.endswith(".csv"):
        return problem_from_csv(_read_text(name), name)
    return parse_net(read_bytes(name), name)


def load_order_problem(
    path: str | os.PathLike[str], planned: Planned | None = None
) -> OrderProblem:
    """Read the operators that are to be put in order: of a graph, or of a plan of that form.

    Parameters
    ----------
    path
        A JSON file.
    planned
        As for `load`.

    Raises
    ------
    InputError
        If it cannot be read or has no operators.
    """
    name = os.fspath(path)
    data = read_json(name)
    kind = data.get("format") if isinstance(data, dict) else None
    if kind == GRAPH_FORMAT:
        return order_problem_from_graph(data, name, planned)
    if kind == PLAN_FORMAT and data.get("form") == ORDER_FORM:
        return order_from_json(data, name).problem
    raise InputError(f"{name}: no operators to put in order: that takes a graph or a net")


def load_form(path: str | os.PathLike[str]) -> str | None:
    """Return the form of planning that a plan file names, if it names one."""
    data = read_json(path)
    form = data.get("form") if isinstance(data, dict) else None
    return form if isinstance(form, str) else None


def load_order_plan(path: str | os.PathLike[str]) -> OrderFile:
    """Read a plan of the form ``order``."""
    return order_from_json(read_json(path), os.fspath(path))


def load_hints(path: str | os.PathLike[str], problem: Problem) -> ArenaPlan | None:
    """Return the placement that a file hints at: a CSV of MiniMalloc, with all hints, that fit.

    Parameters
    ----------
    path
        The file that the problem is from.
    problem
        The problem, for which the hints must be valid.
    """
    name = os.fspath(path)
    return hints_from_csv(_read_text(name), problem, name) if name.endswith(".csv") else None


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
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error):
            raise InputError(f"{os.fspath(path)}: not a whole file of gzip") from None
    return parse_json(content, os.fspath(path))
