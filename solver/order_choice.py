"""Which order to plan in: that of the least memory in the form that is asked for.

Orders of one peak may need different amounts of memory once buffers are shared or placed, and an
order of a higher peak less than one of a lower. So several are compared by quick plans, and
program order is among them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from memonger.forms import FORMS
from memonger.graph.operator_dag import OperatorDag
from memonger.graph.order_reduction import reduce_operators
from memonger.graph.profile import peak
from memonger.heuristics.order_table import SCHEDULES
from memonger.order_problem import OrderProblem
from memonger.plan import OrderPlan
from memonger.problem import Problem
from memonger.result import ArenaResult, OrderResult, SharingResult
from memonger.solver.bounds import threshold_bound
from memonger.solver.order import solve_order
from memonger.solver.order_kernel import FOUND
from memonger.solver.order_search import KEYS, Searcher, stopping
from memonger.solver.solve import solve
from memonger.stop import Deadline

Order = tuple[int, ...]
SEARCHED = ("min-memory", "optimal")
"""Algorithms whose order is compared with others, program order among them."""
NODES = 20_000
"""States that one search for one more order of the least peak may enter."""
CLOSELY = 4
"""Orders of which a quick plan is made."""
SHARE = 0.3
"""Of the time, for the orders."""
QUICK = {
    "sharing": ("class-load",),
    "arena": ("canonical-zl", "canonical-twa", "canonical-a"),
}


@dataclass(frozen=True)
class Choice:
    """An order to plan in.

    Parameters
    ----------
    order
        Operator indices of program order.
    source
        Who made it.
    lowest
        The order of least peak that was found on the way, and the bound over all orders.
    """

    order: Order
    source: str
    lowest: OrderResult


def choose_order(
    problem: OrderProblem,
    live: Callable[[Sequence[int]], Problem],
    name: str,
    form: str,
    *,
    time_limit: float | None = None,
    seed: int = 0,
) -> Choice:
    """Return an order of the operators to plan their memory in.

    Parameters
    ----------
    problem
        The operators.
    live
        Order -> the buffers with their live ranges in it.
    name
        An algorithm of the order form: that order is taken, but for ``min-memory`` and
        ``optimal``. They look for orders of low peak, and take of these and of program order the
        one with the best quick plan.
    form
        What will be planned.
    time_limit
        Seconds for all of the planning, of which this takes a part.
    seed
        Of the searches.
    """
    deadline = Deadline(None if time_limit is None else SHARE * time_limit)
    limit = None if time_limit is None else deadline.remaining() / 2
    lowest = solve_order(problem, name, time_limit=limit, seed=seed)
    assert lowest.plan is not None
    if name not in SEARCHED:
        return Choice(lowest.plan.order, name, lowest)
    candidates: dict[Order, str] = {tuple(range(len(problem))): "program"}
    candidates.setdefault(lowest.plan.order, lowest.source or name)
    try:
        for source, order in _orders(problem, lowest.plan, deadline, seed):
            candidates.setdefault(order, source)
        order = _cheapest(candidates, live, form, deadline)
    except KeyboardInterrupt:  # it ends the choice, not the planning
        order = lowest.plan.order
    return Choice(order, candidates[order], lowest)


def _orders(
    problem: OrderProblem, lowest: OrderPlan, deadline: Deadline, seed: int
) -> Iterator[tuple[str, Order]]:
    """Yield more orders whose peak is the lowest known."""
    reduction = reduce_operators(OperatorDag.of(problem))
    least = lowest.cost(problem)
    for name, _, rule in SCHEDULES:
        if deadline.expired:
            return
        order = reduction.expand(rule(reduction.dag))
        if problem.peak(order) <= least:
            yield name, tuple(order)
    with stopping(deadline) as stop:
        for reverse in (True, False):
            searcher = Searcher(reduction.dag, reverse=reverse, seed=seed)
            for key in KEYS:
                outcome, found, _ = searcher.run(least, key, NODES, stop)
                if outcome == FOUND and found is not None:
                    yield "search", tuple(reduction.expand(found))


def _cheapest(
    candidates: dict[Order, str],
    live: Callable[[Sequence[int]], Problem],
    form: str,
    deadline: Deadline,
) -> Order:
    """Return the order of the cheapest quick plan, of those with the lowest bounds."""
    bounds: dict[Order, int] = {}
    for order in candidates:
        if bounds and deadline.expired:
            break
        bounds[order] = lower_bound(live(order), form)
    ranked = sorted(bounds, key=bounds.__getitem__)
    first = next(iter(candidates))
    tried = dict.fromkeys([first, *ranked[:CLOSELY]])
    costs: dict[Order, float] = {}
    for order in tried:
        if costs and deadline.expired:
            break
        problem = live(order)
        costs[order] = min(_cost(problem, name, form, deadline) for name in QUICK[form])
    return min(costs, key=lambda order: (costs[order], bounds[order]))


def _cost(problem: Problem, name: str, form: str, deadline: Deadline) -> float:
    """Return what the plan of a heuristic costs, infinity where it finds none."""
    limit = None if deadline.seconds is None else deadline.remaining()
    objective = solve(problem, name, form=form, workers=1, time_limit=limit).objective
    return math.inf if objective is None else objective


def lower_bound(problem: Problem, form: str) -> int:
    """Return a bound for all plans of a form: the thresholds of sharing, the load of an arena."""
    assert form in FORMS
    parts = [
        problem.subproblem([i for i, b in enumerate(problem.buffers) if b.device == device])
        for device in problem.devices
    ]
    if form == "arena":
        return sum(peak(part).bytes for part in parts)
    return sum(threshold_bound(part)[0] for part in parts)


R = TypeVar("R", bound=SharingResult | ArenaResult)


def cheapest_plan(
    problems: Sequence[Problem],
    form: str,
    deadline: Deadline,
    plan: Callable[[int, float | None], R],
) -> tuple[int, R]:
    """Return the cheapest plan of several problems: which one it is of, and the result.

    Parameters
    ----------
    problems
        The same buffers in several orders, the most promising first.
    form
        What is planned.
    deadline
        When all must have ended; every problem that is tried gets an equal part of what is left.
    plan
        Number of a problem, seconds -> its result. Not called where the bound of the problem is
        not below the cost of a plan that is known.
    """
    best: tuple[int, R] | None = None
    for number, problem in enumerate(problems):
        cost = None if best is None else best[1].objective
        if cost is not None and lower_bound(problem, form) >= cost:
            continue
        left = deadline.remaining() / (len(problems) - number)
        result = plan(number, None if deadline.seconds is None else left)
        found = result.objective
        if best is None or (found is not None and (cost is None or found < cost)):
            best = number, result
    assert best is not None  # there is a problem at least
    return best
