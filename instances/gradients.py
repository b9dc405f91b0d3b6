"""The backward pass that Caffe2 makes of a forward net."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from memonger.errors import NetError
from memonger.instances.gradient_rules import PASS_THROUGH, GradientRule, gradient_rules
from memonger.net.netdef_pb2 import NetDef, OperatorDef

_Value = tuple[str, int]  # a blob and how often it had been written


def append_backward(net: NetDef, loss: str) -> dict[str, str]:
    """Append the backward pass of a loss to a forward net.

    The blobs are named as Caffe2 names them: ``X_grad`` is the gradient of ``X``; where ``X``
    has several readers, the second and later contributions are ``_X_grad_autosplit_0``,
    ``_1``, ..., and a ``Sum`` after the last of them adds all up.

    Parameters
    ----------
    net
        The forward net; changed in place.
    loss
        Blob whose gradient is 1.

    Returns
    -------
    dict
        External input (parameters among them) to the blob of its gradient.

    Raises
    ------
    NetError
        If an operator on the way to the loss has no known gradient, or if its gradient would
        read a blob that the net has overwritten.

    Notes
    -----
    Linear in the size of the net.
    """
    return _Backward(net, loss).run()


@dataclass(slots=True)
class _Contribution:
    """One summand of a gradient: an output of a gradient operator, or a name passed through."""

    name: str
    op: OperatorDef | None
    position: int
    written: int


class _Backward:
    """State of one backward pass."""

    def __init__(self, net: NetDef, loss: str) -> None:
        self._net = net
        self._loss = loss
        self._forward: Sequence[OperatorDef] = list(net.op)
        self._reads: list[list[_Value]] = []
        self._writes: list[list[_Value]] = []
        self._first_reader: dict[_Value, int] = {}
        self._version: Counter[str] = Counter()
        self._gradient_writes: Counter[str] = Counter()
        self._contributions: dict[_Value, list[_Contribution]] = {}
        for index, op in enumerate(self._forward):
            self._scan(index, op)

    def _scan(self, index: int, op: OperatorDef) -> None:
        reads = [(blob, self._version[blob]) for blob in op.input]
        for value in reads:
            self._first_reader.setdefault(value, index)
        self._version.update(dict.fromkeys(op.output, 1))
        self._reads.append(reads)
        self._writes.append([(blob, self._version[blob]) for blob in op.output])

    def run(self) -> dict[str, str]:
        if not self._version[self._loss]:
            raise NetError(f"no operator writes the loss {self._loss!r}")
        self._start()
        for index in reversed(range(len(self._forward))):
            self._differentiate(index)
            for value in dict.fromkeys(self._reads[index]):
                if self._first_reader[value] == index:
                    self._accumulate(value)
        return {
            blob: parts[0].name
            for (blob, version), parts in self._contributions.items()
            if version == 0
        }

    def _start(self) -> None:
        seed = self._net.op.add(type="ConstantFill", input=[self._loss])
        seed.output.append(f"{self._loss}_autogen_grad")
        seed.arg.add(name="value", f=1.0)
        self._contribute((self._loss, self._version[self._loss]), seed, 0)

    def _differentiate(self, index: int) -> None:
        op = self._forward[index]
        known = [self._gradient(value) for value in self._writes[index]]
        if not any(known):
            return
        if op.type in PASS_THROUGH:
            name = known[0]
            for value in self._reads[index]:
                part = _Contribution(name, None, 0, self._gradient_writes[name])
                self._contributions.setdefault(value, []).append(part)
            return
        for rule in gradient_rules(op):
            self._apply(index, rule, known)

    def _apply(self, index: int, rule: GradientRule, known: list[str]) -> None:
        """Append one gradient operator of a forward operator."""
        op = self._forward[index]
        gradient = self._net.op.add(type=rule.type, is_gradient_op=True, engine=op.engine)
        if not op.engine:
            gradient.ClearField("engine")
        if op.HasField("device_option"):
            gradient.device_option.CopyFrom(op.device_option)
        if not rule.replaced:
            gradient.arg.extend(op.arg)
        for flag in rule.flags:
            gradient.arg.add(name=flag, i=1)
        gradient.input.extend(self._operand(index, token, known) for token in rule.inputs)
        for position, number in enumerate(rule.outputs):
            value = self._reads[index][number]
            gradient.output.append(f"{value[0]}_grad")
            self._contribute(value, gradient, position)

    def _operand(self, index: int, token: str, known: list[str]) -> str:
        """Return the blob that a token of a rule stands for, if it still holds that value."""
        kind, number = token.rstrip("0123456789"), int(token.lstrip("GIO"))
        op = self._forward[index]
        if kind == "GO":
            if not known[number]:
                raise NetError(f"{op.type}: no gradient for output {op.output[number]!r}")
            return known[number]
        blob, version = (self._reads if kind == "I" else self._writes)[index][number]
        if version != self._version[blob]:
            raise NetError(
                f"{op.type}: its gradient needs {blob!r}, which a later operator overwrites"
            )
        return blob

    def _contribute(self, value: _Value, op: OperatorDef, position: int) -> None:
        name = op.output[position]
        self._gradient_writes[name] += 1
        part = _Contribution(name, op, position, self._gradient_writes[name])
        self._contributions.setdefault(value, []).append(part)

    def _gradient(self, value: _Value) -> str:
        """Return the blob with the gradient of a value, empty where it has none."""
        parts = self._contributions.get(value)
        if not parts:
            return ""
        self._check_intact(parts[0])
        return parts[0].name

    def _accumulate(self, value: _Value) -> None:
        """Add up the contributions of all readers, the first one under the plain name."""
        parts = self._contributions.get(value, [])
        if len(parts) < 2:
            return
        made = [part for part in parts if part.op is not None]
        total = made[0].name if made else f"{value[0]}_grad"
        for number, part in enumerate(made[1:]):
            self._rename(part, f"_{part.name}_autosplit_{number}")
        for part in parts:
            if part.op is None:
                self._check_intact(part)
        names = [part.name for part in parts]
        if total in names:
            # Sum may write in place over its first input only.
            first = names.index(total)
            names[0], names[first] = names[first], names[0]
        op = self._net.op.add(type="Sum", input=names, output=[total])
        self._contributions[value] = []
        self._contribute(value, op, 0)

    def _rename(self, part: _Contribution, name: str) -> None:
        assert part.op is not None
        self._gradient_writes[part.name] -= 1
        self._gradient_writes[name] += 1
        part.op.output[part.position] = part.name = name

    def _check_intact(self, part: _Contribution) -> None:
        if part.op is None and self._gradient_writes[part.name] != part.written:
            raise NetError(f"gradient {part.name!r} is overwritten before its last use")
