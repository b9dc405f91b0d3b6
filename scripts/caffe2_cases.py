"""The nets that `compare_with_caffe2.py` runs in a real Caffe2: built-in, random, recorded ones."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from random_caffe2_nets import FAMILIES, random_net, random_training_net

from memonger.instances import architectures
from memonger.instances.net_builder import NetBuilder
from memonger.instances.nets import NETS, BuiltNet, build, chain, resnet_like
from memonger.net.defuse import analyse, outputs_of
from memonger.net.io import parse_net
from memonger.net.netdef_pb2 import NetDef
from memonger.net.shapes.inference import infer_types
from memonger.net.tensors import DataType, TensorType

DTYPES = {
    DataType.FLOAT: "float32",
    DataType.INT32: "int32",
    DataType.INT64: "int64",
    DataType.BOOL: "bool",
}
TOO_LARGE = {"resnet50-train", "unet"}  # seconds to a minute a run
JUDGED = "Caffe2's own "


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

    @property
    def present(self) -> list[str]:
        """The wanted blobs that the net has."""
        names = {name for op in self.net.op for name in (*op.input, *op.output)}
        return [name for name in self.wanted if name in names]

    @property
    def static(self) -> list[str]:
        """What must stay under its name."""
        return [*self.wanted, *self.feeds]


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
