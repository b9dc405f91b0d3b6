"""A symbolic memory: which value is under which name, and which names are one memory."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count

from memonger.net.netdef_pb2 import NetDef
from memonger.net.schema import Schema, schema
from memonger.net.subnets import Operands

Value = int | str


def has_views(net: NetDef) -> bool:
    """Return whether a net makes blobs that are views of other memory."""
    return any(_makes_views(schema(op.type)) for op in net.op)


def makes_views(touched: Operands) -> bool:
    """Return whether an operator makes blobs that are views of other memory."""
    return not touched.plain and _makes_views(schema(touched.type))


def _makes_views(traits: Schema) -> bool:
    return bool(traits.aliases or traits.views)


@dataclass(frozen=True, slots=True)
class _Shared:
    """A piece of memory that has had several names at once, and the names that it has now."""

    identity: object
    names: set[str]


class Memory:
    """What blobs hold while a net is executed symbolically.

    Nearly every blob has its memory to itself, which is called by its name. What is written
    through one name of a memory spoils what its other names hold.
    """

    def __init__(self) -> None:
        self._values: dict[str, Value] = {}
        self._shared: dict[str, _Shared] = {}

    def value(self, name: str) -> Value:
        """Return the value under a name; what is there before the run is called by the name."""
        return self._values.get(name, name)

    def cell(self, name: str) -> object:
        """Return what identifies the memory under a name: equal for views of one memory."""
        shared = self._shared.get(name)
        return name if shared is None else shared.identity

    def values(self, names: tuple[str, ...]) -> tuple[Value, ...]:
        """Return the values under several names."""
        return tuple([self._values.get(name, name) for name in names])

    def read(self, touched: Operands) -> tuple[Value, ...]:
        """Return the values that an operator sees: those it reads, and may leave in place."""
        return self.values(touched.reads + touched.partial)

    def pattern(self, touched: Operands) -> tuple[int, ...]:
        """Return the memory of inputs and outputs, numbered in order of first appearance.

        Equal patterns: the same inputs are repeated, the same outputs are written in place, be it
        under one name or through a view.
        """
        cells: tuple[object, ...] = touched.inputs + touched.outputs
        if self._shared:
            cells = tuple([self.cell(name) for name in touched.inputs + touched.outputs])
        if len(set(cells)) == len(cells):  # nearly always: every one its own
            return tuple(range(len(cells)))
        numbers: dict[object, int] = {}
        return tuple([numbers.setdefault(cell, len(numbers)) for cell in cells])

    def execute(self, touched: Operands, number: int) -> None:
        """Write the values ``number``, ``number + 1``, ... under the names written."""
        if touched.plain and not self._shared:
            self._values.update(zip(touched.writes, count(number)))
            return
        traits = schema(touched.type)
        if traits.views:
            shared = _Shared(object(), set(touched.writes))
            for value, name in enumerate(touched.writes, number):
                self._move(name, shared)
                self._values[name] = value
            return
        sources = {
            touched.outputs[output]: touched.inputs[source]
            for output, source in traits.aliases
            if output < len(touched.outputs) and source < len(touched.inputs)
        }
        for value, name in enumerate(touched.writes, number):
            source = sources.get(name, name)
            if source != name:
                self._view(name, source)
            elif name in self._shared:  # every other view of this memory is overwritten
                for view in self._shared[name].names:
                    self._values[view] = f"overwritten by {value}"
            self._values[name] = value

    def free(self, name: str, value: Value) -> None:
        """Put a name on memory of its own; other views of the old memory keep what they hold."""
        if name in self._shared:
            self._move(name, _Shared(object(), set()))
        self._values[name] = value

    def _view(self, name: str, source: str) -> None:
        """Make a name a view of what is under another name."""
        if source not in self._shared:
            self._shared[source] = _Shared(source, {source})
        self._move(name, self._shared[source])

    def _move(self, name: str, shared: _Shared) -> None:
        left = self._shared.get(name)
        if left is not None:
            left.names.discard(name)
        shared.names.add(name)
        self._shared[name] = shared
