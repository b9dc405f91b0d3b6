"""The stages of an exact run: heuristics, then the relaxation, each improving an incumbent."""

from __future__ import annotations

import numpy as np

import memonger.heuristics.sharing_table  # noqa: F401  (registers the warm starts)
from memonger.problem import IntArray
from memonger.registry import SHARING
from memonger.result import Proof
from memonger.solver.bounds import threshold_bound
from memonger.solver.core import Core
from memonger.solver.incumbent import Incumbent
from memonger.solver.presolve import allowed_pairs, gap_fixing
from memonger.solver.relaxation import (
    RELAXATION,
    Relaxation,
    first_columns,
    keys,
    relax,
    solved_whole,
)
from memonger.solver.rounding import (
    integral_part,
    round_relaxation,
    search_targets,
    targets_of,
)

# Cheap ones first; each is run unless a plan meets the bound already.
WARM_STARTS = (
    "sweep", "sweep-reverse", "class-load", "by-size", "by-size-tight", "best-fit",
    "caffe2-greedy",
)  # fmt: skip

# Of the time that is left, for one linear program: where it does not end, something else may help.
LP_SHARE = 0.75
# Of the search for a plan with the M_k of the relaxation; about a second.
FILL_EFFORT = 400_000_000
# Columns of the relaxation; above it takes too much memory.
MAX_PAIRS = 2_000_000


def warm_start(incumbent: Incumbent) -> None:
    """Prove the threshold bound, and offer the plans of the heuristics until one meets it.

    Ends early when the time is up.
    """
    problem, run = incumbent.problem, incumbent.run
    bound, certificate = threshold_bound(problem)
    incumbent.prove(bound, Proof.THRESHOLD, certificate)
    for name in WARM_STARTS:
        # The first one takes next to no time, so that there is always something better than
        # nothing, however late it is.
        if incumbent.closed or (run.deadline.expired and name != WARM_STARTS[0]):
            return
        algorithm = SHARING.get(name)
        if problem.vector_time is None or algorithm.vector_time:
            incumbent.offer(algorithm.run(problem, run).plan, name)


def improve_by_relaxation(incumbent: Incumbent, core: Core) -> Relaxation | None:
    """Improve bound and plan by the relaxation; return it if it was solved to the end."""
    groups, run = core.groups, incumbent.run
    columns: IntArray | None = None
    growth = run.parameters.of(RELAXATION, "growth")
    while not run.deadline.expired:
        # All plans up to the best known one: it keeps the relaxation feasible.
        limits = gap_fixing(groups, incumbent.cost)
        pairs = allowed_pairs(groups, limits)
        if len(pairs) > MAX_PAIRS:
            return None
        if columns is None:
            whole = solved_whole(run.deadline.seconds, run.parameters)
            columns = first_columns(groups, pairs, whole, run.parameters)
        columns = np.union1d(columns, keys(groups, core.pairs(incumbent.plan)))
        started = run.deadline.elapsed()
        seconds = LP_SHARE * run.deadline.remaining()
        relaxation = relax(groups, limits, columns, incumbent.cost + 1, seconds, growth)
        incumbent.solve_seconds += run.deadline.elapsed() - started
        if relaxation is None:
            return None
        _take(incumbent, core, relaxation)
        if incumbent.closed:
            return None
        if relaxation.solved:
            _fill(incumbent, core, relaxation)
            return None if incumbent.closed else relaxation
        if relaxation.nearly_solved:
            growth *= run.parameters.of(RELAXATION, "faster")
        columns = np.concatenate([columns, relaxation.missing, relaxation.nearly])
    return None


def _fill(incumbent: Incumbent, core: Core, relaxation: Relaxation) -> None:
    """Search for a plan with the numbers of shared buffers that a relaxation has."""
    groups = core.groups
    low = groups.counts.max(axis=1).astype(np.int64)
    targets = targets_of(low, relaxation.at_least)
    start = integral_part(groups, relaxation)
    search_targets(incumbent, core, targets, start, FILL_EFFORT, incumbent.run.seed, "lp-fill")


def _take(incumbent: Incumbent, core: Core, relaxation: Relaxation) -> None:
    """Take the bound that a relaxation proves, and the plan that it rounds to."""
    problem, certificate = incumbent.problem, relaxation.certificate
    incumbent.prove(certificate.bound(problem), Proof.LP_DUAL, certificate)
    if not incumbent.closed:
        found = round_relaxation(core.groups, relaxation, incumbent.cost, incumbent.run.deadline)
        if found is not None:
            incumbent.offer(core.plan(problem, found.classes.tolist()), "lp-rounding")
