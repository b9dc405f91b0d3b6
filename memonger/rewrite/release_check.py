"""The check that a net with more ``Free`` operators computes what the original computes."""

from __future__ import annotations

from memonger.errors import EquivalenceError
from memonger.net.defuse import analyse, outputs_of
from memonger.net.netdef_pb2 import NetDef, OperatorDef
from memonger.rewrite.memory import Memory, has_views


def verify_release(original: NetDef, released: NetDef) -> None:
    """Check that a net is the original with ``Free`` operators in places where they do no harm.

    Parameters
    ----------
    original
        The net.
    released
        The net with ``Free`` operators between its operators.

    Raises
    ------
    EquivalenceError
        If operators are missing, added or changed, if one reads a blob that was freed, or if an
        external input or a result is freed; names the operator or the blob.

    Notes
    -----
    Both nets are executed symbolically, views included, in program order; where there are views a
    second run follows on the memory that the first one leaves. Linear in the size of the nets.
    """
    def_use = analyse(original)
    kept = (*def_use.external, *original.external_input, *outputs_of(original, def_use))
    before, after = Memory(), Memory()
    freed = 0
    for _ in range(2 if has_views(original) else 1):
        index = number = 0
        for op in released.op:
            if index < len(original.op) and op == original.op[index]:
                touched = def_use.operands[index]
                if before.read(touched) != after.read(touched):
                    raise EquivalenceError(f"operator {index} ({op.type}) reads what was freed")
                before.execute(touched, number)
                after.execute(touched, number)
                number += len(touched.writes)
                index += 1
            elif _frees(op):
                freed -= 1
                for name in op.output:
                    after.free(name, freed)
            else:
                raise EquivalenceError(f"operator {index} is another, or stands elsewhere")
        if index < len(original.op):
            raise EquivalenceError(f"operator {index} ({original.op[index].type}) is missing")
        for blob in dict.fromkeys(kept):
            if before.value(blob) != after.value(blob):
                raise EquivalenceError(f"blob {blob!r} is freed, but needed at the end")


def _frees(op: OperatorDef) -> bool:
    return op.type == "Free" and list(op.input) == list(op.output)
