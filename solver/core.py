"""What the class model works on: the buffers that have a size, over compressed time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from memonger.graph.cliques import Groups, compress
from memonger.heuristics.class_load import MAX_TABLE
from memonger.heuristics.classes import plan_from_classes
from memonger.plan import SharingPlan
from memonger.problem import IntArray, Problem
from memonger.solver.presolve import Pairs

# CP-SAT reports bounds as floats: exact below 2^53.
MAX_UNITS = 2**52


@dataclass(frozen=True)
class Core:
    """The buffers of positive size, compressed.

    Parameters
    ----------
    indices
        Their indices in the whole problem.
    problem, groups
        The problem of these buffers, and its groups.
    """

    indices: IntArray
    problem: Problem
    groups: Groups

    @classmethod
    def of(cls, problem: Problem) -> Core | None:
        """Return the core of a problem; ``None`` if its tables or its numbers were too large."""
        core = cls.sparse(problem)
        return core if core is not None and core.has_tables else None

    @classmethod
    def sparse(cls, problem: Problem) -> Core | None:
        """Return the core of a problem; ``None`` if its numbers were too large."""
        indices = np.flatnonzero(problem.sizes > 0)
        core = problem.subproblem(indices.tolist())
        groups = compress(core)
        if core.total // groups.gcd > MAX_UNITS:
            return None
        return cls(indices, core, groups)

    @property
    def has_tables(self) -> bool:
        """Whether tables of all sizes and all cliques are not too large."""
        return len(self.groups.sizes) * self.groups.num_cliques <= MAX_TABLE

    def plan(self, problem: Problem, classes: Sequence[int]) -> SharingPlan:
        """Return the plan of the whole problem whose buffers are in these classes, one a buffer."""
        return self.whole(problem, plan_from_classes(self.problem, classes))

    def whole(self, problem: Problem, plan: SharingPlan) -> SharingPlan:
        """Return a plan of the core as one of the whole problem: empty buffers stay alone."""
        labels = [-1 - index for index in range(len(problem))]
        for index, label in zip(self.indices.tolist(), plan.shared, strict=True):
            labels[index] = label
        return SharingPlan.of(labels)

    def classes(self, plan: SharingPlan) -> list[int]:
        """Return buffer index -> class of a plan: the rank of its shared buffer's largest size."""
        rank = {size: k for k, size in enumerate(self.groups.sizes.tolist())}
        shared = [plan.shared[i] for i in self.indices.tolist()]
        largest: dict[int, int] = {}
        for number, size in zip(shared, self.problem.sizes.tolist(), strict=True):
            largest[number] = max(largest.get(number, 0), size)
        return [rank[largest[number]] for number in shared]

    def pairs(self, plan: SharingPlan) -> Pairs:
        """Return the groups and classes of a plan, one pair a buffer."""
        return pairs_of(self.groups, np.array(self.classes(plan), dtype=np.int64))


def pairs_of(groups: Groups, classes: IntArray) -> Pairs:
    """Return the groups and classes of a plan, one pair a buffer; buffer index -> class."""
    members = [np.array(group) for group in groups.members]
    group = np.repeat(np.arange(len(members)), groups.multiplicity)
    return Pairs(group, classes[np.concatenate(members)])
