"""Apply a sharing plan to a net: storages that share get one name."""

from __future__ import annotations

from memonger.errors import NetError
from memonger.graph.live_ranges import PlannedNet
from memonger.net.defuse import DefUse
from memonger.net.netdef_pb2 import NetDef
from memonger.net.subnets import all_names
from memonger.plan import SharingPlan
from memonger.rewrite.rename import rename_operator


def apply_sharing(
    net: NetDef, def_use: DefUse, planned: PlannedNet, plan: SharingPlan, prefix: str = ""
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
    names = _version_names(net, def_use, planned, plan, prefix)
    result = NetDef()
    result.CopyFrom(net)
    for index, op in enumerate(result.op):
        mapping: dict[str, str] = {}
        for blob, version in (*def_use.reads[index].items(), *def_use.writes[index].items()):
            if mapping.setdefault(blob, names[version]) != names[version]:
                raise NetError(f"operator {index} ({op.type}) would need two names for {blob!r}")
        rename_operator(op, mapping)
        if op.control_input:
            op.control_input[:] = [names[version] for version in def_use.controls[index]]
    return result


def _version_names(
    net: NetDef, def_use: DefUse, planned: PlannedNet, plan: SharingPlan, prefix: str
) -> list[str]:
    """Return version id -> the name of its blob in the new net."""
    names = [version.blob for version in def_use.versions]
    taken: set[str] | None = None
    number = 0
    for members in plan.members():
        storages = [planned.storages[planned.planned[index]] for index in members]
        if len({storage.blob for storage in storages}) == 1:
            continue
        if taken is None:
            taken = all_names(net)
        while (fresh := f"{prefix}__m{number}_shared") in taken:
            number += 1
        number += 1
        for storage in storages:
            for version in storage.versions:
                if def_use.versions[version].blob == storage.blob:
                    names[version] = fresh
    return names
