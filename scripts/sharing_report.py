"""The report of `benchmark_sharing.py`: tables of what its records say."""

from __future__ import annotations

import os
import platform
from collections import Counter
from statistics import median
from typing import Any

Record = dict[str, Any]

HEURISTICS = "heuristics"
FORMULATIONS = ("optimal", "cp-sat", "cp-sat-binpacking")
MAX_FORMULATION_BUFFERS = 300
COLUMNS = (
    "instance", "buffers", "sizes", "threshold bound", "objective %", "bound %", "status",
    "proof", "plan by", "s", "CPU s", "MB",
)  # fmt: skip
HEADS = {
    "graphs": "Networks exported from other frameworks",
    "minimalloc": "MiniMalloc's challenging instances",
    "traces": "Recorded traces",
    "families": "Generated families",
    "large": "Large problems",
    "formulations": "Formulations",
}


def markdown(records: list[Record], time_limit: float) -> str:
    """Return the report."""
    measured = [record for record in records if "objective" in record]
    versions = sorted({record["ortools"] for record in measured})
    threads = sorted({str(record["threads"]) for record in measured})
    idle = median(record["idle_megabytes"] for record in measured) if measured else 0
    lines = [
        "# The sharing form: proofs, time, memory",
        "",
        f"Made by `scripts/benchmark_sharing.py`; {platform.machine()}, {os.cpu_count()} "
        f"processors, CPython {platform.python_version()}, ortools {', '.join(versions)}; time "
        f"limit {time_limit:g} s a run, {', '.join(threads)} workers. Every plan is "
        "verified, every certificate added up.",
        "",
        "`sizes` counts the distinct sizes; bounds are in bytes, objective and bound in % over the "
        "threshold bound. `s` is what `solve` took, verification included; `MB` the peak memory "
        f"of the process, which is {idle:.0f} MB before it reads the problem (MB: 2^20 bytes).",
    ]
    for name in HEADS:
        rows = [record for record in records if record["set"] == name]
        if rows:
            report = formulations if name == "formulations" else table
            lines += ["", f"## {HEADS[name]}", "", *report(rows)]
    return "\n".join(lines) + "\n"


def table(rows: list[Record]) -> list[str]:
    """Return summary and table of a set."""
    done = [row for row in rows if row["status"] != "failed"]
    proofs = Counter(row["proof"] for row in done if row["status"] == "optimal")
    by = ", ".join(f"{count} by {proof}" for proof, count in sorted(proofs.items()))
    verdicts = Counter(row["checked"] for row in done if row.get("checked", "none") != "none")
    left = ("instance", "status", "proof", "plan by")
    return [
        f"* problems: {len(rows)}; proven optimal: {proofs.total()}{f' ({by})' if by else ''}; "
        f"{spread([row['seconds'] for row in done])}",
        *(f"* `scripts/check_certificate.py`: {n} {verdict}" for verdict, n in verdicts.items()),
        "",
        f"| {' | '.join(COLUMNS)} |",
        f"| {' | '.join('---' if column in left else '---:' for column in COLUMNS)} |",
        *(f"| {' | '.join(cells(row))} |" for row in rows),
    ]


def cells(row: Record) -> list[str]:
    """Return the cells of a run."""
    if row["status"] == "failed":
        return [row["instance"], *[""] * 5, f"failed: {row['why'].replace('|', '/')}", *[""] * 5]
    over = [
        percent(row[key] - row["threshold"], row["threshold"]) for key in ("objective", "bound")
    ]
    return [
        row["instance"], f"{row['buffers']:,}", f"{row['sizes']:,}", f"{row['threshold']:,}",
        *over, row["status"], row["proof"], row["source"],
        f"{row['seconds']:.2f}", f"{row['cpu_seconds']:.2f}", f"{row['megabytes']:,}",
    ]  # fmt: skip


def formulations(rows: list[Record]) -> list[str]:
    """Return summary and table of the formulations."""
    runs = {(row["instance"], row["algorithm"]): row for row in rows if "objective" in row}
    names = dict.fromkeys(row["instance"] for row in rows)
    known = [name for name in names if (name, HEURISTICS) in runs]
    hard = [name for name in known if runs[name, HEURISTICS]["status"] == "feasible"]
    lines = [
        f"Problems of at most {MAX_FORMULATION_BUFFERS} buffers: {len(known)}; a heuristic meets "
        f"the threshold bound on {len(known) - len(hard)}. The others: seconds to the proof, or "
        "the gap that was left, in % of the objective; for the best heuristic what its plan costs "
        "over the best bound, in %.",
        "",
    ]
    for algorithm in FORMULATIONS:
        done = [runs[name, algorithm] for name in hard if (name, algorithm) in runs]
        proven = [row["seconds"] for row in done if row["status"] == "optimal"]
        lines.append(f"* {algorithm}: proven {len(proven)} of {len(done)}; {spread(proven)}")
    heads = ["instance", "buffers", "sizes", "best heuristic", "over bound %", *FORMULATIONS]
    lines += ["", f"| {' | '.join(heads)} |", "| --- | ---: | ---: | --- |" + " ---: |" * 4]
    for name in hard:
        first = runs[name, HEURISTICS]
        bound = max(row["bound"] for (instance, _), row in runs.items() if instance == name)
        counts = [f"{first['buffers']:,}", f"{first['sizes']:,}"]
        start = [name, *counts, first["source"], percent(first["objective"] - bound, bound)]
        ends = [outcome(runs.get((name, algorithm))) for algorithm in FORMULATIONS]
        lines.append(f"| {' | '.join([*start, *ends])} |")
    return lines


def outcome(row: Record | None) -> str:
    """Return seconds to the proof, or the gap."""
    if row is None or row["status"] == "failed":
        return "-"
    if row["status"] == "optimal":
        return f"{row['seconds']:.2f} s"
    return f"gap {percent(row['objective'] - row['bound'], row['objective'])}"


def percent(part: int, whole: int) -> str:
    """Return a share in %; plain 0 where there is nothing at all."""
    return f"{100 * part / whole:.3f}" if part else "0"


def spread(seconds: list[float]) -> str:
    """Return median and maximum in words."""
    if not seconds:
        return "no times"
    return f"median {median(seconds):.2f} s, at most {max(seconds):.2f} s"
