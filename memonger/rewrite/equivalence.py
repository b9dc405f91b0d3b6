"""The check that a rewritten net computes what the original computes.

Both nets are executed symbolically, side by side. The value that operator ``k`` leaves in its
``j``-th output is called (k, j); since operator ``k`` of the rewritten net is shown to be the same
operator (type, arguments, device, engine, nets inside, in-place pattern) reading the same values,
it computes the same. Equal final values under the names of the external outputs and inputs, and
the nets are interchangeable, run after run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from memonger.errors import EquivalenceError
from memonger.graph.concurrency import clocks_of
from memonger.net.defuse import analyse, outputs_of
from memonger.net.hazards import Hazard, hazards
from memonger.net.netdef_pb2 import NetDef, OperatorDef
from memonger.net.schema import is_sequential, schema
from memonger.net.subnets import Operands, operands
from memonger.rewrite.canonical import canonical_operator, derived_names, pattern

Value = int | str


def verify_equivalence(
    original: NetDef, rewritten: NetDef, outputs: Iterable[str] | None = None
) -> None:
    """Check that a rewritten net computes the same as the original one.

    Parameters
    ----------
    original, rewritten
        The nets; operator ``i`` of one stands for operator ``i`` of the other.
    outputs
        Blobs whose final contents must be the same under the same names, beside the external
        inputs; by default the declared external outputs, or the blobs that nobody reads.

    Raises
    ------
    EquivalenceError
        If the nets differ in what they compute; names the operator and the blob.

    Notes
    -----
    In-place writes, Free, views (Alias, recurrent states) and nets inside operators are modelled
    by the table of `memonger.net.schema`. For a net that runs in parallel every dependency of
    the rewritten net must be implied by those of the original, so that the result holds in
    every schedule and no parallelism is lost. Near-linear for sequential nets.
    """
    _compare_headers(original, rewritten)
    if outputs is None:
        outputs = outputs_of(original, analyse(original))
    memory, other = _Memory(), _Memory()
    parallel = not is_sequential(original.type)
    outer, other_outer = _names(original), _names(rewritten)
    number = 0
    for index, (op, new) in enumerate(zip(original.op, rewritten.op, strict=True)):
        touched, renamed = operands(op, outer), operands(new, other_outer)
        _compare_operators(index, op, new, touched, renamed)
        if parallel and _controls(memory, op) != _controls(other, new):
            raise EquivalenceError(f"operator {index} ({op.type}) waits for other control inputs")
        _compare_reads(index, op, memory.read(touched), other.read(renamed), touched)
        memory.execute(op, touched, number)
        other.execute(new, renamed, number)
        number += len(touched.writes)
    for blob in dict.fromkeys([*original.external_input, *outputs]):
        if memory.value(blob) != other.value(blob):
            raise EquivalenceError(f"blob {blob!r} ends with another value")
    if parallel:
        for hazard in added_dependencies(original, rewritten):
            raise EquivalenceError(
                f"operator {hazard.after} now waits for operator {hazard.before} "
                f"({hazard.kind}, blob {hazard.blob!r}), which the original does not imply"
            )


def added_dependencies(original: NetDef, rewritten: NetDef) -> Iterator[Hazard]:
    """Yield the direct hazards of the rewritten net that those of the original do not imply."""
    clocks = clocks_of(analyse(original))
    for hazard in hazards(analyse(rewritten)):
        if not clocks.precedes(hazard.before, hazard.after):
            yield hazard


def _names(net: NetDef) -> set[str]:
    names = {name for op in net.op for name in (*op.input, *op.output)}
    names.update(net.external_input, net.external_output)
    return names


def _compare_headers(original: NetDef, rewritten: NetDef) -> None:
    if len(original.op) != len(rewritten.op):
        raise EquivalenceError(
            f"the rewritten net has {len(rewritten.op)} operators, the original {len(original.op)}"
        )
    for field in NetDef.DESCRIPTOR.fields:
        if field.name != "op" and getattr(original, field.name) != getattr(rewritten, field.name):
            raise EquivalenceError(f"the rewritten net has another {field.name}")


def _compare_operators(
    index: int, op: OperatorDef, new: OperatorDef, touched: Operands, renamed: Operands
) -> None:
    where = f"operator {index} ({op.type})"
    if len(op.input) != len(new.input) or len(op.output) != len(new.output):
        raise EquivalenceError(f"{where} has another number of inputs or outputs")
    if pattern(op) != pattern(new):
        raise EquivalenceError(f"{where} writes in place where the original does not, or not")
    one = canonical_operator(op, touched.undeclared)
    if one != canonical_operator(new, renamed.undeclared):
        raise EquivalenceError(f"{where} has another type, argument, device, engine or inner net")
    if schema(op.type).derives_gradients:
        expected, found = derived_names(op), derived_names(new)
        for name, position in expected.items():
            if found.get(name) != position:
                raise EquivalenceError(f"{where} would look for {name!r} under a wrong name")


def _controls(memory: _Memory, op: OperatorDef) -> list[Value]:
    """Return what an operator waits for: in program order control inputs mean nothing."""
    return [memory.value(name) for name in op.control_input]


def _compare_reads(
    index: int, op: OperatorDef, values: list[Value], new: list[Value], touched: Operands
) -> None:
    if values == new:
        return
    names = [*touched.reads, *touched.partial]
    differing = [name for name, one, two in zip(names, values, new, strict=False) if one != two]
    what = repr(differing[0]) if differing else "its nets"
    raise EquivalenceError(f"operator {index} ({op.type}) reads another value of {what}")


class _Cell:
    """A piece of memory, and what each blob that is a view of it holds."""

    __slots__ = ("values",)

    def __init__(self) -> None:
        self.values: dict[str, Value] = {}


class _Memory:
    """Which value is under which name."""

    def __init__(self) -> None:
        self._cells: dict[str, _Cell] = {}

    def value(self, name: str) -> Value:
        """Return the value under a name; what is there before the run is called by the name."""
        cell = self._cells.get(name)
        return name if cell is None else cell.values[name]

    def read(self, touched: Operands) -> list[Value]:
        """Return the values that an operator sees: those it reads, and may leave in place."""
        return [self.value(name) for name in (*touched.reads, *touched.partial)]

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
