"""A net, ready to be planned: what its operators do with its memory, and how large that is."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from memonger.errors import NetError
from memonger.graph.live_ranges import PlannedNet, live_ranges
from memonger.graph.storage import storages
from memonger.heuristics.lanes import over_before
from memonger.net.defuse import DefUse, analyse, outputs_of
from memonger.net.foreign import as_netdef
from memonger.net.netdef_pb2 import NetDef
from memonger.net.sizes import Sizes, version_sizes
from memonger.net.tensors import TensorType
from memonger.net.type_files import parse_sizes, parse_types, read_sizes, read_types
from memonger.plan import SharingPlan
from memonger.problem import Problem

PathLike = str | os.PathLike[str]


@dataclass(frozen=True)
class NetAnalysis:
    """A net, ready to be planned.

    Parameters
    ----------
    net
        The net, as our message.
    def_use, sizes
        Its def-use and the sizes of its versions.
    outputs
        Blobs whose final contents must survive.
    planned
        The problem and its storages.
    """

    net: NetDef
    def_use: DefUse
    sizes: Sizes
    outputs: tuple[str, ...]
    planned: PlannedNet

    @property
    def problem(self) -> Problem:
        """The planning problem."""
        return self.planned.problem

    def as_named(self) -> SharingPlan:
        """Return the plan that the net itself stands for: storages of one blob share.

        Not where a plan may not: on two devices, or where an operator of a net that runs in
        parallel still waits for the older one by its name.
        """
        over = over_before(self.problem)
        lanes: dict[str, list[list[int]]] = {}
        labels = [0] * len(self.problem)
        opened = 0
        for index, buffer in enumerate(self.problem.buffers):  # ascending by their starts
            blob = self.planned.storages[self.planned.planned[index]].blob
            for lane in lanes.setdefault(blob, []):
                if self.problem.buffers[lane[1]].device == buffer.device and over(lane[1], index):
                    labels[index], lane[1] = lane[0], index
                    break
            else:
                lanes[blob].append([opened, index])
                labels[index] = opened
                opened += 1
        return SharingPlan.of(labels)

    def kept_bytes(self) -> int:
        """Return the bytes of the blobs that operators write and no plan may touch."""
        largest: dict[str, int] = {}
        for storage in self.planned.storages:
            if storage.pinned and storage.pinned != "external input":
                largest[storage.blob] = max(largest.get(storage.blob, 0), storage.size or 0)
        return sum(largest.values())


def analyse_net(
    net: object,
    *,
    shapes: PathLike | Mapping[str, Any] | None = None,
    sizes: PathLike | Mapping[str, int] | None = None,
    static: Iterable[str] = (),
    alignment: int = 1,
) -> NetAnalysis:
    """Return what is to be planned in a net: its storages, their sizes and live ranges.

    Parameters are those of `memonger.pipeline.optimize`.
    """
    message = as_netdef(net)
    def_use = analyse(message)
    outputs = outputs_of(message, def_use)
    known: dict[str, TensorType] = {}
    if shapes is not None:
        known = parse_types(shapes) if isinstance(shapes, Mapping) else read_types(shapes)
    given = None
    if sizes is not None:
        given = parse_sizes(sizes) if isinstance(sizes, Mapping) else read_sizes(sizes)
    for blob in (static := tuple(static)):
        if blob not in def_use.last:
            raise NetError(f"the net has no blob {blob!r}, which is to be static")
    found = version_sizes(message, def_use, known, given)
    stored = storages(message, def_use, found.versions, outputs, static)
    planned = live_ranges(message, def_use, stored, alignment)
    return NetAnalysis(message, def_use, found, outputs, planned)
