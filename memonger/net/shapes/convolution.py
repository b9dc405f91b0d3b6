"""Convolution, transposed convolution, pooling, and padding of images.

Sizes follow Caffe2's ``ConvPoolOpBase`` and ``ConvTransposeUnpoolBase``.
"""

from __future__ import annotations

from dataclasses import dataclass

from memonger.errors import ShapeError
from memonger.net.shapes.rules import OpContext, Outcome, at_least, elements, rule
from memonger.net.tensors import DataType, TensorType

_VALID, _SAME, _CAFFE_POOLING = 1, 2, 3


def _per_axis(context: OpContext, plural: str, single: str) -> list[int]:
    """Return one value per spatial axis, from whichever of the three spellings is used."""
    values = list(context.integers(plural))
    if context.has(single):
        # Caffe2 resizes to two: a list that is already there keeps its first values.
        values = [*values, *[context.integer(single, 0)] * 2][:2]
    elif context.has(f"{single}_h") and context.has(f"{single}_w"):
        values += [context.integer(f"{single}_h", 0), context.integer(f"{single}_w", 0)]
    return values


def _padding(context: OpContext) -> list[int]:
    """Return the pads of all heads, then of all tails."""
    values = list(context.integers("pads"))
    if context.has("pad"):
        return [*values, *[context.integer("pad", 0)] * 4][:4]
    sides = ("pad_t", "pad_l", "pad_b", "pad_r")
    if all(context.has(side) for side in sides):
        values += [context.integer(side, 0) for side in sides]
    return values


@dataclass(frozen=True)
class _Window:
    """Kernel, stride, dilation, pads and adjustment along one spatial axis."""

    kernel: int
    stride: int
    dilation: int
    head: int
    tail: int
    adjustment: int = 0


def _windows(context: OpContext, ndim: int) -> list[_Window]:
    """Return the window along every spatial axis."""
    kernel = _per_axis(context, "kernels", "kernel") or [0, 0]
    stride = _per_axis(context, "strides", "stride") or [1] * len(kernel)
    dilation = _per_axis(context, "dilations", "dilation") or [1] * len(kernel)
    adjustment = _per_axis(context, "adjs", "adj") or [0] * len(kernel)
    pads = _padding(context) or [0] * (2 * len(kernel))
    sized = (("kernel", kernel), ("stride", stride), ("dilation", dilation), ("adj", adjustment))
    for name, values in (*sized, ("pads", pads)):
        expected = 2 * ndim if name == "pads" else ndim
        # Pooling ignores values beyond the last axis, as ``kernel`` gives for one axis.
        if len(values) < expected or (len(values) > expected and "Pool" not in context.op.type):
            raise ShapeError(f"{len(values)} values of {name} for {ndim} spatial dimensions")
    for name, values in sized[:3]:
        if min(values, default=1) <= 0:
            raise ShapeError(f"{name} {values} is not positive")
    return [
        _Window(kernel[i], stride[i], dilation[i], pads[i], pads[ndim + i], adjustment[i])
        for i in range(ndim)
    ]


def _output_size(size: int, window: _Window, legacy_pad: int) -> int:
    reach = window.dilation * (window.kernel - 1) + 1
    if legacy_pad == _SAME:
        return -(-size // window.stride)
    if legacy_pad == _CAFFE_POOLING:
        # Caffe rounds up, but lets no window start in the padding behind the image.
        out = -(-(size + 2 * window.head - window.kernel) // window.stride) + 1
        if window.head > 0 and (out - 1) * window.stride >= size + window.head:
            out -= 1
        return out
    if legacy_pad == _VALID:
        # Division rounds towards zero: a window that is too large may still count once.
        spare = size - reach
        return (spare // window.stride if spare >= 0 else -(-spare // window.stride)) + 1
    padded = size + window.head + window.tail
    if padded < reach:
        raise ShapeError(f"a window of {reach} does not fit into {padded} elements")
    return (padded - reach) // window.stride + 1


def _image(context: OpContext) -> tuple[TensorType, int, tuple[int, ...]]:
    """Return the type of the image, its channels and its spatial dimensions."""
    image = context.input(0)
    at_least("image", image, 3)
    if 0 in image.shape[1:]:
        raise ShapeError(f"image {list(image.shape)} is empty")
    if context.channels_last:
        return image, image.shape[-1], image.shape[1:-1]
    return image, image.shape[1], image.shape[2:]


def _assemble(
    context: OpContext, image: TensorType, channels: int, spatial: list[int]
) -> TensorType:
    if context.channels_last:
        return image.with_shape((image.shape[0], *spatial, channels))
    return image.with_shape((image.shape[0], channels, *spatial))


@rule("Conv", "Conv1D", "Conv2D", "Conv3D", "ConvRelu", "Int8Conv", "Int8ConvRelu")
def _conv(context: OpContext) -> list[Outcome]:
    image, channels, spatial = _image(context)
    weights = context.input(1)
    if len(weights.shape) != len(image.shape):
        raise ShapeError(f"weights {list(weights.shape)} for an image {list(image.shape)}")
    if context.integer("global_pooling", 0):
        raise ShapeError("global_pooling is set on a convolution")
    last = context.channels_last
    kernel = weights.shape[1:-1] if last else weights.shape[2:]
    group = context.integer("group", 1)
    outputs, depth = weights.shape[0], weights.shape[-1] if last else weights.shape[1]
    if group < 1 or channels != depth * group or outputs % group:
        raise ShapeError(
            f"{channels} channels in {group} groups do not fit weights {list(weights.shape)}"
        )
    windows = _windows(context, len(spatial))
    if tuple(window.kernel for window in windows) != kernel:
        raise ShapeError(f"kernel does not fit weights {list(weights.shape)}")
    elements("bias", context.optional(2), outputs)
    legacy_pad = context.integer("legacy_pad", 0)
    sizes = [_output_size(s, w, legacy_pad) for s, w in zip(spatial, windows, strict=True)]
    return [_assemble(context, image, outputs, sizes)]


@rule("ConvTranspose", "Int8ConvTranspose")
def _conv_transpose(context: OpContext) -> list[Outcome]:
    image, channels, spatial = _image(context)
    weights = context.input(1)
    if len(weights.shape) != len(image.shape):
        raise ShapeError(f"weights {list(weights.shape)} for an image {list(image.shape)}")
    last = context.channels_last
    if weights.shape[0] != channels:
        raise ShapeError(f"{channels} channels do not fit weights {list(weights.shape)}")
    windows = _windows(context, len(spatial))
    if tuple(w.kernel for w in windows) != (weights.shape[1:-1] if last else weights.shape[2:]):
        raise ShapeError(f"kernel does not fit weights {list(weights.shape)}")
    depth = weights.shape[-1] if last else weights.shape[1]
    outputs = depth * context.integer("group", 1)
    elements("bias", context.optional(2), outputs)
    legacy_pad = context.integer("legacy_pad", 0)
    if legacy_pad == _CAFFE_POOLING:
        raise ShapeError("Caffe's legacy padding is for pooling only")
    sizes = []
    for size, window in zip(spatial, windows, strict=True):
        full = (size - 1) * window.stride + window.kernel + window.adjustment
        sizes.append(full if legacy_pad else full - window.head - window.tail)
    return [_assemble(context, image, outputs, sizes)]


@rule(
    *(f"{kind}Pool{ndim}" for kind in ("Max", "Average", "Lp") for ndim in ("", "1D", "2D", "3D")),
    *("Int8MaxPool", "Int8MaxPoolRelu", "Int8AveragePool", "Int8AveragePoolRelu"),
    "MaxPoolWithIndex",
)
def _pool(context: OpContext) -> list[Outcome]:
    image, channels, spatial = _image(context)
    if context.integer("global_pooling", 0):
        sizes = [1] * len(spatial)
    else:
        legacy_pad = context.integer("legacy_pad", 0)
        windows = _windows(context, len(spatial))
        sizes = [_output_size(s, w, legacy_pad) for s, w in zip(spatial, windows, strict=True)]
    pooled = _assemble(context, image, channels, sizes)
    # MaxPoolWithIndex also says where each maximum was.
    return [pooled, TensorType(pooled.shape, DataType.INT32)]


@rule("ConvGradient", "Conv1DGradient", "Conv2DGradient", "Conv3DGradient", "ConvTransposeGradient")
def _conv_gradient(context: OpContext) -> list[Outcome]:
    """X, W, dY -> dW, [db], [dX]; with ``no_bias`` the second output is dX."""
    image, weights = context.optional(0), context.input(1)
    at_least("weights", weights, 3)
    outputs: list[Outcome] = [weights]
    if not context.integer("no_bias", 0):
        channels = weights.shape[0]
        if context.op.type.startswith("ConvTranspose"):
            depth = weights.shape[-1] if context.channels_last else weights.shape[1]
            channels = depth * context.integer("group", 1)
        outputs.append(weights.with_shape((channels,)))
    outputs.append(image)
    return outputs


def _pads_2d(context: OpContext) -> tuple[int, int, int, int]:
    pads = _padding(context) or [0] * 4
    if len(pads) != 4:
        raise ShapeError(f"{len(pads)} pads instead of four")
    top, left, bottom, right = pads
    return top, left, bottom, right


@rule("PadImage", "PadImageGradient")
def _pad_image(context: OpContext) -> list[Outcome]:
    image, channels, spatial = _image(context)
    if len(spatial) != 2:
        raise ShapeError(f"image {list(image.shape)} does not have 4 dimensions")
    top, left, bottom, right = _pads_2d(context)
    sign = -1 if context.op.type == "PadImageGradient" else 1
    sizes = [spatial[0] + sign * (top + bottom), spatial[1] + sign * (left + right)]
    return [_assemble(context, image, channels, sizes)]


@rule("Im2Col")
def _im2col(context: OpContext) -> list[Outcome]:
    image, channels, spatial = _image(context)
    windows = _windows(context, len(spatial))
    sizes = [_output_size(s, w, 0) for s, w in zip(spatial, windows, strict=True)]
    for window in windows:
        channels *= window.kernel
    return [_assemble(context, image, channels, sizes)]
