"""From a solved relaxation to a plan: keep what is integral, fill up by class-load first fit."""

from __future__ import annotations

import numpy as np

from memonger.graph.cliques import Groups
from memonger.heuristics.class_load import Placement, Rule, orders, place
from memonger.problem import IntArray
from memonger.solver.linear import FloatArray
from memonger.solver.presolve import Pairs
from memonger.stop import Deadline

# Where M_k lies between two integers: to the nearest, then mostly down, then mostly up.
ROUNDINGS = (0.5, 0.05, 0.95)


def round_relaxation(
    groups: Groups,
    pairs: Pairs,
    placed: FloatArray,
    at_least: FloatArray,
    below: int,
    deadline: Deadline,
) -> Placement | None:
    """Return a placement that follows the relaxation where that is integral.

    Parameters
    ----------
    groups
        The whole problem.
    pairs, placed
        Groups and classes of the relaxation, and the values of x; it may be of the largest sizes
        alone: then groups are indices into those of these sizes.
    at_least
        Values of M_k.
    below
        Only a cheaper placement is of use, bytes.
    deadline
        When to give up.
    """
    classes = _integral_part(groups, pairs, placed, len(at_least))
    best: Placement | None = None
    profile = groups.counts.max(axis=1).astype(np.int64)
    for offset in ROUNDINGS:
        total = profile.copy()
        total[: len(at_least)] = np.maximum(
            profile[: len(at_least)], np.floor(at_least + offset).astype(np.int64)
        )
        total = np.maximum.accumulate(total)
        if best is not None and int(groups.steps @ total) >= best.cost(groups):
            continue
        capacity = np.diff(total, prepend=0)
        for order in orders(groups):
            for rule in Rule:
                found = place(groups, order, rule, capacity, classes, deadline)
                if found is None:
                    return best
                if found.cost(groups) < (below if best is None else best.cost(groups)):
                    best = found
    return best


def _integral_part(groups: Groups, pairs: Pairs, placed: FloatArray, depth: int) -> IntArray:
    """Return buffer index -> class, as far as the relaxation decides it; -1 elsewhere."""
    of_depth = groups.members if depth == len(groups.sizes) else groups.truncate(depth).members
    classes = np.full(int(groups.multiplicity.sum()), -1, dtype=np.int64)
    whole = np.floor(placed + 1e-6).astype(np.int64)
    taken = [0] * len(of_depth)
    for index in np.flatnonzero(whole > 0).tolist():
        g, c = int(pairs.group[index]), int(pairs.kind[index])
        for _ in range(min(int(whole[index]), len(of_depth[g]) - taken[g])):
            classes[of_depth[g][taken[g]]] = c
            taken[g] += 1
    return classes
