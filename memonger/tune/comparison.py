"""What tuned parameters gain on instances that they were not tuned on."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from memonger.bench.rows import Row
from memonger.bench.statistics import LEVEL, Comparison, compare, holm
from memonger.net.io import write_atomically
from memonger.parameters import DEFAULTS, Parameters, parameters_to_json
from memonger.tune.study import Place, Plan, cost_of, references_of, run_all

Pair = tuple[float, float]
"""Costs with the defaults and with the parameters."""


@dataclass(frozen=True)
class Gain:
    """What parameters gain over the defaults on the held-out split.

    Parameters
    ----------
    family
        Of the instances; ``all`` for all.
    before, after
        Mean cost, see `cost_of`, with the defaults and with the parameters.
    test
        Of the differences, one for each instance and solver.
    """

    family: str
    before: float
    after: float
    test: Comparison


def compared_runs(plan: Plan, place: Place, parameters: Parameters, seeds: int) -> list[Row]:
    """Run the held-out split with the defaults and with parameters; return the rows.

    The two are run in turns, so that a machine that slows down slows both.
    """
    before, after = (plan.jobs(p, held_out=True, seeds=seeds) for p in (DEFAULTS, parameters))
    return run_all([job for pair in zip(before, after, strict=True) for job in pair], place)


def gains(plan: Plan, rows: Sequence[Row], seeds: int) -> list[Gain]:
    """Return what the parameters gain in `compared_runs`, by family, ``all`` first.

    Seeds of one instance are no evidence of their own: their mean counts. p values of families are
    Holm's.
    """
    known = references_of(rows)
    costs = [cost_of(row, known[f"{row.form} {row.instance}"], plan.time_limit) for row in rows]
    means: dict[tuple[str, ...], Pair] = {}
    for number in range(0, len(rows), 2 * seeds):
        row, own = rows[number], costs[number : number + 2 * seeds]
        means[row.family, row.instance, row.form, row.algorithm] = (
            _mean(own[::2]),
            _mean(own[1::2]),
        )
    groups: dict[str, list[Pair]] = {"all": list(means.values())}
    for (family, *_), pair in means.items():
        groups.setdefault(family, []).append(pair)
    tests = [compare([two - one for one, two in pairs]) for pairs in groups.values()]
    corrected = [tests[0].p, *holm([test.p for test in tests[1:]])]
    return [
        Gain(
            family, _mean([one for one, _ in pairs]), _mean([two for _, two in pairs]),
            replace(test, p=p),
        )
        for (family, pairs), test, p in zip(groups.items(), tests, corrected, strict=True)
    ]  # fmt: skip


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def write_results(
    folder: Path, plan: Plan, parameters: Parameters, found: Sequence[Gain]
) -> dict[str, Any]:
    """Write ``parameters.json`` and ``report.md``; return the record."""
    total = found[0]
    record = {
        "target": plan.target,
        "trials": plan.trials,
        "time_limit": plan.time_limit,
        "seed": plan.seed,
        "training": [instance.name for instance in plan.training],
        "held_out": [instance.name for instance in plan.held_out],
        "cost_before": total.before,
        "cost_after": total.after,
        "p": total.test.p,
    }
    text = json.dumps(parameters_to_json(parameters, record), indent=1) + "\n"
    write_atomically(folder / "parameters.json", text.encode())
    write_atomically(folder / "report.md", report_of(plan, parameters, found).encode())
    return record


def report_of(plan: Plan, parameters: Parameters, found: Sequence[Gain]) -> str:
    """Return the report in Markdown."""
    verdict = "they are the defaults"
    if parameters.values:
        test, mean = found[0].test, found[0].after - found[0].before
        verdict = "the difference may be noise"
        if test.p < LEVEL:
            verdict = "cheaper" if test.effect < 0 else "dearer"
            if mean * test.effect < 0:
                verdict += " on most instances, though not in the mean"
    lines = [
        f"# Tuning of {plan.target}",
        "",
        f"{plan.trials} trials on {len(plan.training)} instances, {plan.time_limit:g} s a run; "
        f"compared on {len(plan.held_out)} others: {verdict}.",
        "",
        "Cost: primal integral and time to the proof, in shares of the time limit; p: Wilcoxon's "
        "signed-rank test over the held-out instances, means of their seeds; those of families "
        "after Holm.",
        "",
        "| family | pairs | defaults | tuned | better | worse | effect | p |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for gain in found:
        test = gain.test
        lines.append(
            f"| {gain.family} | {test.pairs} | {gain.before:.4f} | {gain.after:.4f} "
            f"| {test.better} | {test.worse} | {test.effect:.2f} | {test.p:.3g} |"
        )
    lines += ["", "| parameter | default | tuned |", "| --- | ---: | ---: |"]
    for space in plan.spaces:
        for p in space.parameters.values():
            tuned = parameters.of(space, p.name)
            lines.append(f"| {space.target}.{p.name} | {p.default:,} | {round(tuned, 3):,} |")
    return "\n".join(lines) + "\n"
