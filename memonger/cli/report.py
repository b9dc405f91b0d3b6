"""``memonger report``: what the rows of benchmarks say."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from memonger.cli import options
from memonger.cli.console import note, print_json


def report(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUNS.jsonl...", help="Rows of `memonger bench`.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Where the files are put.")
    ],
    json_output: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Compare the algorithms of a benchmark: tables and pictures.

    Markdown, CSV, and one HTML page: gaps to the best bound by algorithm and family,
    performance profiles, primal integrals, shifted geometric means, wins, the smallest instance
    that each algorithm misses, and whether differences may be noise. Pictures need matplotlib:
    pip install 'memonger[plot]'.

    For example:

      memonger report runs.jsonl --output report

      memonger report monday.jsonl tuesday.jsonl --output report
    """
    from memonger.bench.report import write_report
    from memonger.bench.row_file import read_rows

    options.check_directory(output)
    rows = [row for path in runs for row in read_rows(path)]
    files = write_report(rows, output)
    if json_output:
        print_json({"rows": len(rows), "files": [str(path) for path in files]})
    else:
        note(f"wrote {len(files)} files into {output}", quiet=quiet)
    return 0
