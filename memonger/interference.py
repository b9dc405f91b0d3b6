"""Reorder the operators of a net, then let its blobs share by name: Caffe2's interference pass.

A blob is planned as a whole here, from its first writer to its last reader, under one name: this
is Caffe2's view, coarser than the storages that `memonger.pipeline` plans.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

import networkx as nx

from memonger.collector import collector_paused
from memonger.errors import EquivalenceError
from memonger.graph.dataflow import interference_graph
from memonger.graph.operator_order import effects
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
from memonger.net.defuse import DefUse, analyse, outputs_of
from memonger.net.netdef_pb2 import NetDef
from memonger.net.schema import is_sequential
from memonger.net.subnets import Operands
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


@collector_paused()
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
    def_use = analyse(net)
    graph = interference_graph(net.op, def_use=def_use)
    graph.add_edges_from(pairwise(effects(net, def_use)), deps=[])  # these keep their order
    order = tuple(ordering(graph))
    reordered = NetDef()
    reordered.CopyFrom(net)
    del reordered.op[:]
    reordered.op.extend(net.op[index] for index in order)
    touched = [def_use.operands[index] for index in order]
    # A blob that no operator has as an input or output is none in Caffe2's ranges.
    flat = not any(found.undeclared for found in touched)
    ranges = compute_ranges(reordered.op, sizes or None, touched=touched if flat else None)
    views_race = not is_sequential(net.type) and has_views(net)
    caffe2 = algorithm is not AssignmentAlgorithm.OPTIMAL and not views_race
    failure: EquivalenceError | None = None
    for live, fixed in _candidates(reordered, touched, ranges, frozenset(static), caffe2=caffe2):
        assignments = assign(live, fixed, algorithm)
        names = compute_blob_assignments(assignments)
        result = _renamed(reordered, touched, names)
        try:
            verify_equivalence(_in_order(net), _in_order(result), order=order, def_use=def_use)
        except EquivalenceError as error:
            failure = error
        else:
            return Interference(result, order, assignments, names)
    assert failure is not None
    raise failure


def _candidates(
    net: NetDef,
    touched: Sequence[Operands],
    ranges: Mapping[str, LiveRange],
    static: frozenset[str],
    *,
    caffe2: bool,
) -> Iterator[tuple[Mapping[str, LiveRange], frozenset[str]]]:
    """Yield live ranges to plan with, and the blobs that stay; the last ones are right.

    Caffe2's own come first if wanted: they are tighter where its view of the net is right.
    """
    if caffe2:
        yield ranges, static
    safe, pinned = _safe_ranges(net, analyse(net, touched), ranges, static)
    if not caffe2 or safe != ranges or not static >= pinned:
        yield safe, static | pinned


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
    kept = frozenset(static)  # it may be a list, as in Caffe2
    sharable = [pair for pair in pairs if pair[0] not in kept]
    alone = [[pair] for pair in pairs if pair[0] in kept]
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
    net: NetDef, def_use: DefUse, ranges: Mapping[str, LiveRange], static: Collection[str]
) -> tuple[dict[str, LiveRange], set[str]]:
    """Return live ranges that cover all that touches a blob's memory, and the blobs that stay."""
    sizes = [1] * len(def_use.versions)
    spans: dict[str, tuple[int, int]] = {}
    pinned: set[str] = set()
    for storage in storages(net, def_use, sizes, outputs_of(net, def_use), ()):
        blob, start, end = storage.blob, storage.start, storage.end
        if storage.pinned:
            pinned.add(blob)
        for version in storage.versions[1:]:
            name = def_use.versions[version].blob
            if storage.pinned or name != blob:
                pinned.add(name)
        if blob in spans:
            start, end = min(start, spans[blob][0]), max(end, spans[blob][1])
        spans[blob] = start, end
    safe = {}
    for name, live in ranges.items():
        safe[name] = live
        if name in pinned or name in static or name not in spans:
            continue
        start, end = spans[name]
        used = live.used if live.used is None and end - 1 <= start else end - 1
        if (start, used) != (live.defined, live.used):
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


def _renamed(net: NetDef, touched: Sequence[Operands], names: Mapping[str, str]) -> NetDef:
    result = NetDef()
    result.CopyFrom(net)
    for op, found in zip(result.op, touched, strict=True):
        rename_operator(op, names, plain=found.plain)
        if found.controls:
            op.control_input[:] = [names.get(name, name) for name in found.controls]
    return result
