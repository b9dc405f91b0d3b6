"""Def-use: every version of every blob, who writes it and who reads it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from memonger.collector import collector_paused
from memonger.errors import NetError
from memonger.net.arguments import int_argument
from memonger.net.netdef_pb2 import NetDef, OperatorDef
from memonger.net.schema import schema
from memonger.net.subnets import Operands, net_operands

EXTERNAL = -1


@dataclass(slots=True)
class Version:
    """One value of a blob: what is in it from one write to the next.

    Parameters
    ----------
    blob
        Name of the blob.
    writer
        Index of the operator that writes it; ``EXTERNAL`` (-1) for what is there before the run.
    readers
        Indices of the operators that read it, ascending; a writer that writes in place reads too.
    previous
        The version that this one is written over in place (the writer reads it, or may leave a
        part of it), else ``None``.
    """

    blob: str
    writer: int
    readers: list[int]
    previous: int | None = None


@dataclass(frozen=True)
class DefUse:
    """Versions of the blobs of a net in program order, and what each operator does with them.

    Parameters
    ----------
    versions
        All versions, external ones first seen first; indices into it are *version ids*.
    operands
        Per operator, the names that it reads and writes.
    reads, writes
        Per operator, name -> version id.
    controls
        Per operator, version ids of its control inputs, in their order.
    external
        Names read before they are written, or declared as external inputs, in order.
    declared
        External inputs that the net declares, in order.
    last
        Name -> its version at the end of the net.
    """

    versions: list[Version]
    operands: list[Operands]
    reads: list[dict[str, int]]
    writes: list[dict[str, int]]
    controls: list[tuple[int, ...]]
    external: tuple[str, ...]
    declared: tuple[str, ...]
    last: dict[str, int]


def outputs_of(net: NetDef, def_use: DefUse) -> tuple[str, ...]:
    """Return the blobs whose final contents a user of the net wants.

    These are the declared external outputs. Caffe2's training nets often declare none: there it
    is every blob whose last version nobody reads, and the losses, which are known by the
    operators that start their gradients: a ``ConstantFill`` in the shape of the loss.
    """
    if net.external_output:
        return tuple(dict.fromkeys(net.external_output))
    versions = def_use.versions
    losses = {op.input[0] for op in net.op if _starts_gradient(op)}
    return tuple(
        blob for blob, version in def_use.last.items()
        if versions[version].writer != EXTERNAL
        and net.op[versions[version].writer].type != "Free"
        and (blob in losses or not versions[version].readers)
    )  # fmt: skip


def _starts_gradient(op: OperatorDef) -> bool:
    """Return whether an operator makes the gradient of a loss with respect to itself."""
    return (
        op.type == "ConstantFill"
        and len(op.input) == len(op.output) == 1
        and not int_argument(op, "input_as_shape", 0)
    )


@collector_paused()
def analyse(net: NetDef, touched: Iterable[Operands] | None = None) -> DefUse:
    """Return the def-use of a net.

    Parameters
    ----------
    net
        The net.
    touched
        What `net_operands` yields for it, where that is known.

    Raises
    ------
    NetError
        If the net declares its external inputs and an operator reads a blob that is neither
        declared nor written before; if an external output is never written; if an operator has
        no type. Caffe2 refuses the same nets.

    Notes
    -----
    Linear in the size of the net. A net without any declared external input may read blobs that
    nobody has written: they count as external, as in Caffe2.

    Examples
    --------
    >>> from google.protobuf import text_format
    >>> net = text_format.Parse('''
    ...     op { input: "x" output: "a" type: "Relu" }
    ...     op { input: "a" output: "a" type: "Tanh" }
    ...     op { input: "a" output: "y" type: "Sigmoid" } external_input: "x"''', NetDef())
    >>> [(v.blob, v.writer, v.readers) for v in analyse(net).versions]
    [('x', -1, [0]), ('a', 0, [1]), ('a', 1, [2]), ('y', 2, [])]
    """
    return _Analysis(net).run(net_operands(net) if touched is None else touched)


class _Analysis:
    """The state of one pass over the operators of a net."""

    def __init__(self, net: NetDef) -> None:
        self.net = net
        self.declared = frozenset(net.external_input)
        self.versions: list[Version] = []
        self.last: dict[str, int] = {}

    def run(self, touched: Iterable[Operands]) -> DefUse:
        for name in self.net.external_input:
            if name not in self.last:
                self._new(name, EXTERNAL)
        operands, reads, writes, controls = [], [], [], []
        for index, names in enumerate(touched):
            if not names.type:
                raise NetError(f"operator {index} has no type")
            operands.append(names)
            reads.append(self._read(index, names))
            controls.append(self._control(index, names) if names.controls else ())
            writes.append(self._write(index, names, reads[-1]))
        for name in self.net.external_output:
            if name not in self.last:
                raise NetError(f"external output {name!r} is never written")
        external = tuple(v.blob for v in self.versions if v.writer == EXTERNAL)
        declared = tuple(dict.fromkeys(self.net.external_input))
        return DefUse(
            self.versions, operands, reads, writes, controls, external, declared, self.last
        )

    def _read(self, index: int, names: Operands) -> dict[str, int]:
        versions, last = self.versions, self.last
        found: dict[str, int] = {}
        for name in names.reads:
            version = last.get(name)
            if version is None:
                if name in names.undeclared:  # a temporary of a net inside, written there first
                    continue
                if self.declared:
                    raise NetError(
                        f"operator {index} ({names.type}) reads {name!r}, which no operator before "
                        "it writes and the net does not declare as external input"
                    )
                version = self._new(name, EXTERNAL)
            versions[version].readers.append(index)
            found[name] = version
        for name in names.partial:  # what may stay in place is read
            if name in last and name not in found:
                found[name] = last[name]
                versions[found[name]].readers.append(index)
        return found

    def _control(self, index: int, names: Operands) -> tuple[int, ...]:
        for name in names.controls:
            if name not in self.last:
                raise NetError(
                    f"operator {index} ({names.type}) waits for control input {name!r}, which no "
                    "operator before it writes: unknown, or a cycle"
                )
        return tuple(self.last[name] for name in names.controls)

    def _write(self, index: int, names: Operands, reads: Mapping[str, int]) -> dict[str, int]:
        versions = self.versions
        written = {}
        for name in names.writes:
            written[name] = self.last[name] = len(versions)
            versions.append(Version(name, index, [], reads.get(name)))
        return written

    def _new(self, name: str, writer: int) -> int:
        self.versions.append(Version(name, writer, []))
        self.last[name] = len(self.versions) - 1
        return self.last[name]


def device_of(net: NetDef, index: int) -> tuple[int, int]:
    """Return (type, id) of the device that the outputs of an operator live on.

    An operator without a device runs on the net's; CPU devices have no id.
    """
    op = net.op[index]
    option = op.device_option if op.HasField("device_option") else net.device_option
    if option.device_type == 0 or schema(op.type).output_on_cpu:
        return (0, 0)
    return (option.device_type, option.device_id)
