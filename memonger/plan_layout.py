"""Where the buffers of a plan are drawn: over their live ranges, as high as their bytes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from memonger.plan import ArenaPlan, SharingPlan
from memonger.problem import IntArray, Problem

FloatArray = npt.NDArray[np.float64]


def layout_of(problem: Problem, plan: SharingPlan | ArenaPlan) -> tuple[list[int], list[int], int]:
    """Return where each buffer is drawn, where lines are, and the height of all, in bytes."""
    if isinstance(plan, SharingPlan):
        capacities = plan.capacities(problem)
        lanes = _lane_bottoms(capacities)
        return [lanes[number] for number in plan.shared], lanes, sum(capacities)
    bases: dict[str, int] = {}
    total = 0
    for device, peak in plan.peaks(problem).items():
        bases[device] = total
        total += peak
    bottoms = [
        bases[buffer.device] + offset
        for buffer, offset in zip(problem.buffers, plan.offsets, strict=True)
    ]
    return bottoms, list(bases.values()), total


def rectangles_of(
    problem: Problem, bottoms: list[int], plan: SharingPlan | ArenaPlan
) -> tuple[IntArray, FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return the buffer, start, end, lower and upper side of each rectangle, by columns."""
    if isinstance(plan, SharingPlan):
        rows = [(i, b.start, b.end, 0, b.padded_size) for i, b in enumerate(problem.buffers)]
    else:
        rows = [(i, *span) for i, buffer in enumerate(problem.buffers) for span in buffer.spans]
    owners, *sides = np.array(rows, dtype=np.int64).reshape(-1, 5).T
    starts, ends, lower, upper = (side.astype(np.float64) for side in sides)
    bottom = np.array(bottoms, dtype=np.float64)[owners]
    return owners, starts, ends, bottom + lower, bottom + upper


def _lane_bottoms(capacities: list[int]) -> list[int]:
    """Stack the lanes, the largest at the bottom."""
    bottoms = [0] * len(capacities)
    height = 0
    for number in sorted(range(len(capacities)), key=lambda k: (-capacities[k], k)):
        bottoms[number] = height
        height += capacities[number]
    return bottoms
