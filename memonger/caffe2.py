"""Caffe2's memonger, under its names: ``import memonger.caffe2 as memonger``.

Replaces ``from caffe2.python import memonger``: every function is here. Arguments, defaults and
results are Caffe2's; where the original is wrong, a docstring says in a line what is different;
keywords that it does not have stand at the end. Every net whose blobs share was shown to compute
the same. Nets may be messages of a real Caffe2 or objects with ``Proto()``, and come back as their
own class. No function changes its arguments, except the two whose purpose it is
(`apply_assignments`, `apply_recurrent_blob_assignments`).
"""

from __future__ import annotations

import math
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
from memonger.net.foreign import as_netdef, like
from memonger.net.netdef_pb2 import DeviceOption, OperatorDef
from memonger.recycling import (
    NotInferenceError,
    recycle_in_order,
    recycle_inference,
    share_gradients,
)
from memonger.rewrite.graph_equality import verify_graph_equality, verify_inplace_blobs
from memonger.rewrite.release import release_blobs
from memonger.rewrite.rename import rename_operator

__all__ = [
    "AssignmentAlgorithm", "LiveRange", "NotInferenceError", "Optimization", "Statistics",
    "apply_assignments", "apply_recurrent_blob_assignments", "blob_nbytes",
    "collect_blob_sizes", "compute_assignments", "compute_assignments_dp",
    "compute_assignments_greedy", "compute_blob_assignments", "compute_interference_graph",
    "compute_ranges", "compute_statistics", "estimate_memory_usage", "get_memory_usage",
    "get_updated_ranges", "is_compatible", "optimize_inference_fast",
    "optimize_inference_for_dag", "optimize_interference", "release_blobs_when_used",
    "share_grad_blobs", "topological_sort_traversal",
    "topological_sort_traversal_longest_path", "verify_assignments", "verify_graph_equality",
    "verify_inplace_blobs",
]  # fmt: skip


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


def share_grad_blobs(
    net: object,
    losses: Iterable[object],
    param_grads: Iterable[object],
    namescope: str,
    dont_share_blobs: Collection[object] | None = None,
    share_activations: bool = False,
    blob_shapes: Mapping[str, Sequence[int]] | None = None,
    *,
    optimal: bool = False,
    time_limit: float | None = None,
) -> Any:  # noqa: ANN401
    """Return the net with gradients that share memory, no dependency added.

    Where Caffe2's result is right this one needs no more: without shapes no more blobs, nor more
    memory whatever their sizes are; with shapes no more elements. ``optimal`` searches for the
    least (without shapes the fewest blobs), for ``time_limit`` seconds (by default to the end).

    Differs: external outputs survive; ``dont_share_blobs`` keep their names, and what follows
    them still shares; element counts do not overflow; depth has no limit; nets that Caffe2 gives
    up on with an AssertionError are planned.
    """
    elements = {name: math.prod(dims) for name, dims in (blob_shapes or {}).items()}
    shared = share_gradients(
        as_netdef(net),
        [str(name) for name in losses],
        [str(name) for name in param_grads],
        namescope,
        keep=[str(name) for name in dont_share_blobs or ()],
        activations=share_activations,
        sizes=elements or None,
        optimal=optimal,
        time_limit=time_limit,
    )
    return like(shared, net)


def optimize_inference_for_dag(
    net: object,
    input_blobs: Iterable[object],
    namescope: str = "",
    *,
    optimal: bool = False,
    blob_sizes: Mapping[str, int] | None = None,
    time_limit: float | None = None,
) -> Any:  # noqa: ANN401
    """Return an inference net with activations that share memory, no dependency added.

    Where Caffe2's result is right this one needs no more blobs, nor more memory whatever their
    sizes are; with ``blob_sizes``, no more bytes. ``optimal`` and ``time_limit`` as above.

    Differs: operators that no input leads to take part as well; views, nets inside operators and
    rewritten blobs are right; depth has no limit.

    Raises
    ------
    NotInferenceError
        If the net has gradient operators; an AssertionError, as in Caffe2.
    NetError
        If an operator reads what nobody writes or declares.
    """
    shared = recycle_inference(
        as_netdef(net),
        [str(name) for name in input_blobs],
        prefix=namescope,
        sizes=blob_sizes or None,
        optimal=optimal,
        time_limit=time_limit,
    )
    return like(shared, net)


def optimize_inference_fast(net: object, static_blobs: Iterable[object]) -> Any:  # noqa: ANN401
    """Return an inference net whose blobs take the memory that was freed last, in program order.

    Where Caffe2's result is right this is the same, names included. A net of another type than
    ``""`` and ``simple``, or with a ``RecurrentNetwork``, comes back unchanged, as in Caffe2.

    Differs: external inputs and outputs survive, as do the results of a net that declares none,
    unless ``static_blobs`` names some; a blob that is written again after its last reader harms
    nobody; nets inside operators follow; views stay valid; devices do not share; new names are
    ones that are free in the net, so that any net can be optimized again.

    Raises
    ------
    NetError
        If the net is not well formed.
    """
    return like(recycle_in_order(as_netdef(net), {str(name) for name in static_blobs}), net)


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
