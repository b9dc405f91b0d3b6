"""``<name>.rename`` arguments: where an operator finds a blob that it knows by another name.

A gradient operator that derives the names of gradients (``b`` -> ``b_grad``) looks for an argument
``b_grad.rename`` first; Caffe2's memonger leaves one wherever it renames such a blob.
"""

from __future__ import annotations

from memonger.net.netdef_pb2 import OperatorDef

RENAME = ".rename"


def renamed_names(op: OperatorDef) -> dict[str, str]:
    """Return name -> the blob that it stands for now, from the arguments of an operator."""
    return {
        arg.name.removesuffix(RENAME): arg.s.decode("utf-8", "replace")
        for arg in op.arg
        if arg.name.endswith(RENAME)
    }


def gradient_pairs(op: OperatorDef) -> dict[str, str]:
    """Return operand -> the operand that the operator finds under the name of its gradient."""
    names = {*op.input, *op.output}
    renamed = renamed_names(op)
    pairs = {}
    for name in (*op.input, *op.output):
        derived = f"{name}_grad"
        gradient = renamed.get(derived, derived)
        if gradient in names:
            pairs[name] = gradient
    return pairs
