#!/usr/bin/env python3
"""Put the operators of exported networks in their best order; write a table of what that saves.

    benchmark_order.py DIR... [-o docs/benchmarks/order.md] [--growth 1000 10000 100000]

DIR holds `memonger-graph/1` files. For each: the peak of program order and of the best order, with
the bound over all orders and its proof; replayed here by a plain loop. For inference graphs also
what arena and sharing need in program order and in the order chosen for them. The compiled
functions are warm: one small problem comes first.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from memonger.instances.graph_json import order_problem_from_graph
from memonger.instances.loading import read_json
from memonger.instances.order_families import layered
from memonger.net.io import write_atomically
from memonger.order_problem import OrderProblem
from memonger.solver.order import solve_order
from memonger.solver.order_choice import choose_order
from memonger.solver.solve import solve


def replayed(problem: OrderProblem, order: Sequence[int]) -> int:
    """Return the peak of an order, operator by operator."""
    left = {i: set(held.readers) for i, held in enumerate(problem.allocations)}
    made: dict[int, list[int]] = {}
    read: dict[int, list[int]] = {}
    for i, held in enumerate(problem.allocations):
        made.setdefault(held.producer, []).append(i)
        for reader in held.readers:
            read.setdefault(reader, []).append(i)
    live: set[int] = set()
    bytes_live = peak = 0
    for operator in order:
        new = made.get(operator, [])
        live.update(new)
        bytes_live += sum(problem.allocations[i].size for i in new)
        peak = max(peak, bytes_live)
        for i in [*new, *read.get(operator, [])]:
            left[i].discard(operator)
            if not left[i] and not problem.allocations[i].kept:
                live.remove(i)
                bytes_live -= problem.allocations[i].size
    return peak


def orders(paths: Sequence[Path], limit: float) -> Iterator[str]:
    """Yield the table of peaks."""
    yield head("graph", "operators", "program order", "best order", "%", "bound", "proof",
               "order by", "s")  # fmt: skip
    seconds, proven, saved = [], 0, 0
    for path in paths:
        problem = order_problem_from_graph(read_json(path), path.name)
        before = replayed(problem, range(len(problem)))
        started = time.perf_counter()
        result = solve_order(problem, time_limit=limit)
        seconds.append(time.perf_counter() - started)
        assert result.plan is not None
        assert replayed(problem, result.plan.order) == result.objective
        assert result.objective is not None
        proven += result.status == "optimal"
        saved += result.objective < before
        yield row(
            path.name.removesuffix(".json.gz"), f"{len(problem):,}", f"{before:,}",
            f"{result.objective:,}", change(result.objective, before),
            "met" if result.status == "optimal" else f"{result.bound:,}",
            "" if result.proof is None else result.proof.value, result.source,
            f"{seconds[-1]:.2f}",
        )  # fmt: skip
    yield (
        f"\n{proven} of {len(seconds)} proven optimal; {saved} need less than in program order; "
        f"{sum(seconds):.1f} s together, median {statistics.median(seconds):.3f} s, "
        f"at most {max(seconds):.1f} s.\n"
    )


def forms(paths: Sequence[Path], limit: float) -> Iterator[str]:
    """Yield the table of what arena and sharing need."""
    yield head("graph", "arena, program", "chosen", "%", "status", "sharing, program", "chosen",
               "%", "status", "s")  # fmt: skip
    for path in paths:
        data = read_json(path)
        if data.get("meta", {}).get("mode") == "training":
            continue
        problem = order_problem_from_graph(data, path.name)
        started = time.perf_counter()
        cells = [path.name.removesuffix(".json.gz")]
        for form in ("arena", "sharing"):
            program = problem.in_order(range(len(problem)))
            before = solve(program, form=form, time_limit=limit)
            choice = choose_order(problem, problem.in_order, "optimal", form, time_limit=limit)
            after = solve(problem.in_order(choice.order), form=form, time_limit=limit)
            assert before.objective is not None
            assert after.objective is not None
            if before.objective < after.objective:
                after = before
            assert after.objective is not None
            cells += [
                f"{before.objective:,}", f"{after.objective:,}",
                change(after.objective, before.objective), after.status.value,
            ]  # fmt: skip
        yield row(*cells, f"{time.perf_counter() - started:.1f}")


def growth(sizes: Sequence[int], limit: float) -> Iterator[str]:
    """Yield the table of generated graphs: schedules with bounds, then the search."""
    yield head("operators", "width", "program order", "best schedule", "s", "best order", "bound",
               "gap %", "s")  # fmt: skip
    for count in sizes:
        for width in (3, 30):
            problem = layered(count, width)
            started = time.perf_counter()
            quick = solve_order(problem, "min-memory")
            middle = time.perf_counter()
            result = solve_order(problem, time_limit=limit)
            assert result.objective is not None
            yield row(
                f"{count:,}", width, f"{problem.peak(range(count)):,}", f"{quick.objective:,}",
                f"{middle - started:.2f}", f"{result.objective:,}", f"{result.bound:,}",
                f"{100 * (result.gap or 0):.1f}", f"{time.perf_counter() - middle:.1f}",
            )  # fmt: skip


def head(*columns: str) -> str:
    """Return the head of a table: the first column to the left, the others to the right."""
    return f"| {' | '.join(columns)} |\n| --- |{' ---: |' * (len(columns) - 1)}"


def row(*cells: object) -> str:
    """Return a row of a table."""
    return f"| {' | '.join(map(str, cells))} |"


def change(after: int, before: int) -> str:
    """Return the change in per cent."""
    return "0" if after == before else f"{100 * (after / before - 1):+.2f}"


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("graphs", type=Path, nargs="*", metavar="DIR")
    parser.add_argument("--growth", type=int, nargs="*", default=[], metavar="N")
    parser.add_argument("--time-limit", type=float, default=60.0, help="seconds, of each run")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    paths = sorted(path for folder in options.graphs for path in folder.glob("*.json.gz"))
    choose_order((warm := layered(60, 9)), warm.in_order, "optimal", "sharing", time_limit=5)
    lines = [
        "# The order form: what another order of the operators saves",
        "",
        f"Made by `scripts/benchmark_order.py`; {platform.machine()}, CPython "
        f"{platform.python_version()}; bytes; one worker for orders; at most "
        f"{options.time_limit:g} s a run.",
    ]
    parts = (
        (paths, "Least peak of all orders", orders),
        (paths, "Arena and sharing, in program order and in the order chosen for them", forms),
        (options.growth, "Generated graphs", growth),
    )
    for things, title, table in parts:
        if things:
            lines += ["", f"## {title}", ""]
            print("\n".join(lines[-3:]))
            for line in table(things, options.time_limit):
                print(line, flush=True)
                lines.append(line)
    if options.output is not None:
        write_atomically(options.output, ("\n".join(lines) + "\n").encode())


if __name__ == "__main__":
    main()
