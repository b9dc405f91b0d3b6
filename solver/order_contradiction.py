"""Probing below the best peak: fewer orders to search, or a proof that can be checked."""

from __future__ import annotations

import numpy as np

from memonger.graph.operator_dag import OperatorDag
from memonger.result import Proof
from memonger.solver.order_incumbent import OrderIncumbent
from memonger.solver.order_probing import Effort, probe, with_edges

EFFORT = 20_000_000
"""Operators and edges that flows may go through to make a proof by search one by probing."""


def probed(incumbent: OrderIncumbent, dag: OperatorDag, effort: Effort) -> OperatorDag | None:
    """Return the operators with the edges of all orders below the best peak; None: no such order.

    Operators whose load is large in all known orders come first. What is found is added to the
    trail: it holds below every lower peak as well.
    """
    operators = np.argsort(-incumbent.least_loads, kind="stable").tolist()
    budget = incumbent.peak - incumbent.unit
    found = probe(dag, budget, operators, effort, incumbent.run.deadline)
    incumbent.trail += found
    if found and found[-1].other < 0:
        return None
    return with_edges(dag, [conclusion.edge for conclusion in found]) if found else dag


def contradict(incumbent: OrderIncumbent) -> None:
    """Prove by probing what a search has proven: a stranger can check that.

    For as long as edges are found, which lead to more, within some effort.
    """
    if not incumbent.closed or incumbent.proof is not Proof.SEARCH:
        return
    effort = Effort(EFFORT)
    dag = with_edges(incumbent.dag, [conclusion.edge for conclusion in incumbent.trail])
    while dag is not None:
        if effort.left < 0 or incumbent.run.deadline.expired:
            return
        known = len(dag.edges)
        dag = probed(incumbent, dag, effort)
        if dag is not None and len(dag.edges) == known:
            return
    incumbent.proof = Proof.PROBE
