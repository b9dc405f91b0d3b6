"""Operators that change how a tensor is laid out or how large its image is."""

from __future__ import annotations

import math

import numpy

from memonger.errors import ShapeError
from memonger.net.shapes.elementwise import broadcast
from memonger.net.shapes.rules import (
    OpContext,
    Outcome,
    UnknowableError,
    Values,
    at_least,
    canonical_axis,
    elements,
    rule,
)
from memonger.net.tensors import DataType, TensorType


def _reshaped(data: TensorType, wanted: Values) -> TensorType:
    dims = list(wanted)
    if data.numel:
        # A 0 copies the dimension of the input, as in Caffe.
        for axis, size in enumerate(data.shape[: len(dims)]):
            if dims[axis] == 0:
                dims[axis] = size
    free = [axis for axis, dim in enumerate(dims) if dim == -1]
    if len(free) > 1:
        raise ShapeError(f"shape {list(wanted)} has more than one -1")
    rest = math.prod(dim for dim in dims if dim != -1)
    if free:
        dims[free[0]] = data.numel // rest if rest and data.numel else 0
    out = data.with_shape(dims)
    # Caffe2 lets an empty tensor become anything.
    if data.numel and out.numel != data.numel:
        raise ShapeError(f"{list(data.shape)} cannot become {list(wanted)}")
    return out


@rule("Reshape", "Int8Reshape")
def _reshape(context: OpContext) -> list[Outcome]:
    """X, [shape] -> Y, old shape."""
    data = context.input(0)
    index_type = DataType.INT64
    reshaped: Outcome
    if len(context.inputs) > 1:
        shape = context.optional(1)
        index_type = DataType.INT64 if shape is None else shape.dtype
        values = context.values(1)
        if values is None:
            reshaped = f"the value of input {context.op.input[1]!r} is not known"
        else:
            reshaped = _reshaped(data, values)
        if shape is None:
            return [reshaped, context.missing(1)]
    elif context.has("shape"):
        reshaped = _reshaped(data, context.integers("shape"))
    else:
        raise ShapeError("has neither a shape argument nor a shape input")
    return [reshaped, TensorType((len(data.shape),), index_type)]


@rule("Flatten", "Int8Flatten")
def _flatten(context: OpContext) -> list[Outcome]:
    data = context.input(0)
    axis = context.integer("axis", 1)
    if not 0 <= axis <= len(data.shape):
        raise ShapeError(f"axis {axis} of a tensor with {len(data.shape)} dimensions")
    return [data.with_shape((math.prod(data.shape[:axis]), math.prod(data.shape[axis:])))]


@rule("FlattenToVec")
def _flatten_to_vector(context: OpContext) -> list[Outcome]:
    data = context.input(0)
    at_least("data", data, 1)
    return [data.with_shape((data.numel,))]


@rule("ResizeLike")
def _resize_like(context: OpContext) -> list[Outcome]:
    data, like = context.input(0), context.input(1)
    elements("data", data, like.numel)
    return [data.with_shape(like.shape)]


@rule("Transpose", "Int8Transpose")
def _transpose(context: OpContext) -> list[Outcome]:
    data = context.input(0)
    axes = context.integers("axes") or tuple(reversed(range(len(data.shape))))
    if sorted(axes) != list(range(len(data.shape))):
        raise ShapeError(f"axes {list(axes)} do not permute {len(data.shape)} dimensions")
    return [data.with_shape(data.shape[axis] for axis in axes)]


@rule("NCHW2NHWC")
def _to_channels_last(context: OpContext) -> list[Outcome]:
    data = context.input(0)
    at_least("image", data, 3)
    return [data.with_shape((data.shape[0], *data.shape[2:], data.shape[1]))]


@rule("NHWC2NCHW")
def _to_channels_first(context: OpContext) -> list[Outcome]:
    data = context.input(0)
    at_least("image", data, 3)
    return [data.with_shape((data.shape[0], data.shape[-1], *data.shape[1:-1]))]


def _dims_argument(context: OpContext) -> list[int]:
    dims = sorted(set(context.integers("dims")))
    if not dims or dims[0] < 0:
        raise ShapeError(f"dims {dims} must be given, and not negative")
    return dims


@rule("Squeeze")
def _squeeze(context: OpContext) -> list[Outcome]:
    data, dims = context.input(0), _dims_argument(context)
    if dims[-1] >= len(data.shape) or any(data.shape[axis] != 1 for axis in dims):
        raise ShapeError(f"dims {dims} of {list(data.shape)} are not all 1")
    dropped = set(dims)
    return [data.with_shape(size for axis, size in enumerate(data.shape) if axis not in dropped)]


@rule("ExpandDims")
def _expand_dims(context: OpContext) -> list[Outcome]:
    data, dims = context.input(0), _dims_argument(context)
    if dims[-1] >= len(data.shape) + len(dims):
        raise ShapeError(f"dims {dims} of a tensor with {len(data.shape)} dimensions")
    shape = list(data.shape)
    for axis in dims:
        shape.insert(axis, 1)
    return [data.with_shape(shape)]


@rule("MergeDim")
def _merge_dim(context: OpContext) -> list[Outcome]:
    data = context.input(0)
    at_least("data", data, 2)
    return [data.with_shape((data.shape[0] * data.shape[1], *data.shape[2:]))]


@rule("PrependDim")
def _prepend_dim(context: OpContext) -> list[Outcome]:
    data, size = context.input(0), context.integer("dim_size", 0)
    at_least("data", data, 1)
    if size < 1 or data.shape[0] % size:
        raise ShapeError(f"dim_size {size} does not divide {data.shape[0]}")
    return [data.with_shape((size, data.shape[0] // size, *data.shape[1:]))]


def _tiling(context: OpContext, position: int) -> tuple[int, int]:
    """Return how many tiles along which axis, from inputs or arguments."""
    numbers = []
    for offset, name in enumerate(("tiles", "axis")):
        if position + offset < len(context.op.input):
            numbers.append(context.required_value(position + offset))
        elif context.has(name):
            numbers.append(context.integer(name, 0))
        else:
            raise ShapeError(f"has neither an argument nor an input {name}")
    return numbers[0], numbers[1]


@rule("Tile", "TileGradient")
def _tile(context: OpContext) -> list[Outcome]:
    data = context.input(0)
    tiles, axis = _tiling(context, 1)
    axis = canonical_axis(axis, len(data.shape))
    size = data.shape[axis]
    if context.op.type == "Tile":
        size *= tiles
    elif tiles < 1 or size % tiles:
        raise ShapeError(f"{tiles} tiles do not divide {size}")
    else:
        size //= tiles
    return [data.with_shape((*data.shape[:axis], size, *data.shape[axis + 1 :]))]


@rule("Expand")
def _expand(context: OpContext) -> list[Outcome]:
    data = context.input(0)
    return [data.with_shape(broadcast(data.shape, context.required_values(1)))]


@rule("NumpyTile")
def _numpy_tile(context: OpContext) -> list[Outcome]:
    data, repeats = context.input(0), context.required_values(1)
    if len(repeats) != len(data.shape):
        raise ShapeError(f"{len(repeats)} repeats for {len(data.shape)} dimensions")
    return [data.with_shape(s * r for s, r in zip(data.shape, repeats, strict=True))]


def _scaled(size: int, scale: float) -> int:
    # Caffe2 multiplies in single precision, and the last bit decides.
    product = size * scale
    if not 0 <= product < 2**31:
        raise ShapeError(f"{size} scaled by {scale}")
    return int(numpy.float32(product))


@rule("ResizeNearest", "ResizeBilinear", "UpsampleBilinear", "Int8ResizeNearest")
def _resize(context: OpContext) -> list[Outcome]:
    data = context.input(0)
    if len(data.shape) != 4:
        raise ShapeError(f"image {list(data.shape)} does not have 4 dimensions")
    if len(context.op.input) > 1:
        raise UnknowableError(f"the value of input {context.op.input[1]!r} is not known")
    if context.integers("output_size"):
        raise UnknowableError("sizes given by output_size are not modelled")
    batch, *middle = data.shape
    channels, height, width = middle if not context.channels_last else (middle[2], *middle[:2])
    height = _scaled(height, context.number("height_scale", 1.0))
    width = _scaled(width, context.number("width_scale", 1.0))
    if context.channels_last:
        return [data.with_shape((batch, height, width, channels))]
    return [data.with_shape((batch, channels, height, width))]


@rule("SpaceToBatch", "BatchToSpace")
def _space_batch(context: OpContext) -> list[Outcome]:
    data = context.input(0)
    if len(data.shape) != 4 or context.channels_last:
        raise UnknowableError("only 4-dimensional NCHW images are modelled")
    batch, channels, height, width = data.shape
    block = context.integer("block_size", 2)
    # Caffe2 reads the other sides from ``pad`` alone, whatever they are called.
    pad = context.integer("pad", 0)
    tall, wide = context.integer("pad_t", pad) + pad, 2 * pad
    if block < 1:
        raise ShapeError(f"block_size {block} is not positive")
    if context.op.type == "SpaceToBatch":
        height, width = height + tall, width + wide
        if height % block or width % block:
            raise ShapeError(f"padded image {height} x {width} in blocks of {block}")
        shape = (batch * block * block, channels, height // block, width // block)
    else:
        if batch % (block * block):
            raise ShapeError(f"batch {batch} in blocks of {block} x {block}")
        height, width = height * block - tall, width * block - wide
        shape = (batch // (block * block), channels, height, width)
    return [data.with_shape(shape)]
