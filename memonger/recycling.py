"""Recycling passes: some blobs of a net share memory, and no operator has to wait for another.

Caffe2's ``share_grad_blobs`` and ``optimize_inference_for_dag`` walk the net with tokens that keep
parallel branches apart. Here vector time says exactly which storages one may put in one place
without a dependency between operators that had none, so more may share.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from memonger.graph.live_ranges import live_ranges
from memonger.graph.storage import storages
from memonger.net.defuse import analyse, outputs_of
from memonger.net.netdef_pb2 import NetDef
from memonger.net.schema import is_sequential
from memonger.rewrite.apply_sharing import apply_sharing
from memonger.rewrite.equivalence import verify_equivalence
from memonger.solver.solve import solve


def recycle(
    net: NetDef,
    sharable: Collection[str],
    *,
    sizes: Mapping[str, int] | None = None,
    prefix: str = "",
    keep: Iterable[str] = (),
    algorithm: str = "optimal",
    parallel: bool = True,
) -> NetDef:
    """Return a net in which some of its blobs share memory.

    Parameters
    ----------
    net
        The net; it is not changed.
    sharable
        The blobs that may share.
    sizes
        Blob -> bytes, or any other measure; a blob without one counts 1.
    prefix
        What new names begin with.
    keep
        Blobs whose final contents must survive under their names, beside the external ones.
        Where the net declares no outputs, blobs that nobody reads are results unless they may
        share.
    algorithm
        A name in the registry of the sharing form.
    parallel
        Whether sharing must add no dependency between operators, whatever the type of the net.

    Raises
    ------
    NetError
        If the net is not well formed.
    """
    work = NetDef()
    work.CopyFrom(net)
    if parallel and is_sequential(net.type):
        work.type = "dag"  # plan and verify for any schedule
    given = sizes or {}
    def_use = analyse(work)
    results = outputs_of(work, def_use)
    if not net.external_output:
        results = tuple(name for name in results if name not in sharable)
    outputs = (*results, *keep)
    counts = [max(1, given.get(version.blob, 1)) for version in def_use.versions]
    stored = storages(work, def_use, counts, outputs, (), sharable)
    planned = live_ranges(work, def_use, stored)
    plan = solve(planned.problem, algorithm).plan
    assert plan is not None  # there is no time limit
    result = apply_sharing(work, def_use, planned, plan, prefix)
    verify_equivalence(work, result, outputs)
    if net.HasField("type"):
        result.type = net.type
    else:
        result.ClearField("type")
    return result


def gradient_blobs(
    net: NetDef, param_grads: Iterable[str], namescope: str, *, activations: bool = False
) -> set[str]:
    """Return the blobs that Caffe2's ``share_grad_blobs`` shares.

    Parameters
    ----------
    net
        A training net.
    param_grads
        Gradients of parameters: they are results.
    namescope
        Only blobs of this scope, or split off from one of it (``_scope/...``).
    activations
        Whether to add activations: outputs ``b`` of operators with a weight ``b_w``, but the last
        two of the net.
    """
    scope = namescope if not namescope or namescope.endswith("/") else f"{namescope}/"
    results = set(param_grads)
    names = dict.fromkeys(name for op in net.op for name in (*op.input, *op.output))
    found = {
        name
        for name in names
        if name.endswith("_grad") and name not in results and name.startswith((scope, f"_{scope}"))
    }
    if activations:
        layers = [name for op in net.op for name in op.output if f"{name}_w" in op.input]
        outside = set(net.external_output)
        found.update([name for name in layers if name not in outside][:-2])
    return found
