"""Apply a sharing plan to a net: storages that share get one name."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

from memonger.collector import collector_paused
from memonger.errors import NetError
from memonger.graph.live_ranges import PlannedNet
from memonger.net.defuse import DefUse
from memonger.net.netdef_pb2 import NetDef
from memonger.net.subnets import all_names
from memonger.plan import SharingPlan
from memonger.rewrite.rename import rename_operator


@collector_paused()
def apply_sharing(
    net: NetDef,
    def_use: DefUse,
    planned: PlannedNet,
    plan: SharingPlan,
    prefix: str = "",
    names: Mapping[int, str] | None = None,
) -> NetDef:
    """Return a copy of a net in which the storages that share memory share a name.

    Parameters
    ----------
    net, def_use
        The net and its def-use; neither is changed.
    planned
        The problem and its storages.
    plan
        A valid plan for the problem.
    prefix
        What new names begin with, such as a name scope.
    names
        Shared buffer -> its name, free in the net; blobs of the others keep theirs. By default
        buffers of several blobs get a name, those of one blob none.

    Returns
    -------
    NetDef
        Storages of several blobs in one buffer are called ``__m<k>_shared``, as Caffe2 does, with
        the numbers that are free in the net; a buffer that holds one blob keeps its name.

    Raises
    ------
    NetError
        If an operator would have to call one blob by two names (it cannot be: both would be in
        one storage).
    """
    if names is None:
        names = _names(net, planned, plan, prefix)
    version_names = [version.blob for version in def_use.versions]
    for shared, members in enumerate(plan.members()):
        for storage in (planned.storages[planned.planned[index]] for index in members):
            for version in storage.versions:
                if def_use.versions[version].blob == storage.blob:
                    version_names[version] = names.get(shared, storage.blob)
    result = NetDef()
    result.CopyFrom(net)
    for index, op in enumerate(result.op):
        mapping = {blob: version_names[v] for blob, v in def_use.reads[index].items()}
        for blob, version in def_use.writes[index].items():
            if mapping.setdefault(blob, version_names[version]) != version_names[version]:
                raise NetError(f"operator {index} ({op.type}) would need two names for {blob!r}")
        changed = {blob: name for blob, name in mapping.items() if name != blob}
        if changed:
            rename_operator(op, changed, plain=def_use.operands[index].plain)
        if def_use.controls[index]:
            op.control_input[:] = [version_names[version] for version in def_use.controls[index]]
    return result


def fresh_names(net: NetDef, prefix: str = "") -> Iterator[str]:
    """Yield the names ``__m<k>_shared`` that are free in a net, k ascending."""
    # What is not in the bytes of a net is in no name of it, unless escaped in a text net.
    data = net.SerializePartialToString()
    taken = all_names(net) if b"_shared" in data or b"\\" in data else set()
    for number in itertools.count():
        if (name := f"{prefix}__m{number}_shared") not in taken:
            yield name


def _names(net: NetDef, planned: PlannedNet, plan: SharingPlan, prefix: str) -> dict[int, str]:
    """Return shared buffer -> name, for those of several blobs."""
    several = [
        shared
        for shared, members in enumerate(plan.members())
        if len({planned.storages[planned.planned[index]].blob for index in members}) > 1
    ]
    return dict(zip(several, fresh_names(net, prefix), strict=False)) if several else {}
