"""Random nets that a real Caffe2 can run: what `compare_with_caffe2.py` tries beside known nets.

Tensors have 4 rows and 2 to 32 columns of floats or integers. The families differ in what may
happen to a name: written once; written in place; written anew, also over what an earlier reader
still has to read (hazards); a second name for one memory (Alias); given up (Free).
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from memonger.instances.net_builder import NetBuilder
from memonger.net.tensors import DataType

ROWS = 4
UNARY = ("Relu", "Tanh", "Sigmoid", "Negative", "Sin", "Cos", "Copy")
UNARY_IN_PLACE = ("Relu", "Tanh", "Sigmoid", "Negative")
BINARY = ("Add", "Mul", "Sub")  # may be written over their first input


@dataclass(frozen=True)
class Family:
    """What may occur in a random net."""

    in_place: float = 0.0
    redefine: float = 0.0
    views: float = 0.0
    free: float = 0.0
    controls: float = 0.0
    kind: str = "simple"


FAMILIES = {
    "ssa": Family(),
    "in-place": Family(in_place=0.3),
    "hazards": Family(in_place=0.2, redefine=0.4),
    "views": Family(in_place=0.2, redefine=0.2, views=0.2),
    "free": Family(in_place=0.2, redefine=0.2, free=0.2),
    "dag": Family(kind="dag"),
    "dag-hazards": Family(in_place=0.2, redefine=0.3, kind="dag"),
    "async": Family(in_place=0.2, redefine=0.2, controls=0.2, kind="async_scheduling"),
    "everything": Family(0.2, 0.3, 0.1, 0.1, 0.1),
}


class _RandomNet:
    """A net as it grows: what may be read, and the columns and type of each blob."""

    def __init__(self, name: str, family: Family, rng: random.Random) -> None:
        self.rng = rng
        self.family = family
        self.builder = NetBuilder(name)
        self.builder.net.type = family.kind
        if family.kind != "simple":
            self.builder.net.num_workers = 4
        self.integers: set[str] = set()
        self.fresh = 0
        width = rng.choice([4, 8, 16])
        self.inputs = [
            self.builder.data(f"in{index}", (ROWS, width)) for index in range(rng.randint(1, 3))
        ]
        self.readable = list(self.inputs)
        if rng.random() < 0.2:
            state = self.builder.data("state", (ROWS, width))
            self.inputs.append(state)
            self.builder.add("Sigmoid", [state], [state])
            self.readable.append(state)

    def columns(self, blob: str) -> int:
        return self.builder.shapes[blob][1]

    def source(self) -> str:
        recent = self.readable[-5:] if self.rng.random() < 0.7 else self.readable
        return self.rng.choice(recent)

    def partner(self, blob: str) -> str:
        """Return a blob of the same shape and type."""
        return self.rng.choice(
            [
                other
                for other in self.readable
                if self.columns(other) == self.columns(blob)
                and (other in self.integers) == (blob in self.integers)
            ]
        )

    def target(self, taken: list[str], in_place: str | None = None) -> str:
        """Return a name to write to: in place, one that exists, or a new one."""
        roll = self.rng.random()
        if in_place is not None and roll < self.family.in_place:
            return in_place
        if roll < self.family.in_place + self.family.redefine:
            known = [name for name in self.readable if name not in (*self.inputs, *taken)]
            if known:
                return self.rng.choice(known)
        self.fresh += 1
        return f"b{self.fresh}"

    def write(
        self, kind: str, inputs: list[str], targets: dict[str, int], *, integers: bool = False,
        **arguments: int,
    ) -> None:  # fmt: skip
        """Append an operator that leaves that many columns in each target."""
        shapes = {name: (ROWS, columns) for name, columns in targets.items()}
        self.builder.add(kind, inputs, shapes, **arguments)
        for name in targets:
            (self.integers.add if integers else self.integers.discard)(name)
            if name in self.readable:
                self.readable.remove(name)
            self.readable.append(name)

    def control(self) -> None:
        op = self.builder.net.op
        if len(op) > 1 and self.rng.random() < self.family.controls:
            written = [name for earlier in op[:-1] for name in earlier.output]
            op[-1].control_input.append(self.rng.choice(written))

    def grow(self) -> None:
        """Append one operator."""
        x = self.source()
        roll = self.rng.random()
        if roll < self.family.views:
            self.fresh += 1
            self.write(
                "Alias", [x], {f"v{self.fresh}": self.columns(x)}, integers=x in self.integers
            )
        elif roll < self.family.views + self.family.free and x not in self.inputs:
            self.builder.add("Free", [x], [x])
            self.readable.remove(x)
        elif x in self.integers:
            self.write("Cast", [x], {self.target([x]): self.columns(x)}, to=int(DataType.FLOAT))
        else:
            self.compute(x)
        self.control()

    def compute(self, x: str) -> None:
        kind = self.rng.choice(["unary"] * 4 + ["binary"] * 4 + ["fc", "split", "concat", "cast"])
        columns = self.columns(x)
        if kind == "binary":
            other = self.partner(x)
            target = self.target([], None if other == x else x)
            inputs = [x, other] if target in (x, other) or self.rng.random() < 0.5 else [other, x]
            if target == other and target != x:
                inputs = [other, x]
            self.write(self.rng.choice(BINARY), inputs, {target: columns})
        elif kind == "fc" and len(self.builder.parameters) < 8:
            name = f"p{len(self.builder.parameters)}"
            width = self.rng.choice([2, 4, 8, 16])
            weight = self.builder.parameter(f"{name}_w", (width, columns))
            bias = self.builder.parameter(f"{name}_b", (width,))
            self.write("FC", [x, weight, bias], {self.target([x]): width})
        elif kind == "split" and columns >= 4:
            first = self.target([x])
            targets = {first: columns // 2, self.target([x, first]): columns // 2}
            self.write("Split", [x], targets, axis=1)
        elif kind == "concat" and columns <= 16:
            self.fresh += 1
            other = self.partner(x)
            target = self.target([x, other])
            self.builder.add("Concat", [x, other], [target, f"dims{self.fresh}"], axis=1)
            self.builder.shapes[target] = (ROWS, 2 * columns)
            self.integers.discard(target)
            if target in self.readable:
                self.readable.remove(target)
            self.readable.append(target)
        elif kind == "cast":
            self.write(
                "Cast", [x], {self.target([x]): columns}, integers=True, to=int(DataType.INT32)
            )
        else:
            target = self.target([], x)
            kinds = UNARY_IN_PLACE if target == x else UNARY
            self.write(self.rng.choice(kinds), [x], {target: columns})

    def finish(self) -> NetBuilder:
        """Declare outputs, most of the time."""
        written = {name for op in self.builder.net.op for name in op.output}
        ends = [name for name in self.readable if name in written]
        if ends and self.rng.random() < 0.8:
            count = self.rng.randint(1, min(3, len(ends)))
            self.builder.net.external_output.extend(sorted(self.rng.sample(ends, count)))
        return self.builder


def random_net(name: str, family: str, operators: int, seed: int) -> NetBuilder:
    """Return a random net of about that many operators."""
    net = _RandomNet(name, FAMILIES[family], random.Random(seed))
    while len(net.builder.net.op) < operators:
        net.grow()
    return net.finish()


def random_training_net(name: str, layers: int, seed: int) -> tuple[NetBuilder, list[str]]:
    """Return a random net of layers, branches and sums with its gradients, and their blobs."""
    rng = random.Random(seed)
    builder = NetBuilder(name)
    builder.net.type = rng.choice(["simple", "dag"])
    if builder.net.type == "dag":
        builder.net.num_workers = 4
    width = rng.choice([2, 4, 8])
    label = builder.data("label", (ROWS,), DataType.INT32)
    blobs = [builder.fc(builder.data("data", (ROWS, width)), "stem", width)]
    for index in range(layers):
        x = rng.choice(blobs[-3:])
        roll = rng.random()
        if roll < 0.5:
            x = builder.fc(x, f"layer{index}", width)
        elif roll < 0.7:
            x = builder.elementwise(rng.choice(["Relu", "Tanh", "Sigmoid"]), x, f"act{index}")
        elif x not in blobs[:-1]:
            x = builder.sum([x, builder.fc(x, f"side{index}", width)], f"sum{index}")
        else:
            x = builder.sum([x, blobs[-1]], f"sum{index}") if x != blobs[-1] else x
        if x not in blobs:
            blobs.append(x)
    unread = [name for name in blobs if not any(name in op.input for op in builder.net.op)]
    x = builder.sum(unread, "all") if len(unread) > 1 else unread[0]
    x = builder.elementwise("Softmax", builder.relu(builder.fc(x, "head", width)), "softmax")
    builder.add("LabelCrossEntropy", [x, label], {"entropy": (ROWS,)})
    builder.add("AveragedLoss", ["entropy"], {"loss": ()})
    found = builder.backward("loss")
    return builder, list(found.values())
