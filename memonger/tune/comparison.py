"""What tuned parameters gain on instances that they were not tuned on."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memonger.bench.statistics import Comparison, compare
from memonger.net.io import write_atomically
from memonger.parameters import DEFAULTS, Parameters, parameters_to_json
from memonger.tune.study import Place, Plan, cost_of, references_of, run_all


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
        Of the differences, run by run.
    """

    family: str
    before: float
    after: float
    test: Comparison


def gains(plan: Plan, place: Place, parameters: Parameters, seeds: int) -> list[Gain]:
    """Compare parameters with the defaults on the held-out split, by family, ``all`` first.

    The two are run in turns, so that a machine that slows down slows both.
    """
    before, after = (plan.jobs(p, held_out=True, seeds=seeds) for p in (DEFAULTS, parameters))
    turns = [job for pair in zip(before, after, strict=True) for job in pair]
    rows = run_all(turns, place)
    known = references_of(rows)
    costs = [cost_of(row, known[f"{row.form} {row.instance}"], plan.time_limit) for row in rows]
    groups: dict[str, list[tuple[float, float]]] = {"all": []}
    for row, pair in zip(rows[::2], zip(costs[::2], costs[1::2], strict=True), strict=True):
        groups["all"].append(pair)
        groups.setdefault(row.family, []).append(pair)
    return [
        Gain(
            family,
            math.fsum(one for one, _ in pairs) / len(pairs),
            math.fsum(two for _, two in pairs) / len(pairs),
            compare([two - one for one, two in pairs]),
        )
        for family, pairs in groups.items()
    ]


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
        sure, less = found[0].test.p < 0.05, found[0].after < found[0].before
        verdict = ("cheaper" if less else "dearer") if sure else "the difference may be noise"
    lines = [
        f"# Tuning of {plan.target}",
        "",
        f"{plan.trials} trials on {len(plan.training)} instances, {plan.time_limit:g} s a run; "
        f"compared on {len(plan.held_out)} others: {verdict}.",
        "",
        "Cost: primal integral and time to the proof, in shares of the time limit; p: Wilcoxon's "
        "signed-rank test over the runs of the held-out instances.",
        "",
        "| family | runs | defaults | tuned | better | worse | effect | p |",
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
