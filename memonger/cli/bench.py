"""``memonger bench``: algorithms on sets of instances, a row for each run."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from memonger.cli import options
from memonger.cli.console import err, note, out, print_json, printable, table
from memonger.cli.start import INTERRUPTED
from memonger.errors import InputError
from memonger.net.io import parse_json, read_bytes

if TYPE_CHECKING:  # they take seconds to import
    from memonger.bench.row_file import RowFile
    from memonger.bench.rows import Job

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?", re.IGNORECASE)


def size(text: str) -> int:
    """Return the bytes in a text such as ``2GB``, ``512MiB``, ``1000000``.

    Examples
    --------
    >>> size("2GB"), size("1.5KiB")
    (2000000000, 1536)
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise typer.BadParameter(f"{text!r} is no size; examples: 2GB, 512MiB, 1000000")
    base = 1024 if match[3] else 1000
    found = int(Fraction(match[1]) * base ** " kmgt".index(match[2].lower() or " "))
    if found >= 1 << 62:
        raise typer.BadParameter("the limit of sizes is 2^62 bytes")
    return found


def _names(text: str, option: str) -> list[str]:
    names = dict.fromkeys(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise InputError(f"{option}: no name is given")
    return list(names)


def bench(
    sets: Annotated[
        list[str],
        typer.Argument(
            metavar="SET...", help="Named sets and instances, directories, patterns, files."
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="RUNS.jsonl", help="Rows are added to it.")
    ],
    forms: Annotated[
        str, typer.Option("--forms", help="Of sharing, arena, order; with commas between.")
    ] = "sharing,arena",
    algorithms: Annotated[
        str, typer.Option("--algorithms", help="Names with commas between, or all.")
    ] = "all",
    orders: Annotated[
        str,
        typer.Option("--orders", help="Orders to share and place in; for graphs and nets."),
    ] = "program",
    seeds: Annotated[
        int, typer.Option("--seeds", min=1, help="Runs of what depends on the seed.")
    ] = 1,
    time_limit: Annotated[
        float | None,
        typer.Option(
            "--time-limit", parser=options.duration, metavar="TIME", help="Of each run; 10s."
        ),
    ] = None,
    memory_limit: Annotated[
        int | None,
        typer.Option(
            "--memory-limit", parser=size, metavar="SIZE", help="Of each process, such as 2GB."
        ),
    ] = None,
    threads: Annotated[int, typer.Option("--threads", min=1, help="Of each run.")] = 1,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Runs at once.")] = 1,
    cluster: Annotated[
        str | None,
        typer.Option("--cluster", metavar="ADDRESS", help="Run on a Dask cluster instead."),
    ] = None,
    parameters: options.ParametersFile = None,
    update_best_known: Annotated[
        bool,
        typer.Option(
            "--update-best-known", help="Keep plans and bounds that are better than those known."
        ),
    ] = False,
    best_known: Annotated[
        Path | None,
        typer.Option(
            "--best-known", metavar="DIR", help="Where they are kept; by default in memonger."
        ),
    ] = None,
    json_output: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Run algorithms on instances: a row of JSON for every run.

    Each run is a process of its own, ended at its limits; what crashes costs one row. Rows that the
    file already has are not run again, so that a benchmark goes on where it was interrupted.
    Ctrl-C leaves what is finished. Algorithms that do not depend on the seed run once.

    For example:

      memonger bench smoke --forms sharing,arena,order --output runs.jsonl

      memonger bench instances/ --forms arena --time-limit 10s --output runs.jsonl

      memonger bench resnet50 vgg16 --algorithms caffe2-greedy,optimal --output runs.jsonl

      memonger bench 'graphs/*.json.gz' --forms order --workers 4 --output runs.jsonl
    """
    from memonger.bench.instances import resolve
    from memonger.bench.row_file import RowFile
    from memonger.bench.rows import unfinished
    from memonger.bench.runner import jobs_of

    options.check_target(output)
    known = _known(best_known, update=update_best_known, here=cluster is None)
    options.read_parameters(parameters)  # refuses what is none
    every = jobs_of(
        resolve(sets),
        _names(forms, "--forms"),
        _names(algorithms, "--algorithms"),
        orders=_names(orders, "--orders"),
        seeds=seeds,
        time_limit=10.0 if time_limit is None else time_limit,
        memory_limit=memory_limit,
        threads=threads,
        known=known,
        tuned="" if parameters is None else json.dumps(parse_json(read_bytes(parameters), "")),
    )
    asked = unfinished(every, set())
    file = RowFile(output)
    try:
        jobs = unfinished(asked, file.done())
        if known is not None and len(jobs) < len(asked):
            note("runs that the file has are not run again: they improve nothing", quiet=quiet)
        before = len(file.rows)
        interrupted = _run(jobs, file, workers, cluster, quiet=quiet)
        data = {
            "output": str(output),
            "runs": len(asked),
            "done_before": len(asked) - len(jobs),
            "done_now": len(file.rows) - before,
            "interrupted": interrupted,
            "statuses": dict(sorted(Counter(r.status for r in file.rows[before:]).items())),
        }
    finally:
        file.close()
    if json_output:
        print_json(data)
    elif not quiet:
        _print(data)
    return INTERRUPTED if interrupted else 0


def _known(folder: Path | None, *, update: bool, here: bool) -> str | None:
    """Return where best known values are kept; ``None`` if they are not to be improved."""
    from memonger.instances.catalog import data_path

    if update and not here:
        raise InputError("--update-best-known writes to this machine; --cluster runs elsewhere")
    if folder is not None:
        if not update:
            raise InputError("--best-known goes with --update-best-known")
        options.check_directory(folder)
    return str(folder or data_path()) if update else None


def _run(jobs: list[Job], file: RowFile, workers: int, cluster: str | None, *, quiet: bool) -> bool:
    """Run the jobs and keep their rows; return whether Ctrl-C ended it."""
    from memonger.bench.runner import cluster_executor, local_executor, run_jobs

    if not jobs:
        return False
    place = local_executor(workers) if cluster is None else cluster_executor(cluster)
    try:
        with place as (executor, window), _bar(len(jobs), quiet=quiet) as (notice, step):
            for row in run_jobs(jobs, executor, window, notice):
                file.append(row)
                step()
    except KeyboardInterrupt:
        return True
    return False


@contextmanager
def _bar(total: int, *, quiet: bool) -> Iterator[tuple[Callable[[list[Job]], None], Any]]:
    """Show on a terminal how many runs are done, and which run now."""
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[at]}", markup=False),
    )
    with Progress(*columns, console=err, disable=quiet or not err.is_terminal) as bar:
        task = bar.add_task("runs", total=total, at="")

        def notice(running: list[Job]) -> None:
            text = ", ".join(f"{j.instance.name} {j.algorithm}" for j in running[:3])
            bar.update(task, at=printable(text + (" ..." if len(running) > 3 else "")))

        yield notice, lambda: bar.advance(task)


def _print(data: dict[str, Any]) -> None:
    rows = table(data["output"], "runs", "")
    rows.add_row("asked for", f"{data['runs']:,}")
    rows.add_row("done before", f"{data['done_before']:,}")
    for status, count in data["statuses"].items():
        rows.add_row(status, f"{count:,}")
    out.print(rows)
