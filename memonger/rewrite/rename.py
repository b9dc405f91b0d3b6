"""Renaming the blobs of one operator, nets inside it included."""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf import text_format

from memonger.net.netdef_pb2 import Argument, NetDef, OperatorDef
from memonger.net.renames import RENAME
from memonger.net.schema import Scope, schema
from memonger.net.subnets import has_nets, is_nested, is_text_net, local_names, parse_text_net


def rename_operator(op: OperatorDef, names: Mapping[str, str], *, plain: bool = False) -> None:
    """Rename the blobs that an operator touches, in the operator itself.

    Parameters
    ----------
    op
        The operator; it is changed.
    names
        Old name -> new name, for its inputs and outputs. Names that are missing stay.
    plain
        Whether it is known to be `memonger.net.subnets.Operands.plain`.

    Notes
    -----
    Beside inputs and outputs these follow: the same blobs in the nets inside the operator, the
    string arguments that name outer blobs (``link_external``, ``alias_dst``, ...), and, for
    operators that derive the name of a gradient, ``<old name>.rename`` arguments, which tell a
    real Caffe2 where the blob is now.
    """
    for field in (op.input, op.output):
        old = field[:]
        new = [names.get(name, name) for name in old]
        if new != old:
            field[:] = new
    if plain or not is_nested(op):
        return
    changed = {old: new for old, new in names.items() if old != new}  # maybe those of a whole net
    if not changed:
        return
    traits = schema(op.type)
    if traits.scope is not Scope.BOUND:  # nets bound by index do not know outer names
        local = local_names(op)
        inner = {old: new for old, new in changed.items() if old not in local}
        for arg in op.arg:
            _rename_nets(arg, inner)
    for arg in op.arg:
        if arg.name in traits.names:
            arg.strings[:] = [_renamed(text, changed) for text in arg.strings]
    if traits.derives_gradients:
        _record_renames(op, changed)


def _renamed(text: bytes, names: Mapping[str, str]) -> bytes:
    name = text.decode("utf-8", "replace")
    return names[name].encode() if name in names else text


def _rename_nets(arg: Argument, names: Mapping[str, str]) -> None:
    if arg.HasField("n"):
        rename_net(arg.n, names)
    for net in arg.nets:
        rename_net(net, names)
    if is_text_net(arg):
        net = parse_text_net(arg)
        rename_net(net, names)
        arg.s = text_format.MessageToString(net).encode()


def rename_net(net: NetDef, names: Mapping[str, str]) -> None:
    """Rename blobs throughout a net, wherever they stand, nets inside included."""
    for field in (net.external_input, net.external_output):
        field[:] = [names.get(name, name) for name in field]
    for op in net.op:
        op.control_input[:] = [names.get(name, name) for name in op.control_input]
        if any(name in names for name in (*op.input, *op.output)) or has_nets(op):
            op.input[:] = [names.get(name, name) for name in op.input]
            op.output[:] = [names.get(name, name) for name in op.output]
            if schema(op.type).scope is not Scope.BOUND:
                for arg in op.arg:
                    _rename_nets(arg, names)


def _record_renames(op: OperatorDef, names: Mapping[str, str]) -> None:
    """Keep ``<name>.rename`` arguments pointing at the blobs that they stand for."""
    recorded = set()
    for arg in op.arg:
        if arg.name.endswith(RENAME):
            old = arg.s.decode("utf-8", "replace")
            recorded.add(old)
            arg.s = names.get(old, old).encode()
    for old, new in sorted(names.items()):
        if old not in recorded:
            op.arg.add(name=old + RENAME, s=new.encode())
