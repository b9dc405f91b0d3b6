#!/usr/bin/env python3
"""Measure the arena form beside its best peers, set by set.

    benchmark_arena.py [--minimalloc DIR...] [--graphs DIR...] [--traces DIR...]
        [--families [N...]] [--only GLOB] [--repeat 5] [--time-limit 60]
        [-o docs/benchmarks/arena.md]

The peers come with the extra `peers`: SuperMalloc of omnimalloc with 12 threads (with fewer it
asks for the load bound later), with its default, and omnimalloc's own default allocator. Without
the extra memonger is measured alone.

Each instance and program has a process of its own, which plans a small problem first, so that
nothing is compiled or loaded while the clock runs; it then plans the instance several times, the
programs in turns. Seconds are the median of wall time from buffers in memory to a plan in memory;
memonger's include its verifier. Plans of all programs are verified by memonger's. Runs are
recorded, one a line, in build/benchmark_arena.jsonl, and not repeated while they stand there.

The long run for the two of MiniMalloc's instances whose optimum is not known:

    benchmark_arena.py --minimalloc DIR --only "[DJ].csv" --program memonger --time-limit 600
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from memonger.errors import PlanError
from memonger.graph.sections import sections_of
from memonger.instances.arena_families import ARENA_FAMILIES as FAMILIES
from memonger.instances.loading import load
from memonger.net.io import write_atomically
from memonger.plan import ArenaPlan
from memonger.problem import Buffer, Problem
from memonger.verify import verify_arena

ROOT = Path(__file__).parents[1]
RECORDS = ROOT / "build" / "benchmark_arena.jsonl"
PROGRAMS = ("memonger", "supermalloc-12", "supermalloc", "omnimalloc")
SMALL = Problem(tuple(Buffer(f"b{i}", 3 + i % 5, i // 3, i // 3 + 2 + i % 4) for i in range(40)))

# What a program answers: offsets, and whether it says that they are optimal.
Answer = tuple[tuple[int, ...], bool]


def by_memonger(seconds: float) -> Callable[[Problem], Answer]:
    """Return memonger's exact algorithm, of which it reports the status."""
    from memonger.result import Status
    from memonger.solver.solve import solve

    def plan(problem: Problem) -> Answer:
        result = solve(problem, form="arena", time_limit=seconds)
        assert result.plan is not None
        return result.plan.offsets, result.status is Status.OPTIMAL

    return plan


def by_supermalloc(seconds: float, threads: int | None) -> Callable[[Problem], Answer]:
    """Return SuperMalloc, of which it reports whether it proved its result."""
    from omnimalloc.allocators import SupermallocAllocator

    allocator = SupermallocAllocator(timeout=seconds, num_threads=threads)

    def plan(problem: Problem) -> Answer:
        result = allocator.solve(allocations(problem))
        return offsets_of(result.allocations), bool(result.proved_optimal)

    return plan


def by_omnimalloc(_: float) -> Callable[[Problem], Answer]:
    """Return the default allocator of omnimalloc."""
    from omnimalloc.allocators import OmniAllocator

    allocator = OmniAllocator()
    return lambda problem: (offsets_of(allocator.allocate(allocations(problem))), False)


def allocations(problem: Problem) -> tuple[Any, ...]:
    """Return the buffers as omnimalloc's."""
    from omnimalloc import Allocation

    return tuple(
        Allocation(index, buffer.size, buffer.start, buffer.end)
        for index, buffer in enumerate(problem.buffers)
        if buffer.size
    )


def offsets_of(placed: tuple[Any, ...]) -> tuple[int, ...]:
    """Return the offsets in the order of the buffers; empty buffers are left out by all peers."""
    return tuple(a.offset for a in sorted(placed, key=lambda a: int(a.id)))


MAKERS: dict[str, Callable[[float], Callable[[Problem], Answer]]] = {
    "memonger": by_memonger,
    "supermalloc-12": lambda seconds: by_supermalloc(seconds, 12),
    "supermalloc": lambda seconds: by_supermalloc(seconds, None),
    "omnimalloc": by_omnimalloc,
}


def problem_of(source: str) -> Problem:
    """Return the problem in a file, or a family, a number of buffers and a seed; no empty ones."""
    if source.startswith("family:"):
        _, family, count, seed = source.split(":")
        problem = FAMILIES[family](int(count), int(seed))
    else:
        loaded = load(source)
        assert isinstance(loaded, Problem)
        problem = loaded
    return Problem(tuple(buffer for buffer in problem.buffers if buffer.size), problem.name)


def measure(source: str, program: str, seconds: float, repeat: int) -> dict[str, Any]:
    """Plan a problem several times; return what came out of the last, and the median time."""
    problem = problem_of(source)
    plan = MAKERS[program](seconds)
    plan(SMALL)
    times: list[float] = []
    while len(times) < repeat and (len(times) < 1 or sum(times) < seconds):
        started = time.perf_counter()
        offsets, proven = plan(problem)
        times.append(time.perf_counter() - started)
    try:
        peak = verify_arena(problem, ArenaPlan(offsets))
    except PlanError as error:
        return {"error": str(error), "buffers": len(problem)}
    sections = sections_of(problem)
    return {
        "buffers": len(problem),
        "load": int(sections.load.max(initial=0)) * sections.unit,
        "peak": peak,
        "proven": proven,
        "seconds": statistics.median(times),
        "runs": len(times),
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def recorded(records: Path, key: dict[str, Any]) -> dict[str, Any] | None:
    """Return what was measured before under a key."""
    if records.exists():
        for line in records.read_text(encoding="utf-8").splitlines():
            record: dict[str, Any] = json.loads(line)
            if all(record.get(name) == value for name, value in key.items()):
                return record
    return None


def run(records: Path, key: dict[str, Any]) -> dict[str, Any]:
    """Measure in a process of its own, unless that was done before."""
    known = recorded(records, key)
    if known is not None:
        return known
    command = [sys.executable, __file__, "--measure", json.dumps(key)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    found = {"error": (ended.stderr.strip().splitlines() or ["killed"])[-1]}
    if ended.returncode == 0:
        found = json.loads(ended.stdout.splitlines()[-1])
    record = {**key, **found}
    records.parent.mkdir(exist_ok=True)
    with records.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")
    return record


def sources(options: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """Yield sets and problems."""
    for name in ("minimalloc", "graphs", "traces"):
        for directory in getattr(options, name):
            for path in sorted(Path(directory).iterdir()):
                if path.name.endswith((".csv", ".json", ".json.gz")):
                    yield name, str(path)
    for count in options.families or ():
        for family in FAMILIES:
            yield "families", f"family:{family}:{count}:0"


def lines_of(rows: dict[tuple[str, str], dict[str, Any]], seconds: float) -> Iterator[str]:
    """Yield the lines of the report."""
    yield "# The arena form beside its peers"
    yield ""
    yield (
        f"Made by `scripts/benchmark_arena.py`; {platform.machine()}, {os.cpu_count()} processors, "
        f"CPython {platform.python_version()}; at most {seconds:.0f} s a run, median wall seconds; "
        "a gap is that of the peak to the load, the bytes live at once, which no plan is below; "
        "* proven optimal (by memonger with a certificate where the gap is 0)."
    )
    programs = [p for p in PROGRAMS if any(p in found for found in rows.values())]
    for name in dict.fromkeys(name for name, _ in rows):
        yield ""
        yield f"## {name}"
        yield ""
        yield f"| instance | buffers | load | {' | '.join(f'{p} | s' for p in programs)} |"
        yield f"| --- | ---: | ---: |{' ---: | ---: |' * len(programs)}"
        for (group, source), found in rows.items():
            if group == name:
                first = next(iter(found.values()))
                cells = [cell for p in programs for cell in cells_of(found.get(p))]
                label = Path(source).name.split(".")[0].removeprefix("family:")
                yield (
                    f"| {label} | {first.get('buffers', '-')} | {first.get('load', 0):,} | "
                    f"{' | '.join(cells)} |"
                )


def cells_of(record: dict[str, Any] | None) -> tuple[str, str]:
    """Return the gap and the seconds of a run."""
    if record is None:
        return "-", "-"
    if "error" in record:
        return "failed", "-"
    gap = 100 * (record["peak"] - record["load"]) / max(1, record["load"])
    text = "0" if record["peak"] == record["load"] else f"{gap:.3f} %"
    return text + (" *" if record["proven"] else ""), f"{record['seconds']:.3g}"


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    for name in ("minimalloc", "graphs", "traces"):
        parser.add_argument(f"--{name}", nargs="+", default=[], metavar="DIR")
    parser.add_argument("--families", nargs="*", type=int, metavar="N")
    parser.add_argument("--only", default="*", metavar="GLOB", help="problems of these names")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--time-limit", type=float, default=60.0)
    parser.add_argument("--program", action="append", choices=PROGRAMS)
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--records", type=Path, default=RECORDS)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        key = json.loads(options.measure)
        found = measure(key["source"], key["program"], key["time_limit"], key["repeat"])
        print(json.dumps(found))
        return
    chosen = options.program or PROGRAMS
    if importlib.util.find_spec("omnimalloc") is None:
        chosen = ("memonger",)
    if options.families == []:
        options.families = [100, 1000]
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for name, source in sources(options):
        if not fnmatch(Path(source).name, options.only):
            continue
        rows[name, source] = {}
        for program in chosen:
            key = {"source": source, "program": program, "repeat": options.repeat}
            record = run(options.records, {**key, "time_limit": options.time_limit})
            rows[name, source][program] = record
            print(name, source, program, *cells_of(record), file=sys.stderr, flush=True)
    report = "\n".join(lines_of(rows, options.time_limit)) + "\n"
    if options.output is None:
        print(report)
    else:
        write_atomically(options.output, report.encode())


if __name__ == "__main__":
    main()
