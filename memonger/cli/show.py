"""``memonger show``: a picture of a plan."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from memonger.cli import options
from memonger.cli.console import note
from memonger.errors import InputError
from memonger.instances.loading import load_form, load_order_plan, load_plan
from memonger.instances.order_json import FORM as ORDER_FORM
from memonger.net.io import write_atomically


def show(
    plan: Annotated[str, typer.Argument(metavar="PLAN.json", help="A plan file.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="A .png or .svg; beside the plan."),
    ] = None,
    quiet: options.Quiet = False,
) -> int:
    """Draw a plan over time: a lane for each shared buffer, or the arena; heights are bytes.

    Of a plan of the form order, the bytes that are live at each step are drawn.

    Needs matplotlib: pip install 'memonger[plot]'.

    For example:

      memonger show plan.json

      memonger show plan.json --output plan.svg
    """
    from memonger.plot import draw_order, draw_plan

    target = output or Path(plan).with_suffix(".png")
    if target.suffix not in (".png", ".svg"):
        raise InputError(f"{target}: a picture is a .png or a .svg")
    options.check_target(target)
    if load_form(plan) == ORDER_FORM:
        order = load_order_plan(plan)
        picture = draw_order(order.problem, order.plan, target.suffix[1:])
    else:
        claimed = load_plan(plan)
        picture = draw_plan(claimed.problem, claimed.plan, target.suffix[1:])
    write_atomically(target, picture)
    note(f"wrote {target}", quiet=quiet)
    return 0
