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
import inspect
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from random_caffe2_nets import FAMILIES, random_net, random_training_net

import memonger.caffe2 as caffe2
from memonger.errors import MemongerError, NetError
from memonger.instances import architectures
from memonger.instances.net_builder import NetBuilder
from memonger.instances.nets import NETS, BuiltNet, build, chain, resnet_like
from memonger.net.defuse import analyse, outputs_of
from memonger.net.io import parse_net, save_net, write_atomically
from memonger.net.netdef_pb2 import NetDef
from memonger.net.schema import is_sequential
from memonger.net.shapes.inference import infer_types
from memonger.net.tensors import DataType, TensorType
from memonger.pipeline import optimize
from memonger.registry import SHARING

WORKER = Path(__file__).with_name("run_in_caffe2.py")
DTYPES = {
    DataType.FLOAT: "float32",
    DataType.INT32: "int32",
    DataType.INT64: "int64",
    DataType.BOOL: "bool",
}
TOO_LARGE = {"resnet50-train", "unet"}  # seconds to a minute a run
JUDGED = "Caffe2's own "
DYNAMIC_PROGRAM = 40  # operators; its time is exponential in the blobs live at once


@dataclass
class Case:
    """A net and what is needed to run and to rewrite it."""

    name: str
    family: str
    net: NetDef
    feeds: dict[str, list[Any]]
    wanted: list[str]
    sizes: dict[str, int] | None
    shapes: dict[str, list[int]] | None
    training: list[dict[str, Any]] = field(default_factory=list)
    judged: dict[str, tuple[bytes, bool]] = field(default_factory=dict)
    """Rewritten nets of Caffe2's own memonger, and whether they gave the same in a real Caffe2."""


def feeds_of(types: dict[str, TensorType]) -> dict[str, list[Any]]:
    """Return blob -> [shape, dtype, seed] of the external inputs."""
    steps = types["data"].shape[0] if "seq_lengths" in types else 0
    return {
        name: [
            list(held.shape),
            DTYPES[held.dtype],
            steps if "length" in name else number if held.dtype == DataType.FLOAT else 0,
        ]
        for number, (name, held) in enumerate(types.items())
    }


def case_of(
    family: str, net: NetDef, types: dict[str, TensorType], parameter_grads: list[str] | None = None
) -> Case:
    """Return the case of a net of known inputs; sizes where all can be inferred."""
    def_use = analyse(net)
    wanted = list(outputs_of(net, def_use))
    blobs = infer_types(net, types).blobs
    names = {name for op in net.op for name in (*op.input, *op.output)}
    shapes, sizes = None, None
    if names <= blobs.keys() and all(blobs[name].nbytes is not None for name in names):
        sizes = {name: blobs[name].nbytes or 0 for name in names}
        shapes = {name: list(blobs[name].shape) for name in names}
    training = []
    if any(op.is_gradient_op for op in net.op):
        if parameter_grads is None:
            parameter_grads = [f"{name}_grad" for name in types if f"{name}_grad" in names]
        training.append({"losses": ["loss"], "param_grads": parameter_grads, "namescope": ""})
        # Beside these, gradients that nobody reads may be shared away.
        wanted = [*dict.fromkeys([*net.external_output, "loss", *parameter_grads])]
    return Case(net.name, family, net, feeds_of(types), wanted, sizes, shapes, training)


def built_in() -> Iterator[Case]:
    """Yield the built-in nets."""
    for name in NETS:
        if name not in TOO_LARGE:
            built = build(name)
            yield case_of("built-in", built.net, built.types)
    for built in (chain(60), resnet_like(60), small_unet()):
        yield case_of("built-in", built.net, built.types)
        parallel = NetDef()
        parallel.CopyFrom(built.net)
        parallel.name, parallel.type, parallel.num_workers = f"{built.net.name}-dag", "dag", 4
        yield case_of("built-in", parallel, built.types)


def small_unet() -> BuiltNet:
    """Return the built-in U-Net for an image of 32x32."""
    builder = NetBuilder("unet-32")
    scores = architectures.unet(builder, builder.data("data", (1, 3, 32, 32)), classes=2)
    builder.net.external_output.append(builder.elementwise("Sigmoid", scores, "masks"))
    return BuiltNet(builder.net, builder.types, "U-Net, 32x32")


def random_cases(count: int, seed: int) -> Iterator[Case]:
    """Yield random nets, the families in turn."""
    families = [*FAMILIES, "training"]
    for number in range(count):
        family = families[number % len(families)]
        name = f"{family}-{seed + number}"
        operators = 4 + (number * 7) % 23
        if family == "training":
            builder, gradients = random_training_net(name, operators // 2, seed + number)
            yield case_of(family, builder.net, builder.types, gradients)
        else:
            builder = random_net(name, family, operators, seed + number)
            yield case_of(family, builder.net, builder.types)


def recorded(archive: Path) -> Iterator[Case]:
    """Yield the nets of the recorded archive."""
    with tarfile.open(archive) as files:
        contents = {
            member.name.removeprefix("./").removeprefix("golden/"): files.extractfile(member)
            for member in files
            if member.isfile()
        }
        found = {name: file.read() for name, file in contents.items() if file is not None}
    for entry in json.loads(found["index.json"])["nets"]:
        feeds = {
            name: [
                held["shape"],
                held["dtype"],
                number if "float" in held["dtype"] else time_step(name),
            ]
            for number, (name, held) in enumerate(entry["external_inputs"].items())
        }
        yield Case(
            entry["name"],
            f"recorded: {entry['category']}",
            parse_net(found[entry["file"]], entry["file"]),
            feeds,
            entry["protected"],
            entry["blob_sizes"],
            entry["blob_shapes"],
            entry["train"],
            judged_results(entry, found),
        )


def judged_results(entry: dict[str, Any], found: dict[str, bytes]) -> dict[str, tuple[bytes, bool]]:
    """Return the recorded results of Caffe2's passes that were run, right ones and wrong ones."""
    return {
        f"{JUDGED}{case['id']}": (
            found[case["out"]],
            case["exec"]["ran"] and all(case["exec"][k]["identical"] for k in ("run1", "run2")),
        )
        for case in entry["cases"]
        if case["fn"] != "release_blobs_when_used" and "out" in case and case.get("exec")
    }


def time_step(name: str) -> int:
    """Return the number that a blob of a recurrent net must hold: of ``timestep_3/...`` it is 3."""
    head = name.split("/")[0]
    return int(head.removeprefix("timestep_")) if head.startswith("timestep_") else 0


Rewriting = tuple[str, Callable[[], NetDef]]


def variants(case: Case) -> Iterator[Rewriting]:
    """Yield (name, rewriting) for everything that may be done to a net."""
    net = case.net
    for algorithm in SHARING:
        if algorithm.vector_time or is_sequential(net.type):
            yield f"optimize, {algorithm.name}", partial(optimized, case, algorithm.name)
    orders = {
        "program": caffe2.topological_sort_traversal,
        "longest path": caffe2.topological_sort_traversal_longest_path,
    }
    for order, function in orders.items():
        for choice in caffe2.AssignmentAlgorithm:
            if "DYNAMIC" in choice.name and len(net.op) > DYNAMIC_PROGRAM:
                continue
            name = f"optimize_interference, {order}, {choice.name.lower()}"
            yield name, partial(interfering, case, function, choice)
    yield "release_blobs_when_used", partial(released, case)
    yield "release_blobs_when_used of optimize", partial(released_after_sharing, case)
    fast = caffe2.optimize_inference_fast
    for label, options in choices(fast):
        yield f"optimize_inference_fast{label}", partial(fast, net, static_of(case), **options)
    if not any(op.is_gradient_op for op in net.op):
        walk, inputs = caffe2.optimize_inference_for_dag, net.external_input
        for label, options in choices(walk, case.sizes):
            yield f"optimize_inference_for_dag{label}", partial(walk, net, inputs, "", **options)
    if case.training:
        yield from gradients(case)


def gradients(case: Case) -> Iterator[Rewriting]:
    """Yield the ways to share gradients."""
    for activations in (False, True):
        for shapes in (None, case.shapes) if case.shapes else (None,):
            for label, options in choices(caffe2.share_grad_blobs):
                what = "activations" if activations else "gradients"
                name = f"share_grad_blobs, {what}{', shapes' if shapes else ''}{label}"
                yield name, partial(shared, case, activations, shapes, options)


def choices(
    function: Callable[..., Any], sizes: dict[str, int] | None = None
) -> list[tuple[str, dict[str, Any]]]:
    """Return the ways to call a function: optimal or not, sized or not, where it has the choice."""
    parameters = inspect.signature(function).parameters
    found: list[tuple[str, dict[str, Any]]] = [("", {})]
    if "blob_sizes" in parameters and sizes is not None:
        found.append((", sizes", {"blob_sizes": sizes}))
    if "optimal" in parameters:
        found.extend([(f"{name}, optimal", {**some, "optimal": True}) for name, some in found])
    return found


def optimized(case: Case, algorithm: str = "optimal") -> NetDef:
    """Plan all activations; 4 bytes for every blob where sizes are not known."""
    sizes = case.sizes or {n: 4 for op in case.net.op for n in (*op.input, *op.output)}
    net: NetDef = optimize(
        case.net, sizes=sizes, static=present(case), algorithm=algorithm, time_limit=10
    ).net
    return net


def interfering(
    case: Case, ordering: Callable[[Any], Any], algorithm: caffe2.AssignmentAlgorithm
) -> NetDef:
    """Reorder, and share by interference."""
    net: NetDef = caffe2.optimize_interference(
        case.net, static_of(case), ordering, case.sizes, algorithm
    ).net
    return net


def released(case: Case) -> NetDef:
    """Free what is read no more."""
    net: NetDef = caffe2.release_blobs_when_used(case.net, set(case.wanted))
    return net


def released_after_sharing(case: Case) -> NetDef:
    """Share, then free."""
    net: NetDef = caffe2.release_blobs_when_used(optimized(case), set(case.wanted))
    return net


def shared(
    case: Case, activations: bool, shapes: dict[str, list[int]] | None, options: dict[str, Any]
) -> NetDef:
    """Share the gradients of all towers, one after the other."""
    net: NetDef = case.net
    for tower in case.training:
        net = caffe2.share_grad_blobs(
            net,
            tower["losses"],
            tower["param_grads"],
            tower["namescope"],
            share_activations=activations,
            blob_shapes=shapes,
            **options,
        )
    return net


def present(case: Case) -> list[str]:
    """Return the wanted blobs that the net has."""
    names = {name for op in case.net.op for name in (*op.input, *op.output)}
    return [name for name in case.wanted if name in names]


def static_of(case: Case) -> list[str]:
    """Return what must stay under its name."""
    return [*case.wanted, *case.feeds]


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
        "wanted": present(case),
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


def report(
    cases: list[Case], found: dict[str, dict[str, Any]], refused: Counter[str]
) -> tuple[str, int]:
    """Return the report in Markdown and the number of rewritten nets that differ."""
    families: dict[str, Counter[str]] = {}
    functions: dict[str, Counter[str]] = {}
    reasons: Counter[str] = Counter()
    judged: Counter[tuple[str, bool]] = Counter()
    differing: list[str] = []
    for case in cases:
        row = found[case.name]
        family = families.setdefault(case.family.removeprefix("recorded: "), Counter())
        family["nets"] += 1
        if row["error"] is not None:
            reasons[row["error"]] += 1
            continue
        family["run"] += 1
        for variant, difference in row["variants"].items():
            if variant in case.judged:
                same, expected = difference is None, case.judged[variant][1]
                judged["gave the same" if expected else "went wrong", same == expected] += 1
                if same != expected:
                    differing.append(f"{case.name}, {variant}: judged otherwise than recorded")
                continue
            outcome = "identical" if difference is None else "differ"
            family[outcome] += 1
            functions.setdefault(variant, Counter())[outcome] += 1
            if difference is not None:
                differing.append(f"{case.name}, {variant}: {difference}")
    total = sum((counts for counts in families.values()), Counter())
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
            for (recording, agrees), count in sorted(judged.items())
        ),
        "",
        *table("family", families, ("nets", "run", "identical", "differ")),
        "",
        *table("function", functions, ("identical", "differ")),
        "",
        *(f"* not run: {count} x {reason}" for reason, count in reasons.most_common()),
        *(f"* not rewritten: {count} x {reason}" for reason, count in refused.most_common()),
        *(f"* DIFFERS: {text}" for text in differing),
    ]
    return "\n".join(lines) + "\n", len(differing)


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
    text, wrong = report(cases, run_all(options.python, tasks, folder), refused)
    print(text)
    if options.output is not None:
        write_atomically(options.output, text.encode())
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    main()
