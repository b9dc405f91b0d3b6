"""What a relaxation leaves open, decided by CP-SAT: a plan, but no bound."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from memonger.graph.cliques import Groups
from memonger.result import Status
from memonger.solver.class_model import ClassModel, num_entries
from memonger.solver.core import Core
from memonger.solver.cpsat import affordable, run_cpsat
from memonger.solver.incumbent import Incumbent
from memonger.solver.presolve import Pairs, allowed_pairs, gap_fixing
from memonger.solver.prices import reduce_by_prices
from memonger.solver.relaxation import Relaxation

SHARE = 0.25
"""Of the time that is left, at most."""

EFFORT = 20.0
"""CP-SAT's deterministic seconds: without a time limit nothing else ends the search."""

WHOLE = 1e-6


def complete(incumbent: Incumbent, core: Core, relaxation: Relaxation) -> None:
    """Improve the plan by a search in which groups stay where the relaxation has them as wholes.

    A basic solution of the relaxation is integral for nearly all groups, and some plan as cheap as
    the relaxation often agrees with it there. What the search finds is offered; that it finds
    nothing says nothing.

    Parameters
    ----------
    incumbent
        The best plan and bound.
    core
        The problem.
    relaxation
        Solved, with prices that hold for plans cheaper than the best one.
    """
    groups, run = core.groups, incumbent.run
    target = incumbent.cost - groups.gcd
    pairs = allowed_pairs(groups, relaxation.prices.limits)
    limits = gap_fixing(groups, target)
    reduction = reduce_by_prices(groups, relaxation.prices, pairs, limits, target)
    if reduction is None:
        return
    reduction = replace(reduction, pairs=_undecided(groups, relaxation, reduction.pairs))
    if not affordable(num_entries(groups, reduction.pairs), run.deadline):
        return
    model = ClassModel(groups, reduction)
    model.require_cost(incumbent.bound, target)
    model.add_values(relaxation.pairs, relaxation.placed)
    solved = run_cpsat(
        model.model,
        seconds=SHARE * run.deadline.remaining(),
        effort=EFFORT,
        workers=run.workers,
        seed=run.seed,
        tuned=run.parameters,
        on_objective=lambda units: incumbent.tell(objective=units * groups.gcd),
        on_interrupt=run.deadline.stop,
    )
    incumbent.solve_seconds += solved.seconds
    if solved.status in (Status.OPTIMAL, Status.FEASIBLE):
        classes = model.classes(solved.solver.value)
        incumbent.offer(core.plan(incumbent.problem, classes), "completion")


def _undecided(groups: Groups, relaxation: Relaxation, pairs: Pairs) -> Pairs:
    """Return the pairs that remain: of groups that the relaxation does not split, only its own."""
    width = len(groups.sizes)
    values = np.zeros(len(groups) * width)
    values[relaxation.pairs.group * width + relaxation.pairs.kind] = relaxation.placed
    table = values.reshape(len(groups), width)
    split = (np.abs(table - np.round(table)) > WHOLE).any(axis=1)
    taken = table[pairs.group, pairs.kind] > WHOLE
    lost = np.ones(len(groups), dtype=bool)  # groups of whose classes none is left
    lost[pairs.group[taken]] = False
    kept = taken | (split | lost)[pairs.group]
    return Pairs(pairs.group[kept], pairs.kind[kept])
