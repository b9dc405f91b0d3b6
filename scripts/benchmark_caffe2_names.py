#!/usr/bin/env python3
"""Measure how the functions of `memonger.caffe2` grow with the net, beside those of Caffe2.

    benchmark_caffe2_names.py [-o docs/benchmarks/caffe2-names.md] [--limit 120]

Each function runs on each net in a process of its own: once on a small net, which loads and
compiles what it needs, then on the net itself, whose CPU seconds count. A process that is not done
in the time limit is stopped. The numbers of the original are data here, with their source.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from caffe2_timings import ORIGINAL, SOURCE

import memonger.caffe2 as caffe2
from memonger.heuristics.caffe2_dp import SearchLimitError
from memonger.instances import architectures
from memonger.instances.net_builder import NetBuilder
from memonger.instances.nets import chain, resnet_like
from memonger.net.io import write_atomically
from memonger.net.netdef_pb2 import NetDef
from memonger.net.tensors import DataType

SIZES = (100, 1000, 5000, 20000)
PROGRAM = caffe2.topological_sort_traversal
LONGEST = caffe2.topological_sort_traversal_longest_path


def random_dag(operators: int) -> NetDef:
    """Return a net in which each operator reads one or two of the last 20 blobs."""
    rng = random.Random(operators)
    builder = NetBuilder(f"random-{operators}")
    blobs = [builder.data("data", (4, 64))]
    for index in range(operators):
        inputs = [rng.choice(blobs[-20:]) for _ in range(rng.randint(1, 2))]
        blobs.append(builder.add("Sum", inputs, {f"b{index}": (4, 64)}))
    read = {name for op in builder.net.op for name in op.input}
    builder.net.external_output.extend(name for name in blobs if name not in read)
    return builder.net


def trained(operators: int) -> NetDef:
    """Return a perceptron with its gradients, of about that many operators."""
    builder = NetBuilder(f"trained-{operators}")
    widths = (64,) * max(1, (operators - 8) // 4)
    label = builder.data("label", (8,), DataType.INT32)
    scores = architectures.perceptron(builder, builder.data("data", (8, 64)), (*widths, 10))
    builder.add("SoftmaxWithLoss", [scores, label], ["softmax", "loss"])
    builder.backward("loss")
    return builder.net


NETS: dict[str, Callable[[int], NetDef]] = {
    "chain": lambda operators: chain(operators).net,
    "resnet-like": lambda operators: resnet_like(operators).net,
    "random": random_dag,
    "trained": trained,
}


def names(net: NetDef) -> list[str]:
    """Return the blobs of a net."""
    return list(dict.fromkeys(name for op in net.op for name in (*op.input, *op.output)))


def static(net: NetDef) -> list[str]:
    """Return the blobs that must stay."""
    return [*net.external_input, *net.external_output]


def by_graph(function: Callable[[Any], Any]) -> Callable[[NetDef], Callable[[], Any]]:
    """Return a function of the interference graph as a function of a net."""

    def prepare(net: NetDef) -> Callable[[], Any]:
        graph = caffe2.compute_interference_graph(net.op)
        return lambda: function(graph)

    return prepare


def by_ranges(algorithm: caffe2.AssignmentAlgorithm) -> Callable[[NetDef], Callable[[], Any]]:
    """Return the assignment of the blobs of a net, live ranges given."""

    def prepare(net: NetDef) -> Callable[[], Any]:
        ranges, kept = caffe2.compute_ranges(net.op), static(net)
        return lambda: caffe2.compute_assignments(ranges, kept, algorithm)

    return prepare


def by_interference(
    ordering: Callable[[Any], Any], algorithm: caffe2.AssignmentAlgorithm
) -> Callable[[NetDef], Callable[[], Any]]:
    """Return `optimize_interference` with an order and an algorithm."""
    return lambda net: (
        lambda: caffe2.optimize_interference(net, static(net), ordering, None, algorithm)
    )


def estimated(net: NetDef) -> Callable[[], Any]:
    """Return the estimate of a net whose blobs have 256 elements each."""
    shapes = dict.fromkeys(names(net), (4, 64))
    types = dict.fromkeys(shapes, int(DataType.FLOAT))
    return lambda: caffe2.estimate_memory_usage([net], shapes, types, net.device_option)


def shared_gradients(*, optimal: bool = False) -> Callable[[NetDef], Callable[[], Any]]:
    """Return `share_grad_blobs` of a net with one loss."""

    def prepare(net: NetDef) -> Callable[[], Any]:
        written = {name for op in net.op for name in op.output}
        found = [f"{name}_grad" for name in net.external_input if f"{name}_grad" in written]
        return lambda: caffe2.share_grad_blobs(net, ["loss"], found, "", optimal=optimal)

    return prepare


ALGORITHM = caffe2.AssignmentAlgorithm
FUNCTIONS: dict[str, Callable[[NetDef], Callable[[], Any]]] = {
    "compute_interference_graph": lambda net: lambda: caffe2.compute_interference_graph(net.op),
    "topological_sort_traversal": by_graph(PROGRAM),
    "topological_sort_traversal_longest_path": by_graph(LONGEST),
    "compute_ranges": lambda net: lambda: caffe2.compute_ranges(net.op),
    "compute_assignments, greedy": by_ranges(ALGORITHM.GREEDY),
    "compute_assignments, dp": by_ranges(ALGORITHM.DYNAMIC_PROGRAMMING),
    "compute_assignments, optimal": by_ranges(ALGORITHM.OPTIMAL),
    "optimize_interference, greedy": by_interference(PROGRAM, ALGORITHM.GREEDY),
    "optimize_interference, optimal": by_interference(PROGRAM, ALGORITHM.OPTIMAL),
    "optimize_interference, longest path, greedy": by_interference(LONGEST, ALGORITHM.GREEDY),
    "optimize_inference_for_dag": lambda net: (
        lambda: caffe2.optimize_inference_for_dag(net, net.external_input)
    ),
    "optimize_inference_for_dag, optimal": lambda net: (
        lambda: caffe2.optimize_inference_for_dag(net, net.external_input, optimal=True)
    ),
    "optimize_inference_fast": lambda net: lambda: caffe2.optimize_inference_fast(net, static(net)),
    "share_grad_blobs": shared_gradients(),
    "share_grad_blobs, optimal": shared_gradients(optimal=True),
    "release_blobs_when_used": lambda net: lambda: caffe2.release_blobs_when_used(net, set()),
    "verify_graph_equality": lambda net: lambda: caffe2.verify_graph_equality(net, net),
    "verify_inplace_blobs": lambda net: lambda: caffe2.verify_inplace_blobs(net, net),
    "estimate_memory_usage": estimated,
}


def families(function: str) -> tuple[str, ...]:
    """Return the nets that a function is measured on."""
    return ("trained",) if function.startswith("share_grad") else ("chain", "resnet-like", "random")


def measure(function: str, family: str, operators: int) -> dict[str, Any]:
    """Return the CPU seconds of one call and the peak memory, after a call on a small net."""
    FUNCTIONS[function](NETS[family](40))()
    call = FUNCTIONS[function](NETS[family](operators))
    started = time.process_time()
    try:
        call()
    except SearchLimitError:
        return {"seconds": None, "text": "gives up"}
    seconds = time.process_time() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return {"seconds": seconds, "text": number(seconds), "megabytes": peak}


def number(seconds: float) -> str:
    """Return seconds with two digits that mean something."""
    if seconds < 0.0995:
        return f"{seconds:.3f}"
    return f"{seconds:.2f}" if seconds < 9.95 else f"{seconds:.0f}"


def run(function: str, family: str, operators: int, limit: float) -> dict[str, Any]:
    """Measure in a process of its own."""
    command = [sys.executable, __file__, "--measure", function, family, str(operators)]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=True)
    except subprocess.TimeoutExpired:
        return {"seconds": None, "text": f">{limit:.0f}"}
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def exponent(rows: list[dict[str, Any]], sizes: list[int]) -> str:
    """Return the growth between the two largest nets: n^1.0 is linear."""
    if len(rows) < 2:
        return "-"
    one, other = rows[-2:]
    if not one["seconds"] or not other["seconds"]:
        return "-"
    ratio = math.log(other["seconds"] / one["seconds"]) / math.log(sizes[-1] / sizes[-2])
    return f"n^{ratio:.1f}"


def markdown(
    results: dict[tuple[str, str], list[dict[str, Any]]], sizes: list[int], limit: float
) -> str:
    """Return the report."""
    return "\n".join(lines_of(results, sizes, limit)) + "\n"


def lines_of(
    results: dict[tuple[str, str], list[dict[str, Any]]], sizes: list[int], limit: float
) -> Iterator[str]:
    """Yield the lines of the report."""
    machine = f"{platform.machine()}, CPython {platform.python_version()}"
    yield "# Growth of the functions under Caffe2's names"
    yield ""
    yield (
        f"Made by `scripts/benchmark_caffe2_names.py`; {machine}. CPU seconds of one call in a "
        f"process of its own, kernels warm, at most {limit:.0f} s each, by the number of "
        "operators; growth is that between the two largest nets; MB is the peak of the process at "
        "the largest. Everything that rewrites a net includes the verification of the result."
    )
    yield ""
    yield f"{SOURCE}."
    yield ""
    heads = [f"{size:,}" for size in sizes]
    originals = [f"Caffe2 {size:,}" for size in SIZES]
    yield f"| function | net | {' | '.join(heads)} | growth | MB | {' | '.join(originals)} |"
    yield f"| --- | --- |{' ---: |' * (len(heads) + 2 + len(originals))}"
    for (function, family), rows in results.items():
        original = ORIGINAL.get(function, {}).get(family, ("-",) * len(SIZES))
        texts = [row["text"] for row in rows]
        peak = rows[-1].get("megabytes", "-")
        cells = [*texts, exponent(rows, sizes), str(peak), *original]
        yield f"| {function} | {family} | {' | '.join(cells)} |"


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--operators", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--limit", type=float, default=120.0, help="seconds a measurement")
    parser.add_argument("--function", action="append", choices=list(FUNCTIONS))
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        function, family, operators = options.measure
        print(json.dumps(measure(function, family, int(operators))))
        return
    results: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for function in options.function or FUNCTIONS:
        for family in families(function):
            rows = [run(function, family, size, options.limit) for size in options.operators]
            results[function, family] = rows
            texts = [row["text"] for row in rows]
            print(function, family, *texts, file=sys.stderr, flush=True)
            report = markdown(results, options.operators, options.limit)
            if options.output is not None:  # what is measured survives an interruption
                write_atomically(options.output, report.encode())
    if options.output is None:
        print(report)


if __name__ == "__main__":
    main()
