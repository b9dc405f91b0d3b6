"""The check that a rewritten net computes what the original computes.

Both nets are executed symbolically. The value that operator ``k`` leaves in its
``j``-th output is called (k, j); since operator ``k`` of the rewritten net is shown to be the same
operator (type, arguments, device, engine, nets inside, in-place pattern) reading the same values,
it computes the same. Equal final values under the names of the external outputs and inputs, and
the nets are interchangeable, run after run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from memonger.errors import EquivalenceError
from memonger.graph.concurrency import VectorClocks, clocks_of
from memonger.net.defuse import EXTERNAL, DefUse, analyse, outputs_of
from memonger.net.hazards import Hazard, HazardKind, hazards
from memonger.net.netdef_pb2 import NetDef, OperatorDef
from memonger.net.schema import is_sequential, schema
from memonger.net.subnets import Operands, has_nets, inner_operators, operands
from memonger.rewrite.canonical import canonical_operator, derived_gradients, derived_names
from memonger.rewrite.memory import Memory, Value, has_views


def verify_equivalence(
    original: NetDef,
    rewritten: NetDef,
    outputs: Iterable[str] | None = None,
    order: Sequence[int] | None = None,
) -> None:
    """Check that a rewritten net computes the same as the original one.

    Parameters
    ----------
    original, rewritten
        The nets.
    outputs
        Blobs whose final contents must be the same under the same names, beside the external
        inputs; by default the declared external outputs, or those of `outputs_of`.
    order
        Operator ``i`` of the rewritten net stands for operator ``order[i]`` of the original; by
        default for operator ``i``.

    Raises
    ------
    EquivalenceError
        If the nets differ in what they compute; names the operator and the blob.

    Notes
    -----
    In-place writes, Free, views (Alias, recurrent states) and nets inside operators are modelled
    by the table of `memonger.net.schema`. Where there are views a second run follows on the
    memory that the first one leaves, as views outlive it. For a net that runs in parallel every
    dependency of the rewritten net must be implied by those of the original, so that the result
    holds in every schedule and no parallelism is lost. Near-linear for sequential nets.
    """
    _compare_headers(original, rewritten)
    def_use = analyse(original)
    wanted = outputs_of(original, def_use) if outputs is None else tuple(outputs)
    kept = tuple(dict.fromkeys([*def_use.external, *original.external_input, *wanted]))
    positions = range(len(original.op)) if order is None else order
    if order is not None and sorted(order) != list(range(len(original.op))):
        raise EquivalenceError("the order is no permutation of the operators")
    memory, other = Memory(), Memory()
    for _ in range(2 if has_views(original) else 1):
        records = _execute(original, def_use, memory)
        _compare(original, rewritten, records, positions, def_use.operands, other)
        for blob in kept:
            if memory.value(blob) != other.value(blob):
                raise EquivalenceError(f"blob {blob!r} ends with another value")
    if not is_sequential(original.type):
        _compare_schedules(original, rewritten, positions)


@dataclass(frozen=True, slots=True)
class _Record:
    """What one operator of the original sees: values, memory pattern, control inputs."""

    reads: list[Value]
    pattern: tuple[int, ...]
    waits: list[Value]
    number: int


def _execute(net: NetDef, def_use: DefUse, memory: Memory) -> list[_Record]:
    """Execute the original once, on the memory as it is."""
    records = []
    number = 0
    for op, touched in zip(net.op, def_use.operands, strict=True):
        waits = [memory.value(name) for name in op.control_input]
        records.append(_Record(memory.read(touched), memory.pattern(op), waits, number))
        memory.execute(op, touched, number)
        number += len(touched.writes)
    return records


def _compare(
    original: NetDef,
    rewritten: NetDef,
    records: Sequence[_Record],
    order: Sequence[int],
    operands_of: Sequence[Operands],
    memory: Memory,
) -> None:
    """Execute the rewritten net once, and compare what each operator sees."""
    outer = _names(rewritten)
    parallel = not is_sequential(original.type)
    for position, new in enumerate(rewritten.op):
        index = order[position]
        op, touched, record = original.op[index], operands_of[index], records[index]
        renamed = operands(new, outer)
        _compare_operators(index, op, new, touched, renamed)
        if memory.pattern(new) != record.pattern:
            raise EquivalenceError(
                f"operator {index} ({op.type}) writes in place where the original does not, "
                "or the other way round"
            )
        if parallel and [memory.value(name) for name in new.control_input] != record.waits:
            raise EquivalenceError(f"operator {index} ({op.type}) waits for other control inputs")
        _compare_reads(index, op, record.reads, memory.read(renamed), touched)
        memory.execute(new, renamed, record.number)


def _compare_schedules(original: NetDef, rewritten: NetDef, order: Sequence[int]) -> None:
    """Check that what holds in program order holds in every schedule of a parallel net."""
    for hazard in added_dependencies(original, rewritten, order):
        raise EquivalenceError(
            f"operator {order[hazard.after]} now waits for operator {order[hazard.before]} "
            f"({hazard.kind}, blob {hazard.blob!r}), which the original does not imply"
        )
    if not has_views(original):
        return
    known = {(race.before, race.after) for race in view_races(original)}
    for race in view_races(rewritten):
        if (order[race.before], order[race.after]) not in known:
            raise EquivalenceError(
                f"operator {race.after} overwrites memory under {race.blob!r} that operator "
                f"{race.before} uses through a view, and nothing orders the two"
            )


def added_dependencies(
    original: NetDef, rewritten: NetDef, order: Sequence[int] | None = None
) -> Iterator[Hazard]:
    """Yield the direct hazards of the rewritten net that those of the original do not imply.

    Operator ``i`` of the rewritten net stands for operator ``order[i]`` of the original. What
    only nets inside operators name is no dependency for an executor: two operators of the
    original that race for it may go on doing so.
    """
    def_use = analyse(original)
    clocks = clocks_of(def_use)
    races = {(hazard.before, hazard.after) for hazard in hazards(def_use)}
    positions = range(len(original.op)) if order is None else order
    for hazard in hazards(analyse(rewritten)):
        pair = positions[hazard.before], positions[hazard.after]
        if not clocks.precedes(*pair) and pair not in races:
            yield hazard


def view_races(net: NetDef) -> Iterator[Hazard]:
    """Yield the pairs of operators that touch one memory in no certain order.

    Executors order operators by the names of blobs; two names of one memory do not. A second run
    follows on the memory that the first one leaves: views outlive a run.
    """
    def_use = analyse(net)
    clocks = clocks_of(def_use)
    memory = Memory()
    for _ in range(2):
        yield from _races_of_a_run(net, def_use, clocks, memory)


def _races_of_a_run(
    net: NetDef, def_use: DefUse, clocks: VectorClocks, memory: Memory
) -> Iterator[Hazard]:
    users: dict[object, list[int]] = {}  # memory -> the operators on it since the last write
    writers: dict[object, int] = {}
    for index, (op, touched) in enumerate(zip(net.op, def_use.operands, strict=True)):
        for name in touched.reads:
            cell = memory.cell(name)
            writer = writers.get(cell, EXTERNAL)
            if writer != EXTERNAL and not clocks.precedes(writer, index):
                yield Hazard(writer, index, HazardKind.RAW, name)
            users.setdefault(cell, []).append(index)
        memory.execute(op, touched, 0)
        views = {op.output[output] for output, _ in schema(op.type).aliases if op.output}
        for name in touched.writes:
            cell = memory.cell(name)
            if name not in views:  # a view is made without writing to its memory
                for user in (*users.get(cell, ()), writers.get(cell, EXTERNAL)):
                    if user not in (EXTERNAL, index) and not clocks.precedes(user, index):
                        yield Hazard(user, index, HazardKind.WAR, name)
                users[cell] = []
                writers[cell] = index


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
    one = canonical_operator(op, touched.undeclared)
    if one != canonical_operator(new, renamed.undeclared):
        raise EquivalenceError(f"{where} has another type, argument, device, engine or inner net")
    if _needs_names(op):
        for one_names, other_names in (
            (touched.reads, renamed.reads),
            (touched.writes, renamed.writes),
        ):
            if one_names != other_names:
                raise EquivalenceError(f"{where} must keep the names of its blobs")
    if schema(op.type).derives_gradients:
        expected, found = derived_names(op), derived_names(new)
        for name, position in expected.items():
            if found.get(name) != position:
                raise EquivalenceError(f"{where} would look for {name!r} under a wrong name")
        if derived_gradients(op) != derived_gradients(new):
            raise EquivalenceError(f"{where} would find other gradients by the names of its blobs")


def _needs_names(op: OperatorDef) -> bool:
    """Return whether blobs must keep their names: keys of files, or held on to in nets inside."""
    return schema(op.type).named or (
        has_nets(op) and any(schema(inner.type).holds_on for inner in inner_operators(op))
    )


def _compare_reads(
    index: int, op: OperatorDef, values: list[Value], new: list[Value], touched: Operands
) -> None:
    if values == new:
        return
    names = [*touched.reads, *touched.partial]
    differing = [name for name, one, two in zip(names, values, new, strict=False) if one != two]
    what = repr(differing[0]) if differing else "its nets"
    raise EquivalenceError(f"operator {index} ({op.type}) reads another value of {what}")
