"""Reorder the operators of a net, then let its blobs share by name: Caffe2's interference pass.

A blob is planned as a whole here, from its first writer to its last reader, under one name: this
is Caffe2's view, coarser than the storages that `memonger.pipeline` plans.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import networkx as nx

from memonger.errors import EquivalenceError
from memonger.graph.dataflow import interference_graph
from memonger.graph.orders import topological_order
from memonger.graph.storage import storages
from memonger.heuristics.blob_assignments import (
    Assignment,
    LiveRange,
    compute_assignments_greedy,
    compute_blob_assignments,
    compute_ranges,
    sorted_ranges,
)
from memonger.heuristics.caffe2_dp import compute_assignments_dp
from memonger.net.defuse import analyse, outputs_of
from memonger.net.netdef_pb2 import NetDef
from memonger.net.schema import is_sequential
from memonger.problem import Buffer, Problem
from memonger.rewrite.equivalence import verify_equivalence
from memonger.rewrite.memory import has_views
from memonger.rewrite.rename import rename_operator
from memonger.solver.solve import solve

Ordering = Callable[[nx.DiGraph], Sequence[int]]  # type: ignore[type-arg]


class AssignmentAlgorithm(Enum):
    """How blobs are put together."""

    GREEDY = 0
    """Caffe2's greedy."""
    DYNAMIC_PROGRAMMING = 1
    """Caffe2's dynamic programming, which may miss the optimum, and may not end."""
    OPTIMAL = 2
    """The exact solver."""


@dataclass(frozen=True)
class Interference:
    """A reordered net whose blobs share.

    Parameters
    ----------
    net
        The new net, shown to be equivalent.
    order
        Operator ``i`` of it was operator ``order[i]``.
    assignments
        Blobs that share, each with its live range in the new order.
    blob_assignments
        Blob -> its new name.
    """

    net: NetDef
    order: tuple[int, ...]
    assignments: list[Assignment]
    blob_assignments: dict[str, str]


def share_by_interference(
    net: NetDef,
    static: Collection[str],
    ordering: Ordering = topological_order,
    sizes: Mapping[str, int] | None = None,
    algorithm: AssignmentAlgorithm = AssignmentAlgorithm.GREEDY,
) -> Interference:
    """Reorder a net and let its blobs share memory by name.

    Parameters
    ----------
    net
        The net; it is not changed.
    static
        Blobs that must stay; external inputs and outputs stay anyway.
    ordering
        Interference graph -> order of the operators.
    sizes
        Blob -> bytes, of every blob; by default all count the same.
    algorithm
        How blobs are put together.

    Returns
    -------
    Interference
        Where Caffe2's own assignment is right for the reordered net, that one.

    Raises
    ------
    NetError
        If the net is not well formed.
    ShapeError
        If only some blobs have a size.

    Notes
    -----
    Caffe2's ranges are right for nets that write no blob twice. Where a blob is written after its
    last reader, is a view, or has contents that must survive, its live range here covers every
    operator that touches its memory, or it stays alone. A net that runs in parallel is planned for
    the new program order, as in Caffe2: it computes the same, but sharing may make operators wait
    for others. `memonger.pipeline.optimize` avoids that.
    """
    order = tuple(ordering(interference_graph(net.op)))
    reordered = NetDef()
    reordered.CopyFrom(net)
    del reordered.op[:]
    reordered.op.extend(net.op[index] for index in order)
    ranges = compute_ranges(reordered.op, sizes or None)
    kept = set(static)
    safe, pinned = _safe_ranges(reordered, ranges, kept)
    candidates = [(safe, kept | pinned)]
    views_race = not is_sequential(net.type) and has_views(net)
    if algorithm is not AssignmentAlgorithm.OPTIMAL and not views_race:
        # Caffe2's own ranges first: tighter where its view of the net is right.
        candidates.insert(0, (ranges, kept))
    if safe == ranges and kept >= pinned:
        candidates = candidates[:1]
    for number, (live, fixed) in enumerate(candidates):
        assignments = assign(live, fixed, algorithm)
        names = compute_blob_assignments(assignments)
        result = _renamed(reordered, names)
        try:
            verify_equivalence(_in_order(net), _in_order(result), order=order)
        except EquivalenceError:
            if number + 1 == len(candidates):
                raise
            continue
        return Interference(result, order, assignments, names)
    raise AssertionError("unreachable")


def assign(
    ranges: Mapping[str, LiveRange], static: Collection[str], algorithm: AssignmentAlgorithm
) -> list[Assignment]:
    """Return assignments of all blobs: the static ones alone, at the end.

    Parameters
    ----------
    ranges
        Blob -> live range.
    static
        Blobs that stay alone.
    algorithm
        How the others are put together.
    """
    pairs = sorted_ranges(ranges)
    sharable = [pair for pair in pairs if pair[0] not in static]
    alone = [[pair] for pair in pairs if pair[0] in static]
    if algorithm is AssignmentAlgorithm.GREEDY:
        return compute_assignments_greedy(sharable) + alone
    if algorithm is AssignmentAlgorithm.DYNAMIC_PROGRAMMING:
        return compute_assignments_dp(sharable, None) + alone
    return _assign_optimally(sharable) + alone


def _assign_optimally(pairs: Assignment) -> list[Assignment]:
    """Return an assignment of least total size, greedy's where that is as good."""
    shift = 1  # `defined` of what is there before the net is -1
    buffers = []
    for name, live in pairs:
        assert live.defined is not None
        assert live.used is not None
        end = max(live.used, live.defined) + 1
        buffers.append(Buffer(name, live.size or 0, live.defined + shift, end + shift))
    problem = Problem(tuple(buffers))
    plan = solve(problem).plan
    assert plan is not None  # there is no time limit
    groups = [sorted(group, key=lambda i: buffers[i].start) for group in plan.members()]
    return [[pairs[index] for index in group] for group in groups]


def _safe_ranges(
    net: NetDef, ranges: Mapping[str, LiveRange], static: Collection[str]
) -> tuple[dict[str, LiveRange], set[str]]:
    """Return live ranges that cover all that touches a blob's memory, and the blobs that stay."""
    def_use = analyse(net)
    sizes = [1] * len(def_use.versions)
    spans: dict[str, tuple[int, int]] = {}
    pinned: set[str] = set()
    for storage in storages(net, def_use, sizes, outputs_of(net, def_use), ()):
        names = {def_use.versions[version].blob for version in storage.versions}
        if storage.pinned:
            pinned |= names
        pinned |= names - {storage.blob}
        start, end = spans.get(storage.blob, (storage.start, storage.end))
        spans[storage.blob] = min(start, storage.start), max(end, storage.end)
    safe = {}
    for name, live in ranges.items():
        if name in pinned or name in static or name not in spans:
            safe[name] = live
            continue
        start, end = spans[name]
        used = live.used if live.used is None and end - 1 <= start else end - 1
        safe[name] = LiveRange(start, used, live.size)
    return safe, pinned & set(ranges)


def _in_order(net: NetDef) -> NetDef:
    """Return the net as one that runs in program order."""
    if is_sequential(net.type):
        return net
    result = NetDef()
    result.CopyFrom(net)
    result.type = "simple"
    return result


def _renamed(net: NetDef, names: Mapping[str, str]) -> NetDef:
    result = NetDef()
    result.CopyFrom(net)
    for op in result.op:
        rename_operator(op, names)
        op.control_input[:] = [names.get(name, name) for name in op.control_input]
    return result
