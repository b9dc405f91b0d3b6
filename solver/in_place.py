"""The class model where buffers may take over others in place: exact, by credits.

For each pair (p, o) and class c a credit u[p, o, c] says that o takes over p's shared buffer of
class c. At the operator that reads p last and writes o both are live, but need one shared buffer:

    (1)  sum_c x[i, c] = 1                                  each buffer i, c at most its level
    (2)  sum_{i live at t} x[i, c] - sum_{pairs at t} u[p, o, c] <= N_c          each start t
    (3)  sum_o u[p, o, c] <= x[p, c],  sum_p u[p, o, c] <= x[o, c]

Lines of buffers that take over one another are intervals again, so that N_c shared buffers
suffice iff (2) holds. Other times than starts need no rows: no more credits are given at t than
buffers begin at it, nor than end after it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ortools.sat.python import cp_model

from memonger.graph.cliques import Groups
from memonger.heuristics.classes import plan_from_classes
from memonger.plan import SharingPlan
from memonger.problem import Problem
from memonger.result import Proof, Status
from memonger.solver.core import Core
from memonger.solver.cpsat import affordable, run_cpsat
from memonger.solver.incumbent import Incumbent
from memonger.solver.presolve import Limits, gap_fixing


class CreditModel:
    """The class model of a problem with in-place pairs.

    Parameters
    ----------
    problem, groups
        Buffers of positive size, and their groups, which give each buffer its level.
    limits
        From `gap_fixing` of the relaxed problem: what holds there holds here.

    Attributes
    ----------
    model : cp_model.CpModel
        The model.
    at_least : list of cp_model.IntVar
        M_k.
    placed, credit : dict to cp_model.IntVar
        x by (buffer, class), u by (p, o, class).
    """

    def __init__(self, problem: Problem, groups: Groups, limits: Limits) -> None:
        self.problem = problem
        self.model: Any = cp_model.CpModel()
        bounds = zip(limits.low.tolist(), limits.high.tolist(), strict=True)
        self.at_least: list[Any] = [
            self.model.new_int_var(low, high, f"M{k}") for k, (low, high) in enumerate(bounds)
        ]
        for below, above in zip(self.at_least, self.at_least[1:], strict=False):
            self.model.add(below <= above)
        self.placed: dict[tuple[int, int], Any] = {}
        self.credit: dict[tuple[int, int, int], Any] = {}
        self._add_placements(groups, limits)
        self._add_credits(len(groups.sizes))
        self._add_capacities(len(groups.sizes))
        units = (groups.steps // groups.gcd).tolist()
        self.cost = cp_model.LinearExpr.weighted_sum(self.at_least, units)
        self.model.minimize(self.cost)

    def _add_placements(self, groups: Groups, limits: Limits) -> None:
        """(1)."""
        for g, members in enumerate(groups.members):
            classes = range(int(limits.smallest[g]), int(groups.level[g]) + 1)
            for i in members:
                for c in classes:
                    self.placed[i, c] = self.model.new_bool_var(f"x{i}_{c}")
                self.model.add_exactly_one(self.placed[i, c] for c in classes)

    def _add_credits(self, num_classes: int) -> None:
        """(3)."""
        given: dict[tuple[int, int], list[Any]] = {}  # by (p, c)
        taken: dict[tuple[int, int], list[Any]] = {}  # by (o, c)
        for p, o in self.problem.in_place:
            for c in range(num_classes):
                if (p, c) in self.placed and (o, c) in self.placed:
                    credit = self.model.new_bool_var(f"u{p}_{o}_{c}")
                    self.credit[p, o, c] = credit
                    given.setdefault((p, c), []).append(credit)
                    taken.setdefault((o, c), []).append(credit)
        for side in (given, taken):
            for key, credits in side.items():
                self.model.add(sum(credits) <= self.placed[key])

    def _add_capacities(self, num_classes: int) -> None:
        """(2)."""
        starts, ends = self.problem.starts, self.problem.ends
        credits: dict[tuple[int, int], list[Any]] = {}
        for (_, over, c), credit in self.credit.items():
            credits.setdefault((int(starts[over]), c), []).append(credit)
        for time in np.unique(starts).tolist():
            live = np.flatnonzero((starts <= time) & (time < ends)).tolist()
            for c in range(num_classes):
                inside = [self.placed[i, c] for i in live if (i, c) in self.placed]
                if inside:
                    given = credits.get((time, c), [])
                    capacity = self.at_least[c] - self.at_least[c - 1] if c else self.at_least[0]
                    self.model.add(sum(inside) - sum(given) <= capacity)

    def plan(self, value: Any) -> SharingPlan:  # noqa: ANN401
        """Return the plan of a solution; ``value`` gives a variable's value."""
        classes = [-1] * len(self.problem)
        for (i, c), variable in self.placed.items():
            if value(variable):
                classes[i] = c
        return plan_from_classes(self.problem, classes)


def search_in_place(incumbent: Incumbent, core: Core) -> None:
    """Close the gap of a problem with in-place pairs by CP-SAT, as far as the time allows."""
    groups, run, unit = core.groups, incumbent.run, core.groups.gcd
    problem, times = core.problem, np.unique(core.problem.starts)
    rows = np.searchsorted(times, problem.ends) - np.searchsorted(times, problem.starts)
    if not affordable(int(rows.sum()) * len(groups.sizes), run.deadline):
        return
    cost = incumbent.cost
    model = CreditModel(problem, groups, gap_fixing(groups, cost))
    model.model.add_linear_constraint(model.cost, -(-incumbent.bound // unit), cost // unit)
    classes = core.classes(incumbent.plan)
    for (i, c), variable in model.placed.items():
        model.model.add_hint(variable, classes[i] == c)
    solved = run_cpsat(
        model.model,
        seconds=run.deadline.remaining(),
        workers=run.workers,
        seed=run.seed,
        tuned=run.parameters,
        on_bound=lambda units: incumbent.tell(bound=min(units * unit, cost)),
        on_objective=lambda units: incumbent.tell(objective=units * unit),
        on_interrupt=run.deadline.stop,
    )
    incumbent.solve_seconds += solved.seconds
    if solved.status in (Status.OPTIMAL, Status.FEASIBLE):
        incumbent.offer(core.whole(incumbent.problem, model.plan(solved.solver.value)), "cp-sat")
    incumbent.prove(min(cost, solved.bound * unit), Proof.CP_SAT)
