#!/usr/bin/env python3
"""Measure how `memonger optimize` grows with the net.

    benchmark_growth.py [-o docs/benchmarks/growth.md] [--operators 2000 20000 200000]

Each net is built and written to a file, then read, analysed (def-use, shapes, live ranges),
planned, rewritten and verified in a process of its own, whose peak memory is taken. The compiled
kernel is warm: one small run comes first.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from memonger.instances.nets import BuiltNet, chain, resnet_like
from memonger.net.io import load_net, save_net, write_atomically

FAMILIES = {"chain": chain, "resnet-like": resnet_like}


def built(family: str, operators: int) -> BuiltNet:
    """Return a net of a family; ``-dag`` runs in parallel."""
    result = FAMILIES[family.removesuffix("-dag")](operators)
    if family.endswith("-dag"):
        result.net.type = "dag"
    return result


def measure(family: str, path: str) -> dict[str, object]:
    """Optimize the net of a file; return the seconds of each stage and the peak memory."""
    from memonger.analysis import analyse_net
    from memonger.pipeline import optimize
    from memonger.solver.solve import solve

    types = built(family, int(Path(path).stem)).types
    seconds: dict[str, float] = {}

    def lap(name: str, started: float) -> None:
        seconds[name] = round(time.perf_counter() - started, 2)

    started = time.perf_counter()
    net = load_net(path)
    lap("read", started)
    started = time.perf_counter()
    analysis = analyse_net(net, shapes=types)
    lap("analyse", started)
    started = time.perf_counter()
    solve(analysis.problem)
    lap("plan", started)
    del analysis
    started = time.perf_counter()
    done = optimize(net, shapes=types)
    lap("optimize", started)
    started = time.perf_counter()
    save_net(done.net, f"{path}.out")
    lap("write", started)
    return {
        "operators": len(net.op),
        "buffers": len(done.analysis.problem),
        "status": done.status.value,
        **seconds,
        "megabytes": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def run(family: str, operators: int, directory: str) -> dict[str, object]:
    """Measure in a process of its own."""
    path = Path(directory) / f"{operators}.pb"
    save_net(built(family, operators).net, path)
    command = [sys.executable, __file__, "--measure", family, str(path)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    row: dict[str, object] = {"net": family, **json.loads(output)}
    return row


def markdown(rows: list[dict[str, object]]) -> str:
    """Return the report."""
    columns = list(rows[0])
    lines = [
        "# Growth with the size of the net",
        "",
        "Made by `scripts/benchmark_growth.py`; seconds of one run each, "
        f"{platform.machine()}, CPython {platform.python_version()}. `optimize` is the whole job "
        "after reading (analysis, plan, rewriting, verification); `analyse` and `plan` are parts "
        "of it, measured apart.",
        "",
        f"| {' | '.join(columns)} |",
        f"| {' | '.join('---' if c in ('net', 'status') else '---:' for c in columns)} |",
        *(f"| {' | '.join(str(row[c]) for c in columns)} |" for row in rows),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--operators", type=int, nargs="+", default=[2000, 20000, 200000])
    parser.add_argument("--measure", nargs=2, metavar=("FAMILY", "FILE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(*options.measure)))
        return
    rows = []
    with tempfile.TemporaryDirectory() as directory:
        run("chain", 100, directory)  # compiles the kernel where no cache holds it
        for family in ("chain", "resnet-like", "resnet-like-dag"):
            for operators in options.operators:
                if family.endswith("-dag") and operators > 20000:
                    continue  # vector clocks grow with operators x chains
                rows.append(run(family, operators, directory))
                print(rows[-1], file=sys.stderr, flush=True)
    report = markdown(rows)
    if options.output is None:
        print(report)
    else:
        write_atomically(options.output, report.encode())


if __name__ == "__main__":
    main()
