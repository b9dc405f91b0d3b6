"""Plans and orders in characters: a row a byte, the lowest at the bottom, three columns a time."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from memonger.errors import MemongerError
from memonger.order_problem import OrderProblem
from memonger.plan import ArenaPlan, OrderPlan, SharingPlan
from memonger.plan_layout import layout_of, rectangles_of
from memonger.problem import Problem

MAX_ROWS = MAX_TIMES = 60
_Box = tuple[str, int, int, int, int]  # letter, start, end, lower, upper


def picture(problem: Problem | OrderProblem, plan: SharingPlan | ArenaPlan | OrderPlan) -> str:
    """Return a plan in characters; of an order what is live at each step, and the operators.

    Raises
    ------
    MemongerError
        If it would have more than 60 rows or times.
    """
    if isinstance(plan, OrderPlan):
        assert isinstance(problem, OrderProblem)
        return _order_picture(problem, plan)
    assert isinstance(problem, Problem)
    bottoms, _, total = layout_of(problem, plan)
    boxes = (
        (problem.buffers[owner].name[0], int(start), int(end), int(low), int(high))
        for owner, start, end, low, high in zip(*rectangles_of(problem, bottoms, plan), strict=True)
    )
    return _painted(boxes, total, int(problem.ends.max(initial=0)))


def _order_picture(problem: OrderProblem, plan: OrderPlan) -> str:
    """Stack what is live at each step, what was allocated first at the bottom."""
    start, end = problem.live_ranges(plan.order)
    boxes: list[_Box] = []
    for step in range(len(plan.order)):
        height = 0
        for i in np.argsort(start, kind="stable").tolist():
            if start[i] <= step < end[i]:
                top = height + int(problem.sizes[i])
                boxes.append((problem.allocations[i].name[0], step, step + 1, height, top))
                height = top
    painted = _painted(boxes, problem.peak(plan.order), len(plan.order))
    return f"{painted}\n{''.join(f' {problem.operators[i][0]} ' for i in plan.order)}"


def _painted(boxes: Iterable[_Box], rows: int, times: int) -> str:
    if rows > MAX_ROWS or times > MAX_TIMES:
        raise MemongerError("the plan is too large for a picture of characters")
    cells = [["."] * (3 * times) for _ in range(rows)]
    for letter, start, end, low, high in boxes:
        for row in range(low, high):
            cells[row][3 * start : 3 * end] = letter * (3 * (end - start))
    return "\n".join("".join(row) for row in reversed(cells))
