#!/usr/bin/env python3
"""Export graphs of published networks from their Python packages: architectures alone, no weights.

    python -m venv graphs && graphs/bin/pip install -r scripts/build_graphs_requirements.txt -e .
    graphs/bin/python scripts/build_graphs.py [NAME...] [-o DIR] [--report FILE.md]

A model is built under torch's fake tensors, which have shapes and no memory, exported by
`torch.export` and read by `memonger.from_torch`'s reader. To add one: a line in MODELS. The report
compares each with the graph of that name that comes with memonger.
"""

from __future__ import annotations

import argparse
import gzip
import importlib
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from memonger.errors import MemongerError
from memonger.graph.profile import peak
from memonger.instances.catalog import graphs
from memonger.instances.graph_json import problem_from_graph
from memonger.instances.loading import read_json
from memonger.instances.torch_graph import graph_from_torch
from memonger.net.io import write_atomically

HEAD = """# Graphs exported again

Made by `scripts/build_graphs.py` with {versions}:
models built and exported anew, beside the graph of that name that comes with memonger. *Same*:
operators, buffers, bytes of all buffers, and load agree; else those of the shipped graph. Three
differ because the exporter of the shipped graph gave the parts of a `split` memory of their own:
they are views, as torch's schemas say, and are read as such here. Two have one operator more here,
which allocates nothing.

| graph | operators | buffers | total | load | same | s |
| --- | ---: | ---: | ---: | ---: | --- | ---: |
"""


@dataclass(frozen=True)
class Model:
    """How a model is built.

    Parameters
    ----------
    package
        Where it is from; a module that is built from keyword arguments or a configuration.
    entry
        What builds it, within the package.
    shape
        Of the input.
    options
        Keyword arguments of what builds it.
    result
        Entry of the output that is asked for, where it has several.
    config
        The class of the configuration, of the package, that ``entry`` is built from.
    call
        The method that is run instead of the network as a whole.
    """

    package: str
    entry: str
    shape: tuple[int, ...]
    options: tuple[tuple[str, Any], ...] = ()
    result: str = ""
    config: str = ""
    call: str = ""


def vision(entry: str, *shape: int, **options: Any) -> Model:  # noqa: ANN401
    """Return a model of torchvision, without weights."""
    given = {"weights": None, **options}
    return Model("torchvision", f"models.{entry}", shape, tuple(given.items()))


def segmentation(entry: str, *shape: int) -> Model:
    """Return a segmentation model of torchvision, without weights."""
    return Model(
        "torchvision",
        f"models.segmentation.{entry}",
        shape,
        (("weights", None), ("weights_backbone", None)),
        result="out",
    )


def timm_model(entry: str, *shape: int) -> Model:
    """Return a model of timm, without weights."""
    return Model("timm", "create_model", shape, (("model_name", entry), ("pretrained", False)))


MODELS: dict[str, Model] = {
    "deeplabv3_mobilenet_v3_large_b1": segmentation("deeplabv3_mobilenet_v3_large", 1, 3, 257, 257),
    "deeplabv3_resnet50_b1": segmentation("deeplabv3_resnet50", 1, 3, 513, 513),
    "dla60_res2next_b1": timm_model("dla60_res2next", 1, 3, 224, 224),
    "dpn68_b1": timm_model("dpn68", 1, 3, 224, 224),
    "efficientformerv2_s0_b1": timm_model("efficientformerv2_s0", 1, 3, 224, 224),
    "efficientnet_b0_b1": vision("efficientnet_b0", 1, 3, 224, 224),
    "efficientnet_v2_s_b8": vision("efficientnet_v2_s", 8, 3, 224, 224),
    "ghostnet_100_b1": timm_model("ghostnet_100", 1, 3, 224, 224),
    "hardcorenas_a_b1": timm_model("hardcorenas_a", 1, 3, 224, 224),
    "hrnet_w18_b1": timm_model("hrnet_w18", 1, 3, 224, 224),
    "levit_128s_b1": timm_model("levit_128s", 1, 3, 224, 224),
    "lraspp_mobilenet_v3_large_b1": segmentation("lraspp_mobilenet_v3_large", 1, 3, 320, 320),
    "maxvit_t_b1": vision("maxvit_t", 1, 3, 224, 224),
    "mixer_b16_224_b8": timm_model("mixer_b16_224", 8, 3, 224, 224),
    "mnasnet1_0_b1": vision("mnasnet1_0", 1, 3, 224, 224),
    "mobilenet_v2_b1": vision("mobilenet_v2", 1, 3, 224, 224),
    "mobilenet_v3_large_b1": vision("mobilenet_v3_large", 1, 3, 224, 224),
    "mobilenetv1_100_b1": timm_model("mobilenetv1_100", 1, 3, 224, 224),
    "sd_vae_decoder_64_b1": Model(
        "diffusers",
        "AutoencoderKL",
        (1, 4, 64, 64),
        (
            ("block_out_channels", (128, 256, 512, 512)),
            ("layers_per_block", 2),
            ("latent_channels", 4),
            ("down_block_types", ("DownEncoderBlock2D",) * 4),
            ("up_block_types", ("UpDecoderBlock2D",) * 4),
        ),
        result="sample",
        call="decode",
    ),
    "segformer_b0_512_b1": Model(
        "transformers",
        "SegformerForSemanticSegmentation",
        (1, 3, 512, 512),
        result="logits",
        config="SegformerConfig",
    ),
    "wav2vec2_base_b1": Model(
        "transformers",
        "Wav2Vec2Model",
        (1, 16000),
        result="last_hidden_state",
        config="Wav2Vec2Config",
    ),
    "r2plus1d_18_b1": vision("video.r2plus1d_18", 1, 3, 16, 112, 112),
    "swin_t_b1": vision("swin_t", 1, 3, 224, 224),
    "vgg16_b16": vision("vgg16", 16, 3, 224, 224),
    "vit_b_16_b8": vision("vit_b_16", 8, 3, 224, 224),
}
"""Name -> model; the names of graphs that come with memonger are compared with these."""


def built(model: Model) -> Any:  # noqa: ANN401
    """Return the model, to be run on its input alone."""
    import torch

    module: Any = importlib.import_module(model.package)
    for part in model.entry.split("."):
        if not hasattr(module, part):
            importlib.import_module(f"{module.__name__}.{part}")
        module = getattr(module, part)
    options = dict(model.options)
    if model.config:
        configuration = getattr(importlib.import_module(model.package), model.config)
        network = module(configuration(**options)).eval()
    else:
        network = module(**options).eval()

    class Alone(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, x: Any) -> Any:  # noqa: ANN401
            made = (getattr(self.network, model.call) if model.call else self.network)(x)
            return made[model.result] if model.result else made

    return Alone() if model.result or model.call else network


def exported(name: str, model: Model) -> dict[str, Any]:
    """Return the graph of a model, inference."""
    import torch
    from torch._subclasses import FakeTensorMode

    def traced(make: Callable[[], Any]) -> Any:  # noqa: ANN401
        with torch.no_grad():
            program = torch.export.export(make(), (torch.zeros(model.shape),), strict=False)
            return program.run_decompositions({})

    try:
        with FakeTensorMode(allow_non_fake_inputs=True):
            program = traced(lambda: built(model))
    except Exception as error:
        if "DataDependent" not in type(error).__name__:
            raise
        program = traced(lambda: built(model))  # it looks at numbers while it is built
    graph = graph_from_torch(program)
    graph["meta"] = {
        "name": name,
        "model": model.entry,
        "mode": "inference",
        "batch": model.shape[0],
        "input_shape": list(model.shape),
        "source": model.package,
        "source_version": version(model.package),
        "torch": torch.__version__,
    }
    return graph


def figures(graph: dict[str, Any]) -> tuple[int, int, int, int]:
    """Return operators, buffers, bytes of all, load."""
    problem = problem_from_graph(graph, planned="activations")
    return len(graph["ops"]), len(problem), problem.total, peak(problem).bytes


def row(name: str, graph: dict[str, Any], seconds: float) -> str:
    """Return a line of the report."""
    own = figures(graph)
    same = "-"
    if name in graphs():
        other = figures(read_json(graphs()[name]))
        same = "yes" if other == own else "no: " + ", ".join(f"{number:,}" for number in other)
    return f"| {name} | {' | '.join(f'{n:,}' for n in own)} | {same} | {seconds:.1f} |"


def main() -> int:
    """Export the models that are named; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="of MODELS; by default all")
    parser.add_argument("-o", "--output", type=Path, help="a directory for NAME.json.gz")
    parser.add_argument("--report", type=Path, help="a page of Markdown")
    options = parser.parse_args()
    for name in options.names:
        if name not in MODELS:
            parser.error(f"no model {name!r}; there are: {', '.join(MODELS)}")
    lines, failed = [], 0
    for name in options.names or MODELS:
        started = time.monotonic()
        try:
            graph = exported(name, MODELS[name])
        except (MemongerError, ImportError, RuntimeError) as error:
            print(f"{name}: {type(error).__name__}: {error}"[:200], file=sys.stderr)
            failed += 1
            continue
        lines.append(row(name, graph, time.monotonic() - started))
        print(lines[-1], flush=True)
        if options.output is not None:
            options.output.mkdir(parents=True, exist_ok=True)
            data = gzip.compress(json.dumps(graph).encode(), 9, mtime=0)
            write_atomically(options.output / f"{name}.json.gz", data)
    if options.report is not None:
        packages = ("torch", "torchvision", "timm", "transformers", "diffusers")
        versions = ", ".join(f"{package} {version(package)}" for package in packages)
        text = HEAD.format(versions=versions) + "\n".join(lines) + "\n"
        write_atomically(options.report, text.encode())
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
