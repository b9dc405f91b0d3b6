"""Problems with rules, by the bin-packing model, which knows shared buffers one by one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from memonger.errors import PlanError
from memonger.plan import SharingPlan
from memonger.problem import Problem
from memonger.registry import SHARING, Outcome, Progress, Run
from memonger.result import Proof, Status
from memonger.rules import Rules
from memonger.solver.binpacking import BinPackingModel
from memonger.solver.bounds import threshold_bound
from memonger.solver.chains import conflict_cliques, conflicts, order_matrix
from memonger.solver.class_model import maximal_cliques
from memonger.solver.core import Core
from memonger.solver.cpsat import affordable, run_cpsat
from memonger.solver.incumbent import ends_early
from memonger.solver.parallel import MAX_ENUMERATED, respects_program_order
from memonger.solver.presolve import gap_fixing
from memonger.solver.stages import WARM_STARTS
from memonger.verify import verify_sharing


def solve_by_bins(problem: Problem, run: Run, known: SharingPlan | None) -> Outcome:
    """Find a cheapest plan that keeps the rules, and prove it, in the time there is.

    Parameters
    ----------
    problem
        The buffers, in interval or vector time.
    run
        Deadline, threads, seed; told of progress.
    known
        A valid plan, or ``None``.
    """
    bound, certificate = threshold_bound(problem)
    outcome = Outcome(known, bound, Proof.THRESHOLD, certificate, "" if known is None else "hint")
    with ends_early(run, lambda: known is not None):
        outcome = _search(problem, run, outcome)
    return outcome  # noqa: RET504  (the search may be interrupted)


def _search(problem: Problem, run: Run, outcome: Outcome) -> Outcome:
    """Improve an outcome by the model, if it is not too large."""
    known, bound = outcome.plan, outcome.bound
    cost = None if known is None else known.cost(problem)
    core = None if cost is not None and cost <= bound else Core.of(problem)
    if core is None or run.deadline.expired or not len(core.problem):
        return outcome
    model = _model(core, run, core.problem.total if cost is None else cost)
    if model is None:
        return outcome
    unit = core.groups.gcd
    if known is not None and cost is not None:
        model.require_cost(bound, cost)
        model.add_hint(SharingPlan.of(known.shared[i] for i in core.indices.tolist()))
    best = cost

    def report(objective: int | None, proven: int) -> None:
        nonlocal best, bound
        if objective is not None:
            best = objective if best is None else min(best, objective)
        bound = max(bound, proven)
        run.report(Progress(best, bound, run.deadline.elapsed()))

    solved = run_cpsat(
        model.model,
        seconds=run.deadline.remaining(),
        workers=run.workers,
        seed=run.seed,
        tuned=run.parameters,
        on_bound=lambda units: report(None, units * unit),
        on_objective=lambda units: report(units * unit, 0),
        on_interrupt=run.deadline.stop,
    )
    if solved.status is Status.INFEASIBLE:
        return Outcome(None, 0, Proof.CP_SAT, None, "", solved.seconds, infeasible=True)
    if solved.status in (Status.OPTIMAL, Status.FEASIBLE):
        plan = core.whole(problem, model.plan(solved.solver.value))
        if cost is None or plan.cost(problem) < cost:
            outcome = Outcome(plan, outcome.bound, outcome.proof, outcome.certificate, "cp-sat")
    if solved.bound * unit > outcome.bound:
        outcome = Outcome(outcome.plan, solved.bound * unit, Proof.CP_SAT, None, outcome.source)
    return Outcome(
        outcome.plan, outcome.bound, outcome.proof, outcome.certificate, outcome.source,
        solved.seconds,
    )  # fmt: skip


def _model(core: Core, run: Run, cost: int) -> BinPackingModel | None:
    """Return the model for plans of at most a cost; ``None`` if it would be too large."""
    cliques = _cliques(core)
    if cliques is None:
        return None
    limits = gap_fixing(core.groups, cost)
    rules = core.problem.rules
    bins = int(limits.high[-1]) if rules.at_most is None else rules.at_most
    if not affordable(bins * sum(len(clique) for clique in cliques), run.deadline):
        return None
    model = BinPackingModel(core.groups, limits, cliques, min(bins, int(limits.high[-1])))
    model.add_rules(rules)
    model.add_rules(Rules(apart=tuple(_late_conflicts(core.problem))))
    return model


def _cliques(core: Core) -> list[Sequence[int]] | None:
    """Return sets of groups that conflict pairwise and hold all conflicts of groups."""
    problem, groups = core.problem, core.groups
    if problem.vector_time is None:
        return [*maximal_cliques(groups, range(len(groups)))]
    if len(problem) > MAX_ENUMERATED:
        return None
    group_of = {i: g for g, members in enumerate(groups.members) for i in members}
    before = order_matrix(problem)
    if not respects_program_order(problem, before):
        return None
    return [sorted({group_of[i] for i in q}) for q in conflict_cliques(conflicts(before))]


def _late_conflicts(problem: Problem) -> list[tuple[int, int]]:
    """Return conflicts at the last operator of buffers that may be taken over there.

    The groups free such buffers one operator earlier, for all buffers that begin there. As pairs
    of buffers: groups hold buffers that begin at several operators.
    """
    return [
        (taken, other)
        for taken in sorted({p for p, _ in problem.in_place})
        for other in np.flatnonzero(problem.starts == problem.ends[taken] - 1).tolist()
        if (taken, other) not in problem.takes_over
    ]


def solve_with_rules(problem: Problem, run: Run) -> Outcome:
    """Solve a problem with rules; a heuristic's plan that happens to keep them is the start."""
    best, least = run.hint, math.inf if run.hint is None else run.hint.cost(problem)
    with ends_early(run, lambda: best is not None):
        for name in WARM_STARTS:
            algorithm = SHARING.get(name)
            able = problem.vector_time is None or algorithm.vector_time
            if not able or run.deadline.expired:
                continue
            plan = algorithm.run(problem, run).plan
            try:
                cost = math.inf if plan is None else verify_sharing(problem, plan)
            except PlanError:
                continue
            if cost < least:
                best, least = plan, cost
    return solve_by_bins(problem, run, best)
