"""The exact algorithm in vector time: the class model with antichains, added as they are needed.

The rows of the class model at the cliques of program order are a part of those that vector time
asks for: its value is a lower bound. Where the buffers that a solution puts into one class need
more chains than it has shared buffers, an antichain says why, and is added for every class.
"""

from __future__ import annotations

import numpy as np

from memonger.heuristics.class_load import best_placement
from memonger.plan import SharingPlan
from memonger.problem import IntArray, Problem
from memonger.result import Proof, Status
from memonger.solver.chains import (
    conflict_cliques,
    conflicts,
    extended,
    fewest_chains,
    order_matrix,
)
from memonger.solver.class_model import ClassModel, num_entries
from memonger.solver.core import Core
from memonger.solver.cpsat import affordable, run_cpsat
from memonger.solver.incumbent import Incumbent
from memonger.solver.presolve import BoolArray, allowed_pairs, gap_fixing, unreduced

# The partial order is a table of n x n; above the smaller number, cliques are not enumerated.
MAX_BUFFERS = 4_000
MAX_ENUMERATED = 1_000


def search_parallel(incumbent: Incumbent, core: Core) -> None:
    """Close the gap of a problem in vector time, as far as the time allows."""
    if len(core.problem) > MAX_BUFFERS:
        return
    before = order_matrix(core.problem)
    if not respects_program_order(core.problem, before):
        return
    conflict = conflicts(before)
    placement = best_placement(core.groups, incumbent.run.deadline)
    if placement is not None:
        _offer_chains(incumbent, core, before, placement.classes)
    cliques = conflict_cliques(conflict) if len(before) <= MAX_ENUMERATED else []
    while not incumbent.closed and not incumbent.run.deadline.expired:
        classes, shared = _solve(incumbent, core, cliques)
        if classes is None:
            return
        for c, antichain in _offer_chains(incumbent, core, before, classes).items():
            if len(antichain) > shared[c]:
                cliques.append(extended(conflict, antichain))


def respects_program_order(problem: Problem, before: BoolArray) -> bool:
    """Return whether buffers that are live together in program order conflict.

    Else the cliques of program order, and the bounds from them, prove nothing.
    """
    return not (before & (problem.ends[:, None] > problem.starts)).any()


def _solve(
    incumbent: Incumbent, core: Core, cliques: list[list[int]]
) -> tuple[IntArray | None, list[int]]:
    """Return the classes and the N_c of an optimum with the cliques so far; its value is a bound.

    ``None`` if it was not found.
    """
    groups, run, unit, cost = core.groups, incumbent.run, core.groups.gcd, incumbent.cost
    limits = gap_fixing(groups, cost)
    if not affordable(num_entries(groups, allowed_pairs(groups, limits)), run.deadline):
        return None, []
    model = ClassModel(groups, unreduced(groups, limits))
    group_of = {i: g for g, members in enumerate(groups.members) for i in members}
    model.add_cliques([sorted({group_of[i] for i in clique}) for clique in cliques])
    model.require_cost(incumbent.bound, cost)
    model.add_hint(core.classes(incumbent.plan))
    solved = run_cpsat(
        model.model,
        seconds=run.deadline.remaining(),
        workers=run.workers,
        seed=run.seed,
        tuned=run.parameters,
        on_bound=lambda units: incumbent.tell(bound=min(units * unit, cost)),
        on_interrupt=run.deadline.stop,
    )
    incumbent.solve_seconds += solved.seconds
    incumbent.prove(min(cost, solved.bound * unit), Proof.CP_SAT)
    if solved.status is not Status.OPTIMAL:
        return None, []
    at_least = [int(solved.solver.value(variable)) for variable in model.at_least]
    shared = np.diff(at_least, prepend=0).tolist()
    return np.array(model.classes(solved.solver.value), dtype=np.int64), shared


def _offer_chains(
    incumbent: Incumbent, core: Core, before: BoolArray, classes: IntArray
) -> dict[int, list[int]]:
    """Offer the plan that needs the fewest shared buffers for each class.

    Return class -> a largest set of its buffers that conflict pairwise.
    """
    labels = [-1 - index for index in range(len(incumbent.problem))]  # empty ones stay alone
    opened = 0
    widest = {}
    for c in np.unique(classes).tolist():
        chains, widest[c] = fewest_chains(before, np.flatnonzero(classes == c))
        for chain in chains:
            for buffer in chain:
                labels[int(core.indices[buffer])] = opened
            opened += 1
    incumbent.offer(SharingPlan.of(labels), "chains")
    return widest
