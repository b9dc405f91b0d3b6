"""Nets inside operators: where they are, and which blobs of the outer net they touch."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from google.protobuf import text_format

from memonger.errors import NetError
from memonger.net.netdef_pb2 import Argument, NetDef, OperatorDef
from memonger.net.schema import SCHEMAS, Scope, schema

# Older exporters write a step net as text into the string field of these arguments.
_NET_ARGUMENTS = frozenset(
    {"net", "step_net", "backward_step_net", "then_net", "else_net", "loop_net", "cond_net"}
)


def is_text_net(arg: Argument) -> bool:
    """Return whether the argument holds a net as text."""
    return arg.name in _NET_ARGUMENTS and not arg.HasField("n") and bool(arg.s)


def nets_of(arg: Argument) -> list[NetDef]:
    """Return the nets in an argument: in ``n``, in ``nets``, or as text in ``s`` (parsed).

    Raises
    ------
    NetError
        If a text net cannot be parsed.
    """
    if arg.HasField("n"):
        return [arg.n]
    if is_text_net(arg):
        return [parse_text_net(arg)]
    return list(arg.nets)


def parse_text_net(arg: Argument) -> NetDef:
    """Return the net that an argument holds as text."""
    net = NetDef()
    try:
        text_format.Parse(arg.s.decode("utf-8"), net)
    except (text_format.ParseError, UnicodeDecodeError) as error:
        detail = " ".join(str(error).split())
        raise NetError(f"argument {arg.name!r}: not a text NetDef: {detail}") from None
    return net


def has_nets(op: OperatorDef) -> bool:
    """Return whether an operator carries nets in its arguments."""
    for arg in op.arg:  # called for every operator: the common answer, no, must be cheap
        if arg.HasField("n") or arg.nets or (arg.s and arg.name in _NET_ARGUMENTS):
            return True
    return False


def is_nested(op: OperatorDef) -> bool:
    """Return whether an operator carries nets, or is of a type that does."""
    return schema(op.type).scope is not None or has_nets(op)


def inner_operators(op: OperatorDef) -> Iterator[OperatorDef]:
    """Yield the operators of all nets inside an operator, at any depth."""
    pending = [net for arg in op.arg for net in nets_of(arg)]
    while pending:
        for inner in pending.pop().op:
            yield inner
            if has_nets(inner):
                pending.extend(net for arg in inner.arg for net in nets_of(arg))


def all_names(net: NetDef) -> set[str]:
    """Return every name that a new blob must not take: of this net and of all nets inside it."""
    names: set[str] = set()
    pending = [net]
    while pending:
        current = pending.pop()
        names.update(current.external_input, current.external_output)
        for op in current.op:
            names.update(op.input, op.output, op.control_input)
            for arg in op.arg:
                if arg.strings or arg.s:
                    names.update(text.decode("utf-8", "replace") for text in arg.strings)
                    names.add(arg.s.decode("utf-8", "replace"))
                pending.extend(nets_of(arg))
    return names


class Operands(NamedTuple):
    """What one operator does with the blobs of its net.

    It is read out of the message once, because attributes of messages are slow. ``inputs``,
    ``outputs`` and ``controls`` are as they stand; the others name each blob once, in a fixed
    order.

    Parameters
    ----------
    reads
        Blobs that are read: the inputs, and what nets inside read besides.
    writes
        Blobs that are written: the outputs, and what nets inside write besides.
    undeclared
        Those that only nets inside touch: they must keep their names.
    partial
        Those of ``writes`` that may keep an older value, or a part of it: nets inside write them
        under a condition.
    inputs, outputs, controls
        Inputs, outputs and control inputs of the operator.
    type
        Its type.
    plain
        Whether there is nothing else to know of it: no nets inside, and no entry of its type in
        `memonger.net.schema.SCHEMAS`. So it is with nearly all operators.
    """

    reads: tuple[str, ...]
    writes: tuple[str, ...]
    undeclared: tuple[str, ...] = ()
    partial: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    controls: tuple[str, ...] = ()
    type: str = ""
    plain: bool = False


def operands(op: OperatorDef, outer: Collection[str]) -> Operands:
    """Return the blobs that an operator touches.

    Parameters
    ----------
    op
        The operator.
    outer
        Names of the blobs of the net that the operator stands in.

    Raises
    ------
    NetError
        If a net inside the operator cannot be parsed.
    """
    found = declared_operands(op)
    return found if found.plain or not is_nested(op) else _with_nets(found, op, outer)


def operands_of(ops: Sequence[OperatorDef], external: Iterable[str] = ()) -> Iterator[Operands]:
    """Yield the operands of every operator of a net.

    Parameters
    ----------
    ops
        The operators.
    external
        Names of the blobs of the net beside their inputs and outputs.

    Raises
    ------
    NetError
        If a net inside an operator cannot be parsed; names the operator.
    """
    outer: set[str] = set()
    for index, op in enumerate(ops):
        found = declared_operands(op)
        if not found.plain and is_nested(op):
            if not outer:  # few nets need it
                outer = {name for other in ops for name in (*other.input, *other.output)}
                outer.update(external)
            try:
                found = _with_nets(found, op, outer)
            except NetError as error:
                raise NetError(f"operator {index} ({op.type}): {error}") from None
        yield found


def net_operands(net: NetDef) -> Iterator[Operands]:
    """Yield the operands of every operator of a net: `operands_of`."""
    return operands_of(net.op, chain(net.external_input, net.external_output))


def declared_operands(op: OperatorDef, *, plain: bool | None = None) -> Operands:
    """Return what the inputs and outputs of an operator say, whatever nets inside it do.

    ``plain`` is given where it is known.
    """
    # Slices of repeated fields are lists: twice as fast as going through the fields.
    op_type, inputs, outputs = op.type, tuple(op.input[:]), tuple(op.output[:])
    if plain is None:
        plain = op_type not in SCHEMAS and not has_nets(op)
    controls = tuple(op.control_input[:])
    # By position: called for every operator, and names of arguments take as long as the rest.
    return Operands(
        _once(inputs), _once(outputs), (), (), inputs, outputs, controls, op_type, plain
    )


def _once(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(names) < 2 or len(set(names)) == len(names):
        return names
    return tuple(dict.fromkeys(names))


def _with_nets(found: Operands, op: OperatorDef, outer: Collection[str]) -> Operands:
    """Return the operands of an operator with what the nets inside it touch."""
    effects = _effects(op)
    declared = {*found.reads, *found.writes}
    undeclared = [
        name
        for name in dict.fromkeys([*effects.reads, *effects.writes])
        if name in outer and name not in declared
    ]
    visible = declared.union(undeclared)
    writes = tuple(name for name in effects.writes if name in visible)
    return found._replace(
        reads=tuple(name for name in effects.reads if name in visible),
        writes=writes,
        undeclared=tuple(undeclared),
        partial=tuple(name for name in writes if name not in effects.surely),
    )


@dataclass(slots=True)
class _Effects:
    """What a piece of a net does to names: sets kept as dicts, in order of appearance.

    ``reads`` are names whose value from before is read, ``surely`` those that are written
    whatever the conditions are.
    """

    reads: dict[str, None]
    writes: dict[str, None]
    surely: dict[str, None]


def _effects(op: OperatorDef) -> _Effects:
    traits = schema(op.type)
    found = _Effects(dict.fromkeys(op.input), dict.fromkeys(op.output), {})
    if not is_nested(op):
        found.surely = dict.fromkeys(op.output)
        return found
    if traits.scope is Scope.BOUND:  # nets inside have names of their own, and may write or not
        return found
    local = local_names(op)
    branches: dict[str, _Effects] = {}
    for arg in op.arg:
        # An operator type that we do not know may run any net that it carries.
        if traits.scope is None or arg.name in traits.runs:
            for position, net in enumerate(nets_of(arg)):
                branches[f"{arg.name}.{position}"] = _net_effects(net)
    for branch in branches.values():
        found.reads.update(dict.fromkeys(n for n in branch.reads if n not in local))
        found.writes.update(dict.fromkeys(n for n in branch.writes if n not in local))
    if traits.scope is Scope.CHILD:
        found.surely = dict.fromkeys(op.output)
    elif traits.exhaustive and len(branches) == len(traits.runs):
        first, *others = branches.values()
        found.surely = {
            name: None for name in first.surely if all(name in other.surely for other in others)
        }
    return found


def _net_effects(net: NetDef) -> _Effects:
    total = _Effects({}, {}, {})
    for op in net.op:
        effects = _effects(op)
        total.reads.update(dict.fromkeys(n for n in effects.reads if n not in total.surely))
        total.writes.update(effects.writes)
        total.surely.update(effects.surely)
    return total


def local_names(op: OperatorDef) -> set[str]:
    """Return the names that an operator gives to blobs of its child workspace.

    In the nets inside the operator they mean those blobs, whatever the outer net holds.
    """
    traits = schema(op.type)
    found: set[str] = set()
    for arg in op.arg:
        if arg.name in traits.locals:
            found.update(text.decode("utf-8", "replace") for text in arg.strings)
            if arg.s:
                found.add(arg.s.decode("utf-8", "replace"))
    return found
