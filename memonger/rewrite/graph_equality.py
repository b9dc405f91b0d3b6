"""Caffe2's two quick comparisons of nets; `memonger.rewrite.equivalence` is the full check."""

from __future__ import annotations

from memonger.net.defuse import EXTERNAL, analyse
from memonger.net.foreign import as_netdef
from memonger.net.netdef_pb2 import NetDef, OperatorDef
from memonger.rewrite.canonical import canonical_operator


def verify_graph_equality(net_a: object, net_b: object) -> bool:
    """Return whether two nets have the same operators that read the same producers.

    Names of blobs and of operators do not matter. Differs: arguments count, which output of a
    producer is read, and which external blob.
    """
    one, other = as_netdef(net_a), as_netdef(net_b)
    if len(one.op) != len(other.op):
        return False
    for net in (one, other):
        for op in net.op:
            op.ClearField("name")
            op.ClearField("debug_info")
    pairs = zip(one.op, other.op, strict=True)
    if any(canonical_operator(a) != canonical_operator(b) for a, b in pairs):
        return False
    return _producers(one) == _producers(other)


def _producers(net: NetDef) -> list[list[tuple[int, int]]]:
    """Return what each operator reads: (operator, output); external blobs are numbered."""
    net.ClearField("external_input")  # whatever is declared: an unknown blob is an external one
    net.ClearField("external_output")
    for op in net.op:
        op.ClearField("control_input")
    def_use = analyse(net)
    external: dict[str, int] = {}
    found = []
    for reads, op in zip(def_use.reads, net.op, strict=True):
        row = []
        for name in op.input:
            writer = def_use.versions[reads[name]].writer
            if writer == EXTERNAL:
                row.append((EXTERNAL, external.setdefault(name, len(external))))
            else:
                row.append((writer, list(net.op[writer].output).index(name)))
        found.append(row)
    return found


def verify_inplace_blobs(net_a: object, net_b: object) -> bool:
    """Return whether two nets write in place at the same positions.

    Differs: nets of different lengths differ, and every output counts, not the first only.
    """
    one, other = as_netdef(net_a), as_netdef(net_b)
    if len(one.op) != len(other.op):
        return False
    return all(
        a.type == b.type and _in_place(a) == _in_place(b)
        for a, b in zip(one.op, other.op, strict=True)
    )


def _in_place(op: OperatorDef) -> list[tuple[int, int]]:
    outputs = list(op.output)
    return [(i, outputs.index(name)) for i, name in enumerate(op.input) if name in outputs]
