"""Two CP-SAT formulations as algorithms of their own: to compare them, and as a second opinion.

Both start from the best plan of the heuristics and the threshold bound, and use no relaxation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from memonger.plan import SharingPlan
from memonger.problem import Problem
from memonger.registry import SHARING, Algorithm, Outcome, Run
from memonger.result import Proof, Status
from memonger.solver.binpacking import BinPackingModel
from memonger.solver.chains import conflict_cliques, conflicts, order_matrix
from memonger.solver.class_model import maximal_cliques
from memonger.solver.core import Core
from memonger.solver.cpsat import run_cpsat
from memonger.solver.in_place import search_in_place
from memonger.solver.incumbent import Incumbent
from memonger.solver.parallel import MAX_BUFFERS, respects_program_order, search_parallel
from memonger.solver.presolve import gap_fixing
from memonger.solver.stages import warm_start
from memonger.solver.target import MAX_ENTRIES, search

Close = Callable[[Incumbent, Core], None]


def _run(problem: Problem, run: Run, close: Close) -> Outcome:
    incumbent = Incumbent(problem, run)
    try:
        warm_start(incumbent)
        core = None if incumbent.closed else Core.of(problem)
        if core is not None:
            close(incumbent, core)
    except KeyboardInterrupt:
        if incumbent.source == "none":
            raise
    return incumbent.outcome()


def _by_classes(incumbent: Incumbent, core: Core) -> None:
    if incumbent.problem.vector_time is not None:
        search_parallel(incumbent, core)
    elif incumbent.problem.in_place:
        search_in_place(incumbent, core)
    else:
        search(incumbent, core, None)


def _by_bins(incumbent: Incumbent, core: Core) -> None:
    groups, run = core.groups, incumbent.run
    limits = gap_fixing(groups, incumbent.cost)
    cliques: Sequence[Sequence[int]]
    if core.problem.vector_time is None:
        cliques = [*maximal_cliques(groups, range(len(groups))), *_late_conflicts(core)]
    else:
        before = order_matrix(core.problem) if len(core.problem) <= MAX_BUFFERS else None
        if before is None or not respects_program_order(core.problem, before):
            return
        group_of = {i: g for g, members in enumerate(groups.members) for i in members}
        cliques = [
            sorted({group_of[i] for i in clique}) for clique in conflict_cliques(conflicts(before))
        ]
    entries = int(limits.high[-1]) * sum(len(clique) for clique in cliques)
    if entries > min(MAX_ENTRIES, 500_000 * run.deadline.remaining()):
        return
    model = BinPackingModel(groups, limits, cliques)
    model.require_cost(incumbent.bound, incumbent.cost)
    shared = [incumbent.plan.shared[i] for i in core.indices.tolist()]
    model.add_hint(SharingPlan.of(shared))
    unit = groups.gcd
    solved = run_cpsat(
        model.model,
        seconds=run.deadline.remaining(),
        workers=run.workers,
        seed=run.seed,
        on_bound=lambda units: incumbent.tell(bound=units * unit),
        on_objective=lambda units: incumbent.tell(objective=units * unit),
    )
    incumbent.solve_seconds += solved.seconds
    if solved.status in (Status.OPTIMAL, Status.FEASIBLE):
        found = model.plan(solved.solver.value)
        incumbent.offer(core.whole(incumbent.problem, found), "cp-sat")
    incumbent.prove(solved.bound * unit, Proof.CP_SAT)


def _late_conflicts(core: Core) -> list[list[int]]:
    """Return conflicts at the last operator of buffers that may be taken over there.

    The groups free such buffers one operator earlier, for all buffers that begin there.
    """
    problem = core.problem
    group_of = {i: g for g, members in enumerate(core.groups.members) for i in members}
    found = []
    for taken in sorted({p for p, _ in problem.in_place}):
        for other in np.flatnonzero(problem.starts == problem.ends[taken] - 1).tolist():
            if (taken, other) not in problem.takes_over:
                found.append([group_of[taken], group_of[other]])
    return found


SHARING.add(
    Algorithm(
        "cp-sat",
        "best heuristic, then CP-SAT on the class model, without the relaxation",
        lambda problem, run: _run(problem, run, _by_classes),
        proves=True,
        vector_time=True,
    )
)
SHARING.add(
    Algorithm(
        "cp-sat-binpacking",
        "best heuristic, then CP-SAT with a literal for each buffer and shared buffer",
        lambda problem, run: _run(problem, run, _by_bins),
        proves=True,
        vector_time=True,
    )
)
