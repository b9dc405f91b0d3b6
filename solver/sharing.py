"""The exact algorithm of the sharing form: heuristics, bounds, relaxation, search."""

from __future__ import annotations

import numpy as np

import memonger.heuristics.sharing_table  # noqa: F401  (registers the warm starts)
from memonger.problem import IntArray, Problem
from memonger.registry import SHARING, Algorithm, Outcome, Run
from memonger.result import Proof
from memonger.solver.bounds import threshold_bound
from memonger.solver.core import Core
from memonger.solver.in_place import search_in_place
from memonger.solver.incumbent import Incumbent
from memonger.solver.parallel import search_parallel
from memonger.solver.presolve import allowed_pairs, gap_fixing
from memonger.solver.relaxation import Relaxation, first_columns, keys, relax
from memonger.solver.rounding import round_relaxation
from memonger.solver.target import search

# Cheap ones first; each is run unless a plan meets the bound already.
WARM_STARTS = (
    "sweep", "sweep-reverse", "class-load", "by-size", "by-size-tight", "best-fit",
    "caffe2-greedy",
)  # fmt: skip

# Columns of the relaxation; above it takes too much memory.
MAX_PAIRS = 2_000_000


def warm_start(incumbent: Incumbent) -> None:
    """Offer the plans of the heuristics, until one meets the bound or the time is up."""
    problem, run = incumbent.problem, incumbent.run
    for name in WARM_STARTS:
        # The first one takes next to no time, so that there is always something better than
        # nothing, however late it is.
        if incumbent.closed or (run.deadline.expired and name != WARM_STARTS[0]):
            return
        algorithm = SHARING.get(name)
        if problem.vector_time is None or algorithm.vector_time:
            incumbent.offer(algorithm.run(problem, run).plan, name)


def solve_optimal(problem: Problem, run: Run) -> Outcome:
    """Find a cheapest plan and prove it, in the time there is.

    The threshold bound comes first: where a heuristic meets it, that is the proof. Next the
    relaxation of the class model: its prices are a bound, and its values, rounded and filled up,
    are a plan. What is left is searched by CP-SAT at targets from the relaxation's value up.
    In vector time the class model is searched with antichains in place of cliques.

    Ctrl-C ends the run early, with the best plan and bound so far.
    """
    incumbent = Incumbent(problem, run)
    try:
        bound, certificate = threshold_bound(problem)
        incumbent.prove(bound, Proof.THRESHOLD, certificate)
        warm_start(incumbent)
        if not incumbent.closed:
            _close(incumbent)
    except KeyboardInterrupt:
        if incumbent.source == "none":
            raise
    return incumbent.outcome()


def _close(incumbent: Incumbent) -> None:
    """Close the gap by the class model, as far as time and memory allow."""
    core = Core.of(incumbent.problem)
    if core is None:
        return
    if incumbent.problem.vector_time is not None:
        search_parallel(incumbent, core)
        return
    relaxation = _relax(incumbent, core)
    if incumbent.closed:
        return
    if incumbent.problem.in_place:
        search_in_place(incumbent, core)
    else:
        search(incumbent, core, relaxation)


def _relax(incumbent: Incumbent, core: Core) -> Relaxation | None:
    """Improve bound and plan by the relaxation; return it if it was solved to the end."""
    groups, run = core.groups, incumbent.run
    columns: IntArray | None = None
    while not run.deadline.expired:
        # All plans up to the best known one: it keeps the relaxation feasible.
        limits = gap_fixing(groups, incumbent.cost)
        pairs = allowed_pairs(groups, limits)
        if len(pairs) > MAX_PAIRS:
            return None
        if columns is None:
            columns = first_columns(groups, pairs)
        columns = np.union1d(columns, keys(groups, core.pairs(incumbent.plan)))
        started = run.deadline.elapsed()
        relaxation = relax(groups, limits, columns, incumbent.cost + 1, run.deadline.remaining())
        incumbent.solve_seconds += run.deadline.elapsed() - started
        if relaxation is None:
            return None
        _take(incumbent, core, relaxation)
        if incumbent.closed:
            return None
        if relaxation.solved:
            return relaxation
        columns = np.concatenate([columns, relaxation.missing, relaxation.nearly])
    return None


def _take(incumbent: Incumbent, core: Core, relaxation: Relaxation) -> None:
    """Take the bound that a relaxation proves, and the plan that it rounds to."""
    problem, certificate = incumbent.problem, relaxation.certificate
    incumbent.prove(certificate.bound(problem), Proof.LP_DUAL, certificate)
    if not incumbent.closed:
        found = round_relaxation(core.groups, relaxation, incumbent.cost, incumbent.run.deadline)
        if found is not None:
            incumbent.offer(core.plan(problem, found), "lp-rounding")


SHARING.add(
    Algorithm(
        "optimal",
        "best heuristic, then the relaxation and CP-SAT on the class model until proven",
        solve_optimal,
        proves=True,
        vector_time=True,
    )
)
