"""Lower bounds on the peak of all orders."""

from __future__ import annotations

import numpy as np

from memonger.result import Proof
from memonger.solver.least_memory import least_load
from memonger.solver.order_incumbent import OrderIncumbent

EFFORT = 40_000_000
"""Operators and edges that all flows together may go through."""


class CutBound:
    """The largest over the operators of the least bytes that are live while one runs.

    Exact for each of them, by one maximum flow. Only an operator whose load in every order known
    is above the bound can raise it, so a few flows answer for all.

    Parameters
    ----------
    incumbent
        What is known.
    """

    def __init__(self, incumbent: OrderIncumbent) -> None:
        self.incumbent = incumbent
        self.known = np.zeros(incumbent.dag.count, dtype=np.bool_)
        self.left = EFFORT

    def improve(self) -> None:
        """Raise the bound as far as the operators of large load in all known orders do."""
        incumbent, dag = self.incumbent, self.incumbent.dag
        incumbent.prove(dag.kept_bytes, Proof.KEPT)
        for operator in np.argsort(-incumbent.least_loads, kind="stable").tolist():
            if incumbent.least_loads[operator] <= incumbent.bound or incumbent.closed:
                return
            if self.known[operator]:
                continue
            if self.left < 0 or incumbent.run.deadline.expired:
                return
            self.left -= dag.count + len(dag.edges) + len(dag.reads.items)
            self.known[operator] = True
            load = least_load(dag, operator).bytes + int(dag.allocated[operator])
            incumbent.prove(load, Proof.CUT, operator)
