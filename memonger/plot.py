"""Pictures of plans, by matplotlib (the extra ``plot``)."""

from __future__ import annotations

import io
import math

import numpy as np
import numpy.typing as npt

from memonger.errors import MissingExtraError
from memonger.graph.profile import load
from memonger.plan import SharingPlan
from memonger.problem import Problem


def draw_sharing(problem: Problem, plan: SharingPlan, image_format: str = "png") -> bytes:
    """Return a picture of a sharing plan.

    A lane for each shared buffer, as high as its bytes, the largest at the bottom; the buffers in
    it are drawn over their live ranges, as high as their own bytes. The black line is the load,
    the bytes live at each time: no placement of whatever kind can stay below its peak.

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
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.collections import PolyCollection
        from matplotlib.figure import Figure
        from matplotlib.ticker import FuncFormatter, MultipleLocator
    except ImportError:
        raise MissingExtraError("matplotlib", "plot") from None
    figure = Figure(figsize=(11, 6.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    capacities = plan.capacities(problem)
    bottoms = _lane_bottoms(capacities)
    colors = [f"C{index % 10}" for index in range(len(problem))]
    many = len(problem) > 2000  # outlines would hide what they outline
    axes.add_collection(
        PolyCollection(
            list(_rectangles(problem, [bottoms[number] for number in plan.shared])),
            facecolors=colors,
            edgecolors="none" if many else "white",
            linewidths=0.4,
            rasterized=many,
        )
    )
    for bottom in bottoms:
        axes.axhline(bottom, color="0.8", linewidth=0.5, zorder=0)
    if len(problem):
        times, live = load(problem)
        axes.step(times, live, where="post", color="black", linewidth=1.2, label="load")
        axes.legend(loc="upper right")
    total = sum(capacities)
    axes.set_xlim(0, max(1, int(problem.ends.max(initial=1))))
    axes.set_ylim(0, max(1, total) * 1.02)
    step = 2 ** max(0, math.ceil(math.log2(max(1, total) / 8)))
    axes.yaxis.set_major_locator(MultipleLocator(step))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _bytes(value)))
    axes.set_xlabel("operator")
    axes.set_ylabel("bytes")
    title = problem.name or "sharing plan"
    axes.set_title(f"{title}: {len(problem)} buffers in {plan.num_shared}, {total:,} bytes")
    buffer = io.BytesIO()
    metadata = {"Date": None} if image_format == "svg" else None
    figure.savefig(buffer, format=image_format, dpi=120, metadata=metadata)
    return buffer.getvalue()


def _rectangles(problem: Problem, bottoms: list[int]) -> npt.NDArray[np.float64]:
    """Return the corners of the buffers, shape (buffers, 4, 2)."""
    starts, ends = problem.starts, problem.ends
    lower = np.array(bottoms, dtype=np.float64)
    upper = lower + problem.sizes
    corners = [(starts, lower), (ends, lower), (ends, upper), (starts, upper)]
    return np.stack([np.column_stack(corner) for corner in corners], axis=1)


def _lane_bottoms(capacities: list[int]) -> list[int]:
    """Stack the lanes, the largest at the bottom."""
    bottoms = [0] * len(capacities)
    height = 0
    for number in sorted(range(len(capacities)), key=lambda k: (-capacities[k], k)):
        bottoms[number] = height
        height += capacities[number]
    return bottoms


def _bytes(value: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024 or unit == "GiB":
            return f"{value:g} {unit}" if value == int(value) else f"{value:.1f} {unit}"
        value /= 1024
    raise AssertionError
