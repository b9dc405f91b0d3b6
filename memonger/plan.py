"""Plans: what a solver decides."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from memonger.errors import PlanError
from memonger.order_problem import OrderProblem
from memonger.problem import Problem


@dataclass(frozen=True)
class SharingPlan:
    """Which buffers share memory.

    Parameters
    ----------
    shared
        Buffer index -> number of its shared buffer. Numbers run from 0 in order of first
        appearance, so that equal plans are equal objects.

    Examples
    --------
    >>> SharingPlan.of([7, 3, 7]).shared
    (0, 1, 0)
    """

    shared: tuple[int, ...]

    @classmethod
    def of(cls, labels: Iterable[int]) -> SharingPlan:
        """Return the plan in which buffers of equal labels share."""
        numbers: dict[int, int] = {}
        return cls(tuple(numbers.setdefault(int(label), len(numbers)) for label in labels))

    @property
    def num_shared(self) -> int:
        """Number of shared buffers."""
        return max(self.shared, default=-1) + 1

    def capacities(self, problem: Problem) -> list[int]:
        """Return the bytes of each shared buffer: its largest member.

        Raises
        ------
        PlanError
            If the plan is for another number of buffers.
        """
        if len(self.shared) != len(problem):
            raise PlanError(
                f"the plan places {len(self.shared)} buffers, the problem has {len(problem)}"
            )
        largest = np.zeros(self.num_shared, dtype=np.int64)
        np.maximum.at(largest, np.array(self.shared, dtype=np.intp), problem.sizes)
        return [int(size) for size in largest]

    def cost(self, problem: Problem) -> int:
        """Return the bytes of all shared buffers together: the objective."""
        return sum(self.capacities(problem))

    def part(self, indices: Sequence[int]) -> SharingPlan:
        """Return the plan of some of the buffers."""
        return SharingPlan.of(self.shared[index] for index in indices)

    @classmethod
    def join(cls, groups: Sequence[Sequence[int]], plans: Sequence[SharingPlan]) -> SharingPlan:
        """Return the plan of all buffers: plan k places those of group k; groups never share."""
        labels = [0] * sum(map(len, groups))
        opened = 0
        for indices, plan in zip(groups, plans, strict=True):
            for index, number in zip(indices, plan.shared, strict=True):
                labels[index] = opened + number
            opened += plan.num_shared
        return cls.of(labels)

    def members(self) -> list[list[int]]:
        """Return the buffer indices of each shared buffer, ascending."""
        groups: list[list[int]] = [[] for _ in range(self.num_shared)]
        for index, number in enumerate(self.shared):
            groups[number].append(index)
        return groups


@dataclass(frozen=True)
class ArenaPlan:
    """Where each buffer lies in the arena of its device.

    Parameters
    ----------
    offsets
        Buffer index -> offset in bytes.

    Examples
    --------
    >>> from memonger.problem import Buffer
    >>> problem = Problem((Buffer("a", 8, 0, 2), Buffer("b", 4, 1, 3), Buffer("c", 8, 2, 4)))
    >>> ArenaPlan((4, 0, 4)).cost(problem)
    12
    """

    offsets: tuple[int, ...]

    def peaks(self, problem: Problem) -> dict[str, int]:
        """Return the bytes of the arena of each device: where its highest buffer ends.

        Raises
        ------
        PlanError
            If the plan is for another number of buffers.
        """
        if len(self.offsets) != len(problem):
            raise PlanError(
                f"the plan places {len(self.offsets)} buffers, the problem has {len(problem)}"
            )
        peaks = dict.fromkeys(problem.devices, 0)
        for buffer, offset in zip(problem.buffers, self.offsets, strict=True):
            if buffer.size:  # a buffer without bytes takes no room, wherever it is pinned
                peaks[buffer.device] = max(peaks[buffer.device], offset + buffer.size)
        return peaks

    def cost(self, problem: Problem) -> int:
        """Return the bytes of all arenas together: the objective."""
        return sum(self.peaks(problem).values())

    def part(self, indices: Sequence[int]) -> ArenaPlan:
        """Return the plan of some of the buffers."""
        return ArenaPlan(tuple(self.offsets[index] for index in indices))

    @classmethod
    def join(cls, groups: Sequence[Sequence[int]], plans: Sequence[ArenaPlan]) -> ArenaPlan:
        """Return the plan of all buffers: plan k places those of group k in its own arena."""
        offsets = [0] * sum(map(len, groups))
        for indices, plan in zip(groups, plans, strict=True):
            for index, offset in zip(indices, plan.offsets, strict=True):
                offsets[index] = offset
        return cls(tuple(offsets))


@dataclass(frozen=True)
class OrderPlan:
    """In which order the operators run.

    Parameters
    ----------
    order
        Operator indices of program order, the first to run first.
    """

    order: tuple[int, ...]

    def cost(self, problem: OrderProblem) -> int:
        """Return the most bytes live at once: the objective."""
        return problem.peak(self.order)


P = TypeVar("P", SharingPlan, ArenaPlan)
"""A plan that places buffers."""

AnyPlan = TypeVar("AnyPlan", SharingPlan, ArenaPlan, OrderPlan)
"""A plan of any form."""
