"""A symbolic memory: which value is under which name, and which names are one memory."""

from __future__ import annotations

from memonger.net.netdef_pb2 import NetDef, OperatorDef
from memonger.net.schema import schema
from memonger.net.subnets import Operands

Value = int | str


def has_views(net: NetDef) -> bool:
    """Return whether a net makes blobs that are views of other memory."""
    return any(schema(op.type).aliases or schema(op.type).views for op in net.op)


class _Cell:
    """A piece of memory, and what each blob that is a view of it holds."""

    __slots__ = ("values",)

    def __init__(self) -> None:
        self.values: dict[str, Value] = {}


class Memory:
    """What blobs hold while a net is executed symbolically.

    Blobs are views of cells; nearly every blob is the only view of its own. What is written
    through one name spoils what the other views of the cell hold.
    """

    def __init__(self) -> None:
        self._cells: dict[str, _Cell] = {}

    def value(self, name: str) -> Value:
        """Return the value under a name; what is there before the run is called by the name."""
        cell = self._cells.get(name)
        return name if cell is None else cell.values[name]

    def cell(self, name: str) -> object:
        """Return what identifies the memory under a name: equal for views of one memory."""
        return self._cells.get(name, name)

    def read(self, touched: Operands) -> list[Value]:
        """Return the values that an operator sees: those it reads, and may leave in place."""
        return [self.value(name) for name in (*touched.reads, *touched.partial)]

    def pattern(self, op: OperatorDef) -> tuple[int, ...]:
        """Return the memory of inputs and outputs, numbered in order of first appearance.

        Equal patterns: the same inputs are repeated, the same outputs are written in place, be it
        under one name or through a view.
        """
        seen: dict[object, int] = {}
        return tuple(
            seen.setdefault(self.cell(name), len(seen)) for name in (*op.input, *op.output)
        )

    def execute(self, op: OperatorDef, touched: Operands, number: int) -> None:
        """Write the values ``number``, ``number + 1``, ... under the names written."""
        traits = schema(op.type)
        if traits.views:
            cell = _Cell()
            for offset, name in enumerate(touched.writes):
                self._leave(name)
                self._cells[name] = cell
                cell.values[name] = number + offset
            return
        sources = {
            op.output[output]: op.input[source]
            for output, source in traits.aliases
            if output < len(op.output) and source < len(op.input)
        }
        for offset, name in enumerate(touched.writes):
            if name in sources and sources[name] != name:
                self._view(name, sources[name], number + offset)
            else:
                self._write(name, number + offset)

    def free(self, name: str, value: Value) -> None:
        """Put a name on memory of its own; other views of the old memory keep what they hold."""
        self._leave(name)
        cell = self._cells[name] = _Cell()
        cell.values[name] = value

    def _write(self, name: str, value: Value) -> None:
        cell = self._cells.get(name)
        if cell is None:
            cell = self._cells[name] = _Cell()
        if len(cell.values) > 1:  # every other view of this memory is overwritten
            for view in cell.values:
                cell.values[view] = f"overwritten by {value}"
        cell.values[name] = value

    def _view(self, name: str, source: str, value: Value) -> None:
        self._leave(name)
        cell = self._cells.get(source)
        if cell is None:
            cell = self._cells[source] = _Cell()
            cell.values[source] = source
        self._cells[name] = cell
        cell.values[name] = value

    def _leave(self, name: str) -> None:
        cell = self._cells.pop(name, None)
        if cell is not None:
            del cell.values[name]
