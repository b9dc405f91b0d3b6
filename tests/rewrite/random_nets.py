"""Random nets: in place, not SSA, dead outputs, views, Free, control inputs, several devices."""

import random
from dataclasses import dataclass

from memonger.net.netdef_pb2 import NetDef


@dataclass(frozen=True)
class Traits:
    """What may occur in a random net."""

    in_place: bool = False
    redefine: bool = False
    devices: int = 1
    views: bool = False
    free: bool = False
    controls: bool = False
    declared: bool = True
    kind: str = "simple"


EVERYTHING = Traits(True, True, 2, True, True, True)
TRAITS = {
    "ssa": Traits(),
    "in place": Traits(in_place=True),
    "not ssa": Traits(in_place=True, redefine=True),
    "devices": Traits(in_place=True, redefine=True, devices=3),
    "views": Traits(in_place=True, redefine=True, views=True),
    "free": Traits(in_place=True, redefine=True, free=True),
    "controls": Traits(redefine=True, controls=True),
    "undeclared": Traits(in_place=True, redefine=True, declared=False),
    "everything": EVERYTHING,
    "dag": Traits(kind="dag"),
    "dag, not ssa": Traits(in_place=True, redefine=True, kind="dag"),
    "dag, controls": Traits(in_place=True, redefine=True, controls=True, kind="async_scheduling"),
    "dag, everything": Traits(True, True, 2, True, True, True, kind="dag"),
}


def random_net(rng: random.Random, traits: Traits, operators: int) -> NetDef:
    """Return a net whose operators read what is there, most of the time what came last."""
    net = NetDef(name="random", type=traits.kind)
    inputs = [f"in{i}" for i in range(rng.randint(1, 3))]
    readable = list(inputs)
    if rng.random() < 0.2:
        readable.append(_state(net, "state"))
    fresh = 0
    for index in range(operators):
        recent = readable[-4:] if rng.random() < 0.7 else readable
        sources = [rng.choice(recent) for _ in range(rng.randint(1, 2))]
        roll = rng.random()
        if traits.views and roll < 0.15:
            op = net.op.add(type="Alias", input=sources[:1], output=[f"view{index}"])
            readable.append(op.output[0])
        elif traits.free and roll < 0.3 and (doomed := _doomed(rng, readable, inputs)):
            op = net.op.add(type="Free", input=[doomed], output=[doomed])
            readable.remove(doomed)
        else:
            op = net.op.add(type=rng.choice(["Tanh", "Relu", "Add", "Mul"]), input=sources)
            for _ in range(rng.choice([1, 1, 1, 2])):
                name = f"b{fresh}"
                roll = rng.random()
                if traits.in_place and roll < 0.25:
                    name = sources[0]
                elif traits.redefine and roll < 0.5 and len(readable) > len(inputs):
                    name = rng.choice(readable[len(inputs) :])
                if name in op.output or (name in inputs and rng.random() < 0.7):
                    name = f"b{fresh}"
                fresh += name == f"b{fresh}"
                op.output.append(name)
                if name in readable:
                    readable.remove(name)
                    readable.insert(0, name) if name in inputs else readable.append(name)
                else:
                    readable.append(name)
        if traits.devices > 1:
            op.device_option.device_type = rng.randint(0, 1)
            op.device_option.device_id = rng.randrange(traits.devices)
        if rng.random() < 0.3:
            op.arg.add(name="k", i=rng.randint(0, 2))
        if traits.controls and index and rng.random() < 0.3:
            written = [name for earlier in net.op[:index] for name in earlier.output]
            op.control_input.append(rng.choice(written))
    _declare(net, rng, traits, inputs, readable)
    return net


def _state(net: NetDef, name: str) -> str:
    """A parameter that the net updates in place."""
    net.op.add(type="Step", input=[name], output=[name])
    return name


def _doomed(rng: random.Random, readable: list[str], inputs: list[str]) -> str | None:
    candidates = [name for name in readable if name not in inputs and name != "state"]
    return rng.choice(candidates) if candidates else None


def _declare(
    net: NetDef, rng: random.Random, traits: Traits, inputs: list[str], readable: list[str]
) -> None:
    written = {name for op in net.op for name in op.output}
    if traits.declared:
        net.external_input.extend([*inputs, "state"])
    ends = [name for name in readable if name in written]
    if ends and rng.random() < 0.8:
        net.external_output.extend(sorted(rng.sample(ends, rng.randint(1, min(2, len(ends))))))


def random_sizes(rng: random.Random, net: NetDef) -> dict[str, int]:
    """Return bytes for every blob, few distinct values, some empty."""
    names = dict.fromkeys(name for op in net.op for name in (*op.input, *op.output))
    return {name: rng.choice([0, 4, 4, 8, 16, 16, 100]) for name in names}
