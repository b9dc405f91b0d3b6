#!/usr/bin/env python3
"""Compare memonger with what a real Caffe2 did to 99 recorded nets.

    benchmark_golden.py GOLDEN.tgz [-o docs/benchmarks/golden.md]

The archive holds the nets, the sizes of their blobs and the nets that Caffe2's own passes made of
them (`optimize_inference_fast`, `optimize_inference_for_dag`: those that keep the order). Every
net is optimized with the recorded sizes; bytes are measured as the recording does: the sum over
the blob names of the largest blob under that name, weights and outputs included.

A recorded net counts if it was right: it ran and gave the same in a real Caffe2 where it could be
run, its data flow is the same, it does not put tensors of two devices under one name, and it is
equivalent by memonger's own verifier (which knows nets inside operators and control inputs).
"""

from __future__ import annotations

import argparse
import json
import platform
import tarfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memonger.errors import MemongerError
from memonger.net.io import parse_net, write_atomically
from memonger.net.netdef_pb2 import NetDef
from memonger.pipeline import Optimized, optimize
from memonger.rewrite.equivalence import verify_equivalence

PASSES = ("optimize_inference_fast", "optimize_inference_for_dag")


@dataclass(frozen=True)
class Row:
    """What became of one net; bytes."""

    name: str
    category: str
    outcome: str
    proof: str
    seconds: float
    objective: int
    caffe2_greedy: int | None
    ours: int
    best: int | None
    fixed: int

    @property
    def saving(self) -> float | None:
        """Share of the bytes that Caffe2's best result needs beyond the external blobs."""
        if self.best is None or self.best == self.fixed:
            return None
        return (self.best - self.ours) / (self.best - self.fixed)


def measured_bytes(original: NetDef, rewritten: NetDef, sizes: dict[str, int]) -> int:
    """Return the sum over the new names of the largest old blob under each."""
    largest: dict[str, int] = {}
    for old, new in zip(original.op, rewritten.op, strict=True):
        names = zip((*old.input, *old.output), (*new.input, *new.output), strict=True)
        for before, after in names:
            largest[after] = max(largest.get(after, 0), sizes.get(before, 0))
    return sum(largest.values())


def is_right(case: dict[str, Any]) -> bool:
    """Return whether a recorded case is right by the recording itself."""
    sound = case["soundness"]
    if not sound["reads_ok"] or sound["protected_lost"] or sound["external_inputs_overwritten"]:
        return False
    run = case.get("exec")
    return run is None or (run["ran"] and all(run[k]["identical"] for k in ("run1", "run2")))


def mixes_devices(case: dict[str, Any], done: Optimized) -> bool:
    """Return whether the case puts blobs of two devices under one name."""
    devices: dict[str, set[str]] = {}
    for storage in done.analysis.planned.storages:
        devices.setdefault(storage.blob, set()).add(storage.device)
    return any(
        len(set().union(*(devices.get(b, set()) for b in group))) > 1 for group in case["groups"]
    )


def best_recorded(
    archive: tarfile.TarFile, entry: dict[str, Any], net: NetDef, done: Optimized, why: Counter[str]
) -> int | None:
    """Return the fewest bytes of the recorded results that are right; count the others."""
    best: int | None = None
    for case in entry["cases"]:
        if case["fn"] not in PASSES or case["status"] != "ok" or "bytes_after" not in case:
            continue
        if not is_right(case):
            why["wrong by the recording"] += 1
        elif mixes_devices(case, done):
            why["mixes devices"] += 1
        else:
            recorded = parse_net(read(archive, case["out"]), case["out"])
            try:
                verify_equivalence(net, recorded, entry["protected"])
            except MemongerError:
                why["not equivalent (nets inside, control inputs)"] += 1
                continue
            why["right"] += 1
            best = case["bytes_after"] if best is None else min(best, case["bytes_after"])
    return best


def read(archive: tarfile.TarFile, name: str) -> bytes:
    """Return a file of the archive."""
    file = archive.extractfile(f"golden/{name}")
    assert file is not None
    return file.read()


def run(archive: tarfile.TarFile, entry: dict[str, Any], limit: float, why: Counter[str]) -> Row:
    """Optimize one net and compare."""
    net = parse_net(read(archive, entry["file"]), entry["name"])
    sizes = entry["blob_sizes"]
    started = time.perf_counter()
    try:
        done = optimize(net, sizes=sizes, time_limit=limit)
    except MemongerError as error:
        outcome = f"refused: {error}"
        return Row(entry["name"], entry["category"], outcome, "", 0.0, 0, None, 0, None, 0)
    seconds = time.perf_counter() - started
    names = {name for op in net.op for name in (*op.input, *op.output)}
    external = names & {*net.external_input, *net.external_output}
    return Row(
        entry["name"],
        entry["category"],
        done.status.value,
        "" if done.result.proof is None else done.result.proof.value,
        seconds,
        done.objective,
        done.caffe2_greedy,
        measured_bytes(net, done.net, sizes),
        best_recorded(archive, entry, net, done, why),
        sum(sizes.get(name, 0) for name in external),
    )


def markdown(rows: list[Row], why: Counter[str]) -> str:
    """Return the report."""
    solved = [row for row in rows if not row.outcome.startswith("refused")]
    proven = [row for row in solved if row.outcome == "optimal"]
    compared = [row for row in solved if row.best is not None]
    savings = [row.saving for row in solved if row.saving is not None]
    above = [row.name for row in compared if row.best is not None and row.ours > row.best]
    lines = [
        "# Against a real Caffe2: 99 recorded nets",
        "",
        "Made by `scripts/benchmark_golden.py`; "
        f"{platform.machine()}, {platform.python_implementation()} {platform.python_version()}.",
        "",
        f"* nets: {len(rows)}; optimized and verified: {len(solved)}; proven optimal: "
        f"{len(proven)} ({', '.join(f'{n} by {p}' for p, n in counted(proven))})",
        *(f"* {row.name}: {row.outcome}" for row in rows if row not in solved),
        f"* nets with a right recorded result: {len(compared)}; memonger needs more on: "
        f"{', '.join(above) or 'none'}; less on: "
        f"{sum(row.best is not None and row.ours < row.best for row in compared)}",
        f"* mean saving against Caffe2's best, external blobs apart: "
        f"{100 * sum(savings) / max(1, len(savings)):.1f} % over {len(savings)} nets",
        f"* recorded results: {', '.join(f'{k}: {v}' for k, v in sorted(why.items()))}",
        "",
        "The real nets; MB (10^6 bytes). `planned` is what memonger shares (neither weights nor "
        "outputs), `greedy` Caffe2's greedy on the same blobs; `all` counts every blob name, the "
        "weights included, as the recording does.",
        "",
        "| net | status | proof | s | planned | greedy | all | Caffe2's best, all |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        if row.category == "real":
            greedy = "-" if row.caffe2_greedy is None else megabytes(row.caffe2_greedy)
            best = "-" if row.best is None else megabytes(row.best)
            lines.append(
                f"| {row.name} | {row.outcome} | {row.proof} | {row.seconds:.2f} | "
                f"{megabytes(row.objective)} | {greedy} | {megabytes(row.ours)} | {best} |"
            )
    return "\n".join(lines) + "\n"


def counted(rows: list[Row]) -> list[tuple[str, int]]:
    """Return (proof, number of rows), sorted."""
    return sorted(Counter(row.proof for row in rows).items())


def megabytes(size: int) -> str:
    """Return bytes as MB with three digits after the point."""
    return f"{size / 1e6:.3f}"


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("archive", type=Path)
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--time-limit", type=float, default=60.0, help="seconds a net")
    options = parser.parse_args()
    why: Counter[str] = Counter()
    with tarfile.open(options.archive) as archive:
        index = json.loads(read(archive, "index.json"))
        rows = [run(archive, entry, options.time_limit, why) for entry in index["nets"]]
    report = markdown(rows, why)
    if options.output is None:
        print(report)
    else:
        write_atomically(options.output, report.encode())


if __name__ == "__main__":
    main()
