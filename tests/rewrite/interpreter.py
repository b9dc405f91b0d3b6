"""A tiny interpreter of nets: what each operator computes is a hash of what it reads.

It shares nothing with the code under test. A blob is a cell of memory; ``Alias`` puts a second
name on a cell, which stays there when the net is run again, as in Caffe2. An operator writes
its outputs in the cells that bear their names, and before it has read its inputs: where memory
is shared that must not be, wrong numbers follow.
"""

import random
from collections.abc import Iterable, Sequence

from memonger.net.netdef_pb2 import NetDef, OperatorDef


class Stuck(Exception):
    """An operator reads a blob that does not exist."""


class _Memory:
    """A cell by identity; it keeps the cell alive, so that no other can be taken for it."""

    def __init__(self, cell: list[int]) -> None:
        self.cell = cell

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Memory) and self.cell is other.cell

    def __hash__(self) -> int:
        return id(self.cell)


class Workspace:
    """Blobs by name, which outlive a run."""

    def __init__(self, names: Iterable[str]) -> None:
        self.cells: dict[str, list[int]] = {name: [hash(("fed", name))] for name in names}
        self.trace: list[tuple[object, bool]] | None = None  # (memory or name, written)

    def _touch(self, what: object, written: bool) -> None:
        if self.trace is not None:
            self.trace.append((what, written))

    def bind(self, name: str, cell: list[int]) -> None:
        self._touch(name, True)
        self.cells[name] = cell

    def value(self, name: str) -> int:
        if name not in self.cells:
            raise Stuck(name)
        self._touch(name, False)
        self._touch(_Memory(self.cells[name]), False)
        return self.cells[name][0]

    def write(self, name: str, value: int) -> None:
        cell = self.cells.setdefault(name, [0])
        self._touch(name, False)
        self._touch(_Memory(cell), True)
        cell[0] = value

    def execute(self, op: OperatorDef) -> None:
        if op.type == "Alias":
            self.value(op.input[0])
            self.bind(op.output[0], self.cells[op.input[0]])
            return
        if op.type == "Free":
            for name in op.output:
                self.value(name)
                self.bind(name, [hash("freed")])
            return
        what = _attributes(op)
        for position, name in enumerate(op.output):
            if name in self.cells and name not in op.input:
                self.write(name, hash(("half written", what, position)))
        values = tuple(self.value(name) for name in op.input)
        for position, name in enumerate(op.output):
            self.write(name, hash((what, position, values)))


def _attributes(op: OperatorDef) -> bytes:
    copy = OperatorDef(type=op.type, engine=op.engine, arg=op.arg, device_option=op.device_option)
    return copy.SerializeToString(deterministic=True)


def external_inputs(net: NetDef) -> tuple[str, ...]:
    """Return the blobs that must be there before the net runs."""
    found, written = dict.fromkeys(net.external_input), set()
    for op in net.op:
        found.update(dict.fromkeys(name for name in op.input if name not in written))
        written.update(op.output)
    return tuple(found)


def wanted_outputs(net: NetDef) -> tuple[str, ...]:
    """Return the declared outputs, or else the blobs that are not read after their last write."""
    if net.external_output:
        return tuple(dict.fromkeys(net.external_output))
    unread: dict[str, None] = {}
    for op in net.op:
        for name in op.input:
            unread.pop(name, None)
        if op.type != "Free":
            unread.update(dict.fromkeys(op.output))
    return tuple(unread)


def run_twice(
    net: NetDef,
    feeds: Iterable[str],
    wanted: Sequence[str],
    orders: Sequence[Sequence[int]] | None = None,
) -> list[tuple[int, ...]] | None:
    """Run a net twice on one workspace: the wanted values after each run; ``None`` if stuck."""
    workspace = Workspace(feeds)
    results = []
    for order in orders or [range(len(net.op))] * 2:
        try:
            for index in order:
                workspace.execute(net.op[index])
            results.append(tuple(workspace.value(name) for name in wanted))
        except Stuck:
            return None
    return results


def observed(net: NetDef, original: NetDef | None = None) -> list[tuple[int, ...]] | None:
    """Return what a user of the original sees: its outputs and inputs after each of two runs."""
    original = net if original is None else original
    feeds = external_inputs(original)
    return run_twice(net, feeds, (*feeds, *wanted_outputs(original)))


def dependencies(net: NetDef) -> list[set[int]]:
    """Return operator -> those it waits for, as Caffe2's executors derive them from names."""
    waits: list[set[int]] = []
    writer: dict[str, int] = {}
    readers: dict[str, set[int]] = {}
    for index, op in enumerate(net.op):
        found = {writer[name] for name in (*op.input, *op.control_input) if name in writer}
        for name in op.input:
            readers.setdefault(name, set()).add(index)
        for name in op.output:
            found |= readers.pop(name, set())
            if name in writer:
                found.add(writer[name])
            writer[name] = index
        waits.append(found - {index})
    return waits


def races(net: NetDef) -> list[tuple[int, int]]:
    """Return the operators that touch the same memory, one writing, in no fixed order.

    Exact for this interpreter, stale views of the run before included.
    """
    earlier: list[int] = []  # operator -> those before it in every schedule, a bit each
    for index, waits in enumerate(dependencies(net)):
        mask = 0
        for before in waits:
            mask |= earlier[before] | 1 << before
        earlier.append(mask)
        assert mask < 1 << index
    workspace = Workspace(external_inputs(net))
    found = []
    for _ in range(2):
        history: dict[object, list[tuple[int, bool]]] = {}
        for index, op in enumerate(net.op):
            workspace.trace = []
            workspace.execute(op)
            for what, written in workspace.trace:
                for before, wrote in history.get(what, ()):
                    unordered = before != index and not earlier[index] >> before & 1
                    if (written or wrote) and unordered:
                        found.append((before, index))
            for what, written in workspace.trace:
                history.setdefault(what, []).append((index, written))
    return found


def random_order(net: NetDef, rng: random.Random) -> list[int]:
    """Return an order that the dependencies allow."""
    waits = dependencies(net)
    order: list[int] = []
    left = list(range(len(net.op)))
    while left:
        ready = [index for index in left if waits[index] <= set(order)]
        order.append(rng.choice(ready) if rng.random() < 0.5 else ready[-1])
        left.remove(order[-1])
    return order


def observed_in_parallel(
    net: NetDef, original: NetDef, rng: random.Random, schedules: int
) -> list[list[tuple[int, ...]] | None]:
    """Return what a user sees under several schedules that the net's dependencies allow."""
    feeds = external_inputs(original)
    wanted = (*feeds, *wanted_outputs(original))
    return [
        run_twice(net, feeds, wanted, [random_order(net, rng), random_order(net, rng)])
        for _ in range(schedules)
    ]
