"""Why some storages must stay where they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from memonger.net.defuse import DefUse
from memonger.net.netdef_pb2 import NetDef, OperatorDef
from memonger.net.renames import gradient_pairs
from memonger.net.schema import Scope, is_sequential, schema
from memonger.net.subnets import has_nets, inner_operators


def view_versions(net: NetDef, def_use: DefUse) -> list[tuple[int, int]]:
    """Return (view, source) for every version that is a view of another blob's memory."""
    found = []
    for index, op in _not_plain(net, def_use):
        for output, source in schema(op.type).aliases:
            if output < len(op.output) and source < len(op.input):
                view = def_use.writes[index][op.output[output]]
                found.append((view, def_use.reads[index][op.input[source]]))
    return found


def _not_plain(net: NetDef, def_use: DefUse) -> Iterator[tuple[int, OperatorDef]]:
    """Yield the operators of which there is more to know than their inputs and outputs."""
    for index, (op, touched) in enumerate(zip(net.op, def_use.operands, strict=True)):
        if not touched.plain:
            yield index, op


def unmovable_views(
    net: NetDef, def_use: DefUse, views: Iterable[int], groups: Iterable[Sequence[int]]
) -> dict[int, str]:
    """Return version id -> reason, for the blobs of views that must stay where they are.

    The blob under a view may move if the net touches neither name elsewhere: then the view keeps
    its name and follows the blob. Otherwise all versions of both stay: what is written anew under
    one name is written into the memory of the other. In a net that runs in parallel nothing but
    names orders the readers of a view and the next writer of its memory, so there they stay, and
    so does every blob that is written anew: its name may be what orders the two.
    """
    versions = def_use.versions
    wanted = set(views)
    if not wanted:
        return {}
    count = Counter(version.blob for version in versions)
    stay: set[str] = set()
    groups = list(groups)
    if not is_sequential(net.type):
        lives = Counter(versions[group[0]].blob for group in groups)
        stay.update(blob for blob, number in lives.items() if number > 1)
    for group in groups:
        found = wanted.intersection(group)
        if not found:
            continue
        blob = versions[group[0]].blob
        movable = (
            is_sequential(net.type)
            and count[blob] == sum(versions[v].blob == blob for v in group)
            and all(count[versions[v].blob] == 1 and versions[v].blob != blob for v in found)
        )
        if not movable:
            stay.update(versions[v].blob for v in group)
    return {v: "aliased" for v, version in enumerate(versions) if version.blob in stay}


def pinned_versions(
    net: NetDef, def_use: DefUse, outputs: Iterable[str], static: Iterable[str]
) -> dict[int, str]:
    """Return version id -> why its blob must keep its name and its memory to itself.

    Parameters
    ----------
    net, def_use
        The net and its def-use.
    outputs
        Blobs whose last versions must be found under their names at the end.
    static
        Blobs none of whose versions may be touched.

    Notes
    -----
    External inputs keep all their versions: what is under their names at the end is what the
    next run of the net starts from.
    """
    pins: dict[int, str] = {}
    keep = dict.fromkeys(static, "static")
    keep.update(dict.fromkeys(def_use.external, "external input"))
    for version_id, version in enumerate(def_use.versions):
        if version.blob in keep:
            pins[version_id] = keep[version.blob]
    for blob in outputs:
        if blob in def_use.last:
            pins.setdefault(def_use.last[blob], "external output")
    for index, op in _not_plain(net, def_use):
        for blob, reason in _reasons(def_use, index, op, sequential=is_sequential(net.type)):
            for touched in (def_use.reads[index], def_use.writes[index]):
                if blob in touched:
                    pins.setdefault(touched[blob], reason)
    return pins


def _reasons(
    def_use: DefUse, index: int, op: OperatorDef, *, sequential: bool
) -> Iterator[tuple[str, str]]:
    """Yield (blob, reason) for the blobs that one operator ties to their names."""
    traits = schema(op.type)
    names = def_use.operands[index]
    reads = def_use.reads[index]
    for blob in names.partial:
        if blob not in reads:
            yield blob, "may keep an older value"  # of an earlier run of the net
    if traits.scope is not Scope.SHARED or not sequential:
        # Executors of parallel nets do not see what only nets inside name.
        yield from ((blob, "used inside another operator's net") for blob in names.undeclared)
    if has_nets(op) and any(schema(inner.type).holds_on for inner in inner_operators(op)):
        touched = (*names.reads, *names.writes)
        yield from ((blob, "an operator inside a net holds on to it") for blob in touched)
    if traits.named:
        yield from ((blob, "its name is a key") for blob in (*names.reads, *names.writes))
    if traits.opaque:
        yield from ((blob, "not a tensor") for blob in op.output)
    if traits.views:
        yield from ((blob, "view of recurrent states") for blob in op.output)
    if traits.keeps_pointers:
        touched = (*names.reads, *names.writes)
        yield from ((blob, "its address is kept by an operator") for blob in touched)
    if traits.derives_gradients:
        yield from ((blob, "its gradient is found by its name") for blob in gradient_pairs(op))
