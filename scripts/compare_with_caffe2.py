#!/usr/bin/env python3
"""Run nets before and after every rewriting function in a real Caffe2, and compare bit for bit.

    compare_with_caffe2.py --python CAFFE2_PYTHON [--golden GOLDEN.tgz] [-o REPORT.md]

CAFFE2_PYTHON is an interpreter that can import `caffe2.python` (torch 1.10.2 under Python 3.9 is
the last that does). Three kinds of nets: the built-in ones, random ones (one family a kind of
trouble, training nets among them), and those of the recorded archive. Each is rewritten by
`optimize` with every algorithm of the registry and by every function of `memonger.caffe2` that
takes such a net; the files go to the other interpreter (`run_in_caffe2.py`), which runs each net
twice. Exit code 1 if anything differs; the nets are kept then.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from caffe2_cases import Case, built_in, random_cases, recorded
from caffe2_variants import variants

from memonger.errors import MemongerError, NetError
from memonger.net.io import save_net, write_atomically

WORKER = Path(__file__).with_name("run_in_caffe2.py")


def write_task(case: Case, folder: Path, refused: Counter[str]) -> dict[str, Any]:
    """Write a net and all its rewritten forms; return the line for the other interpreter."""
    original = folder / f"{case.name}.pb"
    save_net(case.net, original)
    files = {}
    before = case.net.SerializeToString()
    for number, (name, rewrite) in enumerate(variants(case)):
        try:
            net = rewrite()
        except NetError as error:
            refused[f"{case.name}: {error}"] += 1
            continue
        except MemongerError as error:
            if type(error).__name__ != "SearchLimitError":
                raise
            refused["the dynamic program gives up"] += 1
            continue
        path = folder / f"{case.name}.{number}.pb"
        save_net(net, path)
        files[name] = str(path)
    for number, (name, (data, _)) in enumerate(case.judged.items()):
        path = folder / f"{case.name}.caffe2.{number}.pb"
        path.write_bytes(data)
        files[name] = str(path)
    if case.net.SerializeToString() != before:
        raise AssertionError(f"{case.name}: a function has changed its argument")
    return {
        "name": case.name,
        "original": str(original),
        "feeds": case.feeds,
        "wanted": case.present,
        "variants": files,
    }


def run_all(python: str, tasks: list[dict[str, Any]], folder: Path) -> dict[str, dict[str, Any]]:
    """Run the tasks in the other interpreter, which is started again where it dies or hangs."""
    lines, results = folder / "tasks.jsonl", folder / "results.jsonl"
    lines.write_text("".join(json.dumps(task) + "\n" for task in tasks), encoding="utf-8")
    results.touch()
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONPATH", None)
    found: dict[str, dict[str, Any]] = {}
    while len(found) < len(tasks):
        command = [python, str(WORKER), str(lines), str(results)]
        try:
            ended = subprocess.run(
                command, env=environment, timeout=1200, capture_output=True, text=True
            )
            why = f"the interpreter ended with {ended.returncode}"
        except subprocess.TimeoutExpired:
            ended, why = None, "the interpreter did not end"
        begun = []
        for line in results.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            if "begin" in row:
                begun.append(row["begin"])
            else:
                found[row["name"]] = row
        if not begun:
            raise SystemExit(f"{python} cannot run Caffe2:\n{ended.stderr if ended else why}")
        if begun[-1] not in found:
            found[begun[-1]] = {"name": begun[-1], "error": None, "variants": {"": why}}
    return found


@dataclass
class Tally:
    """What came out, counted."""

    families: dict[str, Counter[str]] = field(default_factory=dict)
    functions: dict[str, Counter[str]] = field(default_factory=dict)
    reasons: Counter[str] = field(default_factory=Counter)
    """Why nets were not run."""
    judged: Counter[tuple[str, bool]] = field(default_factory=Counter)
    """Recorded results of Caffe2's own memonger, and whether they came out as recorded."""
    differing: list[str] = field(default_factory=list)

    def add(self, case: Case, row: dict[str, Any]) -> None:
        """Count what came out for one net."""
        family = self.families.setdefault(case.family.removeprefix("recorded: "), Counter())
        family["nets"] += 1
        if row["error"] is not None:
            self.reasons[row["error"]] += 1
            return
        family["run"] += 1
        for variant, difference in row["variants"].items():
            if variant in case.judged:
                same, expected = difference is None, case.judged[variant][1]
                self.judged["gave the same" if expected else "went wrong", same == expected] += 1
                if same != expected:
                    self.differing.append(f"{case.name}, {variant}: judged otherwise than recorded")
                continue
            outcome = "identical" if difference is None else "differ"
            family[outcome] += 1
            self.functions.setdefault(variant, Counter())[outcome] += 1
            if difference is not None:
                self.differing.append(f"{case.name}, {variant}: {difference}")


def report(tally: Tally, refused: Counter[str]) -> str:
    """Return the report in Markdown."""
    total = sum((counts for counts in tally.families.values()), Counter())
    lines = [
        "# Rewritten nets in a real Caffe2",
        "",
        "Made by `scripts/compare_with_caffe2.py`: every net and every rewritten form of it runs "
        "twice in a workspace of a real Caffe2; identical means that the wanted blobs and all that "
        "was fed are equal bit for bit after each run.",
        "",
        f"{total['nets']} nets, {total['run']} of them run in Caffe2; {total['identical']} "
        f"rewritten nets identical in two runs, {total['differ']} not.",
        "",
        *(
            f"* {count} results of Caffe2's own memonger that {recording} when they were recorded "
            f"{'do so here too' if agrees else 'DO NOT DO SO HERE'}"
            for (recording, agrees), count in sorted(tally.judged.items())
        ),
        "",
        *table("family", tally.families, ("nets", "run", "identical", "differ")),
        "",
        *table("function", tally.functions, ("identical", "differ")),
        "",
        *(f"* not run: {count} x {reason}" for reason, count in tally.reasons.most_common()),
        *(f"* not rewritten: {count} x {reason}" for reason, count in refused.most_common()),
        *(f"* DIFFERS: {text}" for text in tally.differing),
    ]
    return "\n".join(lines) + "\n"


def table(head: str, rows: dict[str, Counter[str]], columns: tuple[str, ...]) -> Iterator[str]:
    """Yield a table of counts."""
    yield f"| {head} | {' | '.join(columns)} |"
    yield f"| --- | {' | '.join('---:' for _ in columns)} |"
    for name, counts in rows.items():
        yield f"| {name} | {' | '.join(str(counts[column]) for column in columns)} |"


def main() -> None:
    """Build, rewrite, run, compare."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--python", required=True, help="interpreter with a real Caffe2")
    parser.add_argument("--random", type=int, default=300, help="number of random nets")
    parser.add_argument("--seed", type=int, default=0, help="of the first random net")
    parser.add_argument("--golden", type=Path, help="archive of recorded nets")
    parser.add_argument("--keep", type=Path, help="folder for all nets, in place of a temporary")
    parser.add_argument("-o", "--output", type=Path, help="report in Markdown")
    options = parser.parse_args()
    cases = [*built_in(), *random_cases(options.random, options.seed)]
    if options.golden is not None:
        cases.extend(recorded(options.golden))
    folder = options.keep or Path(tempfile.mkdtemp(prefix="compare-with-caffe2-"))
    folder.mkdir(parents=True, exist_ok=True)
    refused: Counter[str] = Counter()
    tasks = [write_task(case, folder, refused) for case in cases]
    print(f"{len(tasks)} nets written to {folder}", file=sys.stderr)
    found = run_all(options.python, tasks, folder)
    tally = Tally()
    for case in cases:
        tally.add(case, found[case.name])
    text = report(tally, refused)
    print(text)
    if options.output is not None:
        write_atomically(options.output, text.encode())
    raise SystemExit(1 if tally.differing else 0)


if __name__ == "__main__":
    main()
