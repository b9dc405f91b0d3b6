"""The order of least peak as a function of a dataflow graph, like Caffe2's two orders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import networkx as nx

from memonger.errors import InputError
from memonger.graph.dataflow import without_external_controls
from memonger.graph.live_ranges import live_ranges
from memonger.graph.operator_order import order_problem_of_net
from memonger.graph.storage import storages
from memonger.net.defuse import analyse, outputs_of
from memonger.net.netdef_pb2 import NetDef
from memonger.net.subnets import operands_of
from memonger.solver.order import solve_order


def optimal_order(
    graph: nx.DiGraph[int],
    sizes: Mapping[str, int] | None = None,
    *,
    time_limit: float | None = None,
) -> list[int]:
    """Return the operators of a dataflow graph in the order of the least peak.

    It may stand wherever `memonger.graph.orders.topological_order` may, such as for the
    ``ordering_function`` of `memonger.caffe2.optimize_interference`; with sizes by
    ``functools.partial(optimal_order, sizes=...)``.

    Parameters
    ----------
    graph
        From `memonger.graph.dataflow.interference_graph`: nodes 0, 1, ... in program order, each
        with its operator as ``op``; edges from an operator to those that must wait for it.
    sizes
        Blob -> bytes; a blob without one, and every blob without any, counts 1.
    time_limit
        Seconds; by default the search ends with a proof.

    Returns
    -------
    list of int
        All nodes of the graph. Operators with effects beyond their blobs, such as random numbers,
        keep their order.

    Raises
    ------
    InputError
        If nodes are not numbered so, or have no operator.

    Examples
    --------
    >>> from memonger.graph.dataflow import interference_graph
    >>> from memonger.net.netdef_pb2 import OperatorDef
    >>> ops = [
    ...     OperatorDef(type="Relu", input=["x"], output=["a"]),
    ...     OperatorDef(type="Tanh", input=["x"], output=["b"]),
    ...     OperatorDef(type="Sum", input=["a"], output=["c"]),
    ...     OperatorDef(type="Sum", input=["b"], output=["d"]),
    ...     OperatorDef(type="Add", input=["c", "d"], output=["y"]),
    ... ]
    >>> optimal_order(interference_graph(ops), {"a": 9, "b": 9})
    [0, 2, 1, 3, 4]
    """
    if sorted(graph) != list(range(len(graph))):
        raise InputError("the nodes of the graph must be 0, 1, ..., in program order")
    if not all("op" in graph.nodes[index] for index in graph):
        raise InputError("every node of the graph must have its operator as 'op'")
    net = NetDef(op=[graph.nodes[index]["op"] for index in range(len(graph))])
    def_use = analyse(net, without_external_controls(operands_of(net.op)))
    known = sizes or {}
    counts = [max(0, known.get(version.blob, 1)) for version in def_use.versions]
    stored = storages(net, def_use, counts, outputs_of(net, def_use), ())
    problem = order_problem_of_net(net, def_use, live_ranges(net, def_use, stored))
    edges = tuple(dict.fromkeys((*problem.edges, *graph.edges)))
    plan = solve_order(replace(problem, edges=edges), time_limit=time_limit).plan
    assert plan is not None  # program order at least
    return list(plan.order)
