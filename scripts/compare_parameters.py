#!/usr/bin/env python3
"""Compare parameters of the solvers with the defaults, instance by instance; write the page.

    compare_parameters.py PARAMETERS.json [--target relaxation] [--time-limit 60] [--workers 2]
        [-o docs/benchmarks/relaxation.md]

The instances are those of `FAMILIES`, `SIZES` and `SEEDS`: nothing was tuned on them. Both run in
turns, each run in a process of its own. PARAMETERS may be those of an earlier version: then the
page is the record of what its successors, the defaults, have gained.
"""

from __future__ import annotations

import argparse
import platform
from pathlib import Path

from memonger.bench.instances import resolve
from memonger.bench.rows import Row
from memonger.cli.options import read_parameters
from memonger.net.io import write_atomically
from memonger.tune import comparison
from memonger.tune.study import Plan, place_of

FAMILIES = ("uniform", "bimodal", "log-uniform", "zipf")
SIZES = (300, 400, 500)
SEEDS = (8, 9)
OUTPUT = Path(__file__).parents[1] / "docs" / "benchmarks" / "relaxation.md"


def table(rows: list[Row]) -> str:
    """Return both runs of each instance, side by side."""
    lines = [
        "| instance | defaults | seconds | gap % | compared | seconds | gap % |",
        "| --- | --- | ---: | ---: | --- | ---: | ---: |",
    ]
    for pair in zip(rows[::2], rows[1::2], strict=True):
        bound = max(row.bound for row in pair)
        cells = [pair[0].instance.split("/")[1]]
        for row in pair:
            seconds = row.seconds_to_proof if row.seconds_to_proof is not None else row.seconds
            gap = 100 * ((row.objective or 0) / bound - 1)
            cells += [row.status, f"{seconds:.2f}", f"{gap:.4f}" if gap else "0"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Run all, and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parameters", type=Path)
    parser.add_argument("--target", default="relaxation")
    parser.add_argument("--time-limit", type=float, default=60.0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("-o", "--output", type=Path, default=OUTPUT)
    options = parser.parse_args()
    compared = read_parameters(options.parameters)
    names = [f"{f}-{n}-seed{s}" for f in FAMILIES for n in SIZES for s in SEEDS]
    instances = resolve(names)
    plan = Plan(options.target, instances, instances, 1, options.time_limit, 0, options.workers)
    with place_of(plan) as place:
        rows = comparison.compared_runs(plan, place, compared, 1)
    gains = comparison.gains(plan, rows, 1)
    proven = [sum(row.status == "optimal" for row in rows[side::2]) for side in (0, 1)]
    report = comparison.report_of(plan, compared, gains).partition("| family")
    head = f"""# What the parameters of the relaxation gain

Made by `scripts/compare_parameters.py` on {platform.machine()} with two shared processors, CPython
{platform.python_version()}: the sharing form by `optimal`, at most {options.time_limit:g} s a run,
with the defaults and with other parameters, in turns; {len(names)} instances that nothing was tuned
on. With the defaults {proven[0]} are proven optimal, with the others {proven[1]}.

Cost: primal integral and time to the proof, in shares of the time limit; p: Wilcoxon's signed-rank
test over the instances, those of families after Holm; `tuned` are the parameters compared.

"""
    text = head + report[1] + report[2] + "\n" + table(rows) + "\n"
    write_atomically(options.output, text.encode())
    print(text)


if __name__ == "__main__":
    main()
