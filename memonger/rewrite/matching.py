"""Which operator of a rewritten net stands for which of the original, where nobody has said so."""

from __future__ import annotations

from collections import deque

from memonger.errors import EquivalenceError
from memonger.net.defuse import analyse
from memonger.net.netdef_pb2 import NetDef
from memonger.net.subnets import net_operands
from memonger.rewrite.canonical import canonical_operator
from memonger.rewrite.memory import Memory, Value

_Key = tuple[bytes, tuple[Value, ...]]


def matching_order(original: NetDef, rewritten: NetDef) -> list[int]:
    """Return the order of the original's operators that a rewritten net runs them in.

    Parameters
    ----------
    original, rewritten
        The nets.

    Returns
    -------
    list of int
        Operator ``i`` of the rewritten net does to the same values what operator ``order[i]`` of
        the original does. Of several that do, those of the original come in their order. Nothing
        is proven by that: see `memonger.rewrite.equivalence.verify_equivalence`.

    Raises
    ------
    EquivalenceError
        If an operator has no counterpart; names it.

    Notes
    -----
    Linear: the nets are executed symbolically once.
    """
    waiting: dict[_Key, deque[int]] = {}
    numbers = []
    memory, number = Memory(), 0
    for index, touched in enumerate(analyse(original).operands):
        key = (canonical_operator(original.op[index], touched.undeclared), memory.read(touched))
        waiting.setdefault(key, deque()).append(index)
        numbers.append(number)
        memory.execute(touched, number)
        number += len(touched.writes)
    order = []
    memory = Memory()
    for index, touched in enumerate(net_operands(rewritten)):
        op = rewritten.op[index]
        found = waiting.get((canonical_operator(op, touched.undeclared), memory.read(touched)))
        if not found:
            raise EquivalenceError(
                f"operator {index} ({op.type}) of the rewritten net does what none of the original "
                "does, or on other values"
            )
        order.append(found.popleft())
        memory.execute(touched, numbers[order[-1]])
    return order
