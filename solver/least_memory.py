"""The least memory that can be live when some operators have run and others have not.

Which operators have run is a downset D: with an operator, all that it waits for. The memory live
after it,

    M(D) = sum of the sizes of what D has allocated and that is kept or still read outside of D,

is a submodular function of D, so its least value over the downsets that hold some operators and
lack others is a minimum cut (Picard 1976), found exactly by a maximum flow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ortools.graph.python.max_flow import SimpleMaxFlow

from memonger.graph.operator_dag import OperatorDag
from memonger.order_problem import BoolArray
from memonger.problem import IntArray

UNLIMITED = 2**62


@dataclass(frozen=True, eq=False)
class LeastMemory:
    """The least memory, where it is met, and a flow that proves it.

    Parameters
    ----------
    bytes
        M of the best downset.
    done
        The smallest such downset: operator -> whether it has run, shape (operators,).
    readers
        Rows (allocation, reader, bytes): the flow from an allocation to one of its readers.
    waits
        Rows (after, before, bytes): the flow from an operator to one that it waits for.
    ends
        Rows (allocation, bytes): the flow that ends in an allocation that is live for sure.
    """

    bytes: int
    done: BoolArray
    readers: IntArray
    waits: IntArray
    ends: IntArray


def least_memory(dag: OperatorDag, inside: BoolArray, outside: BoolArray) -> LeastMemory:
    """Return the least memory over the downsets that hold ``inside`` and lack ``outside``.

    Parameters
    ----------
    dag
        The operators.
    inside
        Those that have run, a downset; shape (operators,).
    outside
        Those that have not, with all that wait for them; shape (operators,).

    Notes
    -----
    One maximum flow between the source (has run) and the sink (has not) over the operators that
    are free: source -> allocation -> its readers, for allocations of operators inside; producer
    -> allocation -> readers otherwise; producer -> sink where the allocation surely stays live;
    and without limit from an operator to those that it waits for.
    """
    free = ~(inside | outside)
    allocation, reader = dag.read_pairs
    stays = dag.kept.copy()
    stays[allocation[outside[reader]]] = True
    within = inside[dag.producers]
    base = int(dag.sizes[within & stays].sum())
    if not free.any():
        return _without_flow(base, inside)
    made_free = free[dag.producers]
    has_free = np.zeros(len(dag.sizes), dtype=np.bool_)
    has_free[allocation[free[reader]]] = True
    through = ~stays & (within | made_free) & has_free
    node = _numbered(free, 2)
    middle = _numbered(through, 2 + int(free.sum()))
    entering = np.flatnonzero(through)
    ending = np.flatnonzero(made_free & stays)
    read = np.flatnonzero(through[allocation] & free[reader])
    edges = dag.edges[free[dag.edges].all(axis=1)]
    unlimited = np.full(len(read) + len(edges), UNLIMITED, dtype=np.int64)
    solver = SimpleMaxFlow()
    producer = np.where(within, 0, node[dag.producers])
    sink = np.ones(len(ending), dtype=np.int64)
    tails = (producer[entering], producer[ending], middle[allocation[read]], node[edges[:, 1]])
    heads = (middle[entering], sink, node[reader[read]], node[edges[:, 0]])
    limits = (dag.sizes[entering], dag.sizes[ending], unlimited)
    arcs = solver.add_arcs_with_capacity(*map(np.concatenate, (tails, heads, limits)))
    if not len(entering):
        return _without_flow(base, inside)
    if (status := solver.solve(0, 1)) != solver.OPTIMAL:
        raise RuntimeError(f"the maximum flow ended with {status}: this is a mistake in memonger")
    side = np.zeros(2 + int(free.sum()) + len(entering), dtype=np.bool_)
    side[np.asarray(solver.get_source_side_min_cut())] = True
    done = inside.copy()
    done[free] = side[node[free]]
    ends = np.cumsum([len(entering), len(ending), len(read)])
    flows = np.split(np.asarray(solver.flows(arcs)), ends)
    return LeastMemory(
        base + int(solver.optimal_flow()),
        done,
        _positive(flows[2], allocation[read], reader[read]),
        _positive(flows[3], edges[:, 1], edges[:, 0]),
        _positive(flows[1], ending),
    )


def _numbered(which: BoolArray, first: int) -> IntArray:
    """Return numbers from ``first`` on for those that are marked, -1 for the others."""
    numbers = np.full(len(which), -1, dtype=np.int64)
    numbers[which] = np.arange(first, first + int(which.sum()))
    return numbers


def _without_flow(base: int, inside: BoolArray) -> LeastMemory:
    nothing = np.zeros((0, 3), dtype=np.int64)
    return LeastMemory(base, inside.copy(), nothing, nothing, nothing[:, :2])


def _positive(flow: IntArray, *columns: IntArray) -> IntArray:
    """Return the rows whose flow is not zero."""
    return np.stack([*columns, flow], axis=1)[flow > 0]


def least_load(dag: OperatorDag, operator: int) -> LeastMemory:
    """Return the least memory before an operator runs; what it allocates comes on top."""
    outside = dag.descendants(operator)
    outside[operator] = True
    return least_memory(dag, dag.ancestors(operator), outside)
