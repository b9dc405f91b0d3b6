"""Pictures of plans, by matplotlib (the extra ``plot``)."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING

import numpy as np

from memonger.errors import MissingExtraError
from memonger.graph.profile import load
from memonger.order_problem import OrderProblem
from memonger.plan import ArenaPlan, OrderPlan, SharingPlan
from memonger.plan_layout import layout_of, rectangles_of
from memonger.problem import Problem

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw_plan(problem: Problem, plan: SharingPlan | ArenaPlan, image_format: str = "png") -> bytes:
    """Return a picture of a plan: its buffers over their live ranges, as high as their bytes.

    Sharing: a lane for each shared buffer, as high as its bytes, the largest at the bottom.
    Arena: at their offsets, the arenas of several devices on top of each other, and what buffers
    with gaps take. The black line is the load, the bytes live at each time: no placement of
    whatever kind can stay below its peak.

    Parameters
    ----------
    problem, plan
        What is to be drawn.
    image_format
        ``png`` or ``svg``.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    figure, axes = _axes()
    from matplotlib.collections import PolyCollection

    bottoms, lines, total = layout_of(problem, plan)
    owners, starts, ends, lower, upper = rectangles_of(problem, bottoms, plan)
    colors = [f"C{owner % 10}" for owner in owners.tolist()]
    corners = [(starts, lower), (ends, lower), (ends, upper), (starts, upper)]
    many = len(problem) > 2000  # outlines would hide what they outline
    axes.add_collection(
        PolyCollection(
            list(np.stack([np.column_stack(corner) for corner in corners], axis=1)),
            facecolors=colors,
            edgecolors="none" if many else "white",
            linewidths=0.4,
            rasterized=many,
        )
    )
    for bottom in lines:
        axes.axhline(bottom, color="0.8", linewidth=0.5, zorder=0)
    if len(problem):
        times, live = load(problem)
        axes.step(times, live, where="post", color="black", linewidth=1.2, label="load")
        axes.legend(loc="upper right")
    axes.set_xlim(0, max(1, int(problem.ends.max(initial=1))))
    axes.set_ylim(0, max(1, total) * 1.02)
    _label_bytes(axes, total)
    where = f" in {plan.num_shared}" if isinstance(plan, SharingPlan) else ""
    title = problem.name or "plan"
    axes.set_title(f"{title}: {len(problem)} buffers{where}, {total:,} bytes")
    return _image(figure, image_format)


def draw_order(problem: OrderProblem, plan: OrderPlan, image_format: str = "png") -> bytes:
    """Return a picture of an order: the bytes that are live at each step, beside program order.

    Parameters
    ----------
    problem, plan
        What is to be drawn.
    image_format
        ``png`` or ``svg``.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    figure, axes = _axes()
    peak = 0
    for order, color, label in (
        (range(len(problem)), "0.6", "program order"),
        (plan.order, "black", "this order"),
    ):
        loads = problem.loads(order)
        highest = int(loads.max(initial=0))
        peak = max(peak, highest)
        axes.step(
            range(len(loads) + 1), [*loads.tolist(), 0], where="post", color=color,
            linewidth=1.2, label=f"{label}: peak {highest:,}",
        )  # fmt: skip
        axes.axhline(highest, color=color, linewidth=0.5, linestyle="dashed")
    axes.legend(loc="best")
    axes.set_xlim(0, max(1, len(problem)))
    axes.set_ylim(0, max(1, peak) * 1.02)
    _label_bytes(axes, peak)
    axes.set_title(f"{problem.name or 'order'}: {len(problem)} operators")
    return _image(figure, image_format)


def _axes() -> tuple[Figure, Axes]:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("matplotlib", "plot") from None
    figure = Figure(figsize=(11, 6.5), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def _label_bytes(axes: Axes, total: int) -> None:
    """Name the axes: operators to the right, powers of two of bytes upwards."""
    from matplotlib.ticker import FuncFormatter, MultipleLocator

    step = 2 ** max(0, math.ceil(math.log2(max(1, total) / 8)))
    axes.yaxis.set_major_locator(MultipleLocator(step))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _bytes(value)))
    axes.set_xlabel("operator")
    axes.set_ylabel("bytes")


def _image(figure: Figure, image_format: str) -> bytes:
    buffer = io.BytesIO()
    metadata = {"Date": None} if image_format == "svg" else None
    figure.savefig(buffer, format=image_format, dpi=120, metadata=metadata)
    return buffer.getvalue()


def _bytes(value: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024 or unit == "GiB":
            return f"{value:g} {unit}" if value == int(value) else f"{value:.1f} {unit}"
        value /= 1024
    raise AssertionError
