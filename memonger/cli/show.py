"""``memonger show``: a picture of a plan."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from memonger.cli import options
from memonger.cli.console import note, print_json
from memonger.errors import InputError
from memonger.instances.loading import load_form, load_order_plan, load_plan
from memonger.instances.order_json import FORM as ORDER_FORM
from memonger.net.io import write_atomically


def show(
    plans: Annotated[list[str], typer.Argument(metavar="PLAN.json...", help="Plan files.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="A .png, .svg or .html; beside the plan."
        ),
    ] = None,
    json_output: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Draw plans over time, as a picture or as a page.

    A lane for each shared buffer, or the arena; heights are bytes. Of a plan of the form order,
    the bytes that are live at each step are drawn.

    An .html is one page that needs no network, in which buffers can be searched; it shows several
    plans side by side. Needs bokeh: pip install 'memonger[html]'. Pictures need matplotlib: pip
    install 'memonger[plot]'.

    For example:

      memonger show plan.json

      memonger show plan.json --output plan.svg

      memonger show sharing.json arena.json --output plans.html
    """
    if not all(Path(plan).name for plan in plans):
        raise InputError("a plan is a file")
    target = output or Path(plans[0]).with_suffix(".png")
    if target.suffix not in (".png", ".svg", ".html"):
        raise InputError(f"{target}: a picture is a .png or a .svg, a page an .html")
    if len(plans) > 1 and target.suffix != ".html":
        raise InputError(f"{target}: several plans are shown in an .html")
    options.check_target(target)
    options.check_stdout(target, json_output=json_output, quiet=True)
    for plan in plans:
        options.check_new(plan, target)
    content = _page(plans) if target.suffix == ".html" else _picture(plans[0], target.suffix[1:])
    write_atomically(target, content)
    if json_output:
        print_json({"output": str(target), "plans": plans, "bytes": len(content)})
    note(f"wrote {target}", quiet=quiet or json_output)
    return 0


def _page(plans: list[str]) -> bytes:
    from memonger.plot_html import page_of

    read = [load_order_plan(p) if load_form(p) == ORDER_FORM else load_plan(p) for p in plans]
    return page_of([(Path(p).name, r) for p, r in zip(plans, read, strict=True)]).encode()


def _picture(plan: str, kind: str) -> bytes:
    from memonger.plot import draw_order, draw_plan

    if load_form(plan) == ORDER_FORM:
        order = load_order_plan(plan)
        return draw_order(order.problem, order.plan, kind)
    claimed = load_plan(plan)
    return draw_plan(claimed.problem, claimed.plan, kind)
