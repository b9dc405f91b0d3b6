"""Operators that join tensors, cut them up, or pick parts of them."""

from __future__ import annotations

from memonger.errors import ShapeError
from memonger.net.shapes.rules import (
    OpContext,
    Outcome,
    UnknowableError,
    Values,
    at_least,
    canonical_axis,
    rule,
)
from memonger.net.tensors import DataType, TensorType


def _axis(context: OpContext, ndim: int) -> int:
    """Return the axis to join or cut at: that of the channels unless ``axis`` is given."""
    if context.has("axis"):
        return canonical_axis(context.integer("axis", 1), ndim)
    if context.op.type.startswith("Depth"):
        return canonical_axis(1, ndim)
    return canonical_axis(3 if context.channels_last else 1, ndim)


def joined_sizes(context: OpContext) -> Values | None:
    """Return the size of every input of a ``Concat`` along its axis, if all are known."""
    if context.integer("add_axis", 0) and context.has("axis"):
        return (1,) * len(context.inputs)
    sizes = []
    for known in context.inputs:
        if known is None:
            return None
        sizes.append(known.shape[_axis(context, len(known.shape))])
    return tuple(sizes)


@rule("Concat", "DepthConcat", "Int8Concat")
def _concat(context: OpContext) -> list[Outcome]:
    """X... -> Y, sizes of the parts."""
    first = context.input(0)
    parts = [context.input(position) for position in range(len(context.inputs))]
    info = TensorType((len(parts),), DataType.INT32)
    add_axis = bool(context.has("axis") and context.integer("add_axis", 0))
    axis = _axis(context, len(first.shape) + add_axis)
    total = 0
    for part in parts:
        if part.dtype != first.dtype:
            raise ShapeError(f"inputs of types {first.dtype.name} and {part.dtype.name}")
        same = (
            part.shape == first.shape
            if add_axis
            else len(part.shape) == len(first.shape)
            and part.shape[:axis] == first.shape[:axis]
            and part.shape[axis + 1 :] == first.shape[axis + 1 :]
        )
        if not same:
            shapes = f"{list(first.shape)} and {list(part.shape)}"
            raise ShapeError(f"{shapes} do not join at axis {axis}")
        total += 1 if add_axis else part.shape[axis]
    rest = first.shape[axis if add_axis else axis + 1 :]
    joined = first.with_shape((*first.shape[:axis], total, *rest))
    return [joined, "not written by a quantized Concat" if context.int8 else info]


def _parts(context: OpContext, size: int) -> Values:
    """Return the sizes of the parts of a ``Split``."""
    count = len(context.op.output)
    if len(context.op.input) > 1:
        return context.required_values(1)
    parts = context.integers("split")
    if not parts:
        if count == 0 or size % count:
            raise ShapeError(f"{size} does not split into {count} equal parts")
        parts = (size // count,) * count
    return parts


@rule("Split", "DepthSplit")
def _split(context: OpContext) -> list[Outcome]:
    data = context.input(0)
    axis = _axis(context, len(data.shape))
    size, count = data.shape[axis], len(context.op.output)
    before, after = data.shape[:axis], data.shape[axis + 1 :]
    if context.has("axis") and context.integer("add_axis", 0):
        # The gradient of a Concat that added an axis.
        if size != count:
            raise ShapeError(f"{size} slices for {count} outputs")
        return [data.with_shape((*before, *after))] * count
    parts = _parts(context, size)
    if len(parts) != count or sum(parts) != size:
        raise ShapeError(f"{size} does not split into {list(parts)} for {count} outputs")
    return [data.with_shape((*before, part, *after)) for part in parts]


@rule("SplitByLengths")
def _split_by_lengths(context: OpContext) -> list[Outcome]:
    data, lengths = context.input(0), context.required_values(1)
    axis, count = _axis(context, len(data.shape)), len(context.op.output)
    if context.integer("use_scaling_lengths", 0):
        raise UnknowableError("scaled lengths are not modelled")
    if count == 0 or len(lengths) % count or sum(lengths) != data.shape[axis]:
        raise ShapeError(f"{data.shape[axis]} does not split by lengths {list(lengths)}")
    each = len(lengths) // count
    parts = [sum(lengths[i * each : (i + 1) * each]) for i in range(count)]
    return [data.with_shape((*data.shape[:axis], p, *data.shape[axis + 1 :])) for p in parts]


def slice_bounds(context: OpContext, shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return where a ``Slice`` starts and ends along every axis."""
    if len(context.op.input) > 1:
        starts, ends = context.required_values(1), context.required_values(2)
    else:
        starts, ends = context.integers("starts"), context.integers("ends")
    if len(starts) != len(ends) or len(starts) > len(shape):
        raise ShapeError(f"starts {list(starts)} and ends {list(ends)} for {list(shape)}")
    bounds = []
    for axis, size in enumerate(shape):
        if axis >= len(starts) or size == 0:
            bounds.append((0, size))
            continue
        # -1 stands for the end itself, unlike in Python.
        start, end = (b + size + 1 if b < 0 else b for b in (starts[axis], ends[axis]))
        start, end = min(start, size), min(end, size)
        if not 0 <= start <= end:
            raise ShapeError(f"slice from {starts[axis]} to {ends[axis]} of {size} elements")
        bounds.append((start, end))
    return bounds


@rule("Slice", "Int8Slice")
def _slice(context: OpContext) -> list[Outcome]:
    data = context.input(0)
    bounds = slice_bounds(context, data.shape)
    cut = sum((e - b) != size for (b, e), size in zip(bounds, data.shape, strict=True))
    if cut > 1 and data.numel:
        raise ShapeError(f"slices {cut} dimensions at once; Caffe2 slices one")
    return [data.with_shape(end - start for start, end in bounds)]


@rule("Gather", "BatchGather")
def _gather(context: OpContext) -> list[Outcome]:
    data, indices = context.input(0), context.input(1)
    default = 1 if context.op.type == "BatchGather" else 0
    axis = canonical_axis(context.integer("axis", default), len(data.shape))
    picked = indices.shape
    if context.integer("match_outer", 0):
        if picked[:axis] != data.shape[:axis] or len(picked) < axis:
            raise ShapeError(f"indices {list(picked)} do not match {list(data.shape)}")
        picked = picked[axis:]
    return [data.with_shape((*data.shape[:axis], *picked, *data.shape[axis + 1 :]))]


@rule("TopK")
def _top_k(context: OpContext) -> list[Outcome]:
    """X, [k] -> values, indices, [flattened indices]."""
    data = context.input(0)
    k = context.required_value(1) if len(context.op.input) > 1 else context.integer("k", -1)
    if k < 1:
        raise ShapeError(f"k is {k}, not positive")
    axis = canonical_axis(context.integer("axis", -1), len(data.shape))
    picked = data.with_shape((*data.shape[:axis], k, *data.shape[axis + 1 :]))
    indices = TensorType(picked.shape, DataType.INT64)
    return [picked, indices, indices.with_shape((picked.numel,))]


@rule("Glu")
def _glu(context: OpContext) -> list[Outcome]:
    data = context.input(0)
    axis = canonical_axis(context.integer("dim", -1), len(data.shape))
    if data.shape[axis] % 2:
        raise ShapeError(f"{data.shape[axis]} is not even")
    return [data.with_shape((*data.shape[:axis], data.shape[axis] // 2, *data.shape[axis + 1 :]))]


@rule("OneHot", "SegmentOneHot")
def _one_hot(context: OpContext) -> list[Outcome]:
    # Indices, number of classes; or lengths, indices, number of classes.
    rows = context.input(0)
    if len(rows.shape) != 1:
        raise ShapeError(f"indices {list(rows.shape)} do not have 1 dimension")
    classes = context.required_value(len(context.op.input) - 1)
    return [TensorType((rows.shape[0], classes), DataType.FLOAT)]


@rule("BatchOneHot")
def _batch_one_hot(context: OpContext) -> list[Outcome]:
    data, values = context.input(0), context.input(2)
    at_least("data", data, 1)
    at_least("values", values, 1)
    return [data.with_shape((data.shape[0], values.shape[0]))]
