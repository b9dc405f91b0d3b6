"""A short notation for nets: ``Relu x > a; Add a x > y | control``."""

from memonger.net.netdef_pb2 import NetDef, OperatorDef


def operator(text: str) -> OperatorDef:
    """Return the operator ``Type inputs > outputs | control inputs``."""
    text, _, controls = text.partition("|")
    left, _, outputs = text.partition(">")
    kind, *inputs = left.split()
    return OperatorDef(
        type=kind, input=inputs, output=outputs.split(), control_input=controls.split()
    )


def net(text: str, inputs: str = "x", outputs: str = "y", kind: str = "simple") -> NetDef:
    """Return the net whose operators are separated by semicolons."""
    return NetDef(
        type=kind,
        op=[operator(part) for part in text.split(";") if part.strip()],
        external_input=inputs.split(),
        external_output=outputs.split(),
    )


def with_net(op: OperatorDef, **nets: NetDef) -> OperatorDef:
    """Put nets into the arguments of an operator."""
    for name, inner in nets.items():
        op.arg.add(name=name).n.CopyFrom(inner)
    return op


def with_strings(op: OperatorDef, **strings: str) -> OperatorDef:
    """Put lists of strings into the arguments of an operator."""
    for name, text in strings.items():
        op.arg.add(name=name, strings=[item.encode() for item in text.split()])
    return op


def short(result: NetDef) -> str:
    """Return the operators of a net in this notation."""
    return "; ".join(
        f"{op.type} {' '.join(op.input)} > {' '.join(op.output)}"
        + (f" | {' '.join(op.control_input)}" if op.control_input else "")
        for op in result.op
    )


def ones(*nets: NetDef) -> dict[str, int]:
    """Return 4 bytes for every blob of the nets."""
    return {name: 4 for net in nets for op in net.op for name in (*op.input, *op.output)}
