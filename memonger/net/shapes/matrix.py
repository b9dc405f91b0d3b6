"""Fully connected layers and matrix products."""

from __future__ import annotations

import math

from memonger.errors import ShapeError
from memonger.net.shapes.elementwise import broadcast
from memonger.net.shapes.rules import (
    OpContext,
    Outcome,
    UnknowableError,
    at_least,
    canonical_axis,
    elements,
    rule,
)
from memonger.net.tensors import TensorType


def _weight_rows(context: OpContext, weights: TensorType) -> int:
    """Return how many outputs a weight matrix makes."""
    axis = canonical_axis(context.integer("axis_w", 1), len(weights.shape))
    if context.op.type.startswith("FCTransposed"):
        return math.prod(weights.shape[axis:])
    return math.prod(weights.shape[:axis])


@rule("FC", "FCTransposed")
def _fc(context: OpContext) -> list[Outcome]:
    data, weights = context.input(0), context.input(1)
    axis = canonical_axis(context.integer("axis", 1), len(data.shape))
    rows = _weight_rows(context, weights)
    depth = math.prod(data.shape[axis:])
    if rows * depth != weights.numel:
        raise ShapeError(
            f"{list(data.shape)} from axis {axis} on does not fit weights {list(weights.shape)}"
        )
    elements("bias", context.optional(2), rows)
    return [data.with_shape((*data.shape[:axis], rows))]


@rule("Int8FC")
def _int8_fc(context: OpContext) -> list[Outcome]:
    data, weights = context.input(0), context.input(1)
    at_least("data", data, 1)
    at_least("weights", weights, 1)
    rows = weights.shape[0]
    if math.prod(data.shape[1:]) * rows != weights.numel:
        raise ShapeError(f"{list(data.shape)} does not fit weights {list(weights.shape)}")
    elements("bias", context.optional(2), rows)
    return [data.with_shape((data.shape[0], rows))]


@rule("FCGradient", "FCTransposedGradient")
def _fc_gradient(context: OpContext) -> list[Outcome]:
    """X, W, dY -> dW, db, [dX]."""
    weights = context.input(1)
    bias = weights.with_shape((_weight_rows(context, weights),))
    return [weights, bias, context.optional(0)]


@rule("MatMul")
def _matmul(context: OpContext) -> list[Outcome]:
    left, right = context.input(0), context.input(1)
    axis = canonical_axis(context.integer("axis_a", 1), len(left.shape))
    rows, depth = math.prod(left.shape[:axis]), math.prod(left.shape[axis:])
    if context.integer("trans_a", 0):
        rows, depth = depth, rows
    axis = canonical_axis(context.integer("axis_b", 1), len(right.shape))
    height, columns = math.prod(right.shape[:axis]), math.prod(right.shape[axis:])
    if context.integer("trans_b", 0):
        height, columns = columns, height
    if depth != height:
        raise ShapeError(f"product of {rows} x {depth} and {height} x {columns}")
    if len(context.op.input) == 3:
        # As the gradient of a product, the result takes the shape of its third input.
        like = context.input(2)
        elements("third input", like, rows * columns)
        return [left.with_shape(like.shape)]
    return [left.with_shape((rows, columns))]


@rule("BatchMatMul")
def _batch_matmul(context: OpContext) -> list[Outcome]:
    left, right = context.input(0), context.input(1)
    at_least("first factor", left, 1)
    at_least("second factor", right, 1)
    trans_a = bool(context.integer("trans_a", 0))
    trans_b = bool(context.integer("trans_b", 0))
    if len(left.shape) == 1 or len(right.shape) == 1:
        return [left.with_shape(_with_vector(left.shape, right.shape, trans_a, trans_b))]
    rows, depth = left.shape[-2:]
    if trans_a:
        rows, depth = depth, rows
    height, columns = right.shape[-2:]
    if trans_b:
        height, columns = columns, height
    if depth != height:
        raise ShapeError(f"product of {list(left.shape)} and {list(right.shape)}")
    batch = broadcast(left.shape[:-2], right.shape[:-2])
    if left.shape[:-2] != right.shape[:-2] and not context.integer("broadcast", 0):
        raise ShapeError(f"{list(left.shape)} times {list(right.shape)} without broadcast")
    return [left.with_shape((*batch, rows, columns))]


def _with_vector(
    left: tuple[int, ...], right: tuple[int, ...], trans_a: bool, trans_b: bool
) -> tuple[int, ...]:
    """Return the shape of a product of which one factor is a vector."""
    out: tuple[int, ...]
    if len(left) == 1 and len(right) == 1:
        out, depths = (1,), (left[0], right[0])
    elif len(left) == 1:
        depth, last = (right[-1], right[-2]) if trans_b else (right[-2], right[-1])
        out, depths = (*right[:-2], last), (left[0], depth)
    elif trans_a:
        raise UnknowableError("a transposed matrix times a vector has no defined shape")
    else:
        out, depths = left[:-1], (left[-1], right[0])
    if depths[0] != depths[1]:
        raise ShapeError(f"product of {list(left)} and {list(right)}")
    return out
