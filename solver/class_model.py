"""The class model: the sharing form in CP-SAT, exact and without symmetry of buffers.

A shared buffer is known by its capacity class, one of the distinct sizes w_1 > ... > w_D, and
not by a number. Interval graphs are perfect, so the buffers of a class need as many shared
buffers as are ever live at once. With M_k shared buffers of at least w_k, N_k = M_k - M_(k-1),
identical buffers merged into groups g of multiplicity m_g, and x[g, c] of group g in class c:

    min  sum_k (w_k - w_(k+1)) M_k                 in units of the gcd of the sizes
    (1)  sum_c x[g, c] = m_g                       each group; c at most its level
    (2)  sum_{g live in q} x[g, c] <= N_c          each class c, each maximal clique q
    (3)  M_(k-1) <= M_k                            each class
    (4)  low_k <= M_k <= high_k                    bounds and gap fixing
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ortools.sat.python import cp_model

from memonger.graph.cliques import Groups
from memonger.solver.linear import FloatArray
from memonger.solver.presolve import Pairs, Reduction


def num_entries(groups: Groups, pairs: Pairs) -> int:
    """Return about how many coefficients the model has: what decides whether to build it."""
    return int((groups.last[pairs.group] - groups.first[pairs.group] + 2).sum())


class ClassModel:
    """The class model of a problem.

    Parameters
    ----------
    groups
        The problem, presolved.
    reduction
        What to build: from `unreduced`, or smaller by prices.
    model
        A model to add to; a new one by default.

    Attributes
    ----------
    model : cp_model.CpModel
        The model.
    at_least : list of cp_model.IntVar
        M_k.
    placed : dict of (group, class) to cp_model.IntVar
        x[g, c].
    """

    def __init__(
        self,
        groups: Groups,
        reduction: Reduction,
        model: Any = None,  # noqa: ANN401
    ) -> None:
        self.groups = groups
        self.reduction = reduction
        self.model: Any = cp_model.CpModel() if model is None else model
        limits = reduction.limits
        bounds = zip(limits.low.tolist(), limits.high.tolist(), strict=True)
        self.at_least: list[Any] = [  # (4)
            self.model.new_int_var(low, high, f"M{k}") for k, (low, high) in enumerate(bounds)
        ]
        self.placed: dict[tuple[int, int], Any] = {}
        self._add_placements()
        self._add_order()
        self._add_capacities()
        # In units of the gcd: small coefficients, and every bound is rounded up to a multiple.
        units = (groups.steps // groups.gcd).tolist()
        self.cost = cp_model.LinearExpr.weighted_sum(self.at_least, units)
        self.model.minimize(self.cost)

    def _num_in_class(self, k: int) -> Any:  # noqa: ANN401
        """N_k."""
        return self.at_least[k] - self.at_least[k - 1] if k else self.at_least[0]

    def _add_placements(self) -> None:
        """(1): every buffer is in one class."""
        of_group: list[list[Any]] = [[] for _ in range(len(self.groups))]
        self.classes_of: list[list[int]] = [[] for _ in range(len(self.groups))]
        count = self.groups.multiplicity.tolist()
        pairs = self.reduction.pairs
        for g, c in zip(pairs.group.tolist(), pairs.kind.tolist(), strict=True):
            self.placed[g, c] = self.model.new_int_var(0, count[g], f"x{g}_{c}")
            of_group[g].append(self.placed[g, c])
            self.classes_of[g].append(c)
        for variables, number in zip(of_group, count, strict=True):
            self.model.add(sum(variables) == number)

    def _add_order(self) -> None:
        """(3): shared buffers of at least w_(k-1) are shared buffers of at least w_k."""
        most = self.reduction.most.tolist()
        for k in range(1, len(self.at_least)):
            self.model.add_linear_constraint(self._num_in_class(k), 0, most[k])

    def _add_capacities(self) -> None:
        """(2): at no time more buffers in a class than it has shared buffers."""
        by_class: dict[int, list[int]] = {}
        for g, c in self.placed:
            by_class.setdefault(c, []).append(g)
        for c, members in sorted(by_class.items()):
            capacity = self._num_in_class(c)
            for clique in maximal_cliques(self.groups, members):
                self.model.add(sum(self.placed[g, c] for g in clique) <= capacity)
            for q in self.reduction.full.get(c, np.zeros(0, dtype=np.int64)).tolist():
                live = [g for g in members if self.groups.first[g] <= q <= self.groups.last[g]]
                self.model.add(sum(self.placed[g, c] for g in live) == capacity)

    def add_cliques(self, cliques: Sequence[Sequence[int]]) -> None:
        """Add (2) for more sets of groups that conflict pairwise, for every class."""
        for clique in cliques:
            by_class: dict[int, list[Any]] = {}
            for g in clique:
                for c in self.classes_of[g]:
                    by_class.setdefault(c, []).append(self.placed[g, c])
            for c, variables in by_class.items():
                self.model.add(sum(variables) <= self._num_in_class(c))

    def require_cost(self, low: int, high: int) -> None:
        """Add ``low <= cost <= high``, bytes."""
        unit = self.groups.gcd
        self.model.add_linear_constraint(self.cost, -(-low // unit), high // unit)

    def add_hint(self, classes: Sequence[int]) -> None:
        """Give a plan as a complete hint: buffer index -> class."""
        self.model.clear_hints()
        used: dict[tuple[int, int], int] = {}
        for g, members in enumerate(self.groups.members):
            for buffer in members:
                used[g, classes[buffer]] = used.get((g, classes[buffer]), 0) + 1
        for key, variable in self.placed.items():
            self.model.add_hint(variable, used.get(key, 0))
        depth = self._depths(used)
        below = 0
        for k, variable in enumerate(self.at_least):
            below = max(below + depth[k], int(self.reduction.limits.low[k]))
            self.model.add_hint(variable, below)

    def add_values(self, pairs: Pairs, values: FloatArray) -> None:
        """Give the values of a relaxation, rounded, as an incomplete hint."""
        self.model.clear_hints()
        for g, c, value in zip(
            pairs.group.tolist(), pairs.kind.tolist(), np.rint(values).tolist(), strict=True
        ):
            if (g, c) in self.placed:
                self.model.add_hint(self.placed[g, c], int(value))

    def _depths(self, used: dict[tuple[int, int], int]) -> list[int]:
        """Largest number of buffers of each class that are live at once."""
        change = np.zeros((len(self.at_least), self.groups.num_cliques + 1), dtype=np.int64)
        for (g, c), count in used.items():
            change[c, self.groups.first[g]] += count
            change[c, self.groups.last[g] + 1] -= count
        return [int(d) for d in np.cumsum(change, axis=1).max(axis=1)]

    def classes(self, value: Any) -> list[int]:  # noqa: ANN401
        """Return buffer index -> class of a solution; ``value`` gives a variable's value."""
        result = [-1] * int(self.groups.multiplicity.sum())
        taken = [0] * len(self.groups)
        for (g, c), variable in self.placed.items():
            for _ in range(value(variable)):
                result[self.groups.members[g][taken[g]]] = c
                taken[g] += 1
        return result


def maximal_cliques(groups: Groups, members: Sequence[int]) -> list[list[int]]:
    """Return the maximal sets of some groups that are live at one time.

    A sweep over the starts; a set is maximal if one of its groups ends before the next start.
    """
    order = sorted(members, key=lambda g: (int(groups.first[g]), g))
    cliques: list[list[int]] = []
    live: list[int] = []
    for position, g in enumerate(order):
        start = int(groups.first[g])
        live = [other for other in live if groups.last[other] >= start]
        live.append(g)
        following = order[position + 1] if position + 1 < len(order) else None
        if following is None or min(groups.last[m] for m in live) < groups.first[following]:
            cliques.append(list(live))
    return cliques
