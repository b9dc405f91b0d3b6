"""From a solved relaxation to a plan: what is integral is kept, or the numbers M_k alone."""

from __future__ import annotations

from itertools import product

import numpy as np

from memonger.graph.cliques import Groups
from memonger.heuristics.class_load import Placement, Rule, orders, place
from memonger.heuristics.overflow import Fit, fit
from memonger.problem import IntArray
from memonger.solver.core import Core
from memonger.solver.incumbent import Incumbent
from memonger.solver.linear import FloatArray
from memonger.solver.relaxation import Relaxation
from memonger.stop import Deadline

# Where M_k lies between two integers: to the nearest, then mostly down, then mostly up.
ROUNDINGS = (0.5, 0.05, 0.95)
WHOLE = 1e-6
MAX_SPLIT = 3


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
    classes = integral_part(groups, relaxation)
    best: Placement | None = None
    profile = groups.counts.max(axis=1).astype(np.int64)
    for at_least in _distinct(profile, _near(relaxation.at_least)):
        capacity = np.diff(at_least, prepend=0)
        for order in orders(groups):
            for rule in Rule:
                found = place(groups, order, rule, capacity, classes, deadline)
                if found is None:
                    return best
                cost = found.cost(groups)
                if cost < below:
                    best, below = found, cost
    return best


def integral_part(groups: Groups, relaxation: Relaxation) -> IntArray:
    """Return buffer index -> class, as far as the relaxation decides it; -1 elsewhere.

    The relaxation may be that of some cliques.
    """
    classes = np.full(int(groups.multiplicity.sum()), -1, dtype=np.int64)
    whole = np.floor(relaxation.placed + WHOLE).astype(np.int64)
    taken = [0] * len(relaxation.groups)
    for index in np.flatnonzero(whole > 0).tolist():
        g, c = int(relaxation.pairs.group[index]), int(relaxation.pairs.kind[index])
        members = relaxation.groups.members[g]
        for _ in range(min(int(whole[index]), len(members) - taken[g])):
            classes[members[taken[g]]] = c
            taken[g] += 1
    return classes


def targets_of(low: IntArray, values: FloatArray) -> list[IntArray]:
    """Return integers M_k near those of a relaxation, at least ``low``; no two alike.

    With few values between integers these are all ways to round them, besides `ROUNDINGS`.
    """
    down = np.floor(values + WHOLE).astype(np.int64)
    split = np.flatnonzero(values - down > WHOLE)
    near = _near(values)
    for ups in product((0, 1), repeat=len(split)) if len(split) <= MAX_SPLIT else ():
        near.append(down.copy())
        near[-1][split] += np.array(ups, dtype=np.int64)
    return _distinct(low, near)


def _near(values: FloatArray) -> list[IntArray]:
    return [np.floor(values + offset).astype(np.int64) for offset in ROUNDINGS]


def _distinct(low: IntArray, near: list[IntArray]) -> list[IntArray]:
    """Return them raised to ``low`` and to what comes before, no two alike."""
    found: dict[tuple[int, ...], IntArray] = {}
    for rounded in near:
        at_least = np.maximum.accumulate(np.maximum(low, rounded))
        found.setdefault(tuple(at_least.tolist()), at_least)
    return list(found.values())


def search_targets(
    incumbent: Incumbent,
    core: Core,
    targets: list[IntArray],
    start: IntArray,
    effort: int,
    seed: int,
    source: str,
) -> Fit | None:
    """Search for a plan of given numbers M_k, the cheapest first; offer the first one found.

    Parameters
    ----------
    incumbent
        Only targets that cost less than its plan, and no less than its bound, are searched.
    core
        The problem.
    targets
        M_k, the numbers of shared buffers of at least each size.
    start, effort, seed
        See `fit`.
    source
        What to call the plan.

    Returns
    -------
    Fit or None
        What was too much, at least, and the pressure, of all searches that failed; ``None`` if
        they were given up.
    """
    groups, run = core.groups, incumbent.run
    excess, pressure = 0, np.zeros(groups.num_cliques, dtype=np.int64)
    for at_least in sorted(targets, key=lambda target: int(groups.steps @ target)):
        if not incumbent.bound <= int(groups.steps @ at_least) < incumbent.cost:
            continue
        found = fit(groups, at_least, start, effort, seed, run.deadline)
        if found is None or (found.classes is None and run.deadline.expired):
            return None
        if found.classes is not None:
            plan = core.plan(incumbent.problem, found.classes.tolist())
            incumbent.offer(plan, source)
            break
        pressure += found.pressure
        excess = min(excess or found.excess, found.excess)
    return Fit(None, excess, pressure)
