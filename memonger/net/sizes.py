"""Bytes of every version of every blob: from shapes, or as given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from memonger.errors import ShapeError
from memonger.net.defuse import EXTERNAL, DefUse
from memonger.net.netdef_pb2 import NetDef
from memonger.net.shapes import infer_types
from memonger.net.tensors import TensorType


@dataclass(frozen=True)
class UnknownSize:
    """A blob whose size is not known, and why."""

    blob: str
    operator: int
    reason: str


@dataclass(frozen=True)
class Sizes:
    """Sizes of the versions of a net's blobs.

    Parameters
    ----------
    versions
        Version id -> bytes, ``None`` where unknown.
    unknown
        The blobs that operators write whose size is unknown, in operator order.
    """

    versions: tuple[int | None, ...]
    unknown: tuple[UnknownSize, ...]


def _larger(one: int | None, other: int | None) -> int | None:
    """Return the larger size: an output may be named twice."""
    return other if one is None else one if other is None else max(one, other)


def version_sizes(
    net: NetDef,
    def_use: DefUse,
    types: Mapping[str, TensorType] | None = None,
    sizes: Mapping[str, int] | None = None,
) -> Sizes:
    """Return the sizes of all versions.

    Parameters
    ----------
    net, def_use
        The net and its def-use.
    types
        Shapes and data types of blobs: external inputs, parameters, and any other that is known;
        the rest is inferred.
    sizes
        Bytes of blobs, by name; they win over inference.

    Raises
    ------
    ShapeError
        If a given size is negative, or shapes contradict each other.
    """
    given = dict(sizes or {})
    for blob, size in given.items():
        if size < 0:
            raise ShapeError(f"blob {blob!r} has the negative size {size}")
    found: list[int | None] = [given.get(version.blob) for version in def_use.versions]
    missing = [
        i for i, version in enumerate(def_use.versions)
        if found[i] is None and version.writer != EXTERNAL
    ]  # fmt: skip
    if not missing:
        return Sizes(tuple(found), ())
    if not types and sizes is not None:  # bytes only: nothing to infer from
        reasons = {def_use.versions[i].blob: "no size given" for i in missing}
    else:
        inference = infer_types(net, types or {})
        for index, op in enumerate(net.op):
            for position, blob in enumerate(op.output):
                version, kind = def_use.writes[index][blob], inference.outputs[index][position]
                if kind is not None and def_use.versions[version].blob not in given:
                    found[version] = _larger(found[version], kind.nbytes)
        reasons = {cause.blob: cause.reason for cause in inference.unknown}
    unknown = tuple(
        UnknownSize(
            def_use.versions[i].blob,
            def_use.versions[i].writer,
            reasons.get(def_use.versions[i].blob, "its elements are no plain bytes"),
        )
        for i in missing
        if found[i] is None
    )
    return Sizes(tuple(found), unknown)
