"""Segments, lengths and sparse lookups."""

from __future__ import annotations

from memonger.errors import ShapeError
from memonger.net.shapes.rules import OpContext, Outcome, UnknowableError, at_least, rule
from memonger.net.tensors import DataType, TensorType

_LOOKUPS = ("Sum", "Mean", "Max", "WeightedSum", "PositionalWeightedSum")
_ROWWISE = ("Sum", "Mean", "WeightedSum", "WeightedMean")
_FUSED_BITS = {"Fused8Bit": 8, "Fused4Bit": 4, "Fused2Bit": 2}
_SCALE_AND_BIAS = {8: 8, 4: 4, 2: 4}


def _rows(context: OpContext, position: int) -> int:
    lengths = context.input(position)
    if len(lengths.shape) != 1:
        raise ShapeError(f"input {position} {list(lengths.shape)} does not have 1 dimension")
    return lengths.shape[0]


def _with_rows(data: TensorType, rows: int, dtype: DataType | None = None) -> TensorType:
    at_least("data", data, 1)
    return TensorType((rows, *data.shape[1:]), data.dtype if dtype is None else dtype)


@rule(
    *(f"SparseLengths{how}" for how in _LOOKUPS),
    *(f"SparseLengths{how}8BitsRowwise" for how in _ROWWISE),
)
def _sparse_lengths(context: OpContext) -> list[Outcome]:
    # Data, [weights], indices, lengths, [scales and biases] -> one row per length.
    position = 3 if "Weighted" in context.op.type else 2
    return [_with_rows(context.input(0), _rows(context, position), DataType.FLOAT)]


@rule(
    *(
        f"SparseLengths{how}{fused}Rowwise"
        for how in ("Sum", "Mean", "WeightedSum")
        for fused in _FUSED_BITS
    )
)
def _fused_lengths(context: OpContext) -> list[Outcome]:
    position = 3 if "Weighted" in context.op.type else 2
    data = _unfused(context, context.input(0))
    return [_with_rows(data, _rows(context, position), DataType.FLOAT)]


def _bits(context: OpContext) -> int:
    return next(bits for name, bits in _FUSED_BITS.items() if name in context.op.type)


def _unfused(context: OpContext, data: TensorType) -> TensorType:
    """Return the type of rows without the scale and bias that are stored behind them."""
    at_least("data", data, 2)
    bits = _bits(context)
    columns = data.shape[-1] - _SCALE_AND_BIAS[bits]
    if columns <= 0:
        raise ShapeError(f"{list(data.shape)} has no room for scale and bias")
    return TensorType((*data.shape[:-1], columns * 8 // bits), DataType.FLOAT)


@rule(*(f"{fused}RowwiseQuantizedToFloat" for fused in _FUSED_BITS))
def _from_fused(context: OpContext) -> list[Outcome]:
    return [_unfused(context, context.input(0))]


@rule(*(f"FloatTo{fused}RowwiseQuantized" for fused in _FUSED_BITS))
def _to_fused(context: OpContext) -> list[Outcome]:
    data = context.input(0)
    at_least("data", data, 2)
    bits = _bits(context)
    columns = -(-data.shape[-1] * bits // 8) + _SCALE_AND_BIAS[bits]
    return [TensorType((*data.shape[:-1], columns), DataType.UINT8)]


@rule("LengthsSum", "LengthsMean", "LengthsMax", "LengthsWeightedSum")
def _lengths_reduction(context: OpContext) -> list[Outcome]:
    # Data, [weights], lengths -> one row per length.
    position = 2 if context.op.type == "LengthsWeightedSum" else 1
    return [_with_rows(context.input(0), _rows(context, position))]


@rule(
    *(f"SparseLengthsIndicesInGradient{how}Gradient" for how in ("Sum", "Mean", "WeightedSum")),
    *(f"LengthsIndicesInGradient{how}Gradient" for how in ("Sum", "Mean")),
)
def _sparse_lengths_gradient(context: OpContext) -> list[Outcome]:
    """[weights], dY, lengths, indices or data -> one row of gradients per index."""
    first = 1 if "Weighted" in context.op.type else 0
    indices = context.input(first + 2)
    at_least("indices", indices, 1)
    return [_with_rows(context.input(first), indices.shape[0])]


@rule("LengthsWeightedSumGradient")
def _lengths_weighted_gradient(context: OpContext) -> list[Outcome]:
    """Weights, dY, lengths -> one row per weight."""
    return [_with_rows(context.input(1), _rows(context, 0))]


@rule(
    *(f"{order}Segment{how}Gradient" for order in ("Sorted", "Unsorted") for how in ("Sum", "Mean"))
)
def _segment_gradient(context: OpContext) -> list[Outcome]:
    """dY, segment ids -> one row per id."""
    return [_with_rows(context.input(0), _rows(context, 1))]


@rule("UnsortedSegmentSum", "UnsortedSegmentMean", "SortedSegmentSum", "SortedSegmentMean")
def _segments(context: OpContext) -> list[Outcome]:
    # Data, segment ids -> one row per segment.
    data, count = context.input(0), context.integer("num_segments", -1)
    if count < 0:
        ids = context.values(1)
        if ids is None:
            raise UnknowableError("data-dependent: the largest segment id is not known")
        count = max(ids, default=-1) + 1
    return [_with_rows(data, count)]


@rule("LengthsToRanges", "SegmentIdsToRanges")
def _ranges(context: OpContext) -> list[Outcome]:
    lengths = context.input(0)
    if context.op.type == "LengthsToRanges":
        return [lengths.with_shape((_rows(context, 0), 2))]
    return [TensorType((_segment_count(context), 2), DataType.INT32)]


def _segment_count(context: OpContext) -> int:
    """Return how many segments there are: as the second input has rows, or by the largest id."""
    if len(context.op.input) > 1:
        like = context.input(1)
        at_least("second input", like, 1)
        return like.shape[0]
    ids = context.values(0)
    if ids is None:
        raise UnknowableError("data-dependent: the largest segment id is not known")
    return max(ids, default=-1) + 1


@rule("SegmentIdsToLengths")
def _segment_lengths(context: OpContext) -> list[Outcome]:
    return [TensorType((_segment_count(context),), DataType.INT32)]


@rule("LengthsToOffsets")
def _offsets(context: OpContext) -> list[Outcome]:
    extra = 1 if context.integer("include_last_offset", 0) else 0
    return [context.input(0).with_shape((_rows(context, 0) + extra,))]


@rule("LengthsToShape")
def _lengths_to_shape(context: OpContext) -> list[Outcome]:
    return [TensorType((2,), DataType.INT32)]


@rule("LengthsToSegmentIds", "LengthsRangeFill")
def _expanded(context: OpContext) -> list[Outcome]:
    return [TensorType((sum(context.required_values(0)),), DataType.INT32)]


@rule("LengthsToWeights")
def _weights(context: OpContext) -> list[Outcome]:
    return [TensorType((sum(context.required_values(0)),), DataType.FLOAT)]


@rule("LengthsPad")
def _lengths_pad(context: OpContext) -> list[Outcome]:
    length = context.integer("target_length", -1)
    if length < 0:
        raise ShapeError(f"target_length {length} is negative")
    return [_with_rows(context.input(0), _rows(context, 1) * length)]


@rule("LengthsTile")
def _lengths_tile(context: OpContext) -> list[Outcome]:
    return [_with_rows(context.input(0), sum(context.required_values(1)))]


@rule("LengthsTopK")
def _lengths_top_k(context: OpContext) -> list[Outcome]:
    # Data, lengths -> values, indices.
    values = context.input(0).with_shape((_rows(context, 1), context.integer("k", -1)))
    return [values, TensorType(values.shape, DataType.INT32)]


@rule("SparseToDense")
def _sparse_to_dense(context: OpContext) -> list[Outcome]:
    # Indices, values, [data whose rows to have] -> rows.
    if len(context.op.input) > 2:
        like = context.input(2)
        at_least("data", like, 1)
        return [_with_rows(context.input(1), like.shape[0])]
    indices = context.values(0)
    if indices is None:
        raise UnknowableError("data-dependent: the largest index is not known")
    return [_with_rows(context.input(1), max(indices, default=-1) + 1)]
