"""Values of small integer tensors, as far as shapes depend on them."""

from __future__ import annotations

from memonger.net.shapes.fillers import range_terms
from memonger.net.shapes.joining import joined_sizes, slice_bounds
from memonger.net.shapes.rules import OpContext, Values, value_rule
from memonger.net.tensors import DataType, TensorType

MAX_ELEMENTS = 4096
"""Longer tensors are data, not shapes."""

LIMITS = {DataType.INT32: 2**31, DataType.INT64: 2**63}
"""The integer types whose values matter, with their bounds."""


def representable(known: TensorType, values: Values) -> bool:
    """Tell whether these are values that a tensor of this type can hold."""
    limit = LIMITS.get(known.dtype)
    return limit is not None and all(-limit <= value < limit for value in values)


@value_rule("GivenTensorIntFill", "GivenTensorInt64Fill")
def _given(context: OpContext) -> list[Values | None]:
    arg = context.arguments.get("values")
    if arg is None or len(arg.ints) > MAX_ELEMENTS:
        return []
    return [tuple(arg.ints)]


@value_rule("ConstantFill")
def _constant(context: OpContext) -> list[Values | None]:
    count = 1
    for dim in _filled(context):
        count *= dim
    value = context.arguments.get("value")
    if count > MAX_ELEMENTS or (value is not None and not value.HasField("i")):
        return []
    return [(0 if value is None else value.i,) * count]


def _filled(context: OpContext) -> Values:
    if not context.op.input:
        return context.integers("shape")
    if context.integer("input_as_shape", 0):
        return (*context.required_values(0), *context.integers("extra_shape"))
    return (*context.input(0).shape, *context.integers("extra_shape"))


@value_rule(
    *("Alias", "AliasWithName", "Cast", "Copy", "CopyCPUToGPU", "CopyFromCPUInput", "CopyGPUToCPU"),
    *("EnsureCPUOutput", "ExpandDims", "Flatten", "FlattenToVec", "Squeeze", "StopGradient"),
)
def _unchanged(context: OpContext) -> list[Values | None]:
    return [context.values(0)]


@value_rule("Reshape")
def _reshape(context: OpContext) -> list[Values | None]:
    return [context.values(0), context.input(0).shape]


@value_rule("Shape")
def _shape(context: OpContext) -> list[Values | None]:
    shape, axes = context.input(0).shape, context.integers("axes")
    return [tuple(shape[axis] for axis in axes if 0 <= axis < len(shape)) if axes else shape]


@value_rule("Size")
def _size(context: OpContext) -> list[Values | None]:
    return [(context.input(0).numel,)]


@value_rule("Range")
def _range(context: OpContext) -> list[Values | None]:
    start, step, count = range_terms(context)
    if count > MAX_ELEMENTS:
        return []
    return [tuple(start + step * i for i in range(count))]


@value_rule("Concat", "DepthConcat")
def _concat(context: OpContext) -> list[Values | None]:
    sizes = joined_sizes(context)
    parts = [context.values(position) for position in range(len(context.inputs))]
    flat = all(known is not None and len(known.shape) == 1 for known in context.inputs)
    if not flat or sum(len(part) for part in parts if part is not None) > MAX_ELEMENTS:
        return [None, sizes]
    if any(part is None for part in parts):
        return [None, sizes]
    return [tuple(value for part in parts if part is not None for value in part), sizes]


@value_rule("Slice")
def _slice(context: OpContext) -> list[Values | None]:
    values, known = context.values(0), context.input(0)
    if values is None or len(known.shape) != 1:
        return []
    start, end = slice_bounds(context, known.shape)[0]
    return [values[start:end]]


@value_rule("Gather")
def _gather(context: OpContext) -> list[Values | None]:
    values, indices = context.values(0), context.values(1)
    if values is None or indices is None or len(context.input(0).shape) != 1:
        return []
    if not all(0 <= index < len(values) for index in indices):
        return []
    return [tuple(values[index] for index in indices)]
