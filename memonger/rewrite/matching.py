"""Which operator of a rewritten net stands for which of the original, where nobody has said so."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable

from memonger.errors import EquivalenceError
from memonger.net.defuse import EXTERNAL, DefUse, analyse, outputs_of
from memonger.net.netdef_pb2 import NetDef
from memonger.rewrite.canonical import canonical_operator

_Number = Callable[[Hashable], int]


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
        the original does, and the results are used alike. Of several such, those of the original
        come in their order. Nothing is proven by that: see
        `memonger.rewrite.equivalence.verify_equivalence`.

    Raises
    ------
    EquivalenceError
        If an operator has no counterpart; names it.

    Notes
    -----
    Operators are told apart by what they are made from, then by what is made of them, then by both
    for all that they are made from: three sweeps, O(n log n).
    """
    numbers: dict[Hashable, int] = {}

    def number(key: Hashable) -> int:
        return numbers.setdefault(key, len(numbers))

    waiting: dict[int, deque[int]] = {}
    for index, key in enumerate(_keys(original, number)):
        waiting.setdefault(key, deque()).append(index)
    order = []
    for index, key in enumerate(_keys(rewritten, number)):
        if not waiting.get(key):
            raise EquivalenceError(
                f"operator {index} ({rewritten.op[index].type}) of the new net does what none "
                "of the original does, or to other values"
            )
        order.append(waiting[key].popleft())
    return order


def _keys(net: NetDef, number: _Number) -> list[int]:
    """Return operator -> a number that is equal for operators that cannot be told apart."""
    def_use = analyse(net)
    kinds: list[int] = []
    for op, touched in zip(net.op, def_use.operands, strict=True):
        kinds.append(number(canonical_operator(op, touched.undeclared)))
    made = _from_what_is_read(def_use, kinds, number)
    used = _from_what_is_written(def_use, made, set(outputs_of(net, def_use)), number)
    return _from_what_is_read(def_use, used, number)


def _from_what_is_read(def_use: DefUse, keys: list[int], number: _Number) -> list[int]:
    """Return the keys of the operators, told apart by the values that they read."""
    found: list[int] = []
    values: dict[int, int] = {}  # version -> number
    for version_id, version in enumerate(def_use.versions):
        if version.writer == EXTERNAL:
            values[version_id] = number(version.blob)
    for index, key in enumerate(keys):
        read = tuple(values[version] for version in def_use.reads[index].values())
        found.append(number((key, read)))
        for position, version_id in enumerate(def_use.writes[index].values()):
            values[version_id] = number(("result", found[index], position))
    return found


def _from_what_is_written(
    def_use: DefUse, keys: list[int], wanted: set[str], number: _Number
) -> list[int]:
    """Return the keys of the operators, told apart by who uses their results, and as what."""
    found = list(keys)
    last = set(def_use.last.values())
    places = [
        {version: place for place, version in enumerate(reads.values())} for reads in def_use.reads
    ]
    for index in range(len(keys) - 1, -1, -1):
        uses = []
        for version_id in def_use.writes[index].values():
            version = def_use.versions[version_id]
            readers = (r for r in version.readers if r > index)
            result = version.blob if version_id in last and version.blob in wanted else ""
            uses.append((result, *sorted((found[r], places[r][version_id]) for r in readers)))
        found[index] = number((keys[index], tuple(uses)))
    return found
