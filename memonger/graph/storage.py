"""Storages: the versions of blobs that must stay in one place, and where they may go.

A version that is written in place of another, or a view of it, is in the same memory; all
versions so joined are one *storage*. A blob that is written anew, not in place, begins another
storage, which a plan may put elsewhere: storages, not blobs, are what is planned.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from memonger.net.defuse import EXTERNAL, DefUse, device_of
from memonger.net.netdef_pb2 import NetDef
from memonger.net.schema import Scope, is_sequential, schema

DEVICE_NAMES = {0: "cpu", 1: "cuda", 2: "mkldnn", 3: "opengl", 4: "opencl", 5: "ideep", 6: "hip"}


@dataclass(frozen=True, slots=True)
class Storage:
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


def storages(
    net: NetDef,
    def_use: DefUse,
    sizes: Sequence[int | None],
    outputs: Iterable[str],
    static: Iterable[str] = (),
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

    Notes
    -----
    Near-linear: a union-find over the versions.
    """
    groups, aliased = _join(net, def_use)
    pins = _pins(net, def_use, outputs, static)
    accesses: list[set[int]] = [set(version.readers) for version in def_use.versions]
    for version_id, version in enumerate(def_use.versions):
        if version.writer != EXTERNAL:
            accesses[version_id].add(version.writer)
    if not is_sequential(net.type):
        for index, controls in enumerate(def_use.controls):
            for version_id in controls:
                accesses[version_id].add(index)
    counts: dict[str, int] = {}
    result: list[Storage] = []
    for group in groups:
        blob = def_use.versions[group[0]].blob
        number = counts.get(blob, 0)
        counts[blob] = number + 1
        touched = tuple(sorted({op for v in group for op in accesses[v]}))
        devices = {_device_name(net, def_use.versions[v].writer) for v in group} - {""}
        known = [sizes[v] for v in group if def_use.versions[v].blob == blob]
        size = None if None in known else max((s for s in known if s is not None), default=0)
        reasons = [pins[v] for v in group if v in pins]
        reasons += [aliased[v] for v in group if v in aliased]
        result.append(
            Storage(
                name=f"{blob}#{number}" if number else blob,
                blob=blob,
                versions=tuple(group),
                start=touched[0] if touched else 0,
                end=touched[-1] + 1 if touched else 1,
                accesses=touched,
                size=size,
                device=min(devices, default="cpu"),
                pinned=_reason(reasons, size, devices),
            )
        )
    return _at_home(result)


def _at_home(found: list[Storage]) -> list[Storage]:
    """Leave a storage under its name where that is kept anyway and large enough: it is free."""
    kept: dict[str, int] = {}
    for storage in found:
        if storage.pinned and storage.size is not None:
            kept[storage.blob] = max(kept.get(storage.blob, 0), storage.size)
    return [
        replace(storage, pinned="its name is kept anyway")
        if not storage.pinned and (storage.size or 0) <= kept.get(storage.blob, 0)
        else storage
        for storage in found
    ]


def _reason(reasons: list[str], size: int | None, devices: set[str]) -> str:
    if reasons:
        return reasons[0]
    if size is None:
        return "unknown size"
    if size == 0:
        return "empty"
    return "on several devices" if len(devices) > 1 else ""


def _device_name(net: NetDef, writer: int) -> str:
    if writer == EXTERNAL:
        return ""
    kind, number = device_of(net, writer)
    name = DEVICE_NAMES.get(kind, f"device{kind}")
    return name if kind == 0 else f"{name}:{number}"


def _join(net: NetDef, def_use: DefUse) -> tuple[list[list[int]], dict[int, str]]:
    """Join versions that share memory: (groups by first version, version -> reason to pin)."""
    versions = def_use.versions
    parent = list(range(len(versions)))

    def find(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    def union(one: int, other: int) -> None:
        one, other = find(one), find(other)
        parent[max(one, other)] = min(one, other)

    for version_id, version in enumerate(versions):
        if version.previous is not None:
            union(version_id, version.previous)
    views: list[int] = []
    for index, op in enumerate(net.op):
        for output, source in schema(op.type).aliases:
            if output < len(op.output) and source < len(op.input):
                view = def_use.writes[index][op.output[output]]
                union(view, def_use.reads[index][op.input[source]])
                views.append(view)
    groups: dict[int, list[int]] = {}
    for version_id in range(len(versions)):
        groups.setdefault(find(version_id), []).append(version_id)
    return list(groups.values()), _pinned_views(net, def_use, views, groups, find)


def _pinned_views(
    net: NetDef,
    def_use: DefUse,
    views: list[int],
    groups: Mapping[int, list[int]],
    find: object,
) -> dict[int, str]:
    """Return the views whose storage must stay where it is.

    The blob under a view may move if the net touches the view's name nowhere else: then the view
    keeps its name and follows the blob. In a net that runs in parallel nothing but names orders
    the readers of a view and the next writer of its memory, so there it stays.
    """
    assert callable(find)
    if not views:
        return {}
    count: dict[str, int] = {}
    for version in def_use.versions:
        count[version.blob] = count.get(version.blob, 0) + 1
    pinned = {}
    for view in views:
        group = groups[find(view)]
        blob = def_use.versions[group[0]].blob
        own = sum(def_use.versions[v].blob == blob for v in group)
        simple = (
            is_sequential(net.type)
            and count[def_use.versions[view].blob] == 1
            and own == count[blob]
            and def_use.versions[view].blob != blob
        )
        if not simple:
            pinned[view] = "aliased"
    return pinned


def _pins(
    net: NetDef, def_use: DefUse, outputs: Iterable[str], static: Iterable[str]
) -> dict[int, str]:
    """Return version id -> why its storage must keep its name."""
    pins: dict[int, str] = {}
    keep = dict.fromkeys(static, "static")
    keep.update(dict.fromkeys(def_use.external, "external input"))
    for version_id, version in enumerate(def_use.versions):
        if version.blob in keep:
            pins[version_id] = keep[version.blob]
    for blob in outputs:
        if blob in def_use.last:
            pins.setdefault(def_use.last[blob], "external output")
    for index, op in enumerate(net.op):
        traits = schema(op.type)
        for blob in def_use.operands[index].partial:
            if blob not in def_use.reads[index]:  # what it keeps may be of an earlier run
                _pin(pins, def_use, index, blob, "may keep an older value")
        touched = def_use.reads[index] | def_use.writes[index]
        for blob in def_use.operands[index].undeclared:
            if blob in touched and traits.scope is not Scope.SHARED:
                _pin(pins, def_use, index, blob, "used inside another operator's net")
        if traits.opaque or traits.views or traits.keeps_pointers or traits.derives_gradients:
            for blob in op.output:
                if traits.opaque:
                    _pin(pins, def_use, index, blob, "not a tensor")
                elif traits.views:
                    _pin(pins, def_use, index, blob, "view of recurrent states")
            if traits.keeps_pointers:
                for blob in touched:
                    _pin(pins, def_use, index, blob, "its address is kept by an operator")
            if traits.derives_gradients:
                for blob in touched:
                    if f"{blob}_grad" in touched:
                        _pin(pins, def_use, index, blob, "its gradient is found by its name")
    return pins


def _pin(pins: dict[int, str], def_use: DefUse, index: int, blob: str, reason: str) -> None:
    for version_id in (def_use.reads[index].get(blob), def_use.writes[index].get(blob)):
        if version_id is not None:
            pins.setdefault(version_id, reason)
