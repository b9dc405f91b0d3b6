"""Everything that may be done to a net: what `compare_with_caffe2.py` tries on each of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from caffe2_cases import Case

import memonger.caffe2 as caffe2
from memonger.net.netdef_pb2 import NetDef
from memonger.net.schema import is_sequential
from memonger.pipeline import optimize
from memonger.registry import SHARING

DYNAMIC_PROGRAM = 40  # operators; its time is exponential in the blobs live at once

Rewriting = tuple[str, Callable[[], NetDef]]


def variants(case: Case) -> Iterator[Rewriting]:
    """Yield (name, rewriting) for everything that may be done to a net."""
    net = case.net
    for algorithm in SHARING:
        if algorithm.vector_time or is_sequential(net.type):
            yield f"optimize, {algorithm.name}", partial(optimized, case, algorithm.name)
    orders = {
        "program": caffe2.topological_sort_traversal,
        "longest path": caffe2.topological_sort_traversal_longest_path,
    }
    for order, function in orders.items():
        for choice in caffe2.AssignmentAlgorithm:
            if "DYNAMIC" in choice.name and len(net.op) > DYNAMIC_PROGRAM:
                continue
            name = f"optimize_interference, {order}, {choice.name.lower()}"
            yield name, partial(interfering, case, function, choice)
    yield "release_blobs_when_used", partial(released, case)
    yield "release_blobs_when_used of optimize", partial(released_after_sharing, case)
    fast = caffe2.optimize_inference_fast
    for label, options in choices(fast):
        yield f"optimize_inference_fast{label}", partial(fast, net, case.static, **options)
    if not any(op.is_gradient_op for op in net.op):
        walk, inputs = caffe2.optimize_inference_for_dag, net.external_input
        for label, options in choices(walk, case.sizes):
            yield f"optimize_inference_for_dag{label}", partial(walk, net, inputs, "", **options)
    if case.training:
        yield from gradients(case)


def gradients(case: Case) -> Iterator[Rewriting]:
    """Yield the ways to share gradients."""
    for activations in (False, True):
        for shapes in (None, case.shapes) if case.shapes else (None,):
            for label, options in choices(caffe2.share_grad_blobs):
                what = "activations" if activations else "gradients"
                name = f"share_grad_blobs, {what}{', shapes' if shapes else ''}{label}"
                yield name, partial(shared, case, activations, shapes, options)


def choices(
    function: Callable[..., Any], sizes: dict[str, int] | None = None
) -> list[tuple[str, dict[str, Any]]]:
    """Return the ways to call a function: optimal or not, sized or not, where it has the choice."""
    parameters = inspect.signature(function).parameters
    found: list[tuple[str, dict[str, Any]]] = [("", {})]
    if "blob_sizes" in parameters and sizes is not None:
        found.append((", sizes", {"blob_sizes": sizes}))
    if "optimal" in parameters:
        found.extend([(f"{name}, optimal", {**some, "optimal": True}) for name, some in found])
    return found


def optimized(case: Case, algorithm: str = "optimal") -> NetDef:
    """Plan all activations; 4 bytes for every blob where sizes are not known."""
    sizes = case.sizes or {n: 4 for op in case.net.op for n in (*op.input, *op.output)}
    net: NetDef = optimize(
        case.net, sizes=sizes, static=case.present, algorithm=algorithm, time_limit=10
    ).net
    return net


def interfering(
    case: Case, ordering: Callable[[Any], Any], algorithm: caffe2.AssignmentAlgorithm
) -> NetDef:
    """Reorder, and share by interference."""
    net: NetDef = caffe2.optimize_interference(
        case.net, case.static, ordering, case.sizes, algorithm
    ).net
    return net


def released(case: Case) -> NetDef:
    """Free what is read no more."""
    net: NetDef = caffe2.release_blobs_when_used(case.net, set(case.wanted))
    return net


def released_after_sharing(case: Case) -> NetDef:
    """Share, then free."""
    net: NetDef = caffe2.release_blobs_when_used(optimized(case), set(case.wanted))
    return net


def shared(
    case: Case, activations: bool, shapes: dict[str, list[int]] | None, options: dict[str, Any]
) -> NetDef:
    """Share the gradients of all towers, one after the other."""
    net: NetDef = case.net
    for tower in case.training:
        net = caffe2.share_grad_blobs(
            net,
            tower["losses"],
            tower["param_grads"],
            tower["namescope"],
            share_activations=activations,
            blob_shapes=shapes,
            **options,
        )
    return net
