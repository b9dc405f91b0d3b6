"""Caffe2's memonger, under its names: ``import memonger.caffe2 as memonger``.

Replaces ``from caffe2.python import memonger``. Arguments, defaults and results are Caffe2's; where
the original is wrong, a docstring says in a line what is different. Nets may be messages of a real
Caffe2 or objects with ``Proto()``, and come back as their own class. No function changes its
arguments, except the two whose purpose it is (`apply_assignments`,
`apply_recurrent_blob_assignments`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import networkx as nx
import numpy as np

from memonger.graph.dataflow import interference_graph as compute_interference_graph
from memonger.graph.memory_estimate import MemoryEstimate, estimate_memory
from memonger.graph.orders import longest_path_order as topological_sort_traversal_longest_path
from memonger.graph.orders import topological_order as topological_sort_traversal
from memonger.heuristics.blob_assignments import (
    Assignment,
    LiveRange,
    compute_assignments_greedy,
    compute_blob_assignments,
    compute_ranges,
    get_memory_usage,
    get_updated_ranges,
    is_compatible,
    verify_assignments,
)
from memonger.heuristics.caffe2_dp import compute_assignments_dp
from memonger.interference import AssignmentAlgorithm, assign, share_by_interference
from memonger.net.defuse import EXTERNAL, analyse
from memonger.net.foreign import as_netdef, like
from memonger.net.netdef_pb2 import DeviceOption, NetDef, OperatorDef
from memonger.rewrite.canonical import canonical_operator
from memonger.rewrite.release import release_blobs
from memonger.rewrite.rename import rename_operator

__all__ = [
    "AssignmentAlgorithm",
    "LiveRange",
    "Optimization",
    "Statistics",
    "apply_assignments",
    "apply_recurrent_blob_assignments",
    "blob_nbytes",
    "collect_blob_sizes",
    "compute_assignments",
    "compute_assignments_dp",
    "compute_assignments_greedy",
    "compute_blob_assignments",
    "compute_interference_graph",
    "compute_ranges",
    "compute_statistics",
    "estimate_memory_usage",
    "get_memory_usage",
    "get_updated_ranges",
    "is_compatible",
    "optimize_interference",
    "release_blobs_when_used",
    "topological_sort_traversal",
    "topological_sort_traversal_longest_path",
    "verify_assignments",
    "verify_graph_equality",
    "verify_inplace_blobs",
]


class Optimization(NamedTuple):
    """A net, the assignments behind it, and blob -> new name."""

    net: Any
    assignments: list[Assignment]
    blob_assignments: dict[str, str]


class Statistics(NamedTuple):
    """Bytes of the blobs without and with sharing."""

    baseline_nbytes: int
    optimized_nbytes: int


def compute_assignments(
    ranges: Mapping[str, LiveRange], static_blobs: Collection[str], algo: AssignmentAlgorithm
) -> list[Assignment]:
    """Return the assignments of all blobs, the static ones alone, at the end.

    Differs: nets without readers are no error, and ``OPTIMAL`` is a choice.
    """
    return assign(ranges, static_blobs, algo)


def optimize_interference(
    net: object,
    static_blobs: Collection[str],
    ordering_function: Callable[
        [nx.DiGraph], Sequence[int]  # type: ignore[type-arg]
    ] = topological_sort_traversal,
    blob_sizes: Mapping[str, int] | None = None,
    algo: AssignmentAlgorithm = AssignmentAlgorithm.GREEDY,
) -> Optimization:
    """Reorder a net and let its blobs share memory by name.

    Differs: the order respects every hazard; external inputs and outputs stay, as do views and
    blobs on several devices; nets inside operators follow; the result is verified.
    """
    done = share_by_interference(as_netdef(net), static_blobs, ordering_function, blob_sizes, algo)
    return Optimization(like(done.net, net), done.assignments, done.blob_assignments)


def release_blobs_when_used(
    netproto: object,
    dont_free_blobs: Iterable[str],
    selector_fun: Callable[[str], bool] | None = None,
) -> Any:  # noqa: ANN401
    """Return the net with a ``Free`` after the last reader of every blob.

    Differs: readers in nets inside operators and readers of views count; what is freed is not
    freed again.
    """
    return like(release_blobs(as_netdef(netproto), dont_free_blobs, selector_fun), netproto)


def estimate_memory_usage(
    protos: Iterable[object],
    shapes: Mapping[str, Sequence[int]],
    types: Mapping[str, int],
    devicescope: Any,  # noqa: ANN401  (a DeviceOption of any package)
) -> MemoryEstimate:
    """Return (total, highwater, by operator type) of the bytes that outputs take.

    Differs: nothing is deleted from the nets; blobs that are no tensors of plain bytes count 0.
    """
    device = DeviceOption()
    if devicescope is not None:
        device.ParseFromString(devicescope.SerializeToString())
    return estimate_memory([as_netdef(net) for net in protos], shapes, types, device)


def apply_assignments(net: Any, blob_assignments: Mapping[str, str]) -> None:  # noqa: ANN401
    """Rename the blobs of a net, in the net itself.

    Differs: nets inside all operators follow, and control inputs.
    """
    for op in net.op:
        _rename(op, blob_assignments)
        op.control_input[:] = [blob_assignments.get(name, name) for name in op.control_input]


def apply_recurrent_blob_assignments(
    op: Any,  # noqa: ANN401
    blob_assignments: Mapping[str, str],
    canonical_name: Callable[[str], str],
) -> None:
    """Rename the blobs in the nets and arguments of one operator, inputs and outputs included.

    Differs: ``link_external`` and ``alias_dst`` of forward operators follow too.
    """
    names = {name: canonical_name(name) for name in (*op.input, *op.output)}
    names.update({name: canonical_name(name) for name in blob_assignments})
    _rename(op, names)


def _rename(op: Any, names: Mapping[str, str]) -> None:  # noqa: ANN401
    """Rename in an operator of any package."""
    own = OperatorDef()
    own.ParseFromString(op.SerializeToString())
    rename_operator(own, names)
    op.ParseFromString(own.SerializeToString())


def verify_graph_equality(net_a: object, net_b: object) -> bool:
    """Return whether two nets have the same operators that read the same producers.

    Names of blobs and of operators do not matter. Differs: arguments count, which output of a
    producer is read, and which external blob.
    """
    one, other = as_netdef(net_a), as_netdef(net_b)
    if len(one.op) != len(other.op):
        return False
    for net in (one, other):
        for op in net.op:
            op.ClearField("name")
            op.ClearField("debug_info")
    pairs = zip(one.op, other.op, strict=True)
    if any(canonical_operator(a) != canonical_operator(b) for a, b in pairs):
        return False
    return _producers(one) == _producers(other)


def _producers(net: NetDef) -> list[list[tuple[int, int]]]:
    """Return what each operator reads: (operator, output); external blobs are numbered."""
    net.ClearField("external_input")  # whatever is declared: an unknown blob is an external one
    net.ClearField("external_output")
    for op in net.op:
        op.ClearField("control_input")
    def_use = analyse(net)
    external: dict[str, int] = {}
    found = []
    for reads, op in zip(def_use.reads, net.op, strict=True):
        row = []
        for name in op.input:
            writer = def_use.versions[reads[name]].writer
            if writer == EXTERNAL:
                row.append((EXTERNAL, external.setdefault(name, len(external))))
            else:
                row.append((writer, list(net.op[writer].output).index(name)))
        found.append(row)
    return found


def verify_inplace_blobs(net_a: object, net_b: object) -> bool:
    """Return whether two nets write in place at the same positions.

    Differs: nets of different lengths differ, and every output counts, not the first only.
    """
    one, other = as_netdef(net_a), as_netdef(net_b)
    if len(one.op) != len(other.op):
        return False
    return all(
        a.type == b.type and _in_place(a) == _in_place(b)
        for a, b in zip(one.op, other.op, strict=True)
    )


def _in_place(op: OperatorDef) -> list[tuple[int, int]]:
    outputs = list(op.output)
    return [(i, outputs.index(name)) for i, name in enumerate(op.input) if name in outputs]


def blob_nbytes(blob: Any) -> int:  # noqa: ANN401
    """Return the bytes of a blob: of an array, or a size as it is.

    Differs: takes the value, not the name, as there is no live workspace; 0 for what is none.
    """
    if isinstance(blob, int | np.integer):
        return int(blob)
    return int(getattr(blob, "nbytes", 0))


def compute_statistics(
    assignments: Iterable[Assignment], blobs: Mapping[str, Any] | None = None
) -> Statistics:
    """Return the bytes without sharing, and with these assignments.

    Parameters
    ----------
    assignments
        Blobs that share.
    blobs
        Blob -> array or size, in place of Caffe2's workspace; by default the sizes in the ranges.
    """
    rows = [
        [blob_nbytes(blobs[name]) if blobs is not None and name in blobs else live.size or 0
         for name, live in assignment]
        for assignment in assignments
    ]  # fmt: skip
    return Statistics(sum(map(sum, rows)), sum(max(row, default=0) for row in rows))


def collect_blob_sizes(net: object, blobs: Mapping[str, Any] | None = None) -> dict[str, int]:
    """Return blob -> bytes for every blob that the operators of a net touch.

    Parameters
    ----------
    net
        The net.
    blobs
        Blob -> array or size, in place of Caffe2's workspace; what is missing counts 0.
    """
    values = blobs or {}
    names = dict.fromkeys(n for op in as_netdef(net).op for n in (*op.input, *op.output))
    return {name: blob_nbytes(values[name]) if name in values else 0 for name in names}
