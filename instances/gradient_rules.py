"""Which operators Caffe2 makes for the gradients of an operator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from memonger.errors import NetError
from memonger.net.arguments import int_argument
from memonger.net.netdef_pb2 import OperatorDef


@dataclass(frozen=True, slots=True)
class GradientRule:
    """Signature of the gradient operator of a forward operator.

    Parameters
    ----------
    type
        Type of the gradient operator.
    inputs
        What it reads: ``I2`` is input 2 of the forward operator, ``O0`` its output 0 and
        ``GO0`` the gradient of its output 0.
    outputs
        Numbers of the forward inputs whose gradients it writes, in the order of its outputs.
    flags
        Arguments set to 1 beside those of the forward operator.
    replaced
        Whether the flags stand in place of the arguments of the forward operator.
    """

    type: str
    inputs: tuple[str, ...]
    outputs: tuple[int, ...]
    flags: tuple[str, ...] = ()
    replaced: bool = False


def _rule(type_: str, inputs: str, *outputs: int) -> GradientRule:
    return GradientRule(type_, tuple(inputs.split()), outputs)


def _conv(op: OperatorDef) -> GradientRule:
    has_bias = len(op.input) == 3
    outputs = (1, 2) if has_bias else (1,)
    if not int_argument(op, "no_gradient_to_input", 0):
        outputs = (*outputs, 0)
    # Without the flag the operator would take its second output for the bias gradient.
    flags = () if has_bias else ("no_bias",)
    return GradientRule(f"{op.type}Gradient", ("I0", "I1", "GO0"), outputs, flags)


def _spatial_bn(op: OperatorDef) -> GradientRule:
    statistics = "I3 I4" if int_argument(op, "is_test", 0) else "O3 O4"
    return _rule("SpatialBNGradient", f"I0 I1 GO0 {statistics}", 0, 1, 2)


def _concat(op: OperatorDef) -> GradientRule:
    return _rule("Split", "GO0 O1", *range(len(op.input)))


def _batch_matmul(op: OperatorDef) -> tuple[GradientRule, ...]:
    """Of Y = A B: dA = dY B', dB = A' dY; of Y = A B': dA = dY B, dB = dY' A."""
    if int_argument(op, "trans_a", 0):
        raise NetError("no gradient known for BatchMatMul with a transposed first factor")
    transposed = bool(int_argument(op, "trans_b", 0))
    left, right = ("GO0 I1", ()) if transposed else ("GO0 I1", ("trans_b",))
    other = "GO0 I0" if transposed else "I0 GO0"
    return (
        GradientRule("BatchMatMul", tuple(left.split()), (0,), right, replaced=True),
        GradientRule("BatchMatMul", tuple(other.split()), (1,), ("trans_a",), replaced=True),
    )


def _dropout(op: OperatorDef) -> GradientRule:
    return _rule("DropoutGrad", "GO0" if int_argument(op, "is_test", 0) else "GO0 O1", 0)


Rules = GradientRule | tuple[GradientRule, ...]

RULES: dict[str, GradientRule | Callable[[OperatorDef], Rules]] = {
    "AveragePool": _rule("AveragePoolGradient", "I0 O0 GO0", 0),
    "AveragedLoss": _rule("AveragedLossGradient", "I0 GO0", 0),
    "BatchMatMul": _batch_matmul,
    "Concat": _concat,
    "Conv": _conv,
    "ConvTranspose": _conv,
    "Dropout": _dropout,
    "FC": _rule("FCGradient", "I0 I1 GO0", 1, 2, 0),
    "LRN": _rule("LRNGradient", "I0 O0 GO0", 0),
    "LabelCrossEntropy": _rule("LabelCrossEntropyGradient", "I0 I1 GO0", 0),
    "LayerNorm": _rule("LayerNormGradient", "GO0 O0 O1 O2 I0", 0),
    "MaxPool": _rule("MaxPoolGradient", "I0 O0 GO0", 0),
    "Mul": _rule("MulGradient", "GO0 I0 I1", 0, 1),
    "Relu": _rule("ReluGradient", "O0 GO0", 0),
    "Sigmoid": _rule("SigmoidGradient", "O0 GO0", 0),
    "Softmax": _rule("SoftmaxGradient", "O0 GO0", 0),
    "SoftmaxWithLoss": _rule("SoftmaxWithLossGradient", "I0 I1 O0 GO1", 0),
    "SpatialBN": _spatial_bn,
    "Tanh": _rule("TanhGradient", "O0 GO0", 0),
}
"""Gradient operators by forward type, with the signatures of Caffe2's gradient makers."""

PASS_THROUGH = frozenset({"Sum"})
"""Operators without a gradient operator: every input has the gradient of the output."""


def gradient_rules(op: OperatorDef) -> tuple[GradientRule, ...]:
    """Return the signatures of an operator's gradient operators.

    Raises
    ------
    NetError
        If the table has no gradient for this type.
    """
    if op.type not in RULES:
        raise NetError(f"no gradient known for operator type {op.type!r}")
    known = RULES[op.type]
    found = known if isinstance(known, GradientRule) else known(op)
    return (found,) if isinstance(found, GradientRule) else found
