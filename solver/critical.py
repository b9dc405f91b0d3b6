"""The gap closed at the cliques where it matters: cutting planes over time.

What a plan costs is decided by the numbers M_k of shared buffers of at least each size, and those
by few moments. So two small problems take turns:

* the relaxation over *some* cliques: a bound, as every plan holds one of those buffers; and M_k;
* the search for classes of *all* buffers, given these M_k: a plan, or the cliques at which
  something does not fit, which the relaxation then takes in with their neighbourhood.

Where the buffers fit into the M_k of the relaxation, the plan costs what the relaxation proves.
The first M_k are those of the threshold bound. Nothing here is larger than the buffers times the
shared buffers that are ever live at once, however many sizes there are.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from memonger.graph.profile import size_profile
from memonger.heuristics.overflow import fit
from memonger.problem import IntArray
from memonger.result import Proof
from memonger.solver.core import Core, pairs_of
from memonger.solver.incumbent import Incumbent
from memonger.solver.linear import FloatArray
from memonger.solver.presolve import allowed_pairs, restricted
from memonger.solver.relaxation import Relaxation, first_columns, keys, relax

# Cliques that the relaxation takes in at a time, the most critical ones, and how many to either
# side of each.
TAKEN = 3
RADIUS = 6
# Effort of the first search, and of each that follows one that had nothing new to go by.
EFFORT = 20_000_000
MORE = 4
MAX_EFFORT = 400_000_000
# Rounds in a row in which the relaxation says nothing new, then this ends.
MAX_STALE = 4
MAX_PAIRS = 40_000
# Where M_k lies between two integers: to the nearest, mostly down, mostly up.
ROUNDINGS = (0.5, 0.05, 0.95)
# Of the time that is left, for one linear program.
LP_SHARE = 0.5


def close_at_critical_cliques(incumbent: Incumbent, core: Core) -> None:
    """Improve bound and plan until they meet, or nothing new comes up.

    Interval time only. Deterministic for a seed, where no time limit interferes.
    """
    low = size_profile(core.problem).counts
    targets, cliques = [low], np.zeros(0, dtype=np.int64)
    radius, effort, stale = RADIUS, EFFORT, 0
    while stale < MAX_STALE:
        pressure = _search(incumbent, core, targets, effort)
        if incumbent.closed or pressure is None or not pressure.any():
            return
        critical = np.argsort(-pressure, kind="stable")[:TAKEN]
        around = critical[pressure[critical] > 0][:, None] + np.arange(-radius, radius + 1)
        grown = np.union1d(cliques, np.clip(around, 0, len(pressure) - 1))
        if len(grown) > len(cliques):
            cliques = grown
            relaxation = _relax(incumbent, core, low, cliques)
            if relaxation is None or incumbent.closed:
                return
            before, targets = targets, list(_roundings(low, relaxation.at_least))
            fresh = not np.array_equal(before, targets)
        else:
            fresh, radius = False, 2 * radius
        stale = 0 if fresh else stale + 1
        effort = EFFORT if fresh else min(MORE * effort, MAX_EFFORT)


def _search(
    incumbent: Incumbent, core: Core, targets: list[IntArray], effort: int
) -> IntArray | None:
    """Search for plans of given M_k, the cheapest first; offer the first that there is.

    Returns the pressure of the searches before that; ``None`` if they were given up.
    """
    groups, run = core.groups, incumbent.run
    pressure = np.zeros(groups.num_cliques, dtype=np.int64)
    start = np.array(core.classes(incumbent.plan), dtype=np.int64)
    for at_least in sorted(targets, key=lambda target: int(groups.steps @ target)):
        if int(groups.steps @ at_least) >= incumbent.cost:
            continue
        found = fit(groups, at_least, start, effort, run.seed, run.deadline)
        if found is None or run.deadline.expired:
            return None
        if found.classes is not None:
            plan = core.plan(incumbent.problem, found.classes.tolist())
            incumbent.offer(plan, "critical-cliques")
            break
        pressure += found.pressure
    return pressure


def _relax(
    incumbent: Incumbent, core: Core, low: IntArray, cliques: IntArray
) -> Relaxation | None:
    """Solve the relaxation over some cliques and take its bound; ``None`` if it did not end."""
    problem, run = incumbent.problem, incumbent.run
    groups, limits = restricted(core.groups, low, incumbent.cost, cliques)
    pairs = allowed_pairs(groups, limits)
    classes = np.array(core.classes(incumbent.plan), dtype=np.int64)
    columns = np.union1d(first_columns(groups, pairs), keys(groups, pairs_of(groups, classes)))
    while len(columns) <= MAX_PAIRS and not run.deadline.expired:
        started = run.deadline.elapsed()
        seconds = LP_SHARE * run.deadline.remaining()
        relaxation = relax(groups, limits, columns, incumbent.cost + 1, seconds)
        incumbent.solve_seconds += run.deadline.elapsed() - started
        if relaxation is None:
            return None
        certificate = relaxation.certificate
        incumbent.prove(certificate.bound(problem), Proof.LP_DUAL, certificate)
        if relaxation.solved:
            return relaxation
        columns = np.concatenate([columns, relaxation.missing, relaxation.nearly])
    return None


def _roundings(low: IntArray, values: FloatArray) -> Iterator[IntArray]:
    """Yield integers near the values of M_k, no two alike."""
    seen: set[tuple[int, ...]] = set()
    for offset in ROUNDINGS:
        near = np.maximum(low, np.floor(values + offset).astype(np.int64))
        at_least = np.maximum.accumulate(near)
        if tuple(at_least.tolist()) not in seen:
            seen.add(tuple(at_least.tolist()))
            yield at_least
