"""The exact algorithm of the sharing form: heuristics, bounds, relaxation, search."""

from __future__ import annotations

from memonger.problem import Problem
from memonger.registry import SHARING, Algorithm, Outcome, Run
from memonger.solver.completion import complete
from memonger.solver.constrained import solve_with_rules
from memonger.solver.core import Core
from memonger.solver.critical import close_at_critical_cliques
from memonger.solver.in_place import search_in_place
from memonger.solver.incumbent import Incumbent, ends_early
from memonger.solver.neighbourhoods import polish
from memonger.solver.parallel import search_parallel
from memonger.solver.stages import improve_by_relaxation, warm_start
from memonger.solver.target import search


def solve_optimal(problem: Problem, run: Run) -> Outcome:
    """Find a cheapest plan and prove it, in the time there is.

    The threshold bound comes first: where a heuristic meets it, that is the proof. Next the
    relaxation of the class model: its prices are a bound, and its values, rounded and filled up,
    are a plan. What is left is searched by CP-SAT at targets from the relaxation's value up.
    In vector time the class model is searched with antichains in place of cliques. What stays
    open is improved by large-neighbourhood search.

    Problems with rules go to the bin-packing model. Ctrl-C ends the run early, with the best plan
    and bound so far.
    """
    if problem.rules:
        return solve_with_rules(problem, run)
    incumbent = Incumbent(problem, run)
    with ends_early(run, lambda: incumbent.found):
        warm_start(incumbent)
        if not incumbent.closed:
            _close(incumbent)
    return incumbent.outcome()


def _close(incumbent: Incumbent) -> None:
    """Close the gap by the class model, as far as time and memory allow."""
    core = Core.sparse(incumbent.problem)
    if core is not None and incumbent.problem.vector_time is None:
        close_at_critical_cliques(incumbent, core)
        if incumbent.closed:
            return
    if core is None or not core.has_tables:
        polish(incumbent)
        return
    if incumbent.problem.vector_time is not None:
        search_parallel(incumbent, core)
        return
    relaxation = improve_by_relaxation(incumbent, core)
    if incumbent.closed:
        return
    if incumbent.problem.in_place:
        search_in_place(incumbent, core)
    else:
        if relaxation is not None:
            complete(incumbent, core, relaxation)
        search(incumbent, core, relaxation)
    polish(incumbent)


SHARING.add(
    Algorithm(
        "optimal",
        "best heuristic, then the relaxation and CP-SAT on the class model until proven",
        solve_optimal,
        proves=True,
        seeded=True,
        vector_time=True,
        rules=True,
        in_place=True,
    )
)
