#!/usr/bin/env python3
"""Measure how far and how fast the sharing form is solved, set by set.

    benchmark_sharing.py [--graphs DIR...] [--minimalloc DIR...] [--traces DIR...]
        [--families [N...]] [--large [N...]] [--formulations] [-o docs/benchmarks/sharing.md]

The sets, of which any are run that are named:

  graphs, minimalloc, traces  the problems in the files of directories
  families      every generated family with each of N buffers
  large         two families at N buffers, for time and memory
  formulations  `optimal`, CP-SAT alone in two formulations, and all heuristics (a second each), on
                what has at most 300 buffers: families, and the files of the directories named

Each run has a process of its own, whose peak memory is taken; small runs come first there, so that
nothing is compiled or imported while the clock runs. Every plan is verified.
Runs are recorded, one a line, in a file under build/, and not repeated while they stand there; the
report is made of all that the file holds for this time limit and number of workers.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

from sharing_report import FORMULATIONS, HEURISTICS, MAX_FORMULATION_BUFFERS, Record, markdown

from memonger.instances.families import FAMILIES

if TYPE_CHECKING:  # the parent stays small: a child's peak memory counts that of its parent
    from memonger.problem import Problem
    from memonger.result import Result

ROOT = Path(__file__).parents[1]
FILES = ("graphs", "minimalloc", "traces")
LARGE = ("resnet-train", "transformer")


@dataclass(frozen=True)
class Job:
    """One run; `problem` is a file, or a family, a number of buffers and a seed."""

    set: str
    instance: str
    problem: str
    algorithm: str
    time_limit: float
    workers: int | None
    check: bool

    def of(self, record: Record) -> bool:
        """Return whether a record is of this run."""
        keys = ("set", "instance", "algorithm", "time_limit", "workers")
        return all(record[key] == getattr(self, key) for key in keys)


def jobs(options: argparse.Namespace) -> Iterator[Job]:
    """Yield the runs of the sets that were named, the best heuristic before the formulations."""
    files = {
        name: [
            (path.name.split(".")[0], str(path))
            for directory in getattr(options, name) or ()
            for path in sorted(directory.iterdir())
            if path.name.endswith((".json", ".json.gz", ".csv"))
        ]
        for name in FILES
    }
    sets = {**files, "families": [], "large": [], "formulations": []}
    for n in options.families or ():
        sets["families"] += [generated(family, n, options.seed) for family in FAMILIES]
    for n in options.large or ():
        sets["large"] += [generated(family, n, options.seed) for family in LARGE]
    if options.formulations:
        small = [generated(f, n, options.seed) for n in (100, 300) for f in FAMILIES]
        sets["formulations"] = [*(pair for name in FILES for pair in files[name]), *small]
    for name, instances in sets.items():
        algorithms = (HEURISTICS, *FORMULATIONS) if name == "formulations" else ("optimal",)
        for instance, problem in instances:
            if fnmatch(instance, options.only):
                limits = (options.time_limit, options.workers, options.check)
                yield from (Job(name, instance, problem, a, *limits) for a in algorithms)


def generated(family: str, n: int, seed: int) -> tuple[str, str]:
    """Return the name of a generated problem, and how it is made."""
    return f"{family}-{n}-{seed}", f"{family}:{n}:{seed}"


# In the process of a run.


def problem_of(job: Job) -> Problem:
    """Read or generate the problem of a run."""
    from memonger.instances.loading import load
    from memonger.problem import Problem

    if job.problem.split(":")[0] in FAMILIES:
        family, n, seed = job.problem.split(":")
        return FAMILIES[family](int(n), int(seed))
    loaded = load(job.problem)
    assert isinstance(loaded, Problem), f"{job.problem} holds no problem"
    return loaded


def measure(job: Job) -> Record:
    """Run a job in this process; return what is recorded of it."""
    from memonger.registry import SHARING
    from memonger.solver.bounds import threshold_bound
    from memonger.solver.solve import solve

    solve(FAMILIES["adversarial"](40), time_limit=10, workers=1)  # imports the solvers
    for algorithm in SHARING:
        solve(FAMILIES["adversarial"](8), algorithm.name, time_limit=10, workers=1)
    idle = peak_megabytes()
    problem = problem_of(job)
    if job.set == "formulations" and len(problem) > MAX_FORMULATION_BUFFERS:
        return {"status": "too large", "buffers": len(problem)}
    names, limit = [job.algorithm], job.time_limit
    if job.algorithm == HEURISTICS:
        names, limit = [a.name for a in SHARING if not a.proves], min(1.0, limit)
    started, worked = time.perf_counter(), time.process_time()
    results = [solve(problem, name, time_limit=limit, workers=job.workers) for name in names]
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - worked
    done = [result for result in results if result.objective is not None]
    best = min(done, key=lambda result: result.objective or 0)
    return {
        "status": best.status.value,
        "buffers": len(problem),
        "sizes": len(set(problem.sizes.tolist()) - {0}),
        "threshold": threshold_bound(problem)[0],
        "objective": best.objective,
        "bound": best.bound,
        "proof": "" if best.proof is None else best.proof.value,
        "source": best.source,
        "seconds": round(seconds, 3),
        "cpu_seconds": round(cpu_seconds, 3),
        "megabytes": peak_megabytes(),
        "idle_megabytes": idle,
        "threads": best.workers,
        "ortools": best.versions["ortools"],
        **({"checked": checked(problem, best)} if job.check else {}),
    }


def peak_megabytes() -> int:
    """Return the peak memory of this process."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def checked(problem: Problem, result: Result) -> str:
    """Return what scripts/check_certificate.py says: ``valid``, ``none`` to check, or why not."""
    from memonger.instances.plan_json import plan_to_json

    if result.certificate is None:
        return "none"
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "plan.json"
        path.write_text(json.dumps(plan_to_json(problem, result)), encoding="utf-8")
        command = [sys.executable, str(ROOT / "scripts" / "check_certificate.py"), str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    return "valid" if done.returncode == 0 else done.stderr.strip()


# In the parent.


def run(job: Job) -> Record:
    """Run a job in a process of its own."""
    command = [sys.executable, __file__, "--measure", json.dumps(asdict(job))]
    limit = 2 * job.time_limit + 600  # with building the problem and checking the certificate
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=limit)
    except subprocess.TimeoutExpired:
        return {**asdict(job), "status": "failed", "why": f"killed after {limit:.0f} s"}
    if done.returncode:
        why = (done.stderr.strip().splitlines() or [""])[-1]
        why = why or f"exit code {done.returncode}"
        return {**asdict(job), "status": "failed", "why": why}
    return {**asdict(job), **json.loads(done.stdout.splitlines()[-1])}


def run_all(options: argparse.Namespace) -> list[Record]:
    """Run what is not recorded yet; return all records, one a run."""
    records = read(options.results)
    wanted = list(jobs(options))
    if options.fresh:
        records = [record for record in records if not any(job.of(record) for job in wanted)]
    options.results.parent.mkdir(parents=True, exist_ok=True)
    write(options.results, records)
    closed: set[str] = set()  # by heuristics or too large: the formulations have nothing to do
    for number, job in enumerate(wanted, start=1):
        if job.set == "formulations" and job.instance in closed:
            continue
        record = next((record for record in records if job.of(record)), None)
        if record is None or is_stale(record, job):
            at = len(records) if record is None else records.index(record)
            records[at : at + 1] = [record := run(job)]
            write(options.results, records)
            told = {key: record[key] for key in ("status", "seconds", "why") if key in record}
            print(f"{number}/{len(wanted)} {job.instance} {job.algorithm} {told}", file=sys.stderr)
        if job.algorithm == HEURISTICS and record["status"] in ("optimal", "too large"):
            closed.add(job.instance)
    limits = (options.time_limit, options.workers)
    return [record for record in records if (record["time_limit"], record["workers"]) == limits]


def is_stale(record: Record, job: Job) -> bool:
    """Return whether a run is to be repeated: it failed, or is to be checked as well."""
    unchecked = "objective" in record and "checked" not in record
    return record["status"] == "failed" or (job.check and unchecked)


def read(path: Path) -> list[Record]:
    """Return the records of a file, none if there is no such file."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write(path: Path, records: list[Record]) -> None:
    """Write the records so that an interruption leaves the old file or the new one."""
    part = path.with_suffix(".part")
    part.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    part.replace(path)


def main() -> None:
    """Run what is asked for and report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    for name in FILES:
        parser.add_argument(f"--{name}", type=Path, nargs="+", metavar="DIR")
    parser.add_argument("--families", type=int, nargs="*", metavar="N")
    parser.add_argument("--large", type=int, nargs="*", metavar="N")
    parser.add_argument("--formulations", action="store_true")
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--time-limit", type=float, default=60.0, help="seconds a run")
    parser.add_argument("--workers", type=int, help="threads; by default as `solve` chooses")
    parser.add_argument("--seed", type=int, default=0, help="of the generated problems")
    parser.add_argument("--only", default="*", metavar="GLOB", help="instances of these names")
    parser.add_argument("--check", action="store_true", help="run check_certificate.py as well")
    parser.add_argument("--fresh", action="store_true", help="repeat what is recorded")
    results = ROOT / "build" / "benchmark_sharing.jsonl"
    parser.add_argument("--results", type=Path, default=results, help="file of the records")
    parser.add_argument("--measure", metavar="JOB", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(Job(**json.loads(options.measure)))))
        return
    options.families = [100, 1000, 5000, 20000] if options.families == [] else options.families
    options.large = [100_000] if options.large == [] else options.large
    report = markdown(run_all(options), options.time_limit)
    if options.output is None:
        print(report)
    else:
        options.output.write_text(report, encoding="utf-8")


if __name__ == "__main__":
    main()
