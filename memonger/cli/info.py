"""``memonger info``: what is in a file, and how much memory it needs at least."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any

import typer

from memonger.cli import options, reading
from memonger.cli.console import out, print_json, table
from memonger.cli.listing import list_algorithms, list_instances, print_solu
from memonger.cli.memory import report_memory
from memonger.cli.order import describe_order
from memonger.cli.solve import Form
from memonger.errors import InputError
from memonger.instances.loading import load_form
from memonger.instances.order_json import FORM as ORDER_FORM
from memonger.problem import Problem


def info(
    file: Annotated[
        str | None, typer.Argument(metavar="FILE", help="A net, graph, model, problem or plan.")
    ] = None,
    shapes: options.Shapes = None,
    sizes: options.Sizes = None,
    static: options.Static = None,
    alignment: options.Alignment = 1,
    format: reading.Format = None,
    dim: reading.Dim = None,
    subgraph: reading.Subgraph = 0,
    memory: Annotated[
        bool,
        typer.Option(
            "--memory", help="What the operators of a net allocate, by Caffe2's estimate."
        ),
    ] = False,
    instances: Annotated[
        bool, typer.Option("--list", help="List named sets, nets, graphs and generators.")
    ] = False,
    algorithms: Annotated[bool, typer.Option("--algorithms", help="List the algorithms.")] = False,
    solu: Annotated[
        Form | None,
        typer.Option("--solu", help="Best known values of a form, in the way of .solu files."),
    ] = None,
    json_output: options.Json = False,
) -> int:
    """Describe a net or a problem: sizes, bounds, the peak.

    With live ranges, and what the peak is made of; or list what comes with memonger.

    For example:

      memonger info --list

      memonger info resnet50

      memonger info churn-1000-seed3

      memonger info predict_net.pb --shapes shapes.json --json

      memonger info predict_net.pb --memory --shapes shapes.json
    """
    if instances:
        return list_instances(json_output=json_output)
    if algorithms:
        return list_algorithms(json_output=json_output)
    if solu is not None:
        return print_solu(solu, json_output=json_output)
    if file is None:
        raise InputError("name a file or an instance, or ask for --list, --algorithms or --solu")
    if format is None and file.endswith((".json", ".json.gz")) and load_form(file) == ORDER_FORM:
        return describe_order(file, json_output=json_output)
    how = reading.Reading(None, format, dim, subgraph)
    loaded, known = reading.read_net(file, shapes, sizes, how)
    if memory:
        if isinstance(loaded, Problem):
            raise InputError(f"{file}: --memory is for nets; this is a problem")
        if static or alignment != 1:
            raise InputError("--memory goes with neither --static nor --alignment")
        with options.naming(file):
            return report_memory(file, loaded, known, json_output=json_output)
    data: dict[str, Any] = {"instance": file}
    if isinstance(loaded, Problem):
        problem = reading.problem_of(file, shapes, sizes, static, alignment, how)
    else:
        from memonger.analysis import analyse_net

        with options.naming(file):
            analysis = analyse_net(loaded, **known, static=static or (), alignment=alignment)
        problem = analysis.problem
        data.update(_describe_net(analysis))
    data.update(describe_problem(problem))
    if json_output:
        print_json(data)
    else:
        _print(file, data)
    return 0


def describe_problem(problem: Problem) -> dict[str, Any]:
    """Return the figures of a problem, bytes and counts."""
    from memonger.graph.profile import peak, size_profile, taken

    top = peak(problem)
    live: list[dict[str, Any]] = [
        {"name": b.name, "bytes": size, "start": b.start, "end": b.end}
        for b in problem.buffers
        for span, size in taken(b)
        if span.start <= top.time < span.end
    ]
    live.sort(key=lambda entry: (-entry["bytes"], entry["name"]))
    parts = [
        problem.subproblem([i for i, b in enumerate(problem.buffers) if b.device == device])
        for device in problem.devices
    ]
    return {
        "buffers": len(problem),
        "distinct_sizes": len({b.padded_size for b in problem.buffers}),
        "total_bytes": problem.total,
        "load_bound": sum(peak(part).bytes for part in parts),
        "sharing_threshold_bound": None  # the sharing form has no plans then
        if problem.gapped
        else sum(size_profile(part).bound for part in parts),
        "peak_time": top.time,
        "peak_buffers": live,
        "devices": [device for device in problem.devices if device],
        "parallel": problem.vector_time is not None,
        "with_gaps": len(problem.gapped),
    }


def _describe_net(analysis: Any) -> dict[str, Any]:  # noqa: ANN401
    net = analysis.net
    pinned = Counter(s.pinned for s in analysis.planned.storages if s.pinned)
    return {
        "net": net.name,
        "type": net.type,
        "operators": len(net.op),
        "blobs": len({name for op in net.op for name in (*op.input, *op.output)}),
        "external_inputs": len(analysis.def_use.external),
        "outputs": list(analysis.outputs),
        "left_alone": dict(sorted(pinned.items())),
        "kept_bytes": analysis.kept_bytes(),
        "unknown_sizes": [
            {"blob": u.blob, "operator": u.operator, "reason": u.reason}
            for u in analysis.sizes.unknown
        ],
    }


def _print(name: str, data: dict[str, Any]) -> None:
    rows = table(name, "", "")
    rows.show_header = False
    for key in ("net", "type", "operators", "blobs", "external_inputs"):
        if key in data:
            value = data[key]
            rows.add_row(key.replace("_", " "), f"{value:,}" if isinstance(value, int) else value)
    for reason, count in data.get("left_alone", {}).items():
        rows.add_row(f"left alone: {reason}", f"{count:,}")
    rows.add_row("buffers to plan", f"{data['buffers']:,}")
    rows.add_row("distinct sizes", f"{data['distinct_sizes']:,}")
    rows.add_row("bytes without sharing", f"{data['total_bytes']:,}")
    if data["with_gaps"]:
        rows.add_row("buffers with gaps", f"{data['with_gaps']:,}")
    else:
        rows.add_row("threshold bound (sharing)", f"{data['sharing_threshold_bound']:,}")
    rows.add_row("load bound (any placement)", f"{data['load_bound']:,}")
    rows.add_row("peak at operator", f"{data['peak_time']:,}")
    out.print(rows)
    for cause in data.get("unknown_sizes", [])[:10]:
        out.print(
            f"unknown size: {cause['blob']!r} of operator {cause['operator']}: {cause['reason']}",
        )
    if not data["peak_buffers"]:
        return
    live = table("live at the peak", "buffer", "bytes", "from", "to")
    for entry in data["peak_buffers"][:10]:
        live.add_row(
            entry["name"], f"{entry['bytes']:,}", str(entry["start"]), str(entry["end"] - 1)
        )
    out.print(live)
    more = len(data["peak_buffers"]) - 10
    if more > 0:
        out.print(f"and {more} more")
