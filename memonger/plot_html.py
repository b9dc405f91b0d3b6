"""Plans as pages that need nothing else, by Bokeh (the extra ``html``)."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from memonger.errors import MissingExtraError
from memonger.graph.profile import load
from memonger.instances.order_json import OrderFile
from memonger.instances.plan_json import PlanFile
from memonger.plan_layout import layout_of, rectangles_of
from memonger.plot_controls import STYLE, controls_of, live_list
from memonger.problem import Problem

if TYPE_CHECKING:
    from bokeh.models import ColumnDataSource, IndexFilter, LayoutDOM
    from bokeh.plotting import figure as Figure

COLORS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb", "#ee8866")
"""Told apart by all eyes: https://personal.sron.nl/~pault/."""
MANY = 50_000
"""Rectangles of which a part only, in grey, is drawn while a picture is moved."""
_TOOLTIPS = [
    ("buffer", "@name"),
    ("bytes", "@size{0,0}"),
    ("operators", "@first to @last"),
    ("at", "@place"),
]


@dataclass(frozen=True)
class Drawn:
    """A plan as it is drawn.

    Parameters
    ----------
    title
        What it is called.
    facts
        One line: form, cost, bound, proof.
    problem
        The buffers, in the order of the plan.
    columns
        Of the rectangles: sides, and what is told of them.
    lines
        Where shared buffers or arenas begin, bytes.
    total
        Height of all, bytes; 0 where nothing is placed.
    """

    title: str
    facts: str
    problem: Problem
    columns: dict[str, Any]
    lines: Sequence[int]
    total: int


def page_of(plans: Sequence[tuple[str, PlanFile | OrderFile]]) -> str:
    """Return a page that shows plans side by side: it loads nothing, and works without a network.

    Rectangles are buffers over their live ranges, at their offsets in an arena, or in the lane of
    their shared buffer; below them the load, the bytes live at each time. Of an order only the load
    is shown. What is under the mouse is named; names are searched, small buffers filtered out.

    Parameters
    ----------
    plans
        Names, and what plan files hold.

    Raises
    ------
    MissingExtraError
        If Bokeh is not installed.

    Notes
    -----
    Linear in the number of buffers; `scripts/benchmark_pages.py` measures how smooth pages are.
    """
    try:
        from bokeh.embed import file_html
        from bokeh.layouts import column, row
        from bokeh.models import ColumnDataSource, IndexFilter, Range1d
        from bokeh.resources import INLINE
    except ImportError:
        raise MissingExtraError("bokeh", "html") from None
    drawn = [_drawn(name, claimed) for name, claimed in plans]
    horizon = max(int(one.problem.ends.max(initial=1)) for one in drawn)
    times = Range1d(0, horizon, bounds=(0, horizon))
    sources = [ColumnDataSource(one.columns) for one in drawn]
    found = [IndexFilter(indices=[]) for _ in drawn]
    columns = [
        column(*_panel(one, source, marked, times), sizing_mode="stretch_width")
        for one, source, marked in zip(drawn, sources, found, strict=True)
    ]
    layout: LayoutDOM = column(
        controls_of(sources, found),
        row(*columns, sizing_mode="stretch_width"),
        sizing_mode="stretch_width",
    )
    title = ", ".join(one.title for one in drawn)
    return str(file_html(layout, INLINE, title=title))


def _drawn(name: str, claimed: PlanFile | OrderFile) -> Drawn:
    proof = f", proven by {claimed.proof}" if claimed.status == "optimal" else ""
    facts = f"{claimed.status}{proof}: {claimed.objective:,} bytes, bound {claimed.bound:,} bytes"
    if claimed.problem.name:
        name = f"{name}: {claimed.problem.name}"
    if isinstance(claimed, OrderFile):
        problem = claimed.problem.in_order(claimed.plan.order)
        facts = f"order of {len(claimed.problem):,} operators, {facts}"
        return Drawn(name, facts, problem, _columns(problem, None), (), 0)
    problem = claimed.problem
    bottoms, lines, total = layout_of(problem, claimed.plan)
    form = claimed.form.name
    facts = f"{form} of {len(problem):,} buffers, {facts}"
    return Drawn(name, facts, problem, _columns(problem, claimed, bottoms), lines, total)


def _columns(
    problem: Problem, claimed: PlanFile | None, bottoms: list[int] | None = None
) -> dict[str, Any]:
    """Return the columns of the rectangles; without a plan only what is live when."""
    if claimed is None or bottoms is None:
        owners = np.arange(len(problem))
        starts, ends = problem.starts.astype(float), problem.ends.astype(float)
        lower = upper = np.zeros(len(problem))
        places = [""] * len(problem)
    else:
        owners, starts, ends, lower, upper = rectangles_of(problem, bottoms, claimed.plan)
        where = getattr(claimed.plan, "offsets", None)
        labels = (
            [f"shared buffer {number}" for number in claimed.plan.shared]  # type: ignore[union-attr]
            if where is None
            else [f"offset {offset:,}" for offset in where]
        )
        places = [labels[i] for i in owners.tolist()]
    buffers = [problem.buffers[i] for i in owners.tolist()]
    sizes = np.array([buffer.size for buffer in buffers], dtype=float)
    # As the load counts them: padded where a buffer is whole, else what a gap leaves of it.
    padded = np.array([buffer.padded_size for buffer in buffers], dtype=float)
    heights = upper - lower
    partly = (heights > 0) & (heights < sizes)
    return {
        "left": starts,
        "right": ends,
        "bottom": lower,
        "top": upper,
        "name": [buffer.name for buffer in buffers],
        "size": sizes,
        "taken": np.where(partly, heights, padded),
        "first": starts,
        "last": ends - 1,
        "place": places,
        "color": [COLORS[i % len(COLORS)] for i in owners.tolist()],
        "alpha": np.ones(len(buffers)),
    }


def _panel(
    drawn: Drawn,
    source: ColumnDataSource,
    found: IndexFilter,
    times: Any,  # noqa: ANN401
) -> list[LayoutDOM]:
    """Return what is shown of one plan, from top to bottom."""
    from bokeh.models import Div

    heading = Div(
        text=f"<h2>{html.escape(drawn.title)}</h2><p>{html.escape(drawn.facts)}</p>",
        stylesheets=[STYLE],
        sizing_mode="stretch_width",
    )
    curve = _load(drawn, times)
    panel: list[LayoutDOM] = [heading]
    if drawn.total:
        placed = _rectangles(drawn, source, found, times)
        panel += [placed, curve, live_list(source, [placed, curve])]
    else:
        panel += [curve, live_list(source, [curve])]
    return panel


def _figure(height: int, times: Any, top: float) -> Figure:  # noqa: ANN401
    from bokeh.models import NumeralTickFormatter, Range1d, SingleIntervalTicker
    from bokeh.plotting import figure

    made = figure(
        height=height,
        sizing_mode="stretch_width",
        x_range=times,
        y_range=Range1d(0, max(1.0, 1.02 * top)),
        x_axis_label="operator",
        y_axis_label="bytes",
        tools="xpan,xwheel_zoom,box_zoom,reset,save",
        active_scroll="xwheel_zoom",
        output_backend="canvas",  # several times as fast as WebGL where there is no GPU
        lod_threshold=MANY,
    )
    made.toolbar.logo = None
    made.yaxis.ticker = SingleIntervalTicker(
        interval=2 ** max(0, math.ceil(math.log2(top / 8 or 1)))
    )
    made.yaxis.formatter = NumeralTickFormatter(format="0.[0] ib")
    return made


def _rectangles(
    drawn: Drawn,
    source: ColumnDataSource,
    found: IndexFilter,
    times: Any,  # noqa: ANN401
) -> Figure:
    """Return the buffers of a plan."""
    from bokeh.models import CDSView, HoverTool, Span

    made = _figure(460, times, drawn.total)
    outline = "white" if len(drawn.problem) <= 2000 else None
    quads = made.quad(
        "left", "right", "top", "bottom", source=source, fill_color="color", line_color=outline,
        fill_alpha="alpha", line_width=0.5,
    )  # fmt: skip
    # What is found has an edge, so that it is seen where it is smaller than a pixel, too.
    made.quad(
        "left", "right", "top", "bottom", source=source, view=CDSView(filter=found),
        fill_color="color", line_color="color", line_width=3,
    )  # fmt: skip
    made.add_tools(HoverTool(renderers=[quads], tooltips=_TOOLTIPS))
    if len(drawn.lines) <= 2000:
        for line in drawn.lines:
            made.add_layout(
                Span(location=line, dimension="width", line_color="#dddddd", level="underlay")
            )
    return made


def _load(drawn: Drawn, times: Any) -> Figure:  # noqa: ANN401
    """Return the bytes that are live over time, with the peak marked."""
    from bokeh.models import HoverTool, Span

    at, live = load(drawn.problem) if len(drawn.problem) else (np.zeros(1, dtype=np.int64),) * 2
    peak, when = int(live.max(initial=0)), int(at[int(np.argmax(live))])
    made = _figure(200, times, peak)
    columns = {"left": at[:-1], "right": at[1:], "top": live[:-1], "bottom": np.zeros(len(at) - 1)}
    made.varea_step(x=at, y1=np.zeros(len(at)), y2=live, step_mode="after", fill_color="#888888")
    steps = made.quad(  # for the mouse alone: areas cannot be hovered over
        "left", "right", "top", "bottom", source=columns, fill_color=None, line_color=None
    )
    told = [("from operator", "@left"), ("bytes live", "@top{0,0}")]
    made.add_tools(HoverTool(renderers=[steps], tooltips=told))
    top = Span(location=peak, dimension="width", line_color="#cc3311", line_dash="dashed")
    made.add_layout(top)
    made.title = f"load, at most {peak:,} bytes, first at operator {when:,}"
    return made
