"""Storages: the versions of blobs that must stay in one place, and where they may go.

A version that is written in place of another, or a view of it, is in the same memory; all
versions so joined are one *storage*. A blob that is written anew, not in place, begins another
storage, which a plan may put elsewhere: storages, not blobs, are what is planned.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from networkx.utils import UnionFind

from memonger.collector import collector_paused
from memonger.graph.pins import pinned_versions, unmovable_views, view_versions
from memonger.net.defuse import EXTERNAL, DefUse, device_of
from memonger.net.netdef_pb2 import NetDef
from memonger.net.schema import is_sequential

DEVICE_NAMES = {0: "cpu", 1: "cuda", 2: "mkldnn", 3: "opengl", 4: "opencl", 5: "ideep", 6: "hip"}


class Storage(NamedTuple):
    """Memory that some versions of blobs are in.

    Parameters
    ----------
    name
        The blob, with ``#k`` for the (k+1)-th storage of that blob.
    blob
        The blob that gives its name; other blobs of the storage are views of it.
    versions
        Version ids, ascending.
    start, end
        Half-open live range in program order: first writer, last reader or writer + 1.
    accesses
        Operators that read or write it, ascending.
    size
        Bytes of its largest version, ``None`` if one is unknown.
    device
        Where it lives, such as ``cpu`` or ``cuda:1``.
    pinned
        Why its blob must keep its name and its memory to itself; empty where it may share.
    """

    name: str
    blob: str
    versions: tuple[int, ...]
    start: int
    end: int
    accesses: tuple[int, ...]
    size: int | None
    device: str
    pinned: str = ""


@collector_paused()
def storages(
    net: NetDef,
    def_use: DefUse,
    sizes: Sequence[int | None],
    outputs: Iterable[str],
    static: Iterable[str] = (),
    sharable: Collection[str] | None = None,
) -> list[Storage]:
    """Return the storages of a net, in the order of their first version.

    Parameters
    ----------
    net, def_use
        The net and its def-use.
    sizes
        Version id -> bytes, ``None`` where unknown.
    outputs
        Blobs whose final contents must be found under their own names.
    static
        Blobs that must not be touched besides.
    sharable
        The only blobs that may be touched; by default all others.

    Notes
    -----
    Near-linear: a union-find over the versions.
    """
    groups, pins = _joined_and_pinned(net, def_use, outputs, static)
    accesses = _accesses(net, def_use)
    devices = _devices(net, def_use)
    versions = def_use.versions
    taken = {version.blob for version in versions}
    counts: dict[str, int] = {}
    result: list[Storage] = []
    for group in groups:
        blob = versions[group[0]].blob
        name, number = blob, counts.get(blob, 0)
        counts[blob] = number + 1
        if number:
            name = f"{blob}#{number}"
            while name in taken:  # a blob may be called so
                name += "#"
            taken.add(name)
        if len(group) == 1:  # nearly always
            (version,) = group
            touched, size = accesses[version], sizes[version]
            device, several, reason = devices[version], False, pins.get(version, "")
        else:
            touched = tuple(sorted({op for v in group for op in accesses[v]}))
            size = _largest([sizes[v] for v in group if versions[v].blob == blob])
            places = {devices[v] for v in group} - {""}
            device, several = min(places, default=""), len(places) > 1
            reason = next((pins[v] for v in group if v in pins), "")
        if not reason and sharable is not None and blob not in sharable:
            reason = "not to be shared"
        result.append(
            Storage(
                name=name,
                blob=blob,
                versions=group,
                start=touched[0] if touched else 0,
                end=touched[-1] + 1 if touched else 1,
                accesses=touched,
                size=size,
                device=device or "cpu",
                pinned=reason or _reason(size, several=several),
            )
        )
    return _at_home(result)


def _accesses(net: NetDef, def_use: DefUse) -> list[tuple[int, ...]]:
    """Return version id -> the operators that need it where it is, ascending.

    In a net that runs in parallel an operator that waits for a control input is one of them: it
    finds the operator to wait for by the name.
    """
    accesses = [
        tuple(version.readers) if version.writer == EXTERNAL else (version.writer, *version.readers)
        for version in def_use.versions
    ]
    if not is_sequential(net.type):
        for index, controls in enumerate(def_use.controls):
            for version_id in controls:
                accesses[version_id] = tuple(sorted({*accesses[version_id], index}))
    return accesses


def _at_home(found: list[Storage]) -> list[Storage]:
    """Leave a storage under its name where that is kept anyway and large enough: it is free."""
    kept: dict[str, int] = {}
    for storage in found:
        if storage.pinned and storage.size is not None:
            kept[storage.blob] = max(kept.get(storage.blob, 0), storage.size)
    return [
        storage._replace(pinned="its name is kept anyway")
        if not storage.pinned and (storage.size or 0) <= kept.get(storage.blob, 0)
        else storage
        for storage in found
    ]


def _largest(sizes: list[int | None]) -> int | None:
    known = [size for size in sizes if size is not None]
    return max(known) if len(known) == len(sizes) else None


def _reason(size: int | None, *, several: bool) -> str:
    if size is None:
        return "unknown size"
    if size == 0:
        return "empty"
    return "on several devices" if several else ""


def _devices(net: NetDef, def_use: DefUse) -> list[str]:
    """Return version id -> the device that its writer puts it on, empty if it is external."""
    common = ""
    names = []
    for index, (op, touched) in enumerate(zip(net.op, def_use.operands, strict=True)):
        if not touched.plain or op.HasField("device_option"):
            names.append(_device_name(net, index))
        else:
            common = common or _device_name(net, index)
            names.append(common)
    return [
        "" if version.writer == EXTERNAL else names[version.writer] for version in def_use.versions
    ]


def _device_name(net: NetDef, writer: int) -> str:
    kind, number = device_of(net, writer)
    name = DEVICE_NAMES.get(kind, f"device{kind}")
    return name if kind == 0 else f"{name}:{number}"


def _joined_and_pinned(
    net: NetDef, def_use: DefUse, outputs: Iterable[str], static: Iterable[str]
) -> tuple[list[tuple[int, ...]], dict[int, str]]:
    """Return the versions of each storage, and version id -> why it must stay."""
    views = view_versions(net, def_use)
    groups = _joined(def_use, views)
    pins = pinned_versions(net, def_use, outputs, static)
    pins.update(unmovable_views(net, def_use, [view for view, _ in views], groups))
    return groups, pins


def _joined(def_use: DefUse, views: list[tuple[int, int]]) -> list[tuple[int, ...]]:
    """Return the sets of versions that are in one memory, ascending, by their first version."""
    sets: UnionFind[int] = UnionFind()
    for version_id, version in enumerate(def_use.versions):
        if version.previous is not None:
            sets.union(version_id, version.previous)
    for view, source in views:
        sets.union(view, source)
    joined: dict[int, list[int]] = {}
    for version_id in sorted(sets.parents):
        joined.setdefault(sets[version_id], []).append(version_id)
    firsts = {group[0]: tuple(group) for group in joined.values()}
    return [
        firsts.get(version_id, (version_id,))
        for version_id in range(len(def_use.versions))
        if version_id in firsts or version_id not in sets.parents
    ]
