"""Two CP-SAT formulations as algorithms of their own: to compare them, and as a second opinion.

Both start from the best plan of the heuristics and the threshold bound, and use no relaxation.
"""

from __future__ import annotations

from dataclasses import replace

from memonger.problem import Problem
from memonger.registry import SHARING, Algorithm, Outcome, Run
from memonger.solver.constrained import solve_by_bins, solve_with_rules
from memonger.solver.core import Core
from memonger.solver.in_place import search_in_place
from memonger.solver.incumbent import Incumbent, ends_early
from memonger.solver.parallel import search_parallel
from memonger.solver.stages import warm_start
from memonger.solver.target import search


def _by_classes(problem: Problem, run: Run) -> Outcome:
    incumbent = Incumbent(problem, run)
    with ends_early(run, lambda: incumbent.found):
        warm_start(incumbent)
        core = None if incumbent.closed else Core.of(problem)
        if core is None:
            pass
        elif problem.vector_time is not None:
            search_parallel(incumbent, core)
        elif problem.in_place:
            search_in_place(incumbent, core)
        else:
            search(incumbent, core, None)
    return incumbent.outcome()


def _by_bins(problem: Problem, run: Run) -> Outcome:
    if problem.rules:
        return solve_with_rules(problem, run)
    incumbent = Incumbent(problem, run)
    with ends_early(run, lambda: incumbent.found):
        warm_start(incumbent)
    outcome = solve_by_bins(problem, run, incumbent.plan)
    return replace(outcome, source=incumbent.source) if outcome.source == "hint" else outcome


SHARING.add(
    Algorithm(
        "cp-sat",
        "best heuristic, then CP-SAT on the class model, without the relaxation",
        _by_classes,
        proves=True,
        seeded=True,
        vector_time=True,
        in_place=True,
    )
)
SHARING.add(
    Algorithm(
        "cp-sat-binpacking",
        "best heuristic, then CP-SAT with a literal for each buffer and shared buffer",
        _by_bins,
        proves=True,
        seeded=True,
        vector_time=True,
        rules=True,
        in_place=True,
    )
)
