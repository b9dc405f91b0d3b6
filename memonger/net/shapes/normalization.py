"""Normalization layers and their statistics."""

from __future__ import annotations

from memonger.errors import ShapeError
from memonger.net.shapes.rules import (
    OpContext,
    Outcome,
    at_least,
    canonical_axis,
    elements,
    rule,
)
from memonger.net.tensors import TensorType


def _channels(context: OpContext, data: TensorType) -> int:
    at_least("data", data, 2)
    return data.shape[-1] if context.channels_last else data.shape[1]


@rule("SpatialBN")
def _spatial_bn(context: OpContext) -> list[Outcome]:
    """X, scale, bias, mean, var -> Y and, in training, mean, var, saved mean, saved inv std."""
    data = context.input(0)
    channels = _channels(context, data)
    for position, name in enumerate(("scale", "bias", "mean", "var"), start=1):
        elements(name, context.optional(position), channels)
    if context.integer("is_test", 0):
        return [data]
    return [data, *[data.with_shape((channels,))] * 4]


@rule("LRN")
def _lrn(context: OpContext) -> list[Outcome]:
    """X -> Y, scale."""
    data = context.input(0)
    return [data, data]


@rule("InstanceNorm")
def _instance_norm(context: OpContext) -> list[Outcome]:
    """X, scale, bias -> Y, mean, inv std."""
    data = context.input(0)
    channels = _channels(context, data)
    elements("scale", context.optional(1), channels)
    elements("bias", context.optional(2), channels)
    statistic = data.with_shape((data.shape[0], channels))
    return [data, statistic, statistic]


@rule("LayerNorm")
def _layer_norm(context: OpContext) -> list[Outcome]:
    """X, [gamma, beta] -> Y, mean, std."""
    data = context.input(0)
    at_least("data", data, 2)
    axis = canonical_axis(context.integer("axis", 1), len(data.shape))
    statistic = data.with_shape((*data.shape[:axis], 1))
    return [data, statistic, statistic]


@rule("GroupNorm")
def _group_norm(context: OpContext) -> list[Outcome]:
    """X, gamma, beta -> Y, mean, inv std."""
    data = context.input(0)
    channels = _channels(context, data)
    group = context.integer("group", 32)
    if group < 1 or channels % group:
        raise ShapeError(f"{channels} channels in {group} groups")
    elements("gamma", context.optional(1), channels)
    elements("beta", context.optional(2), channels)
    statistic = data.with_shape((data.shape[0], group))
    return [data, statistic, statistic]


@rule("AffineChannelGradient")
def _affine_channel_gradient(context: OpContext) -> list[Outcome]:
    """DY, [X], scale -> dX, [dscale, dbias]."""
    scale = context.input(len(context.inputs) - 1) if len(context.inputs) > 1 else None
    return [context.input(0), scale, scale]


@rule("BatchMoments", "ChannelStats")
def _channel_statistics(context: OpContext) -> list[Outcome]:
    data = context.input(0)
    statistic = data.with_shape((_channels(context, data),))
    return [statistic, statistic]
