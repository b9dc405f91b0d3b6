"""The bin-packing model: every buffer to one of the shared buffers, which are ordered by capacity.

With shared buffers b = 0, 1, ... of capacities descending, z[b, k] says that b holds at least w_k
bytes, x[i, b] that buffer i is in b:

    min  sum_b sum_k (w_k - w_(k+1)) z[b, k]
    (1)  sum_b x[i, b] = 1                     each buffer i
    (2)  sum_{i in q} x[i, b] <= 1             each shared buffer b, each conflict clique q
    (3)  x[i, b] => z[b, level(i)]             capacities
    (4)  z[b, k] => z[b, k + 1]                a buffer of at least w_k holds at least w_(k+1)
    (5)  z[b + 1, k] => z[b, k]                capacities descend: no symmetry among equal ones
    (6)  z[b, k] = 1 for b < low_k, = 0 for b >= high_k           gap fixing

The plain formulation, fair while few buffers are live at once; `memonger.solver.class_model` is
the better one. It needs nothing of intervals but their cliques.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from ortools.sat.python import cp_model

from memonger.graph.cliques import Groups
from memonger.plan import SharingPlan
from memonger.rules import Rules
from memonger.solver.presolve import Limits


class BinPackingModel:
    """The bin-packing model of a problem.

    Parameters
    ----------
    groups
        The problem; members of a group are buffers of their own here.
    limits
        From `gap_fixing`, for the cost that is asked for.
    cliques
        Sets of groups that conflict pairwise; every pair that conflicts is in one of them.
    num_bins
        Number of shared buffers; by default as many as the limits allow.

    Attributes
    ----------
    model : cp_model.CpModel
        The model.
    inside : list of list of cp_model.IntVar
        x[i, b].
    holds : list of list of cp_model.IntVar
        z[b, k].
    """

    def __init__(
        self,
        groups: Groups,
        limits: Limits,
        cliques: Sequence[Sequence[int]],
        num_bins: int | None = None,
    ) -> None:
        self.groups = groups
        self.model: Any = cp_model.CpModel()
        self.num_buffers = int(groups.multiplicity.sum())
        self.levels = [0] * self.num_buffers
        for members, level in zip(groups.members, groups.level.tolist(), strict=True):
            for buffer in members:
                self.levels[buffer] = level
        low, high = limits.low.tolist(), limits.high.tolist()
        self.num_bins = high[-1] if num_bins is None else num_bins
        self.holds = [  # (6)
            [
                self.model.new_int_var(int(b < low[k]), int(b < high[k]), f"z{b}_{k}")
                for k in range(len(low))
            ]
            for b in range(self.num_bins)
        ]
        self.inside = [
            [self.model.new_bool_var(f"x{i}_{b}") for b in range(self.num_bins)]
            for i in range(self.num_buffers)
        ]
        self._add_order()
        self._add_placements(cliques)
        units = (groups.steps // groups.gcd).tolist()
        self.cost = cp_model.LinearExpr.weighted_sum(
            [z for row in self.holds for z in row], units * self.num_bins
        )
        self.model.minimize(self.cost)

    def _add_order(self) -> None:
        """(4) and (5)."""
        for b, row in enumerate(self.holds):
            for one, other in itertools.pairwise(row):
                self.model.add_implication(one, other)
            if b:
                for one, other in zip(row, self.holds[b - 1], strict=True):
                    self.model.add_implication(one, other)

    def _add_placements(self, cliques: Sequence[Sequence[int]]) -> None:
        """(1), (2) and (3)."""
        for literals, level in zip(self.inside, self.levels, strict=True):
            self.model.add_exactly_one(literals)
            for b, literal in enumerate(literals):
                self.model.add_implication(literal, self.holds[b][level])
        for clique in cliques:
            buffers = [i for g in clique for i in self.groups.members[g]]
            for b in range(self.num_bins):
                self.model.add_at_most_one(self.inside[i][b] for i in buffers)

    def add_rules(self, rules: Rules) -> None:
        """Add what must share and what must not."""
        for one, other in rules.together:
            for first, second in zip(self.inside[one], self.inside[other], strict=True):
                self.model.add(first == second)
        for one, other in rules.apart:
            for first, second in zip(self.inside[one], self.inside[other], strict=True):
                self.model.add_at_most_one(first, second)

    def require_cost(self, low: int, high: int) -> None:
        """Add ``low <= cost <= high``, bytes."""
        unit = self.groups.gcd
        self.model.add_linear_constraint(self.cost, -(-low // unit), high // unit)

    def add_hint(self, plan: SharingPlan) -> None:
        """Give a plan as a complete hint."""
        members = plan.members()
        level = [min(self.levels[i] for i in group) for group in members]
        order = sorted(range(len(members)), key=lambda number: (level[number], number))
        position = {number: b for b, number in enumerate(order)}
        for i, literals in enumerate(self.inside):
            for b, literal in enumerate(literals):
                self.model.add_hint(literal, position[plan.shared[i]] == b)
        for b, row in enumerate(self.holds):
            for k, literal in enumerate(row):
                self.model.add_hint(literal, b < len(order) and level[order[b]] <= k)

    def plan(self, value: Any) -> SharingPlan:  # noqa: ANN401
        """Return the plan of a solution; ``value`` gives a variable's value."""
        return SharingPlan.of(
            next(b for b, literal in enumerate(literals) if value(literal))
            for literals in self.inside
        )
