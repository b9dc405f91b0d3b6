"""Certificates of bounds on orders, in terms of the operators as they were given."""

from __future__ import annotations

import numpy as np

from memonger.graph.operator_dag import OperatorDag
from memonger.order_certificate import (
    CutCertificate,
    KeptCertificate,
    OrderCertificate,
    ProbeCertificate,
    ProbeStep,
)
from memonger.order_flow import Flow
from memonger.problem import IntArray
from memonger.result import Proof
from memonger.solver.least_memory import LeastMemory, least_load, least_memory
from memonger.solver.order_incumbent import OrderIncumbent
from memonger.solver.order_probing import Conclusion, with_edges

EFFORT = 5_000_000
"""Operators and edges that the flows of one certificate may go through: a few seconds."""


def certificate_of(incumbent: OrderIncumbent) -> OrderCertificate | None:
    """Return the certificate of the bound; ``None`` if there is none, or it would be too large.

    The flows are looked for again, in the problem as it was given: the smaller one that is solved
    has the same least loads, as what it leaves out allocates nothing and runs as soon as it can.
    """
    if incumbent.proof is Proof.KEPT:
        return KeptCertificate()
    dag = OperatorDag.of(incumbent.problem)
    numbers = np.flatnonzero(incumbent.problem.sizes > 0)
    first, items = incumbent.reduction.members
    leaders = items[first[:-1]]  # those that allocate what their groups do
    if incumbent.proof is Proof.CUT:
        assert incumbent.operator is not None
        operator = int(leaders[incumbent.operator])
        return CutCertificate(operator, _flow(least_load(dag, operator), numbers))
    if incumbent.proof is Proof.PROBE:
        return _probe_certificate(incumbent, dag, numbers, leaders)
    return None


def _probe_certificate(
    incumbent: OrderIncumbent, dag: OperatorDag, numbers: IntArray, leaders: IntArray
) -> ProbeCertificate | None:
    """Return a certificate that leads along the trail of the probing, as far as it is needed."""
    budget = incumbent.bound - 1
    size = dag.count + len(dag.edges) + len(dag.reads.items)
    if len(incumbent.trail) * size > EFFORT:
        return None
    steps: list[ProbeStep] = []
    for operator, other, ran in incumbent.trail:
        found = Conclusion(int(leaders[operator]), int(leaders[other]) if other >= 0 else -1, ran)
        least = _least(dag, found)
        if least is None:
            continue
        if least.bytes + int(dag.allocated[found.operator]) <= budget:
            return None
        flow = _flow(least, numbers)
        steps.append(ProbeStep(found.operator, found.other if other >= 0 else None, ran, flow))
        stronger = with_edges(dag, [found.edge]) if other >= 0 else None
        if stronger is None:
            return ProbeCertificate(budget, tuple(steps))
        dag = stronger
    return None


def _least(dag: OperatorDag, asked: Conclusion) -> LeastMemory | None:
    """Return the least memory when an operator starts; ``None`` where the answer is an edge."""
    inside, outside = dag.ancestors(asked.operator), dag.descendants(asked.operator)
    outside[asked.operator] = True
    if asked.other >= 0 and asked.ran:
        inside |= dag.ancestors(asked.other)
        inside[asked.other] = True
    elif asked.other >= 0:
        outside |= dag.descendants(asked.other)
        outside[asked.other] = True
    if (inside & outside).any():
        return None
    return least_memory(dag, inside, outside)


def _flow(found: LeastMemory, numbers: IntArray) -> Flow:
    """Return the flow with the numbers that allocations have in the problem."""
    reads, ends = found.readers.copy(), found.ends.copy()
    reads[:, 0], ends[:, 0] = numbers[reads[:, 0]], numbers[ends[:, 0]]
    return Flow(
        tuple(map(tuple, reads.tolist())),
        tuple(map(tuple, found.waits.tolist())),
        tuple(map(tuple, ends.tolist())),
    )
