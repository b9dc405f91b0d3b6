"""Which instances a benchmark runs on: named sets and instances, directories, patterns, files."""

from __future__ import annotations

import glob
import gzip
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from memonger.analysis import NetAnalysis, analyse_net
from memonger.errors import InputError
from memonger.graph.operator_order import order_problem_of_net
from memonger.instances.catalog import Entry, digest_of, digest_of_file, entries_of, find, set_names
from memonger.instances.graph_json import FORMAT as GRAPH_FORMAT
from memonger.instances.known import known_values
from memonger.instances.loading import load, load_order_problem, read_json
from memonger.instances.nets import BuiltNet
from memonger.instances.problem_json import FORMAT as PROBLEM_FORMAT
from memonger.net.schema import is_sequential
from memonger.order_problem import OrderProblem
from memonger.problem import Problem

SUFFIXES = (".json", ".json.gz", ".csv", ".pb", ".pbtxt")
_FORMATS = (GRAPH_FORMAT.encode(), PROBLEM_FORMAT.encode())
_HEAD = 4096
"""Bytes of a JSON file in which its format is looked for before the whole is read."""


@dataclass(frozen=True, slots=True)
class Instance:
    """Something to be planned.

    Parameters
    ----------
    name
        ``family/file`` or ``family/name``; unique in a benchmark.
    family
        The folder that it lies in, or what an instance that has a name is of.
    source
        File, or name.
    digest
        Of the contents; rows of an instance that has changed are of another one.
    best_known
        (form, lowest cost, best proven bound), as far as known, bytes, in program order.
    """

    name: str
    family: str
    source: str
    digest: str = ""
    best_known: tuple[tuple[str, int, int], ...] = ()


def resolve(sets: Sequence[str]) -> list[Instance]:
    """Return the instances that are meant by names of sets and instances, directories, patterns.

    Directories are searched through; what is no instance in them is passed over.

    Raises
    ------
    InputError
        If something is not found, a set is empty, or two instances have one name.
    """
    found: dict[str, Instance] = {}
    for each in sets:
        try:
            instances = list(_of_set(each))
        except OSError as error:
            raise InputError(f"{each[:100]}: {error.strerror or error}") from None
        if not instances:
            raise InputError(f"{each}: no instance in it")
        for instance in instances:
            other = found.setdefault(instance.name, instance)
            if Path(other.source).resolve() != Path(instance.source).resolve():
                raise InputError(f"{instance.source}: called {instance.name!r} like {other.source}")
    return list(found.values())


def _of_set(name: str) -> Iterator[Instance]:
    """Yield the instances of one set; what lies in a directory goes before what has a name."""
    path = Path(name)
    if path.is_dir():
        yield from (_of_file(p) for p in sorted(path.rglob("*")) if is_instance(p))
    elif path.exists():
        yield _of_file(path)
    elif name in set_names():
        yield from map(_of_entry, entries_of(name))
    elif (entry := find(name)) is not None:
        yield _of_entry(entry)
    elif glob.has_magic(name):
        for match in sorted(glob.glob(name, recursive=True)):
            if is_instance(Path(match)):
                yield _of_file(Path(match))
    else:
        raise InputError(
            f"{name}: no such file or directory, and no set or instance of that name "
            "(memonger info --list shows them)"
        )


def _of_entry(entry: Entry) -> Instance:
    digest = entry.digest or digest_of(entry.name)
    known = known_values().get(entry.label, {})
    best = tuple((form, k.objective, k.bound) for form, k in known.items() if k.digest == digest)
    return Instance(entry.label, entry.family, entry.source, digest, best)


def _of_file(path: Path) -> Instance:
    family = path.absolute().parent.name
    return Instance(f"{family}/{path.name}", family, str(path), digest_of_file(path))


def is_instance(path: Path) -> bool:
    """Return whether a file found in a directory looks like an instance."""
    name = path.name
    if not name.endswith(SUFFIXES) or name.endswith("shapes.json") or not path.is_file():
        return False
    if name.endswith((".pb", ".pbtxt")):
        return True
    try:
        with gzip.open(path) if name.endswith(".gz") else path.open("rb") as file:
            head = file.read(_HEAD)
    except (OSError, EOFError, zlib.error):
        return False
    if name.endswith(".csv"):
        return (
            {b"lower", b"upper", b"size"}
            <= {part.strip() for part in head.splitlines()[0].split(b",")}
            if head
            else False
        )
    if any(kind in head for kind in _FORMATS):
        return True
    try:
        data = read_json(path)
    except InputError:
        return False
    return isinstance(data, dict) and data.get("format") in (GRAPH_FORMAT, PROBLEM_FORMAT)


def read_buffers(instance: Instance, form: str) -> Problem:
    """Return the buffers of an instance in program order.

    Of a net, shapes are read from ``NAME.shapes.json`` beside it. Pairs in place are left out in
    the form ``arena``, which has none.

    Raises
    ------
    InputError
        If the instance cannot be read.
    """
    check_unchanged(instance)
    loaded = load(instance.source)
    problem = loaded if isinstance(loaded, Problem) else _analysed(instance).problem
    if form == "arena" and problem.in_place:
        problem = replace(problem, in_place=())
    return problem


def read_operators(instance: Instance) -> OrderProblem:
    """Return the operators of an instance.

    Raises
    ------
    InputError
        If it has none, or runs them in parallel.
    """
    check_unchanged(instance)
    if instance.source.endswith((".json", ".json.gz")):
        return load_order_problem(instance.source)
    analysis = _analysed(instance)
    if not is_sequential(analysis.net.type):
        raise InputError("a net that runs in parallel has no order to choose")
    return order_problem_of_net(analysis.net, analysis.def_use, analysis.planned)


def check_unchanged(instance: Instance) -> None:
    """Refuse a file whose contents are not those that were named, on this machine or another."""
    path = Path(instance.source)
    if instance.digest and path.exists() and digest_of_file(path) != instance.digest:
        raise InputError(f"{instance.source}: the file has changed since the benchmark began")


def _analysed(instance: Instance) -> NetAnalysis:
    loaded = load(instance.source)
    if isinstance(loaded, Problem):
        raise InputError("no operators to put in order: that takes a graph or a net")
    if isinstance(loaded, BuiltNet):
        return analyse_net(loaded.net, shapes=loaded.types)
    shapes = Path(instance.source).with_suffix(".shapes.json")
    return analyse_net(loaded, shapes=shapes if shapes.exists() else None)
