#!/usr/bin/env python3
"""Run every heuristic on real and generated instances, beside the optimum; write the table.

    benchmark_heuristics.py [--runs build/heuristics.jsonl] [--workers 2]
        [-o docs/benchmarks/heuristics.md]

It is `memonger bench` with all algorithms of the forms sharing and arena that prove nothing, and
`optimal`; then `memonger report`. Interrupted, it goes on where it was.
"""

from __future__ import annotations

import argparse
import platform
import sys
from pathlib import Path

from memonger.bench.report import write_report
from memonger.bench.row_file import read_rows
from memonger.cli.main import run
from memonger.net.io import write_atomically
from memonger.registry import ARENA, SHARING

ROOT = Path(__file__).parents[1]
SETS = ("real-inference", "real-training", "generated-small")
LEFT_OUT = ("none",)  # every buffer alone
LIMIT = "2s"
HEAD = f"""# Heuristics against the optimum

Made by `scripts/benchmark_heuristics.py` on {platform.machine()}, CPython \
{platform.python_version()}: every heuristic on the sets {", ".join(SETS)}, operators in program
order, at most {LIMIT} a run, `optimal` beside them with the same limit. Of nearly all instances the
optimum is proven, most of it by certificates: [instances](../instances.md). What a heuristic misses
at the least is in [Where heuristics fail](../gallery.md).
"""


def main() -> int:
    """Run what has not run, and write the page; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=Path, default=ROOT / "build" / "heuristics.jsonl")
    parser.add_argument("--workers", default="2")
    parser.add_argument(
        "-o", "--output", type=Path, default=ROOT / "docs" / "benchmarks" / "heuristics.md"
    )
    options = parser.parse_args()
    options.runs.parent.mkdir(parents=True, exist_ok=True)
    names = [a.name for form in (SHARING, ARENA) for a in form if not a.proves]
    wanted = dict.fromkeys(name for name in names if name not in LEFT_OUT)
    arguments = ["--forms", "sharing,arena", "--algorithms", ",".join([*wanted, "optimal"])]
    limits = ["--time-limit", LIMIT, "--workers", options.workers, "-o", str(options.runs)]
    code = run(["bench", *SETS, *arguments, *limits])
    if code:
        return code
    folder = options.runs.with_suffix("")
    write_report(read_rows(options.runs), folder)
    text = (folder / "report.md").read_text(encoding="utf-8").partition("\n")[2]
    write_atomically(options.output, (HEAD + text).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
