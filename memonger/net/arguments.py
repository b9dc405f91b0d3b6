"""Arguments of operators, by name."""

from __future__ import annotations

from typing import overload

from memonger.net.netdef_pb2 import Argument, OperatorDef


def find_argument(op: OperatorDef, name: str) -> Argument | None:
    """Return the argument of that name, or ``None``."""
    for arg in op.arg:
        if arg.name == name:
            return arg
    return None


@overload
def int_argument(op: OperatorDef, name: str, default: int) -> int: ...
@overload
def int_argument(op: OperatorDef, name: str, default: None = None) -> int | None: ...
def int_argument(op: OperatorDef, name: str, default: int | None = None) -> int | None:
    """Return an integer argument, or the default where the operator has none."""
    arg = find_argument(op, name)
    return int(arg.i) if arg is not None and arg.HasField("i") else default


def float_argument(op: OperatorDef, name: str, default: float) -> float:
    """Return a float argument, or the default where the operator has none."""
    arg = find_argument(op, name)
    return float(arg.f) if arg is not None and arg.HasField("f") else default


def str_argument(op: OperatorDef, name: str, default: str = "") -> str:
    """Return a string argument, or the default where the operator has none."""
    arg = find_argument(op, name)
    return arg.s.decode("utf-8", "replace") if arg is not None and arg.HasField("s") else default


def ints_argument(op: OperatorDef, name: str) -> tuple[int, ...] | None:
    """Return a list of integers, or ``None`` where the operator has no such argument.

    A single ``i`` counts as a list of one, as in Caffe2's ``GetRepeatedArgument``.
    """
    arg = find_argument(op, name)
    if arg is None:
        return None
    if not arg.ints and arg.HasField("i"):
        return (int(arg.i),)
    return tuple(arg.ints)


def strings_argument(op: OperatorDef, name: str) -> tuple[str, ...]:
    """Return a list of strings, empty where the operator has no such argument."""
    arg = find_argument(op, name)
    return () if arg is None else tuple(text.decode("utf-8", "replace") for text in arg.strings)
