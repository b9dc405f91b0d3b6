"""From storages to the planning problem."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from memonger.collector import collector_paused
from memonger.graph.concurrency import VectorClocks, clocks_of
from memonger.graph.storage import Storage
from memonger.net.defuse import DefUse
from memonger.net.netdef_pb2 import NetDef
from memonger.net.schema import is_sequential
from memonger.problem import Buffer, Problem
from memonger.vector_time import VectorTime


@dataclass(frozen=True)
class PlannedNet:
    """A problem, and which storage each of its buffers stands for.

    Parameters
    ----------
    problem
        The storages that may share, in order.
    storages
        All storages of the net.
    planned
        Buffer index -> index into ``storages``.
    clocks
        For a net that runs in parallel: its vector clocks.
    """

    problem: Problem
    storages: tuple[Storage, ...]
    planned: tuple[int, ...]
    clocks: VectorClocks | None = None


@collector_paused()
def live_ranges(
    net: NetDef, def_use: DefUse, found: Sequence[Storage], alignment: int = 1
) -> PlannedNet:
    """Return the planning problem of a net: live ranges in program order.

    A net whose operators run in parallel (`is_sequential` is false) gets vector time besides: two
    of its storages may share only where the dependencies that the net has already put one before
    the other, so that sharing adds none.

    Parameters
    ----------
    net, def_use
        The net and its def-use.
    found
        From `memonger.graph.storage.storages`.
    alignment
        Sizes are rounded up to a multiple of it, bytes.
    """
    planned = tuple(i for i, storage in enumerate(found) if not storage.pinned)
    several = len({found[i].device for i in planned}) > 1
    buffers = tuple(
        Buffer(
            name=found[i].name,
            size=found[i].size or 0,
            start=found[i].start,
            end=found[i].end,
            alignment=alignment,
            device=found[i].device if several else "",
        )
        for i in planned
    )
    time, clocks = None, None
    if not is_sequential(net.type):
        clocks = clocks_of(def_use)
        time = _vector_time(clocks, [found[i] for i in planned])
    return PlannedNet(Problem(buffers, net.name, time), tuple(found), planned, clocks)


def _vector_time(clocks: VectorClocks, planned: Sequence[Storage]) -> VectorTime:
    # All versions of a storage descend from its first one, whose writer comes first: what follows
    # its accesses follows all that came before it.
    begins = np.array([storage.start for storage in planned], dtype=np.int64)
    rows = np.repeat(np.arange(len(planned)), [len(storage.accesses) for storage in planned])
    ops = np.array([op for storage in planned for op in storage.accesses], dtype=np.int64)
    chain = clocks.chain[ops].astype(np.int64)
    order = np.lexsort((-ops, chain, rows))
    last = np.ones(len(order), dtype=bool)  # of a storage on a chain
    last[1:] = (np.diff(rows[order]) != 0) | (np.diff(chain[order]) != 0)
    entries = order[last]
    entries = entries[np.lexsort((-ops[entries], rows[entries]))]  # what is met last stands first
    first = np.searchsorted(rows[entries], np.arange(len(planned) + 1))
    until = clocks.position[ops[entries]] + 1
    return VectorTime(clocks.before, begins, first, chain[entries], until)
