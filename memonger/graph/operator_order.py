"""From a net to the problem of ordering its operators, and back."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from memonger.graph.dataflow import dependencies
from memonger.graph.live_ranges import PlannedNet
from memonger.net.defuse import DefUse
from memonger.net.netdef_pb2 import NetDef
from memonger.net.schema import IDLE, has_effects, schema
from memonger.net.subnets import inner_operators
from memonger.order_problem import Allocation, OrderProblem


def order_problem_of_net(net: NetDef, def_use: DefUse, planned: PlannedNet) -> OrderProblem:
    """Return the problem of ordering the operators of a net.

    Parameters
    ----------
    net, def_use
        The net and its def-use.
    planned
        What is planned of its memory: these are the allocations, alignment included. What stays
        where it is takes the same memory in every order.

    Returns
    -------
    OrderProblem
        Its edges are all dependencies of the net: reads after writes, writes after reads and after
        writes, control inputs, views; and operators with effects beyond their blobs (random
        numbers, files, queues) keep their order, those inside their nets counted in.

    Notes
    -----
    Near-linear in the size of the net.
    """
    edges = {(before, after): None for before, after, _ in dependencies(def_use)}
    edges.update(dict.fromkeys(pairwise(effects(net, def_use))))
    allocations = []
    for buffer, number in zip(planned.problem.buffers, planned.planned, strict=True):
        first, *others = planned.storages[number].accesses
        allocations.append(Allocation(buffer.name, buffer.padded_size, first, tuple(others)))
    names = tuple(op.name or op.type for op in net.op)
    return OrderProblem(names, tuple(edges), tuple(allocations), net.name)


def effects(net: NetDef, def_use: DefUse) -> list[int]:
    """Return the operators that must keep their order among themselves, whatever blobs they name.

    Those with effects beyond their blobs, themselves or in nets inside them; those without an
    output, which would be of no use otherwise; and those that touch a handle (a queue, a reader, a
    mutex) that an operator of the net has made.
    """
    handles = {name for op in net.op if schema(op.type).opaque for name in op.output}
    return [
        index
        for index, (op, touched) in enumerate(zip(net.op, def_use.operands, strict=True))
        if has_effects(op.type)
        or (not touched.writes and op.type not in IDLE)
        or not handles.isdisjoint(touched.reads)
        or any(has_effects(inner.type) for inner in inner_operators(op))
    ]


def reordered(net: NetDef, order: Sequence[int]) -> NetDef:
    """Return a net with its operators in another order; operator i of it was ``order[i]``."""
    result = NetDef()
    result.CopyFrom(net)
    del result.op[:]
    result.op.extend(net.op[index] for index in order)
    return result
