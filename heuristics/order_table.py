"""The heuristics of the order form by name."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import networkx as nx

from memonger.graph.operator_dag import OperatorDag
from memonger.graph.order_reduction import reduce_operators
from memonger.graph.orders import longest_path_order, topological_order
from memonger.heuristics.list_schedules import Key, list_schedule
from memonger.heuristics.tree_orders import liu_order, sethi_ullman_order
from memonger.order_problem import OrderProblem
from memonger.plan import OrderPlan
from memonger.problem import IntArray
from memonger.registry import ORDER, OrderAlgorithm, OrderOutcome, OrderRun

_RULES = {
    Key.CHANGE: "what lets memory grow least",
    Key.FREES: "what frees most, else program order",
    Key.LATEST: "what frees, else what is ready last",
    Key.LOAD: "what frees, else what needs least while it runs",
    Key.GROWTH: "what grows least, then what is ready last",
}
Rule = Callable[[OperatorDag], IntArray]


def _schedules() -> Iterator[tuple[str, str, Rule]]:
    for key, rule in _RULES.items():
        for side, reverse in (("beginning", False), ("end", True)):
            name = f"{key.name.lower()}{'-reverse' if reverse else ''}"
            summary = f"list schedule from the {side}: {rule}"
            yield name, summary, functools.partial(list_schedule, key=key, reverse=reverse)
    yield "liu", "subtrees take turns from valley to valley: Liu's, the best on trees", liu_order
    yield (
        "sethi-ullman",
        "one subtree after the other, by peak and what it leaves: Sethi and Ullman's",
        sethi_ullman_order,
    )


SCHEDULES = tuple(_schedules())
"""Name, summary and rule of every heuristic that works on the reduced operators."""


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


def _schedule(name: str, summary: str, rule: Rule) -> OrderAlgorithm:
    def run(problem: OrderProblem, _: OrderRun) -> OrderOutcome:
        reduction = reduce_operators(OperatorDag.of(problem))
        return OrderOutcome(OrderPlan(tuple(reduction.expand(rule(reduction.dag)))))

    return OrderAlgorithm(name, summary, run)


def _min_memory(problem: OrderProblem, run: OrderRun) -> OrderOutcome:
    """Return the order of the lowest peak of program order and all schedules."""
    reduction = reduce_operators(OperatorDag.of(problem))
    best = tuple(range(len(problem)))
    peak, source = problem.peak(best), "program"
    for name, _, rule in SCHEDULES:
        if run.deadline.expired:
            break
        order = reduction.expand(rule(reduction.dag))
        if (found := problem.peak(order)) < peak:
            best, peak, source = tuple(order), found, name
    return OrderOutcome(OrderPlan(best), source=source)


ORDER.add(OrderAlgorithm("program", "the order in which the operators are given", _program))
for _order in (topological_order, longest_path_order):
    ORDER.add(_caffe2(_order))
for _entry in SCHEDULES:
    ORDER.add(_schedule(*_entry))
ORDER.add(OrderAlgorithm("min-memory", "the best of program order and all schedules", _min_memory))
