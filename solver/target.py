"""CP-SAT on what prices leave of the class model, for one target cost after another.

The relaxation's value, rounded up, nearly always is the optimum: asked for a plan that costs no
more, reduced costs fix almost everything. Where there is none the target is raised in small
steps, each proven impossible before: a destructive lower bound.
"""

from __future__ import annotations

from dataclasses import dataclass

from memonger.graph.cliques import Groups
from memonger.registry import Run
from memonger.result import Status
from memonger.solver.class_model import ClassModel, num_entries
from memonger.solver.cpsat import run_cpsat
from memonger.solver.presolve import Reduction, allowed_pairs, gap_fixing, unreduced
from memonger.solver.prices import reduce_by_prices
from memonger.solver.relaxation import Relaxation

# Above these, the model would take longer to build than it is worth: coefficients in all, and
# per second that is left.
MAX_ENTRIES = 6_000_000
ENTRIES_PER_SECOND = 500_000


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
    seconds
        Time of the search.
    """

    status: Status
    bound: int
    classes: list[int] | None
    seconds: float


def ask(
    groups: Groups,
    relaxation: Relaxation | None,
    target: int,
    bound: int,
    run: Run,
    hint: list[int] | None = None,
) -> Answer:
    """Search for the cheapest plan among those that cost at most a target.

    Parameters
    ----------
    groups
        The problem.
    relaxation
        Of all sizes; its prices hold for plans up to the target. ``None``: no prices.
    target, bound
        Bytes; no plan costs less than ``bound``, which is at most the target.
    run
        Deadline, threads and seed.
    hint
        Buffer index -> class of a plan that costs at most the target.
    """
    reduction = _reduction(groups, relaxation, target)
    if reduction is None:
        return Answer(Status.INFEASIBLE, target + groups.gcd, None, 0.0)
    entries = num_entries(groups, reduction.pairs)
    if entries > min(MAX_ENTRIES, ENTRIES_PER_SECOND * run.deadline.remaining()):
        return Answer(Status.UNKNOWN, bound, None, 0.0)
    model = ClassModel(groups, reduction)
    model.require_cost(bound, target)
    if hint is not None:
        model.add_hint(hint)
    elif relaxation is not None:
        model.add_values(relaxation.pairs, relaxation.placed)
    solved = run_cpsat(
        model.model, seconds=run.deadline.remaining(), workers=run.workers, seed=run.seed
    )
    if solved.status is Status.INFEASIBLE:
        return Answer(Status.INFEASIBLE, target + groups.gcd, None, solved.seconds)
    classes = None
    if solved.status in (Status.OPTIMAL, Status.FEASIBLE):
        classes = model.classes(solved.solver.value)
    proven = max(bound, solved.bound * groups.gcd)
    return Answer(solved.status, min(proven, target + groups.gcd), classes, solved.seconds)


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
