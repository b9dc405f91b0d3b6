"""Operators that fill a tensor: from arguments, from a shape, or like another one."""

from __future__ import annotations

from memonger.errors import ShapeError
from memonger.net.shapes.elementwise import data_type
from memonger.net.shapes.rules import OpContext, Outcome, UnknowableError, Values, rule
from memonger.net.tensors import DataType, TensorType


def filled_shape(context: OpContext) -> Values:
    """Return the shape that a fill makes.

    Raises
    ------
    ShapeError
        If it is given twice or is impossible.
    UnknowableError
        If it comes from an input that is not known.
    """
    shape, extra = context.integers("shape"), context.integers("extra_shape")
    if not context.op.input:
        if extra:
            raise ShapeError("extra_shape is set without an input")
        return shape
    if shape:
        raise ShapeError("has both a shape argument and an input")
    if context.integer("input_as_shape", 0):
        return (*context.required_values(0), *extra)
    return (*context.input(0).shape, *extra)


def _fill(context: OpContext, dtype: DataType) -> list[Outcome]:
    return [TensorType(filled_shape(context), dtype)]


@rule("XavierFill", "MSRAFill", "GaussianFill", "UniformFill", "GivenTensorFill")
def _float_fill(context: OpContext) -> list[Outcome]:
    return _fill(context, DataType.FLOAT)


@rule("GivenTensorIntFill", "UniformIntFill", "Int8GivenIntTensorFill")
def _int32_fill(context: OpContext) -> list[Outcome]:
    return _fill(context, DataType.INT32)


@rule("GivenTensorInt64Fill")
def _int64_fill(context: OpContext) -> list[Outcome]:
    return _fill(context, DataType.INT64)


@rule("GivenTensorInt16Fill")
def _int16_fill(context: OpContext) -> list[Outcome]:
    return _fill(context, DataType.INT16)


@rule("GivenTensorBoolFill")
def _bool_fill(context: OpContext) -> list[Outcome]:
    return _fill(context, DataType.BOOL)


@rule("GivenTensorDoubleFill")
def _double_fill(context: OpContext) -> list[Outcome]:
    return _fill(context, DataType.DOUBLE)


@rule("GivenTensorStringFill")
def _string_fill(context: OpContext) -> list[Outcome]:
    return _fill(context, DataType.STRING)


@rule("Int8GivenTensorFill", "GivenTensorByteStringToUInt8Fill")
def _uint8_fill(context: OpContext) -> list[Outcome]:
    return _fill(context, DataType.UINT8)


@rule("Float16ConstantFill", "Float16UniformFill")
def _half_fill(context: OpContext) -> list[Outcome]:
    return _fill(context, DataType.FLOAT16)


@rule("UniqueUniformFill")
def _unique_fill(context: OpContext) -> list[Outcome]:
    return _fill(context, data_type(context.integer("dtype", DataType.INT32)))


@rule("ConstantFill", "DiagonalFill")
def _constant_fill(context: OpContext) -> list[Outcome]:
    if context.has("dtype"):
        return _fill(context, data_type(context.integer("dtype", DataType.FLOAT)))
    value = context.arguments.get("value")
    if value is None or value.HasField("f"):
        return _fill(context, DataType.FLOAT)
    if value.HasField("i"):
        return _fill(context, DataType.INT64)
    raise UnknowableError("argument 'value' is no number")


@rule("RangeFill")
def _range_fill(context: OpContext) -> list[Outcome]:
    return [TensorType(context.input(0).shape, DataType.FLOAT)]


def range_terms(context: OpContext) -> tuple[int, int, int]:
    """Return start, step and number of elements of a ``Range`` of integers."""
    numbers = [context.required_value(position) for position in range(len(context.op.input))]
    if not 1 <= len(numbers) <= 3:
        raise ShapeError(f"has {len(numbers)} inputs instead of 1 to 3")
    start, stop = (0, numbers[0]) if len(numbers) == 1 else numbers[:2]
    step = numbers[2] if len(numbers) == 3 else 1
    if step == 0:
        raise ShapeError("step is 0")
    # Caffe2 rounds towards zero, and then up if that falls short of the stop; so a falling
    # range ends early when the step does not divide it.
    count = abs(stop - start) // abs(step)
    if (stop < start) != (step < 0):
        count = -count
    if count * step < stop - start:
        count += 1
    return start, step, max(0, count)


@rule("Range")
def _range(context: OpContext) -> list[Outcome]:
    dtype = context.input(0).dtype
    return [TensorType((range_terms(context)[2],), dtype)]


@rule("Shape")
def _shape(context: OpContext) -> list[Outcome]:
    ndim = len(context.input(0).shape)
    axes = context.integers("axes")
    if any(not 0 <= axis < ndim for axis in axes):
        raise ShapeError(f"axes {list(axes)} of a tensor with {ndim} dimensions")
    return [TensorType((len(axes) if axes else ndim,), DataType.INT64)]


@rule("Size")
def _size(context: OpContext) -> list[Outcome]:
    return [TensorType((), DataType.INT64)]


@rule("IsEmpty", "HasElements")
def _flag(context: OpContext) -> list[Outcome]:
    return [TensorType((), DataType.BOOL)]


@rule("Iter")
def _iter(context: OpContext) -> list[Outcome]:
    known = context.optional(0)
    return [TensorType((1,), DataType.INT64) if known is None else known]


@rule("LearningRate")
def _learning_rate(context: OpContext) -> list[Outcome]:
    return [TensorType((), DataType.FLOAT)]
