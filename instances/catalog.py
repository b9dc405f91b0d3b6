"""Instances by name, and the named sets of them."""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from memonger.errors import InputError
from memonger.instances.generators import generated, parse_name
from memonger.instances.nets import NETS, BuiltNet, build
from memonger.instances.problem_json import problem_to_json
from memonger.net.io import parse_json, read_bytes
from memonger.problem import Problem

FORMAT = "memonger-manifest/1"
MANIFEST = "manifest.json"
BUILT_IN = "built-in"
EXTERNAL = {  # set -> where its files are below the data directory
    "minimalloc": ("minimalloc/*.csv", "the challenging instances of MiniMalloc"),
    "caffe2-zoo": ("caffe2-zoo/*.pb", "nets of Caffe2's model zoo and tests"),
}
"""Sets whose files do not come with memonger."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An instance that has a name.

    Parameters
    ----------
    name
        What it is called, on the command line too.
    family
        What it is of: a set of real networks, ``built-in``, or the family of a generator.
    source
        What `memonger.instances.loading.load` reads: a file, or the name.
    digest
        Of the contents: of the file, or of what the generator makes.
    """

    name: str
    family: str
    source: str
    digest: str = ""

    @property
    def label(self) -> str:
        """``family/name``, which tells instances of all sets apart."""
        return f"{self.family}/{self.name}"


def data_path() -> Path:
    """Return the directory of the data that come with memonger."""
    with resources.as_file(resources.files("memonger.instances") / "data") as path:
        return path


@functools.cache
def manifest() -> dict[str, Any]:
    """Return the data of the manifest.

    Raises
    ------
    InputError
        If the installation lacks it.
    """
    path = data_path() / MANIFEST
    data = parse_json(read_bytes(path), str(path))
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise InputError(f"{path}: no manifest of the format {FORMAT!r}")
    return data


@functools.cache
def graphs() -> dict[str, Path]:
    """Return name -> file of the graphs that come with memonger."""
    found = sorted((data_path() / "graphs").glob("*.json.gz"))
    return {path.name.removesuffix(".json.gz"): path for path in found}


def find(name: str) -> Entry | None:
    """Return the instance of that name: a built-in net, a real graph, or a generated instance.

    ``None`` if it is no name of any; a name of the form of generated instances is one, whether
    its family exists or not.
    """
    known = _listed().get(name)
    if known is not None:
        return known
    if name in NETS:
        return Entry(name, BUILT_IN, name)
    if name in graphs():
        return Entry(name, "graphs", str(graphs()[name]))
    parts = parse_name(name)
    return None if parts is None else Entry(name, parts[0], name)


@functools.cache
def _listed() -> dict[str, Entry]:
    """Return the entries of the manifest by name."""
    found = {}
    for name, (family, digest) in manifest()["instances"].items():
        source = str(graphs()[name]) if name in graphs() else name
        found[name] = Entry(name, family, source, digest)
    return found


def set_names() -> dict[str, str]:
    """Return set -> one line on it."""
    own = {name: str(entry["summary"]) for name, entry in manifest()["sets"].items()}
    return own | {name: summary for name, (_, summary) in EXTERNAL.items()}


def entries_of(name: str) -> list[Entry]:
    """Return the instances of a named set, in its order.

    Raises
    ------
    InputError
        If there is no set of that name, or its files are not found.
    """
    if name in EXTERNAL:
        return list(_external(name))
    sets = manifest()["sets"]
    if name not in sets:
        raise InputError(f"{name}: no such set; there are: {', '.join(set_names())}")
    return [_listed()[instance] for instance in sets[name]["instances"]]


def _external(name: str) -> Iterator[Entry]:
    """Yield the instances of a set whose files lie elsewhere."""
    pattern = EXTERNAL[name][0]
    given = os.environ.get("MEMONGER_DATA")
    folder = Path(given) if given else data_path().resolve().parents[2] / "shared" / "data"
    files = sorted(folder.glob(pattern))
    if not files:
        raise InputError(
            f"{name}: no files {pattern} in {folder}; the variable MEMONGER_DATA names the "
            "directory that has them"
        )
    for path in files:
        yield Entry(path.stem, name, str(path), digest_of_file(path))


def load_named(name: str) -> Problem | BuiltNet:
    """Return a built-in net or a generated instance.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    return build(name) if name in NETS else generated(name)


def digest_of_file(path: str | os.PathLike[str]) -> str:
    """Return a short digest of the contents of a file."""
    return hashlib.sha256(read_bytes(path)).hexdigest()[:16]


def digest_of(name: str) -> str:
    """Return a short digest of the contents of a named instance, the same on every machine."""
    if name in graphs():
        return digest_of_file(graphs()[name])
    made = load_named(name)
    if isinstance(made, Problem):
        content = json.dumps(problem_to_json(made), sort_keys=True).encode()
    else:
        content = made.net.SerializeToString(deterministic=True)
    return hashlib.sha256(content).hexdigest()[:16]
