"""From a solved relaxation to a plan: keep what is integral, fill up by class-load first fit."""

from __future__ import annotations

import numpy as np

from memonger.graph.cliques import Groups
from memonger.heuristics.class_load import Placement, Rule, orders, place
from memonger.problem import IntArray
from memonger.solver.relaxation import Relaxation
from memonger.stop import Deadline

# Where M_k lies between two integers: to the nearest, then mostly down, then mostly up.
ROUNDINGS = (0.5, 0.05, 0.95)


def round_relaxation(
    groups: Groups, relaxation: Relaxation, below: int, deadline: Deadline
) -> Placement | None:
    """Return a placement that follows a relaxation where that is integral.

    Parameters
    ----------
    groups
        The problem.
    relaxation
        Its relaxation.
    below
        Only a cheaper placement is of use, bytes.
    deadline
        When to give up.
    """
    classes = _integral_part(groups, relaxation)
    best: Placement | None = None
    profile = groups.counts.max(axis=1).astype(np.int64)
    for offset in ROUNDINGS:
        total = np.maximum(profile, np.floor(relaxation.at_least + offset).astype(np.int64))
        capacity = np.diff(np.maximum.accumulate(total), prepend=0)
        for order in orders(groups):
            for rule in Rule:
                found = place(groups, order, rule, capacity, classes, deadline)
                if found is None:
                    return best
                cost = found.cost(groups)
                if cost < below:
                    best, below = found, cost
    return best


def _integral_part(groups: Groups, relaxation: Relaxation) -> IntArray:
    """Return buffer index -> class, as far as the relaxation decides it; -1 elsewhere."""
    classes = np.full(int(groups.multiplicity.sum()), -1, dtype=np.int64)
    whole = np.floor(relaxation.placed + 1e-6).astype(np.int64)
    taken = [0] * len(groups)
    for index in np.flatnonzero(whole > 0).tolist():
        g, c = int(relaxation.pairs.group[index]), int(relaxation.pairs.kind[index])
        for _ in range(min(int(whole[index]), len(groups.members[g]) - taken[g])):
            classes[groups.members[g][taken[g]]] = c
            taken[g] += 1
    return classes
