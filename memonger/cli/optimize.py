"""``memonger optimize``: a net in, a provably optimal net out, verified."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from memonger.cli import options, passes, reading
from memonger.cli.console import (
    exit_code,
    note,
    out,
    print_json,
    progress,
    result_json,
    table,
    verdict,
)
from memonger.cli.order import order_json
from memonger.errors import InputError
from memonger.net.io import save_net, write_atomically
from memonger.result import SharingResult


def optimize(
    context: typer.Context,
    net: Annotated[
        str,
        typer.Argument(metavar="NET", help="A NetDef, a graph or model, or the name of one."),
    ],
    shapes: options.Shapes = None,
    sizes: options.Sizes = None,
    static: options.Static = None,
    pass_name: Annotated[
        passes.PassName | None,
        typer.Option("--pass", help="One of Caffe2's passes instead of the whole job."),
    ] = None,
    loss: Annotated[
        list[str] | None,
        typer.Option("--loss", metavar="BLOB", help="share-gradients: a loss; may be repeated."),
    ] = None,
    param_grad: Annotated[
        list[str] | None,
        typer.Option(
            "--param-grad",
            metavar="BLOB",
            help="share-gradients: the gradient of a parameter, which is a result; may be "
            "repeated. By default B_grad of every external input B.",
        ),
    ] = None,
    scope: Annotated[
        str,
        typer.Option(
            "--scope",
            metavar="NAME",
            help="Only gradients of this scope share; new names begin with it.",
        ),
    ] = "",
    order: options.Order = "program",
    algorithm: options.Algorithm = "optimal",
    alignment: options.Alignment = 1,
    format: reading.Format = None,
    dim: reading.Dim = None,
    subgraph: reading.Subgraph = 0,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="OUT", help="The new net: .pb, or .pbtxt as text."),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report", metavar="DIR", help="Write plan.json, problem.json and summary.json there."
        ),
    ] = None,
    time_limit: options.TimeLimit = None,
    workers: options.Workers = None,
    seed: options.Seed = 0,
    parameters: options.ParametersFile = None,
    require_optimal: options.RequireOptimal = False,
    json_output: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Let the blobs of a net share memory, and verify the new net.

    As little memory as possible, and with a proof. External inputs and outputs keep their names
    and contents; blobs whose size is unknown are left alone and listed. A net that cannot be
    shown to compute the same is never written. Graphs and models of other frameworks become
    nets whose operators keep their types (onnx:Conv).

    With --pass: only what that pass of Caffe2's memonger does, verified too, sizes known or not.
    share-gradients: gradients of activations share, no operator waits longer (--algorithm
    optimal: as little memory as possible). inference-dag: the same for activations of an
    inference net. inference-fast: blobs take the memory that was freed last, in program order.
    release: a Free after the last reader of every blob. --static names blobs to be left alone.

    For example:

      memonger optimize resnet50

      memonger optimize net.pb --shapes init_net.pb --shapes in.json -o out.pb

      memonger optimize resnet50-train --order optimal -o out.pb

      memonger optimize net.pbtxt --sizes sizes.json --time-limit 60s --json

      memonger optimize train.pb --pass share-gradients --loss loss -o out.pb

      memonger optimize predict_net.pb --pass inference-fast -o out.pb

      memonger optimize model.onnx --dim batch=1 -o out.pb
    """
    given = options.given(context)
    passes.check_options(given, pass_name, algorithm)
    loaded, known = reading.read_as_net(
        net, shapes, sizes, reading.Reading(None, format, dim, subgraph)
    )
    tuned = options.read_parameters(parameters)
    options.check_stdout(output, json_output=json_output, quiet=quiet)
    _check_targets((net, *(shapes or ()), sizes or net), output, report)
    if pass_name is not None:
        request = passes.Request(
            name=pass_name,
            static=tuple(static or ()),
            losses=tuple(loss or ()),
            param_grads=tuple(param_grad or ()),
            scope=scope,
            optimal="algorithm" in given,
            time_limit=time_limit,
        )
        with options.naming(net):
            result, summary = passes.run_pass(net, loaded, known, request)
        if output is not None:
            save_net(result, output)
        passes.report(summary, json_output=json_output, quiet=quiet)
        _wrote(output, quiet=json_output or quiet)
        return 0
    from memonger.pipeline import optimize as run

    with options.naming(net), progress(net, quiet=quiet) as show:
        done = run(
            loaded,
            **known,
            static=static or (),
            order=order,
            algorithm=algorithm,
            alignment=alignment,
            time_limit=time_limit,
            workers=workers,
            seed=seed,
            parameters=tuned,
            report=show,
        )
    _write(net, done, output, report, json_output=json_output, quiet=quiet)
    return exit_code(done.result, require_optimal=require_optimal)


def _write(
    net: str,
    done: Any,  # noqa: ANN401
    output: Path | None,
    report: Path | None,
    *,
    json_output: bool,
    quiet: bool,
) -> None:
    """Write and print what came of it."""
    summary = _summary(net, done)
    if output is not None:
        save_net(done.net, output)
    if report is not None:
        _write_report(report, done, summary)
    _notes(done, quiet=quiet)
    if json_output:
        print_json(summary)
    elif not quiet:
        _print(net, done)
        _wrote(output, report, quiet=quiet)


def _check_targets(inputs: Iterable[str | Path], output: Path | None, report: Path | None) -> None:
    """Refuse what could not be written at the end, before the work begins."""
    options.check_target(output)
    if output is not None:
        for source in inputs:
            options.check_new(source, output)
        regular = not output.exists() or output.is_file()
        if regular and output.suffix not in (".pb", ".pbtxt", ".prototxt"):
            raise InputError(f"{output}: a net is a .pb or a .pbtxt")
    if report is not None:
        options.check_directory(report)
        if output is not None and output.resolve() == report.resolve():
            raise InputError(f"{output}: --output and --report are the same")


def _wrote(*paths: Path | None, quiet: bool) -> None:
    for path in paths:
        if path is not None:
            note(f"wrote {path}", quiet=quiet)


def _summary(name: str, done: Any) -> dict[str, Any]:  # noqa: ANN401
    problem = done.analysis.problem
    return {
        **result_json(name, "sharing", len(problem), done.result),
        "baseline": done.baseline,
        "caffe2_greedy": done.caffe2_greedy,
        "verified": True,  # `optimize` raises otherwise
        "operators": len(done.analysis.net.op),
        "blobs_before": done.blobs_before,
        "blobs_after": done.blobs_after,
        "kept_bytes": done.analysis.kept_bytes(),
        "order": order_json(done.choice),
        "unknown_sizes": [
            {"blob": u.blob, "operator": u.operator, "reason": u.reason}
            for u in done.analysis.sizes.unknown
        ],
    }


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{directory}: cannot make it: {error.strerror}") from None


def _write_report(directory: Path, done: Any, summary: dict[str, Any]) -> None:  # noqa: ANN401
    from memonger.instances.plan_json import plan_to_json
    from memonger.instances.problem_json import problem_to_json

    _make_directory(directory)
    plan = plan_to_json(done.analysis.problem, done.result)
    write_atomically(directory / "plan.json", json.dumps(plan).encode())
    problem = problem_to_json(done.analysis.problem)
    write_atomically(directory / "problem.json", json.dumps(problem).encode())
    write_atomically(directory / "summary.json", (json.dumps(summary, indent=2) + "\n").encode())


def _notes(done: Any, *, quiet: bool) -> None:  # noqa: ANN401
    if not done.analysis.net.external_output:
        kept = ", ".join(done.analysis.outputs[:5]) + (
            ", ..." if len(done.analysis.outputs) > 5 else ""
        )
        note(f"the net declares no external outputs; kept: {kept or 'none'}", quiet=quiet)
    unknown = done.analysis.sizes.unknown
    if unknown and not len(done.analysis.problem):
        note("nothing to plan: --shapes (of the inputs) or --sizes would help", quiet=quiet)
    for cause in unknown[:5]:
        kind = done.analysis.net.op[cause.operator].type
        note(
            f"left alone: {cause.blob!r} of operator {cause.operator} ({kind}): {cause.reason}",
            quiet=quiet,
        )
    if len(unknown) > 5:
        note(f"left alone: {len(unknown) - 5} more blobs of unknown size", quiet=quiet)


def _label(result: SharingResult) -> str:
    if result.algorithm == "optimal":
        return f"memonger ({result.status.value})"
    return f"memonger ({result.algorithm}: {result.status.value})"


def _print(name: str, done: Any) -> None:  # noqa: ANN401
    def share(size: int) -> str:
        return f"{100 * size / done.baseline:.1f} %" if done.baseline else "-"

    rows = table(name, "activations", "bytes", "of no sharing")
    rows.add_row("no sharing", f"{done.baseline:,}", share(done.baseline))
    if done.caffe2_greedy is not None:
        rows.add_row("Caffe2's greedy", f"{done.caffe2_greedy:,}", share(done.caffe2_greedy))
    rows.add_row(_label(done.result), f"{done.objective:,}", share(done.objective))
    lowest = None if done.choice is None else done.choice.lowest
    label = "lower bound" if lowest is None else "lower bound, this order"
    rows.add_row(label, f"{done.bound:,}", share(done.bound))
    if lowest is not None and lowest.bound:
        rows.add_row("least peak, any order", f"{lowest.bound:,}", share(lowest.bound))
    out.print(rows)
    if len(done.analysis.problem):
        out.print(f"{verdict(done.result)}; {done.result.seconds:.2f} s")
    else:
        out.print("nothing was planned")
    out.print(
        f"verified: {len(done.analysis.net.op)} operators compute the same; blobs "
        f"{done.blobs_before} -> {done.blobs_after}",
    )
