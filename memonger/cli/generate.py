"""``memonger generate``: instances of any size."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from memonger.cli import options
from memonger.cli.console import note
from memonger.errors import InputError
from memonger.instances.generators import generated
from memonger.instances.minimalloc_csv import problem_to_csv
from memonger.instances.problem_json import problem_to_json
from memonger.net.io import save_net, write_atomically
from memonger.net.type_files import types_to_json
from memonger.problem import Problem


def generate(
    family: Annotated[str, typer.Argument(metavar="FAMILY", help="See memonger info --list.")],
    size: Annotated[
        int, typer.Argument(metavar="N", help="Buffers of a problem, operators of a net.")
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT",
            help="A problem as .json or .csv; a net as .pb, .pbtxt.",
        ),
    ],
    seed: Annotated[
        int, typer.Option("--seed", min=0, max=2**63 - 1, help="Another one of the family.")
    ] = 0,
    quiet: options.Quiet = False,
) -> int:
    """Write a generated instance; beside a net its shapes.

    The shapes go to OUT.shapes.json. What is written depends on family, N and seed alone. Every
    command takes the instances by their names too: FAMILY-N or FAMILY-N-seedS.

    For example:

      memonger generate churn 1000 --seed 3 --output churn.csv

      memonger generate encoder-training 500 --output encoder.pb

      memonger solve churn-1000-seed3 --form arena
    """
    options.check_target(output)
    name = f"{family}-{size}-seed{seed}"
    made = generated(name)
    if isinstance(made, Problem):
        if output.suffix not in (".json", ".csv"):
            raise InputError(f"{output}: {family} makes problems, which are .json or .csv")
        data = problem_to_json(made)
        text = problem_to_csv(made) if output.suffix == ".csv" else json.dumps(data, indent=1)
        write_atomically(output, text.encode())
        note(f"wrote {output}", quiet=quiet)
        return 0
    if output.suffix not in (".pb", ".pbtxt"):
        raise InputError(f"{output}: {family} makes nets, which are .pb or .pbtxt")
    types = types_to_json(made.types)
    shapes = output.with_suffix(".shapes.json")
    write_atomically(shapes, (json.dumps(types, indent=1) + "\n").encode())
    save_net(made.net, output)
    note(f"wrote {output} and {shapes}", quiet=quiet)
    return 0
