"""Types of all blobs of a net, operator by operator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from memonger.errors import ShapeError
from memonger.net.netdef_pb2 import NetDef, OperatorDef
from memonger.net.shapes import (
    constants,
    convolution,
    detection,
    elementwise,
    fillers,
    joining,
    layout,
    likes,
    matrix,
    normalization,
    reduction,
    sparse,
    subnets,
)
from memonger.net.shapes.rules import (
    OPAQUE,
    RULES,
    VALUE_RULES,
    OpContext,
    Outcome,
    UnknowableError,
    Values,
)
from memonger.net.shapes.scope import Scope
from memonger.net.tensors import TensorType

# Importing these modules fills the table of rules.
RULE_MODULES = (
    convolution,
    detection,
    elementwise,
    fillers,
    joining,
    layout,
    likes,
    matrix,
    normalization,
    reduction,
    sparse,
    subnets,
)
SUPPORTED: frozenset[str] = frozenset(RULES)
"""Operator types with a shape rule."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """Why the type of a blob is not known.

    Parameters
    ----------
    blob
        Name of the blob.
    index
        Index of the first operator that left it unknown.
    type
        Type of that operator.
    reason
        What is missing, for people.
    """

    blob: str
    index: int
    type: str
    reason: str


@dataclass(frozen=True)
class Inference:
    """Types of the blobs of a net.

    Parameters
    ----------
    outputs
        For every operator the type of every output, ``None`` where it is unknown.
    blobs
        Type of every blob, given ones included. Of a blob that is written more than once,
        the last version whose type is known: look at `outputs` for the others.
    unknown
        Every blob with a version of unknown type, with the first cause, in operator order.
    """

    outputs: tuple[tuple[TensorType | None, ...], ...]
    blobs: dict[str, TensorType]
    unknown: tuple[Unknown, ...]


def infer_types(net: NetDef, known: Mapping[str, TensorType]) -> Inference:
    """Infer the types of all blobs of a net.

    Parameters
    ----------
    net
        The net; operators are taken in its order, sub-networks included.
    known
        Types of external inputs and parameters. Types of other blobs are accepted too;
        they then win over what is inferred, for every version of the blob.

    Returns
    -------
    Inference
        Nothing is guessed: what does not follow from `known` is left unknown, with a reason.

    Raises
    ------
    ShapeError
        If shapes contradict each other; the message names the operator and the blob.

    Notes
    -----
    Time is linear in the size of the net. Sizes are those of Caffe2's operators.

    Examples
    --------
    >>> from memonger.net.tensors import TensorType
    >>> net = NetDef(op=[OperatorDef(type="Relu", input=["x"], output=["y"])])
    >>> infer_types(net, {"x": TensorType((2, 3))}).blobs["y"].shape
    (2, 3)
    """
    scope = Scope(known)
    unknown: dict[str, Unknown] = {}
    outputs = tuple(_step(op, index, scope, unknown) for index, op in enumerate(net.op))
    return Inference(outputs, {**known, **scope.latest}, tuple(unknown.values()))


def types_from_init_net(init_net: NetDef) -> dict[str, TensorType]:
    """Return the types of the parameters that an initialization net fills.

    Only shapes are looked at, never the values of parameters. Fills of unknown shape are
    left out.

    Parameters
    ----------
    init_net
        A net of fills: ``GivenTensorFill``, ``XavierFill``, ``ConstantFill``, ...

    Returns
    -------
    dict
        Blob name -> type.

    Raises
    ------
    ShapeError
        If shapes contradict each other.
    """
    return infer_types(init_net, {}).blobs


def _walk(net: NetDef, scope: Scope) -> None:
    """Infer the types of a sub-network in a scope of its own."""
    for index, op in enumerate(net.op):
        _step(op, index, scope, {})


def _step(
    op: OperatorDef, index: int, scope: Scope, unknown: dict[str, Unknown]
) -> tuple[TensorType | None, ...]:
    """Type the outputs of one operator and start new versions of its output blobs."""
    names, kind = list(op.output), op.type
    outcomes, values = _outcomes(op, kind, names, index, scope)
    types = []
    for position, name in enumerate(names):
        outcome = outcomes[position] if position < len(outcomes) else None
        if outcome is None:
            outcome = _reason(op, position, outcomes, scope)
        inferred = None if isinstance(outcome, str) else outcome
        known = scope.bind(name, inferred, values[position] if position < len(values) else None)
        types.append(known)
        if known is None and name not in unknown:
            unknown[name] = Unknown(name, index, kind, str(outcome))
    return tuple(types)


def _reason(op: OperatorDef, position: int, outcomes: Sequence[Outcome], scope: Scope) -> str:
    if position >= len(outcomes):
        return f"no shape rule for output {position} of operator type {op.type}"
    missing = next((name for name in op.input if scope.type(name) is None), None)
    if missing is None:
        return f"operator type {op.type} does not determine it"
    return f"the type of input {missing!r} is not known"


def _outcomes(
    op: OperatorDef, kind: str, names: list[str], index: int, scope: Scope
) -> tuple[Sequence[Outcome], Sequence[Values | None]]:
    function = RULES.get(kind)
    if function is None:
        why = OPAQUE.get(kind, f"no shape rule for operator type {kind}")
        return [why] * len(names), ()
    context = OpContext(op, tuple([scope.type(name) for name in op.input]), scope, _walk)
    try:
        outcomes = function(context)
    except UnknowableError as error:
        return [str(error)] * len(names), ()
    except ShapeError as error:
        blob = f" -> {names[0]!r}" if names else ""
        raise ShapeError(f"operator {index} ({kind}){blob}: {error}") from None
    return outcomes, _values(op, context, outcomes) if kind in VALUE_RULES else ()


def _values(
    op: OperatorDef, context: OpContext, outcomes: Sequence[Outcome]
) -> Sequence[Values | None]:
    """Return the values of integer outputs, where they follow from the net."""
    if not any(
        isinstance(known, TensorType) and known.dtype in constants.LIMITS for known in outcomes
    ):
        return ()
    try:
        values = VALUE_RULES[op.type](context)
    except (ShapeError, UnknowableError):
        return ()
    return [
        found
        if found is not None
        and isinstance(known, TensorType)
        and constants.representable(known, found)
        else None
        for known, found in zip(outcomes, values, strict=False)
    ]
