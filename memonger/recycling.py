"""Caffe2's recycling passes: blobs of a net share memory, the order of its operators stays.

* `share_gradients` and `recycle_inference`: no operator has to wait for another that it did not
  wait for before. Caffe2's walk with tokens (`memonger.heuristics.token_walk`) keeps parallel
  branches apart; here vector time says exactly which blobs may share in every schedule.
* `recycle_in_order`: for nets that run their operators one after the other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from memonger.collector import collector_paused
from memonger.errors import NetError
from memonger.graph.gradient_blobs import activation_blobs, gradient_blobs, scope_prefix
from memonger.graph.live_ranges import PlannedNet, live_ranges
from memonger.graph.storage import storages
from memonger.heuristics.last_freed import last_freed_first
from memonger.heuristics.token_walk import token_walk
from memonger.heuristics.unite import unite
from memonger.net.defuse import DefUse, analyse, outputs_of
from memonger.net.netdef_pb2 import NetDef
from memonger.net.schema import is_sequential
from memonger.plan import SharingPlan
from memonger.problem import Problem
from memonger.registry import SHARING
from memonger.result import Status
from memonger.rewrite.apply_sharing import apply_sharing, fresh_names
from memonger.rewrite.equivalence import verify_equivalence
from memonger.solver.solve import solve


class NotInferenceError(NetError, AssertionError):
    """A net with gradient operators where there may be none."""


def share_gradients(
    net: NetDef,
    losses: Sequence[str],
    param_grads: Iterable[str],
    namescope: str,
    *,
    keep: Collection[str] = (),
    activations: bool = False,
    sizes: Mapping[str, int] | None = None,
    optimal: bool = False,
    time_limit: float | None = None,
) -> NetDef:
    """Return a training net in which the gradients of activations share memory.

    Parameters
    ----------
    net
        The net; it is not changed.
    losses
        The losses: the walk begins with their readers, and they are results.
    param_grads
        Gradients of parameters: they are results.
    namescope
        Only blobs of this scope share; new names begin with it.
    keep
        Blobs that must not share.
    activations
        Whether activations share with the gradients.
    sizes
        Blob -> bytes, or any other measure; a blob without one counts 1. Without any, the result
        is one that needs no more than Caffe2's **whatever the sizes are**.
    optimal
        Whether to search for the least memory; without sizes for the fewest shared blobs, whatever
        that means in bytes.
    time_limit
        Seconds for that search.

    Returns
    -------
    NetDef
        Shown to be equivalent, in every schedule.

    Raises
    ------
    NetError
        If the net is not well formed.

    Notes
    -----
    Near-linear for nets of few parallel branches; `optimal` may take long.
    """
    gradients = gradient_blobs(net, param_grads, namescope)
    sharable = gradients | (activation_blobs(net) if activations else set())
    walked = [i for i, op in enumerate(net.op) if not gradients.isdisjoint((*op.input, *op.output))]
    walk = _Walk(sharable, walked, losses)
    prefix = scope_prefix(namescope)
    aim = _Aim(sizes, optimal, time_limit)
    return _recycle(net, sharable - set(keep), walk, aim, prefix, losses)


def recycle_inference(
    net: NetDef,
    heads: Sequence[str] = (),
    *,
    static: Collection[str] = (),
    prefix: str = "",
    sizes: Mapping[str, int] | None = None,
    optimal: bool = False,
    time_limit: float | None = None,
) -> NetDef:
    """Return an inference net in which activations share memory.

    Parameters
    ----------
    net
        The net, without gradient operators; it is not changed.
    heads
        Inputs whose readers the walk begins with.
    static
        Blobs that must not share, beside external inputs and outputs.
    prefix
        What new names begin with.
    sizes, optimal, time_limit
        As in `share_gradients`.

    Returns
    -------
    NetDef
        Shown to be equivalent, in every schedule.

    Raises
    ------
    NotInferenceError
        If the net has gradient operators.
    NetError
        If the net is not well formed.
    """
    if any(op.is_gradient_op for op in net.op):
        raise NotInferenceError("only inference nets: this one has gradient operators")
    def_use = analyse(net)
    names = {name for op in def_use.operands for name in (*op.inputs, *op.outputs)}
    leading = names.difference(net.external_input, net.external_output)
    walk = _Walk(leading, range(len(net.op)), heads)
    results = outputs_of(net, def_use)
    aim = _Aim(sizes, optimal, time_limit)
    return _recycle(net, leading - set(static), walk, aim, prefix, results, def_use)


def recycle_in_order(net: NetDef, static: Collection[str] = ()) -> NetDef:
    """Return a net that runs in order in which blobs take the memory that was freed last.

    Parameters
    ----------
    net
        The net; it is not changed.
    static
        Blobs that must not share, beside external inputs and outputs. In a net that declares no
        outputs those of them that operators write are its results; if there are none, the losses
        and what nobody reads.

    Returns
    -------
    NetDef
        Caffe2's result where that is right, otherwise one that is; shown to be equivalent. A net
        of another type than ``""`` and ``simple``, or with a ``RecurrentNetwork``, as it was.

    Raises
    ------
    NetError
        If the net is not well formed.

    Notes
    -----
    Linear in the size of the net.
    """
    if net.type not in ("", "simple") or any(op.type == "RecurrentNetwork" for op in net.op):
        result = NetDef()
        result.CopyFrom(net)
        return result
    def_use = analyse(net)
    outputs = outputs_of(net, def_use)
    if not net.external_output:
        written = {name for writes in def_use.writes for name in writes}
        outputs = tuple(sorted(written.intersection(static))) or outputs
    stored = storages(net, def_use, [1] * len(def_use.versions), outputs, static)
    planned = live_ranges(net, def_use, stored)
    plan, numbers = last_freed_first(def_use, planned)
    by_number = sorted(numbers, key=numbers.__getitem__)
    names = dict(zip(by_number, fresh_names(net), strict=False))
    result = apply_sharing(net, def_use, planned, plan, names=names)
    verify_equivalence(net, result, outputs, def_use=def_use)
    return result


@dataclass(frozen=True, slots=True)
class _Walk:
    """Where Caffe2's walk goes: what leads from one operator to the next, the operators, heads."""

    leading: Collection[str]
    operators: Sequence[int]
    heads: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Aim:
    """What is to be little, and how hard to try: see `share_gradients`."""

    sizes: Mapping[str, int] | None
    optimal: bool
    time_limit: float | None


def _recycle(
    net: NetDef,
    sharable: Collection[str],
    walk: _Walk,
    aim: _Aim,
    prefix: str,
    keep: Iterable[str],
    def_use: DefUse | None = None,
) -> NetDef:
    """Return a net in which the sharable blobs share memory, whatever the schedule.

    The final contents of ``keep`` survive, beside the external ones. Where the net declares no
    outputs, blobs that nobody reads are results unless they may share. ``def_use`` is that of the
    net, where it is known.
    """
    work = NetDef()
    work.CopyFrom(net)
    if is_sequential(net.type):
        work.type = "dag"  # plan and verify for any schedule
    if def_use is None:
        def_use = analyse(work)
    results = outputs_of(work, def_use)
    if not net.external_output:
        results = tuple(name for name in results if name not in sharable)
    outputs = (*results, *keep)
    planned, plan = _walked(work, def_use, outputs, sharable, walk, aim.sizes)
    improved = _improved(planned.problem, plan, aim)
    if improved is not plan:
        plan = unite(planned.problem, improved)
    with collector_paused():
        result = apply_sharing(work, def_use, planned, plan, prefix)
        verify_equivalence(work, result, outputs, def_use=def_use, clocks=planned.clocks)
    if net.HasField("type"):
        result.type = net.type
    else:
        result.ClearField("type")
    return result


@collector_paused()
def _walked(
    net: NetDef,
    def_use: DefUse,
    outputs: Iterable[str],
    sharable: Collection[str],
    walk: _Walk,
    sizes: Mapping[str, int] | None,
) -> tuple[PlannedNet, SharingPlan]:
    """Return what may share, and how it does in Caffe2's walk."""
    given = sizes or {}
    counts = [max(1, given.get(version.blob, 1)) for version in def_use.versions]
    planned = live_ranges(net, def_use, storages(net, def_use, counts, outputs, (), sharable))
    first = token_walk(net, def_use, planned, walk.leading, walk.operators, walk.heads, sizes)
    return planned, unite(planned.problem, first)


def _improved(problem: Problem, plan: SharingPlan, aim: _Aim) -> SharingPlan:
    """Return a plan that costs no more: the best of the heuristics, then of the exact search."""
    names: list[str] = []
    if aim.sizes is not None:
        names.extend(a.name for a in SHARING if a.vector_time and not a.proves)
    if aim.optimal:
        names.append("optimal")
    for name in names:
        limit = aim.time_limit if name == "optimal" else None
        result = solve(problem, name, hint=plan, time_limit=limit)
        assert result.plan is not None  # there is a hint
        plan = result.plan
        if result.status is Status.OPTIMAL:
            break
    return plan
