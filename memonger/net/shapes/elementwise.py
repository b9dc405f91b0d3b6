"""Operators that work element by element, with their gradients."""

from __future__ import annotations

from memonger.errors import ShapeError
from memonger.net.shapes.rules import (
    OpContext,
    Outcome,
    any_known,
    at_least,
    canonical_axis,
    elements,
    rule,
)
from memonger.net.tensors import DataType, TensorType

_FUNCTIONS = (
    "Abs Acos Asin Atan Cbrt Ceil Clip Cos Cosh Cube Elu Erf Exp Floor Gelu HardSigmoid LeakyRelu "
    "Log Log1p LogSoftmax Logit Mish Negative Reciprocal Relu ReluN ReplaceNaN Rsqrt Selu Sigmoid "
    "Sign Sin Sinh Softplus Softsign Sqr Sqrt StumpFunc Swish Tan Tanh ThresholdedRelu"
)
_COPIES = (
    "Alias AliasWithName Copy CopyCPUToGPU CopyFromCPUInput CopyGPUToCPU CopyOnDeviceLike "
    "EnsureCPUOutput EnsureClipped EnsureDense NanCheck StopGradient ZeroGradient"
)
_WITH_PARAMETERS = "AffineChannel ElementwiseLinear Mod RowMul Scale SquareRootDivide"
_QUANTIZED = "Int8ChannelShuffle Int8LeakyRelu Int8Quantize Int8Relu Int8Sigmoid Int8Softmax"
_GRADIENTS = (
    "Abs Acos Asin Atan Cbrt Clip Cos Cosh Cube Elu Erf Gelu HardSigmoid LeakyRelu Log1p "
    "LogSoftmax Logit Mish Reciprocal Relu ReluN Rsqrt Selu Sigmoid Sin Sinh Softmax Softplus "
    "Softsign Swish Tan Tanh ThresholdedRelu"
)


@rule(*_FUNCTIONS.split(), *_COPIES.split(), *_WITH_PARAMETERS.split(), "SumInt", "WeightScale")
def _same(context: OpContext) -> list[Outcome]:
    return [context.input(0)]


@rule("Softmax")
def _softmax(context: OpContext) -> list[Outcome]:
    data = context.input(0)
    canonical_axis(context.integer("axis", 1), len(data.shape))
    return [data]


@rule("Normalize", "NormalizeL1", "ChannelShuffle", "ReversePackedSegs", "SequenceMask")
def _same_image(context: OpContext) -> list[Outcome]:
    return [context.input(0)]


@rule("Free", "NCCLAllreduce", "NCCLBroadcast")
def _pairwise(context: OpContext) -> list[Outcome]:
    # Each output is an input under the same name; a freed blob keeps the type it had.
    return list(context.inputs)


@rule("Allreduce", "Broadcast")
def _collective(context: OpContext) -> list[Outcome]:
    """Communicator, X... -> X..., in place."""
    return list(context.inputs[1:])


@rule(*_QUANTIZED.split())
def _quantized(context: OpContext) -> list[Outcome]:
    return [TensorType(context.input(0).shape, DataType.UINT8)]


@rule("Int8Dequantize", "HalfToFloat")
def _to_float(context: OpContext) -> list[Outcome]:
    return [TensorType(context.input(0).shape, DataType.FLOAT)]


@rule("FloatToHalf")
def _to_half(context: OpContext) -> list[Outcome]:
    return [TensorType(context.input(0).shape, DataType.FLOAT16)]


@rule("Not", "IsMemberOf")
def _to_bool(context: OpContext) -> list[Outcome]:
    return [TensorType(context.input(0).shape, DataType.BOOL)]


@rule("IsNaN")
def _is_nan(context: OpContext) -> list[Outcome]:
    return [TensorType(context.input(0).shape, DataType.UINT8)]


@rule("Bucketize")
def _bucketize(context: OpContext) -> list[Outcome]:
    return [TensorType(context.input(0).shape, DataType.INT32)]


@rule("Cast")
def _cast(context: OpContext) -> list[Outcome]:
    data = context.input(0)
    target = context.arguments.get("to")
    if target is not None and target.HasField("s"):
        return [TensorType(data.shape, DataType.parse(context.text("to", "")))]
    return [TensorType(data.shape, data_type(context.integer("to", DataType.FLOAT)))]


def data_type(number: int) -> DataType:
    """Return the type of a number.

    Raises
    ------
    ShapeError
        If there is no such type.
    """
    try:
        return DataType(number)
    except ValueError:
        raise ShapeError(f"there is no data type {number}") from None


@rule("PRelu")
def _prelu(context: OpContext) -> list[Outcome]:
    data, slope = context.input(0), context.optional(1)
    if slope is not None and slope.numel != 1:
        at_least("data", data, 2)
        elements("slope", slope, data.shape[-1] if context.channels_last else data.shape[1])
    return [data]


@rule(*(f"{name}Gradient" for name in _GRADIENTS.split()))
def _elementwise_gradient(context: OpContext) -> list[Outcome]:
    return [any_known(context, range(len(context.inputs)))]


@rule("Sum", "SumRelu", "Max", "Min", "Mean", "Int8Sum", "Int8SumRelu", "Int8Add", "Int8AddRelu")
def _alike(context: OpContext) -> list[Outcome]:
    return [any_known(context, range(len(context.inputs)))]


@rule("MaxGradient", "MinGradient")
def _extremum_gradient(context: OpContext) -> list[Outcome]:
    """Y, dY, X... -> dX..."""
    return list(context.inputs[2:])


@rule("MeanGradient")
def _mean_gradient(context: OpContext) -> list[Outcome]:
    return [context.input(0)] * len(context.op.output)


def broadcast(left: tuple[int, ...], right: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape that two shapes broadcast to, by numpy's rules.

    Raises
    ------
    ShapeError
        If they do not broadcast.
    """
    if left == right:
        return left
    ndim = max(len(left), len(right))
    dims = []
    for a, b in zip(
        (1,) * (ndim - len(left)) + left, (1,) * (ndim - len(right)) + right, strict=True
    ):
        if a != b and a != 1 and b != 1:
            raise ShapeError(f"{list(left)} and {list(right)} do not broadcast")
        dims.append(b if a == 1 else a)
    return tuple(dims)


def _check_legacy(context: OpContext, left: tuple[int, ...], right: tuple[int, ...]) -> None:
    """Raise if the second shape is not a contiguous part of the first one."""
    axis = context.integer("axis", -1)
    letter = context.text("axis_str", "")
    if axis == -1 and letter:
        axis = context.text("order", "NCHW").find(letter)
        if axis < 0:
            raise ShapeError(f"no axis {letter!r} in the storage order")
    elif axis == -1:
        axis = len(left) - len(right)
    first, last = 0, len(right)
    while first < last and right[first] == 1:
        first += 1
    while last > first and right[last - 1] == 1:
        last -= 1
    if axis < 0 or axis + last > len(left) or left[axis + first : axis + last] != right[first:last]:
        raise ShapeError(f"{list(right)} is no part of {list(left)} at axis {axis}")


def _combined(context: OpContext) -> TensorType:
    left = context.input(0)
    if len(context.op.input) < 2:
        raise ShapeError("needs at least 2 inputs, has 1")
    right = context.optional(1)
    if right is not None and right.dtype != left.dtype:
        raise ShapeError(f"inputs of types {left.dtype.name} and {right.dtype.name}")
    if context.integer("broadcast", 0):
        if right is not None and right.numel != 1:
            _check_legacy(context, left.shape, right.shape)
        return left
    return left.with_shape(broadcast(left.shape, context.input(1).shape))


@rule("Add", "Sub", "Mul", "Div", "BitwiseAnd", "BitwiseOr", "BitwiseXor")
def _arithmetic(context: OpContext) -> list[Outcome]:
    return [_combined(context)]


@rule("EQ", "NE", "LT", "LE", "GT", "GE", "And", "Or", "Xor")
def _comparison(context: OpContext) -> list[Outcome]:
    return [TensorType(_combined(context).shape, DataType.BOOL)]


@rule("Pow")
def _pow(context: OpContext) -> list[Outcome]:
    base, exponent = context.input(0), context.optional(1)
    if exponent is not None and exponent.shape != base.shape:
        if not context.integer("broadcast", 0):
            raise ShapeError(
                f"exponents {list(exponent.shape)} for {list(base.shape)} without broadcast"
            )
        if exponent.numel != 1:
            _check_legacy(context, base.shape, exponent.shape)
    return [base]


@rule("Where", "Conditional")
def _where(context: OpContext) -> list[Outcome]:
    return [any_known(context, (1, 2))]


@rule("SumReduceLike")
def _sum_reduce_like(context: OpContext) -> list[Outcome]:
    return [context.input(1)]
