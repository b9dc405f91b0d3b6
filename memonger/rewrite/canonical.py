"""Operators with the names of outer blobs taken out: equal for equal operators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from memonger.net.netdef_pb2 import NetDef, OperatorDef
from memonger.net.renames import RENAME, gradient_pairs, renamed_names
from memonger.net.schema import Scope, schema
from memonger.net.subnets import is_nested, is_text_net, local_names, nets_of


def canonical_operator(op: OperatorDef, undeclared: Sequence[str] = ()) -> bytes:
    """Return bytes that are equal for operators that differ in names of outer blobs only.

    Inputs, outputs and control inputs are left out (their values are compared elsewhere); where
    an outer blob is named in a net inside, or in an argument, its position stands instead;
    ``undeclared`` are the outer blobs that only nets inside name.
    """
    if not is_nested(op):
        return without_blobs(op)
    copy = _without_blobs(op)
    traits = schema(op.type)
    positions = _positions(op, undeclared)
    local = local_names(op)
    inner = {name: new for name, new in positions.items() if name not in local}
    del copy.arg[:]
    for arg in op.arg:
        if arg.name.endswith(RENAME) and arg.s.decode("utf-8", "replace") in positions:
            continue  # compared by `derived_names`
        kept = copy.arg.add()
        kept.CopyFrom(arg)
        if arg.name in traits.names:
            links = _links(op, positions) if traits.derives_gradients else positions
            kept.strings[:] = [_substitute(text, links) for text in arg.strings]
        if traits.scope is not Scope.BOUND and (arg.HasField("n") or arg.nets or is_text_net(arg)):
            kept.ClearField("n")
            kept.ClearField("s")
            del kept.nets[:]
            kept.nets.extend(_canonical_net(net, inner) for net in nets_of(arg))
    return copy.SerializeToString(deterministic=True)


def without_blobs(op: OperatorDef) -> bytes:
    """Return an operator without its inputs, outputs and control inputs, as bytes."""
    return _without_blobs(op).SerializeToString(deterministic=True)


def _without_blobs(op: OperatorDef) -> OperatorDef:
    copy = OperatorDef()
    copy.CopyFrom(op)
    copy.ClearField("input")
    copy.ClearField("output")
    copy.ClearField("control_input")
    return copy


def derived_names(op: OperatorDef) -> dict[str, int]:
    """Return what name an operator finds which of its operands under.

    An operator that derives names finds an operand under its own name, unless a ``.rename``
    argument of that name leads elsewhere, and under every name whose argument leads to it.
    """
    numbers: dict[str, int] = {}
    for name in (*op.input, *op.output):
        numbers.setdefault(name, len(numbers))
    found = dict(numbers)
    for name, target in renamed_names(op).items():
        if target in numbers:
            found[name] = numbers[target]
    return found


def derived_gradients(op: OperatorDef) -> dict[int, int]:
    """Return the position of an operand -> that of the one found as its gradient."""
    numbers: dict[str, int] = {}
    for name in (*op.input, *op.output):
        numbers.setdefault(name, len(numbers))
    return {numbers[name]: numbers[found] for name, found in gradient_pairs(op).items()}


def _links(op: OperatorDef, positions: Mapping[str, str]) -> dict[str, str]:
    """Return what names in arguments mean where ``.rename`` arguments lead elsewhere."""
    links = dict(positions)
    for name, target in renamed_names(op).items():
        links[name] = positions.get(target, target)
    return links


def _positions(op: OperatorDef, undeclared: Sequence[str]) -> dict[str, str]:
    """Outer blob -> a stand-in that no blob is called by (it holds a control character)."""
    found: dict[str, str] = {}
    for name in (*op.input, *op.output, *undeclared):
        found.setdefault(name, f"\x01{len(found)}")
    return found


def _substitute(text: bytes, names: Mapping[str, str]) -> bytes:
    name = text.decode("utf-8", "replace")
    return names[name].encode() if name in names else text


def _canonical_net(net: NetDef, names: Mapping[str, str]) -> NetDef:
    # On purpose no use of `rename_net`: what checks the renaming must not share its mistakes.
    copy = NetDef()
    copy.CopyFrom(net)
    for field in ("external_input", "external_output"):
        values = [names.get(name, name) for name in getattr(copy, field)]
        del getattr(copy, field)[:]
        getattr(copy, field).extend(values)
    for op in copy.op:
        for field in ("input", "output", "control_input"):
            values = [names.get(name, name) for name in getattr(op, field)]
            del getattr(op, field)[:]
            getattr(op, field).extend(values)
        if schema(op.type).scope is Scope.BOUND:
            continue
        for arg in op.arg:
            nested = [_canonical_net(inner, names) for inner in nets_of(arg)]
            if nested:
                arg.ClearField("n")
                arg.ClearField("s")
                del arg.nets[:]
                arg.nets.extend(nested)
    return copy
