"""The table of shape rules, and what a rule sees of its operator."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from memonger.errors import ShapeError
from memonger.net.netdef_pb2 import Argument, NetDef, OperatorDef
from memonger.net.shapes.scope import Scope
from memonger.net.tensors import TensorType

Outcome = TensorType | str | None
"""Type of one output; a string says why it is unknown, ``None`` leaves that to the caller."""
Rule = Callable[["OpContext"], Sequence[Outcome]]
Values = tuple[int, ...]
ValueRule = Callable[["OpContext"], Sequence[Values | None]]

RULES: dict[str, Rule] = {}
VALUE_RULES: dict[str, ValueRule] = {}
OPAQUE: dict[str, str] = {}


class UnknowableError(Exception):
    """No output of this operator can be typed; the message says why."""


def rule(*types: str) -> Callable[[Rule], Rule]:
    """Register a function as the shape rule of these operator types."""

    def register(function: Rule) -> Rule:
        for name in types:
            if name in RULES:
                raise ValueError(f"two shape rules for {name}")
            RULES[name] = function
        return function

    return register


def value_rule(*types: str) -> Callable[[ValueRule], ValueRule]:
    """Register a function that computes small integer outputs of these operator types."""

    def register(function: ValueRule) -> ValueRule:
        VALUE_RULES.update(dict.fromkeys(types, function))
        return function

    return register


@dataclass(frozen=True)
class OpContext:
    """One operator as its shape rule sees it.

    Parameters
    ----------
    op
        The operator.
    inputs
        Type of every input, ``None`` where it is unknown.
    scope
        Types and constant values of the blobs around the operator.
    walk
        Infers the types of a sub-network in a scope of its own.
    """

    op: OperatorDef
    inputs: tuple[TensorType | None, ...]
    scope: Scope
    walk: Callable[[NetDef, Scope], object]

    @cached_property
    def arguments(self) -> dict[str, Argument]:
        """Arguments by name; the first of a name counts."""
        return {arg.name: arg for arg in reversed(self.op.arg)}

    @property
    def int8(self) -> bool:
        """Whether the operator is of the quantized family, which is NHWC throughout."""
        return self.op.type.startswith("Int8")

    @property
    def channels_last(self) -> bool:
        """Whether the ``order`` of the operator puts the channels last."""
        order = self.text("order", "NHWC" if self.int8 else "NCHW").upper()
        if order not in ("NCHW", "NHWC"):
            raise ShapeError(f"unknown storage order {order!r}")
        return order == "NHWC"

    def input(self, position: int) -> TensorType:
        """Return the type of an input that the rule cannot do without."""
        if position >= len(self.inputs):
            needed = "input" if position == 0 else "inputs"
            raise ShapeError(f"needs at least {position + 1} {needed}, has {len(self.inputs)}")
        known = self.inputs[position]
        if known is None:
            raise UnknowableError(self.missing(position))
        return known

    def optional(self, position: int) -> TensorType | None:
        """Return the type of an input if there is one and it is known."""
        return self.inputs[position] if position < len(self.inputs) else None

    def missing(self, position: int) -> str:
        """Say that the type of an input is missing."""
        return f"the type of input {self.op.input[position]!r} is not known"

    def values(self, position: int) -> Values | None:
        """Return the elements of a small integer input, if they are known."""
        if position >= len(self.op.input):
            return None
        return self.scope.values(self.op.input[position])

    def required_values(self, position: int) -> Values:
        """Return the elements of an input that the rule cannot do without."""
        if position >= len(self.op.input):
            raise ShapeError(f"needs at least {position + 1} inputs, has {len(self.op.input)}")
        values = self.values(position)
        if values is None:
            raise UnknowableError(f"the value of input {self.op.input[position]!r} is not known")
        return values

    def required_value(self, position: int) -> int:
        """Return the only element of an input that the rule cannot do without."""
        values = self.required_values(position)
        if len(values) != 1:
            name = self.op.input[position]
            raise ShapeError(f"input {name!r} has {len(values)} elements instead of one")
        return values[0]

    def has(self, name: str) -> bool:
        """Tell whether the operator has an argument of that name."""
        return name in self.arguments

    def integer(self, name: str, default: int) -> int:
        """Return an integer argument."""
        arg = self.arguments.get(name)
        if arg is None:
            return default
        if not arg.HasField("i"):
            raise UnknowableError(f"argument {name!r} is not an integer")
        return arg.i

    def number(self, name: str, default: float) -> float:
        """Return a float argument."""
        arg = self.arguments.get(name)
        if arg is None:
            return default
        if not arg.HasField("f"):
            raise UnknowableError(f"argument {name!r} is not a float")
        return arg.f

    def text(self, name: str, default: str) -> str:
        """Return a string argument."""
        arg = self.arguments.get(name)
        if arg is None:
            return default
        if not arg.HasField("s"):
            raise UnknowableError(f"argument {name!r} is not a string")
        return arg.s.decode("utf-8", "replace")

    def integers(self, name: str) -> Values:
        """Return a list of integers, empty where there is no such argument."""
        arg = self.arguments.get(name)
        return () if arg is None else tuple(arg.ints)

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of strings, empty where there is no such argument."""
        arg = self.arguments.get(name)
        return () if arg is None else tuple(s.decode("utf-8", "replace") for s in arg.strings)

    def net(self, name: str) -> NetDef | None:
        """Return a sub-network, or ``None``."""
        arg = self.arguments.get(name)
        return arg.n if arg is not None and arg.HasField("n") else None


def canonical_axis(axis: int, ndim: int) -> int:
    """Return the axis counted from the front.

    Raises
    ------
    ShapeError
        If there is no such axis.
    """
    if not -ndim <= axis < ndim:
        raise ShapeError(f"axis {axis} of a tensor with {ndim} dimensions")
    return axis % ndim


def at_least(what: str, tensor: TensorType, ndim: int) -> None:
    """Raise a ``ShapeError`` if a tensor has fewer dimensions."""
    if len(tensor.shape) < ndim:
        shape = list(tensor.shape)
        raise ShapeError(f"{what} {shape} needs at least {ndim} dimensions")


def agree(known: Sequence[TensorType], what: str = "inputs") -> TensorType:
    """Return the common type.

    Raises
    ------
    ShapeError
        If the types are not all the same.
    """
    first = known[0]
    for other in known[1:]:
        if other.shape != first.shape:
            raise ShapeError(f"{what} of shapes {list(first.shape)} and {list(other.shape)}")
        if other.dtype != first.dtype:
            raise ShapeError(f"{what} of types {first.dtype.name} and {other.dtype.name}")
    return first


def any_known(context: OpContext, positions: Sequence[int]) -> TensorType:
    """Return the common type of inputs that must be alike, from those that are known."""
    present = [p for p in positions if p < len(context.inputs)]
    if not present:
        raise ShapeError("has no inputs")
    known = [t for p in present if (t := context.inputs[p]) is not None]
    if not known:
        raise UnknowableError(context.missing(present[0]))
    return agree(known)


def elements(what: str, tensor: TensorType | None, count: int) -> None:
    """Raise a ``ShapeError`` if a tensor is known not to have so many elements."""
    if tensor is not None and math.prod(tensor.shape) != count:
        raise ShapeError(f"{what} {list(tensor.shape)} does not have {count} elements")
