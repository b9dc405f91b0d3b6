"""``memonger show``: a picture of a plan."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from memonger.cli import options
from memonger.cli.console import note
from memonger.errors import InputError
from memonger.instances.loading import load_plan
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

    Needs matplotlib: pip install 'memonger[plot]'.

    For example:

      memonger show plan.json

      memonger show plan.json --output plan.svg
    """
    from memonger.plot import draw_plan

    claimed = load_plan(plan)
    target = output or Path(plan).with_suffix(".png")
    if target.suffix not in (".png", ".svg"):
        raise InputError(f"{target}: a picture is a .png or a .svg")
    options.check_target(target)
    write_atomically(target, draw_plan(claimed.problem, claimed.plan, target.suffix[1:]))
    note(f"wrote {target}", quiet=quiet)
    return 0
