"""What is known of an ordering problem while it is being solved."""

from __future__ import annotations

import math

import numpy as np

from memonger.graph.operator_dag import OperatorDag
from memonger.graph.order_reduction import Reduction
from memonger.order_problem import OrderProblem
from memonger.plan import OrderPlan
from memonger.problem import IntArray
from memonger.registry import OrderRun, Progress
from memonger.result import Proof
from memonger.solver.order_probing import Conclusion


class OrderIncumbent:
    """The best order so far, the best bound, and the least load seen of every operator.

    Parameters
    ----------
    problem
        The operators as they were given.
    reduction
        The smaller problem with the same optimum, which is the one that is solved.
    run
        How to solve it.

    Attributes
    ----------
    peak, bound
        Of the best order, and what no order is below; bytes.
    least_loads
        Operator of the smaller problem -> the least bytes live while it runs, over all orders
        offered so far: what bounds its share of any lower bound.
    """

    def __init__(self, problem: OrderProblem, reduction: Reduction, run: OrderRun) -> None:
        self.problem = problem
        self.reduction = reduction
        self.run = run
        self.dag: OperatorDag = reduction.dag
        self.unit = math.gcd(*self.dag.sizes.tolist()) or 1
        self.order: tuple[int, ...] = tuple(range(len(problem)))
        self.peak = problem.peak(self.order)
        self.source = "program"
        self.bound = 0
        self.proof = Proof.KEPT
        self.operator: int | None = None  # of the smaller problem, which the cut bound is of
        self.trail: list[Conclusion] = []  # of all orders below the best peak
        self.least_loads = np.full(self.dag.count, np.iinfo(np.int64).max)

    @property
    def closed(self) -> bool:
        """Whether the best order is proven optimal."""
        return self.bound >= self.peak

    def offer(self, order: IntArray, source: str) -> None:
        """Take an order of the smaller problem into account."""
        np.minimum(self.least_loads, self.dag.loads(order), out=self.least_loads)
        self.offer_order(self.reduction.expand(order), source)

    def offer_order(self, order: list[int], source: str) -> None:
        """Take an order of all operators into account."""
        peak = self.problem.peak(order)
        if peak < self.peak:
            self.order, self.peak, self.source = tuple(order), peak, source
            self._report()

    def prove(self, bound: int, proof: Proof, operator: int | None = None) -> None:
        """Take a bound into account."""
        if bound > self.bound:
            self.bound, self.proof, self.operator = bound, proof, operator
            self._report()

    @property
    def plan(self) -> OrderPlan:
        """The best order."""
        return OrderPlan(self.order)

    def _report(self) -> None:
        self.run.report(Progress(self.peak, self.bound, self.run.deadline.elapsed()))
