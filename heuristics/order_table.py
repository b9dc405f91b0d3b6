"""The heuristics of the order form by name."""

from __future__ import annotations

from collections.abc import Callable

import networkx as nx

from memonger.graph.operator_dag import OperatorDag
from memonger.graph.order_reduction import reduce_operators
from memonger.graph.orders import longest_path_order, topological_order
from memonger.heuristics.list_schedules import Key, list_schedule
from memonger.order_problem import OrderProblem
from memonger.plan import OrderPlan
from memonger.registry import ORDER, OrderAlgorithm, OrderOutcome, OrderRun

_RULES = {
    Key.CHANGE: "what lets memory grow least",
    Key.FREES: "what frees most, else program order",
    Key.LATEST: "what frees, else what is ready last",
    Key.LOAD: "what frees, else what needs least while it runs",
    Key.GROWTH: "what grows least, then what is ready last",
}
SCHEDULES = tuple(
    (f"{key.name.lower()}{'-reverse' if reverse else ''}", key, reverse)
    for key in Key
    for reverse in (False, True)
)
"""Name, key and direction of every list schedule."""


def _program(problem: OrderProblem, _: OrderRun) -> OrderOutcome:
    return OrderOutcome(OrderPlan(tuple(range(len(problem)))))


def _caffe2(order: Callable[[nx.DiGraph[int]], list[int]]) -> OrderAlgorithm:
    def run(problem: OrderProblem, _: OrderRun) -> OrderOutcome:
        graph: nx.DiGraph[int] = nx.DiGraph()
        graph.add_nodes_from(range(len(problem)))
        graph.add_edges_from(sorted(map(tuple, problem.precedence.tolist())))
        return OrderOutcome(OrderPlan(tuple(order(graph))))

    name = order.__name__.removesuffix("_order").replace("_", "-")
    return OrderAlgorithm(name, f"Caffe2's {name.replace('-', ' ')} order", run)


def _schedule(name: str, key: Key, *, reverse: bool) -> OrderAlgorithm:
    def run(problem: OrderProblem, _: OrderRun) -> OrderOutcome:
        reduction = reduce_operators(OperatorDag.of(problem))
        order = list_schedule(reduction.dag, key, reverse=reverse)
        return OrderOutcome(OrderPlan(tuple(reduction.expand(order))))

    side = "from the end" if reverse else "from the beginning"
    return OrderAlgorithm(name, f"list schedule {side}: {_RULES[key]}", run)


def _min_memory(problem: OrderProblem, run: OrderRun) -> OrderOutcome:
    """Return the order of the lowest peak of program order and all list schedules."""
    reduction = reduce_operators(OperatorDag.of(problem))
    best = tuple(range(len(problem)))
    peak, source = problem.peak(best), "program"
    for name, key, reverse in SCHEDULES:
        if run.deadline.expired:
            break
        order = reduction.expand(list_schedule(reduction.dag, key, reverse=reverse))
        if (found := problem.peak(order)) < peak:
            best, peak, source = tuple(order), found, name
    return OrderOutcome(OrderPlan(best), source=source)


ORDER.add(OrderAlgorithm("program", "the order in which the operators are given", _program))
for _order in (topological_order, longest_path_order):
    ORDER.add(_caffe2(_order))
for _name, _key, _reverse in SCHEDULES:
    ORDER.add(_schedule(_name, _key, reverse=_reverse))
ORDER.add(
    OrderAlgorithm("min-memory", "the best of program order and all list schedules", _min_memory)
)
