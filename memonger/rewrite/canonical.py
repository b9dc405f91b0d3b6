"""Operators with the names of outer blobs taken out: equal for equal operators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from memonger.errors import EquivalenceError
from memonger.net.netdef_pb2 import NetDef, OperatorDef
from memonger.net.renames import RENAME, gradient_pairs, renamed_names
from memonger.net.schema import Scope, schema
from memonger.net.subnets import (
    Operands,
    inner_operators,
    is_nested,
    is_text_net,
    local_names,
    nets_of,
)


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


def compare_operators(
    index: int, op: OperatorDef, new: OperatorDef, touched: Operands, renamed: Operands
) -> None:
    """Check that an operator of a rewritten net is that of the original, but for names of blobs.

    Parameters
    ----------
    index
        Index of the operator in the original net.
    op, new
        The operator in the original and in the rewritten net.
    touched, renamed
        Their operands.

    Raises
    ------
    EquivalenceError
        If they differ in anything else; names the operator.
    """
    if len(touched.inputs) != len(renamed.inputs) or len(touched.outputs) != len(renamed.outputs):
        raise EquivalenceError(
            f"operator {index} ({op.type}) has another number of inputs or outputs"
        )
    if touched.plain:
        same = without_blobs(op) == without_blobs(new)
    else:
        one = canonical_operator(op, touched.undeclared)
        same = one == canonical_operator(new, renamed.undeclared)
    if not same:
        raise EquivalenceError(
            f"operator {index} ({op.type}) has another type, argument, device, engine or inner net"
        )
    if not touched.plain:
        _compare_names(index, op, new, touched, renamed)


def _compare_names(
    index: int, op: OperatorDef, new: OperatorDef, touched: Operands, renamed: Operands
) -> None:
    """Check what an operator makes of the names themselves."""
    where = f"operator {index} ({op.type})"
    same = touched.reads == renamed.reads and touched.writes == renamed.writes
    if not same and _needs_names(op):
        raise EquivalenceError(f"{where} must keep the names of its blobs")
    if schema(op.type).derives_gradients:
        expected, found = derived_names(op), derived_names(new)
        for name, position in expected.items():
            if found.get(name) != position:
                raise EquivalenceError(f"{where} would look for {name!r} under a wrong name")
        if derived_gradients(op) != derived_gradients(new):
            raise EquivalenceError(f"{where} would find other gradients by the names of its blobs")


def _needs_names(op: OperatorDef) -> bool:
    """Return whether blobs must keep their names: keys of files, or held on to in nets inside."""
    return schema(op.type).named or (
        is_nested(op) and any(schema(inner.type).holds_on for inner in inner_operators(op))
    )
