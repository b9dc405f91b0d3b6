"""``memonger tune``: parameters of the solvers, tuned on sets of instances."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from memonger.cli import options
from memonger.cli.console import err, note, out, print_json
from memonger.cli.start import INTERRUPTED
from memonger.errors import InputError


def tune(
    sets: Annotated[
        list[str],
        typer.Argument(metavar="SET...", help="Named sets and instances, directories, patterns."),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Study, parameters and report.")
    ],
    target: Annotated[
        str,
        typer.Option(
            "--target", help="kernel, relaxation, lns, cp-sat, or portfolio: all of them."
        ),
    ] = "kernel",
    trials: Annotated[int, typer.Option("--trials", min=1, help="In all.")] = 100,
    time_limit: Annotated[
        float | None,
        typer.Option(
            "--time-limit", parser=options.duration, metavar="TIME", help="Of each run; 3s."
        ),
    ] = None,
    training: Annotated[
        float, typer.Option("--split", min=0.05, max=0.95, help="Share of the training split.")
    ] = 0.5,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Of the comparison.")] = 3,
    storage: Annotated[
        str | None,
        typer.Option("--storage", metavar="URL", help="Of Optuna; a file in DIR by default."),
    ] = None,
    study: Annotated[str | None, typer.Option("--study", help="Its name in the storage.")] = None,
    seed: options.Seed = 0,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Runs at once.")] = 1,
    cluster: Annotated[
        str | None,
        typer.Option("--cluster", metavar="ADDRESS", help="Run on a Dask cluster instead."),
    ] = None,
    json_output: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Tune the parameters of a solver, and say what that gains.

    Each trial runs the solver on the training split, in processes of their own; what is made small
    is the mean of primal integral and time to the proof. The same command goes on with a study that
    was interrupted. At the end the best parameters are compared with the defaults on the held-out
    split; `--parameters DIR/parameters.json` of solve, optimize and bench uses them.

    Needs optuna: pip install 'memonger[tune]'.

    For example:

      memonger tune generated-small --target kernel --trials 100 --output tuned

      memonger solve problem.csv --form arena --parameters tuned/parameters.json
    """
    import memonger.solver.solve  # noqa: F401  (declares the parameters)
    from memonger.bench.instances import resolve
    from memonger.tune import comparison
    from memonger.tune import study as work

    if target not in work.TARGETS:
        raise InputError(f"no target {target!r}; there are: {', '.join(work.TARGETS)}")
    options.check_directory(output)
    if storage is None and set(str(output.resolve())) & set("?#%"):
        raise InputError(f"{output}: no name for the folder of a study; or give --storage")
    limit = 3.0 if time_limit is None else time_limit
    one, other = work.split(resolve(sets), training, seed)
    plan = work.Plan(target, one, other, trials, limit, seed, workers, cluster)
    output.mkdir(parents=True, exist_ok=True)

    def show(count: int, best: float) -> None:
        if err.is_terminal and not quiet:
            err.print(f"{count} of {trials} trials, least cost {best:.4f}", end="\r")

    url = storage or f"sqlite:///{(output / 'study.db').resolve()}"
    try:
        with work.place_of(plan) as place:
            parameters = work.tune(plan, place, url, study or f"{target}-{seed}", show)
            rows = comparison.compared_runs(plan, place, parameters, seeds)
    except KeyboardInterrupt:
        return INTERRUPTED
    found = comparison.gains(plan, rows, seeds)
    record = comparison.write_results(output, plan, parameters, found)
    if json_output:
        print_json({"output": str(output), "values": dict(parameters.values), **record})
    elif not quiet:
        out.print(comparison.report_of(plan, parameters, found), markup=False)
        note(f"wrote parameters.json and report.md into {output}", quiet=quiet)
    return 0
