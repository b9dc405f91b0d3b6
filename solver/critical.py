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

import math

import numpy as np

from memonger.graph.profile import size_profile
from memonger.problem import IntArray
from memonger.result import Proof
from memonger.solver.core import Core, pairs_of
from memonger.solver.incumbent import Incumbent
from memonger.solver.presolve import Pairs, allowed_pairs, gap_fixing, restricted
from memonger.solver.relaxation import RELAXATION, Relaxation, first_columns, keys, relax
from memonger.solver.rounding import integral_part, search_targets, targets_of

# Cliques that the relaxation takes in at a time, the most critical ones, and how many to either
# side of each.
TAKEN = 3
RADIUS = 6
# Peaks of the load that it begins with.
MAX_PEAKS = 12
# Effort of a search, and how much more follows one that had nothing new to go by.
EFFORT = 20_000_000
MORE = 4
MAX_EFFORT = 400_000_000
# Rounds in a row in which the relaxation says nothing new, then this ends; sooner where the
# relaxation over all cliques has at most so many columns and can be solved instead: once the small
# ones have had this share of its columns, or where, for each buffer, so much is too much. The
# efforts are not raised there either.
MAX_STALE = 4
SMALL = 150_000
SMALL_SHARE = 1.0
HOPELESS = 0.05
# Columns of a relaxation here.
MAX_PAIRS = 40_000
# Of the time that is left, for one linear program.
LP_SHARE = 0.5


def close_at_critical_cliques(incumbent: Incumbent, core: Core) -> None:
    """Improve bound and plan until they meet, or nothing new comes up.

    Interval time only. Deterministic for a seed, where no time limit interferes.
    """
    profile = size_profile(core.problem)
    low = profile.counts
    targets, cliques = [low], _peaks(core, profile.times)
    start = np.array(core.classes(incumbent.plan), dtype=np.int64)
    relaxation: Relaxation | None = None
    whole = _num_columns(incumbent, core)
    small, columns = whole <= SMALL, 0
    radius, effort, stale, seed = RADIUS, EFFORT, 0, incumbent.run.seed
    while stale < MAX_STALE and not (small and columns > SMALL_SHARE * whole):
        missed = search_targets(incumbent, core, targets, start, effort, seed, "critical-cliques")
        if incumbent.closed or missed is None or not missed.pressure.any():
            return
        if small and missed.excess > HOPELESS * len(core.problem):
            return
        grown = _grown(cliques, missed.pressure, radius)
        fresh = False
        if relaxation is None or len(grown) > len(cliques):
            cliques = grown
            relaxation = _relax(incumbent, core, low, cliques)
            if relaxation is None or incumbent.closed:
                return
            columns += len(relaxation.pairs)
            before, targets = targets, targets_of(low, relaxation.at_least)
            start = integral_part(core.groups, relaxation)
            fresh = not np.array_equal(before, targets)
        else:
            radius = 2 * radius + 1
        stale = 0 if fresh else stale + 1
        effort = EFFORT if fresh or small else min(MORE * effort, MAX_EFFORT)
        seed += 1


def _num_columns(incumbent: Incumbent, core: Core) -> float:
    """Return how many columns the relaxation over all cliques has."""
    if not core.has_tables:
        return math.inf
    return len(allowed_pairs(core.groups, gap_fixing(core.groups, incumbent.cost)))


def _peaks(core: Core, times: IntArray) -> IntArray:
    """Return the cliques at which M_k reaches its least value for the largest steps of size."""
    at = np.searchsorted(core.groups.times, times)
    weight = np.bincount(at, weights=core.groups.steps)
    highest = np.argsort(-weight, kind="stable")[:MAX_PEAKS]
    return np.sort(highest[weight[highest] > 0])


def _grown(cliques: IntArray, pressure: IntArray, radius: int) -> IntArray:
    """Return the cliques with the most critical ones and their neighbours.

    Where these are all among them already, the most critical others come in.
    """
    for ranked in (pressure, np.where(np.isin(np.arange(len(pressure)), cliques), 0, pressure)):
        critical = np.argsort(-ranked, kind="stable")[:TAKEN]
        window = critical[ranked[critical] > 0][:, None] + np.arange(-radius, radius + 1)
        grown = np.union1d(cliques, np.clip(window, 0, len(pressure) - 1))
        if len(grown) > len(cliques):
            return grown
    return cliques


def _relax(incumbent: Incumbent, core: Core, low: IntArray, cliques: IntArray) -> Relaxation | None:
    """Solve the relaxation over some cliques and take its bound; ``None`` if it did not end."""
    problem, run = incumbent.problem, incumbent.run
    groups, limits = restricted(core.groups, low, incumbent.cost, cliques)
    pairs = allowed_pairs(groups, limits)
    ends = np.unique(groups.level)
    known = pairs_of(groups, np.array(core.classes(incumbent.plan), dtype=np.int64))
    known = Pairs(known.group, ends[np.searchsorted(ends, known.kind)])
    whole, growth = (run.parameters.of(RELAXATION, name) for name in ("whole", "growth"))
    first = first_columns(groups, pairs, whole, run.parameters)
    columns = np.union1d(first, keys(groups, known))
    while len(columns) <= MAX_PAIRS and not run.deadline.expired:
        started = run.deadline.elapsed()
        seconds = LP_SHARE * run.deadline.remaining()
        relaxation = relax(groups, limits, columns, incumbent.cost + 1, seconds, growth)
        incumbent.solve_seconds += run.deadline.elapsed() - started
        if relaxation is None:
            return None
        certificate = relaxation.certificate
        incumbent.prove(certificate.bound(problem), Proof.LP_DUAL, certificate)
        if relaxation.solved:
            return relaxation
        columns = np.concatenate([columns, relaxation.missing, relaxation.nearly])
    return None
