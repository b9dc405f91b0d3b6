"""The check that a rewritten net computes what the original computes.

Both nets are executed symbolically. The value that operator ``k`` leaves in its
``j``-th output is called (k, j); since operator ``k`` of the rewritten net is shown to be the same
operator (type, arguments, device, engine, nets inside, in-place pattern) reading the same values,
it computes the same. Equal final values under the names of the external outputs and inputs, and
the nets are interchangeable, run after run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from memonger.collector import collector_paused
from memonger.errors import EquivalenceError
from memonger.graph.concurrency import VectorClocks, clocks_of
from memonger.net.defuse import EXTERNAL, DefUse, analyse, outputs_of
from memonger.net.hazards import Hazard, HazardKind, hazard_rows
from memonger.net.netdef_pb2 import NetDef
from memonger.net.schema import IDLE, has_effects, is_sequential, schema
from memonger.net.subnets import (
    Operands,
    declared_operands,
    inner_operators,
    net_operands,
    operands,
)
from memonger.rewrite.canonical import compare_operators
from memonger.rewrite.memory import Memory, Value, makes_views


@collector_paused()
def verify_equivalence(
    original: NetDef,
    rewritten: NetDef,
    outputs: Iterable[str] | None = None,
    order: Sequence[int] | None = None,
    *,
    def_use: DefUse | None = None,
    clocks: VectorClocks | None = None,
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
    def_use, clocks
        Def-use and vector clocks of the original, where they are known.

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
    if def_use is None:
        def_use = analyse(original)
    wanted = outputs_of(original, def_use) if outputs is None else tuple(outputs)
    kept = tuple(dict.fromkeys([*def_use.external, *original.external_input, *wanted]))
    positions = range(len(original.op)) if order is None else order
    if order is not None and sorted(order) != list(range(len(original.op))):
        raise EquivalenceError("the order is no permutation of the operators")
    if order is not None:
        _compare_effects(original, def_use, order)
    memory, other = Memory(), Memory()
    views = any(map(makes_views, def_use.operands))
    for _ in range(2 if views else 1):
        records = _execute(def_use, memory)
        renamed = _compare(original, rewritten, records, positions, def_use.operands, other)
        for blob in kept:
            if memory.value(blob) != other.value(blob):
                raise EquivalenceError(f"blob {blob!r} ends with another value")
    if not is_sequential(original.type):
        if clocks is None:
            clocks = clocks_of(def_use)
        _compare_schedules(def_use, clocks, rewritten, renamed, positions, views=views)


def _compare_effects(original: NetDef, def_use: DefUse, order: Sequence[int]) -> None:
    """Check that an order keeps what values do not show: control inputs, and effects.

    Written without the edges that orders are chosen by: what checks them must not share their
    mistakes.
    """
    time = {operator: position for position, operator in enumerate(order)}
    handles = {name for op in original.op if schema(op.type).opaque for name in op.output}
    latest = -1
    for index, (op, touched) in enumerate(zip(original.op, def_use.operands, strict=True)):
        for version_id in def_use.controls[index]:
            writer = def_use.versions[version_id].writer
            if writer != EXTERNAL and time[writer] > time[index]:
                raise EquivalenceError(
                    f"operator {index} ({op.type}) runs before operator {writer}, which it must "
                    "wait for"
                )
        types = [op.type, *(inner.type for inner in inner_operators(op))]
        if (
            any(map(has_effects, types))
            or (not touched.writes and op.type not in IDLE)
            or any(name in handles for name in touched.reads)
        ):
            if time[index] < latest:
                raise EquivalenceError(
                    f"operator {index} ({op.type}) has effects beyond its blobs, and runs before "
                    "one that ran before it"
                )
            latest = time[index]


# What one operator of the original sees: the values that it reads, its memory pattern, the values
# of its control inputs; and the number of the first value that it writes. No class: it is made for
# every operator, and the garbage collector does not track tuples of numbers and names.
_Record = tuple[tuple[Value, ...], tuple[int, ...], tuple[Value, ...], int]


def _execute(def_use: DefUse, memory: Memory) -> list[_Record]:
    """Execute the original once, on the memory as it is."""
    records = []
    number = 0
    for touched in def_use.operands:
        waits = memory.values(touched.controls)
        records.append((memory.read(touched), memory.pattern(touched), waits, number))
        memory.execute(touched, number)
        number += len(touched.writes)
    return records


def _compare(
    original: NetDef,
    rewritten: NetDef,
    records: Sequence[_Record],
    order: Sequence[int],
    operands_of: Sequence[Operands],
    memory: Memory,
) -> list[Operands]:
    """Execute the rewritten net once, and compare what each operator sees.

    Returns the operands of its operators if it runs in parallel: then there is more to be checked.
    """
    parallel = not is_sequential(original.type)
    found = []
    outer = set() if all(touched.plain for touched in operands_of) else _names(rewritten)
    for index, new in zip(order, rewritten.op, strict=True):
        op, touched = original.op[index], operands_of[index]
        reads, pattern, waits, number = records[index]
        # What is the same but for names of blobs is as plain as the original.
        renamed = declared_operands(new, plain=True) if touched.plain else operands(new, outer)
        compare_operators(index, op, new, touched, renamed)
        if memory.pattern(renamed) != pattern:
            raise EquivalenceError(
                f"operator {index} ({op.type}) writes in place where the original does not, "
                "or the other way round"
            )
        if parallel and memory.values(renamed.controls) != waits:
            raise EquivalenceError(f"operator {index} ({op.type}) waits for other control inputs")
        _compare_reads(index, reads, memory.read(renamed), touched)
        memory.execute(renamed, number)
        if parallel:
            found.append(renamed)
    return found


def _compare_schedules(
    original: DefUse,
    clocks: VectorClocks,
    rewritten: NetDef,
    renamed: Sequence[Operands],
    order: Sequence[int],
    *,
    views: bool,
) -> None:
    """Check that what holds in program order holds in every schedule of a parallel net."""
    for hazard in _added(original, clocks, hazard_rows(renamed, rewritten.external_input), order):
        raise EquivalenceError(
            f"operator {order[hazard.after]} now waits for operator {order[hazard.before]} "
            f"({hazard.kind}, blob {hazard.blob!r}), which the original does not imply"
        )
    if not views:
        return
    known = {(race.before, race.after) for race in _view_races(original, clocks)}
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
    positions = range(len(original.op)) if order is None else order
    def_use = analyse(original)
    found = hazard_rows(net_operands(rewritten), rewritten.external_input)
    yield from _added(def_use, clocks_of(def_use), found, positions)


def _added(
    original: DefUse,
    clocks: VectorClocks,
    rows: Iterable[tuple[int, int, HazardKind, str]],
    order: Sequence[int],
) -> Iterator[Hazard]:
    found = list(rows)
    implied = clocks.precede([order[row[0]] for row in found], [order[row[1]] for row in found])
    if implied.all():
        return
    races = {row[:2] for row in hazard_rows(original.operands, original.declared)}
    for index in np.flatnonzero(~implied).tolist():
        hazard = Hazard._make(found[index])
        if (order[hazard.before], order[hazard.after]) not in races:
            yield hazard


def view_races(net: NetDef) -> Iterator[Hazard]:
    """Yield the pairs of operators that touch one memory in no certain order.

    Executors order operators by the names of blobs; two names of one memory do not. A second run
    follows on the memory that the first one leaves: views outlive a run.
    """
    def_use = analyse(net)
    return _view_races(def_use, clocks_of(def_use))


def _view_races(def_use: DefUse, clocks: VectorClocks) -> Iterator[Hazard]:
    memory = Memory()
    for _ in range(2):
        yield from _races_of_a_run(def_use, clocks, memory)


def _races_of_a_run(def_use: DefUse, clocks: VectorClocks, memory: Memory) -> Iterator[Hazard]:
    users: dict[object, list[int]] = {}  # memory -> the operators on it since the last write
    writers: dict[object, int] = {}
    for index, touched in enumerate(def_use.operands):
        for name in touched.reads:
            cell = memory.cell(name)
            writer = writers.get(cell, EXTERNAL)
            if writer != EXTERNAL and not clocks.precedes(writer, index):
                yield Hazard(writer, index, HazardKind.RAW, name)
            users.setdefault(cell, []).append(index)
        memory.execute(touched, 0)
        aliased = [output for output, _ in schema(touched.type).aliases]
        views = {touched.outputs[i] for i in aliased if i < len(touched.outputs)}
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
    return names.union(net.external_input, net.external_output)


def _compare_headers(original: NetDef, rewritten: NetDef) -> None:
    if len(original.op) != len(rewritten.op):
        raise EquivalenceError(
            f"the rewritten net has {len(rewritten.op)} operators, the original {len(original.op)}"
        )
    for field in NetDef.DESCRIPTOR.fields:
        if field.name != "op" and getattr(original, field.name) != getattr(rewritten, field.name):
            raise EquivalenceError(f"the rewritten net has another {field.name}")


def _compare_reads(
    index: int, values: tuple[Value, ...], new: tuple[Value, ...], touched: Operands
) -> None:
    if values == new:
        return
    names = [*touched.reads, *touched.partial]
    differing = [name for name, one, two in zip(names, values, new, strict=False) if one != two]
    what = repr(differing[0]) if differing else "its nets"
    raise EquivalenceError(f"operator {index} ({touched.type}) reads another value of {what}")
