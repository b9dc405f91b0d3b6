"""Small changes to nets: most of them wrong, which the verifier must notice."""

import random
from collections.abc import Callable

from memonger.net.netdef_pb2 import NetDef

Mutation = Callable[[NetDef, random.Random], None]


def names_of(net: NetDef) -> list[str]:
    return list(dict.fromkeys(name for op in net.op for name in (*op.input, *op.output)))


def another_input(net: NetDef, rng: random.Random) -> None:
    readers = [op for op in net.op if op.input]
    if not readers:
        return
    op = rng.choice(readers)
    op.input[rng.randrange(len(op.input))] = rng.choice(names_of(net))


def another_output(net: NetDef, rng: random.Random) -> None:
    writers = [op for op in net.op if op.output]
    if not writers:
        return
    op = rng.choice(writers)
    op.output[rng.randrange(len(op.output))] = rng.choice(names_of(net))


def swapped_inputs(net: NetDef, rng: random.Random) -> None:
    op = rng.choice(net.op)
    inputs = list(op.input)
    rng.shuffle(inputs)
    op.input[:] = inputs


def dropped_operator(net: NetDef, rng: random.Random) -> None:
    del net.op[rng.randrange(len(net.op))]


def swapped_operators(net: NetDef, rng: random.Random) -> None:
    one, other = rng.randrange(len(net.op)), rng.randrange(len(net.op))
    kept = NetDef()
    kept.CopyFrom(net)
    net.op[one].CopyFrom(kept.op[other])
    net.op[other].CopyFrom(kept.op[one])


def another_attribute(net: NetDef, rng: random.Random) -> None:
    op = rng.choice(net.op)
    kind = rng.randrange(4)
    if kind == 0:
        op.arg.add(name="k", i=rng.randint(0, 9))
    elif kind == 1:
        op.type = rng.choice(["Tanh", "Relu", "Add", "Mul", "Alias"])
    elif kind == 2:
        op.engine = rng.choice(["", "CUDNN"])
    else:
        op.device_option.device_type = rng.randint(0, 1)


def rename(net: NetDef, old: str, new: str, first: int = 0, controls: bool = True) -> None:
    """Rename a blob from the outputs of operator ``first`` on."""
    for index, op in enumerate(net.op):
        if index > first or first == 0:
            op.input[:] = [new if name == old else name for name in op.input]
            if controls:
                op.control_input[:] = [new if n == old else n for n in op.control_input]
        if index >= first:
            op.output[:] = [new if name == old else name for name in op.output]


def merged_names(net: NetDef, rng: random.Random) -> None:
    rename(net, rng.choice(names_of(net)), rng.choice(names_of(net)))


def merged_from_here(net: NetDef, rng: random.Random) -> None:
    first = rng.randrange(len(net.op))
    written = list(net.op[first].output) or names_of(net)
    rename(net, rng.choice(written), rng.choice(names_of(net)), first)


def renamed(net: NetDef, rng: random.Random) -> None:
    rename(net, rng.choice(names_of(net)), "fresh")


MUTATIONS: dict[str, Mutation] = {
    function.__name__: function
    for function in (
        another_input,
        another_output,
        swapped_inputs,
        dropped_operator,
        swapped_operators,
        another_attribute,
        merged_names,
        merged_from_here,
        renamed,
    )
}
