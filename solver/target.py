"""CP-SAT on what prices leave of the class model, for one target cost after another.

The relaxation's value, rounded up, nearly always is the optimum: asked for a plan that costs no
more, reduced costs fix almost everything. Where there is none the target is raised in small
steps, each proven impossible before: a destructive lower bound.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from memonger.graph.cliques import Groups
from memonger.result import Proof, Status
from memonger.solver.class_model import ClassModel, num_entries
from memonger.solver.core import Core
from memonger.solver.cpsat import affordable, run_cpsat
from memonger.solver.incumbent import Incumbent
from memonger.solver.presolve import Reduction, allowed_pairs, gap_fixing, unreduced
from memonger.solver.prices import reduce_by_prices
from memonger.solver.relaxation import Relaxation

# For a target above the bound, of the time that is left, and in proportion to what all before it
# took, in CP-SAT's deterministic seconds, so that the machine decides nothing while there is time:
# where it does not suffice, smaller steps.
SHARE = 0.4
SPENT = 2.0
PATIENCE = 10.0


@dataclass(frozen=True)
class Answer:
    """What is known of plans that cost at most a target.

    Parameters
    ----------
    status
        ``optimal``: ``classes`` is the cheapest of all plans. ``infeasible``: there is none.
    bound
        No plan at all costs less, bytes.
    classes
        Buffer index -> class, or ``None``.
    seconds, effort
        Time of the search, and CP-SAT's deterministic seconds.
    """

    status: Status
    bound: int
    classes: list[int] | None
    seconds: float = 0.0
    effort: float = 0.0


def search(incumbent: Incumbent, core: Core, relaxation: Relaxation | None) -> None:
    """Close the gap by CP-SAT at targets from the bound up; without a relaxation at once.

    Ends when the time is up, or where the smallest target cannot be decided.
    """
    groups, problem, deadline = core.groups, incumbent.problem, incumbent.run.deadline
    relaxed = target = incumbent.bound
    spent = 0.0
    while not incumbent.closed and not deadline.expired:
        if relaxation is None:
            target = incumbent.cost
        target = min(target, incumbent.cost)
        seconds, effort = deadline.remaining(), None
        if incumbent.bound < target < incumbent.cost:
            seconds, effort = SHARE * seconds, max(PATIENCE, SPENT * spent)
        answer = ask(incumbent, core, relaxation, target, seconds, effort)
        incumbent.solve_seconds += answer.seconds
        spent += answer.effort
        if answer.classes is not None:
            incumbent.offer(core.plan(problem, answer.classes), "cp-sat")
        incumbent.prove(answer.bound, Proof.CP_SAT)
        if answer.status is not Status.INFEASIBLE:
            if target <= incumbent.bound or relaxation is None:
                return
            target = incumbent.bound  # too large a step: too many plans to tell apart
            continue
        target = next_target(groups, target, relaxed, incumbent.cost)


def ask(
    incumbent: Incumbent,
    core: Core,
    relaxation: Relaxation | None,
    target: int,
    seconds: float = math.inf,
    effort: float | None = None,
) -> Answer:
    """Search for the cheapest plan among those that cost at most a target.

    Parameters
    ----------
    incumbent
        The best plan and bound; the bound is at most the target.
    core
        The problem.
    relaxation
        Solved, with prices that hold for plans up to the target; ``None``: no prices.
    target
        Bytes.
    seconds
        Time limit, beside that of the run.
    effort
        Limit in CP-SAT's deterministic seconds.
    """
    groups, run, bound = core.groups, incumbent.run, incumbent.bound
    nothing = Answer(Status.INFEASIBLE, target + groups.gcd, None)
    reduction = _reduction(groups, relaxation, target)
    if reduction is None:
        return nothing
    if not affordable(num_entries(groups, reduction.pairs), run.deadline):
        return Answer(Status.UNKNOWN, bound, None)
    model = ClassModel(groups, reduction)
    model.require_cost(bound, target)
    if target == incumbent.cost:
        model.add_hint(core.classes(incumbent.plan))
    elif relaxation is not None:
        model.add_values(relaxation.pairs, relaxation.placed)

    def proven(units: int) -> int:
        return min(max(bound, units * groups.gcd), target + groups.gcd)

    solved = run_cpsat(
        model.model,
        seconds=min(seconds, run.deadline.remaining()),
        effort=effort,
        workers=run.workers,
        seed=run.seed,
        tuned=run.parameters,
        on_bound=lambda units: incumbent.tell(bound=proven(units)),
        on_objective=lambda units: incumbent.tell(objective=units * groups.gcd),
        on_interrupt=run.deadline.stop,
    )
    if solved.status is Status.INFEASIBLE:
        return replace(nothing, seconds=solved.seconds, effort=solved.effort)
    classes = None
    if solved.status in (Status.OPTIMAL, Status.FEASIBLE):
        classes = model.classes(solved.solver.value)
    return Answer(solved.status, proven(solved.bound), classes, solved.seconds, solved.effort)


def _reduction(groups: Groups, relaxation: Relaxation | None, target: int) -> Reduction | None:
    limits = gap_fixing(groups, target)
    if relaxation is None:
        left = unreduced(groups, limits)
        return left if len(set(left.pairs.group.tolist())) == len(groups) else None
    pairs = allowed_pairs(groups, relaxation.prices.limits)
    return reduce_by_prices(groups, relaxation.prices, pairs, limits, target)


def next_target(groups: Groups, target: int, relaxed: int, cost: int) -> int:
    """Return the target to try after one that is impossible.

    Parameters
    ----------
    groups
        The problem.
    target
        The one that is impossible, bytes.
    relaxed
        Bound by the relaxation.
    cost
        Cost of the best plan: targets stay below it.

    Notes
    -----
    The step is half of the way from the relaxation, at least a fifty-thousandth of the cost: large
    steps end in models that are hard to refute and hard to solve.
    """
    unit = groups.gcd
    step = max(unit, (target - relaxed) // 2, cost // 50_000) // unit * unit
    return min(target + step, cost - unit)
