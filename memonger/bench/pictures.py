"""Pictures of the report, by matplotlib (the extra ``plot``)."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Any

from memonger.bench.scores import Case, Score, solvable
from memonger.bench.statistics import performance_profile
from memonger.errors import MissingExtraError

MAX_LINES = 12
"""Algorithms in the picture of profiles, the first in rank."""


def draw_profiles(cases: Sequence[Case], scores: Sequence[Score]) -> str:
    """Return performance profiles as SVG: share of the cases within a factor of the best cost.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    figure, axes = _figure(5.0)
    names = [score.algorithm for score in scores]  # all of them decide what is best
    costs = {name: [case.cost(name) for case in solvable(cases)] for name in names}
    profiles = dict(list(performance_profile(costs).items())[:MAX_LINES])
    finite = [r for ratios, _ in profiles.values() for r in ratios if r < math.inf]
    right = max(1.0, 120 * (max(finite, default=1.0) - 1))
    for number, (name, profile) in enumerate(profiles.items()):
        steps = [(100 * (ratio - 1), share) for ratio, share in zip(*profile, strict=True)]
        within = [(0.0, 0.0), *(step for step in steps if step[0] < math.inf)]
        axes.step(
            [*(excess for excess, _ in within), right],
            [*(share for _, share in within), within[-1][1]],
            where="post",
            label=name,
            color=f"C{number % 10}",
            linestyle="-" if number < 10 else "--",
        )
    _percent(axes, "cost above the best of the instance, per cent")
    axes.set_xlim(0, right)
    axes.set_ylim(0, 1.02)
    axes.set_ylabel("share of the instances")
    axes.legend(loc="lower right", fontsize="small")
    return _svg(figure)


def draw_gaps(scores: Sequence[Score]) -> str:
    """Return the gaps of every algorithm as SVG: a dot a case, a line at the mean.

    The best algorithm is at the top.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    shown = [score for score in reversed(scores) if any(gap < math.inf for gap in score.gaps)]
    figure, axes = _figure(1.0 + 0.28 * max(4, len(shown)))
    for height, score in enumerate(shown):
        gaps = [gap for gap in score.gaps if gap < math.inf]
        axes.plot(gaps, [height] * len(gaps), "o", color="C0", alpha=0.4, markersize=5)
        axes.plot([math.fsum(gaps) / len(gaps)], [height], "|", color="black", markersize=14)
    axes.set_yticks(range(len(shown)), [score.algorithm for score in shown])
    _percent(axes, "gap to the best bound, per cent")
    axes.set_xlim(left=0)
    return _svg(figure)


def _percent(axes: Any, label: str) -> None:  # noqa: ANN401
    """Scale the x axis: linear up to a tenth of a per cent, logarithmic above."""
    axes.set_xscale("symlog", linthresh=0.1)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel(label)


def _figure(height: float) -> tuple[Any, Any]:
    try:
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("matplotlib", "plot") from None
    figure = Figure(figsize=(9, height), layout="constrained")
    FigureCanvasSVG(figure)
    return figure, figure.add_subplot()


def _svg(figure: Any) -> str:  # noqa: ANN401
    """Return a figure as an element that can stand in a page."""
    import matplotlib

    text = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "memonger", "svg.fonttype": "none"}):
        figure.savefig(text, format="svg", metadata={"Date": None})
    content = text.getvalue()
    return content[content.index("<svg") :]
