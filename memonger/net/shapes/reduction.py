"""Reductions, losses and metrics."""

from __future__ import annotations

from memonger.errors import ShapeError
from memonger.net.shapes.rules import OpContext, Outcome, at_least, canonical_axis, elements, rule
from memonger.net.tensors import DataType, TensorType


def _reduced(context: OpContext, data: TensorType) -> TensorType:
    ndim = len(data.shape)
    axes = {canonical_axis(a, ndim) for a in context.integers("axes")} or set(range(ndim))
    if context.integer("keepdims", 1):
        return data.with_shape(1 if axis in axes else s for axis, s in enumerate(data.shape))
    return data.with_shape(s for axis, s in enumerate(data.shape) if axis not in axes)


@rule("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2")
def _reduce(context: OpContext) -> list[Outcome]:
    return [_reduced(context, context.input(0))]


@rule("Moments")
def _moments(context: OpContext) -> list[Outcome]:
    """X -> mean, variance."""
    reduced = _reduced(context, context.input(0))
    return [reduced, reduced]


@rule(*(f"Reduce{end}{how}" for end in ("Front", "Back") for how in ("Sum", "Mean", "Max")))
def _reduce_end(context: OpContext) -> list[Outcome]:
    data = context.input(0)
    count, ndim = context.integer("num_reduce_dim", 1), len(data.shape)
    if not 0 <= count <= ndim:
        raise ShapeError(f"num_reduce_dim {count} of a tensor with {ndim} dimensions")
    front = context.op.type.startswith("ReduceFront")
    return [data.with_shape(data.shape[count:] if front else data.shape[: ndim - count])]


@rule("ReduceFrontWeightedSum")
def _reduce_front_weighted(context: OpContext) -> list[Outcome]:
    data = context.input(0)
    at_least("data", data, 1)
    elements("weights", context.optional(1), data.shape[0])
    return [data.with_shape(data.shape[1:])]


@rule("ColwiseMax")
def _colwise_max(context: OpContext) -> list[Outcome]:
    data = context.input(0)
    at_least("data", data, 3)
    return [data.with_shape((data.shape[0], data.shape[2]))]


@rule("RowwiseMax")
def _rowwise_max(context: OpContext) -> list[Outcome]:
    data = context.input(0)
    at_least("data", data, 3)
    return [data.with_shape(data.shape[:2])]


@rule("ArgMax", "ArgMin")
def _arg_extremum(context: OpContext) -> list[Outcome]:
    data = context.input(0)
    axis = canonical_axis(context.integer("axis", -1), len(data.shape))
    kept = (1,) if context.integer("keepdims", 1) else ()
    return [TensorType((*data.shape[:axis], *kept, *data.shape[axis + 1 :]), DataType.INT64)]


@rule("SumElements", "SumSqrElements", "AveragedLoss", "Perplexity")
def _scalar(context: OpContext) -> list[Outcome]:
    return [context.input(0).with_shape(())]


@rule("SumElementsInt")
def _int_scalar(context: OpContext) -> list[Outcome]:
    return [TensorType((), DataType.INT32)]


@rule("Accuracy")
def _accuracy(context: OpContext) -> list[Outcome]:
    return [TensorType((), DataType.FLOAT)]


@rule("MultiClassAccuracy")
def _multi_class_accuracy(context: OpContext) -> list[Outcome]:
    """Predictions, labels -> accuracy and number of samples of each class."""
    predictions = context.input(0)
    at_least("predictions", predictions, 2)
    classes = (predictions.shape[1],)
    return [TensorType(classes, DataType.FLOAT), TensorType(classes, DataType.INT32)]


@rule("LpNorm", "Quantile")
def _single(context: OpContext) -> list[Outcome]:
    return [context.input(0).with_shape((1,))]


@rule("LabelCrossEntropy", "CrossEntropy", "ReduceTailSum")
def _per_row(context: OpContext) -> list[Outcome]:
    data = context.input(0)
    at_least("data", data, 1)
    return [data.with_shape(data.shape[:1])]


@rule("SquaredL2Distance", "L1Distance", "DotProduct", "CosineSimilarity")
def _row_distance(context: OpContext) -> list[Outcome]:
    left, right = context.input(0), context.optional(1)
    at_least("data", left, 1)
    if right is not None and right.shape != left.shape:
        raise ShapeError(f"inputs of shapes {list(left.shape)} and {list(right.shape)}")
    return [left.with_shape(left.shape[:1])]


@rule("SoftmaxWithLoss", "SpatialSoftmaxWithLoss")
def _softmax_with_loss(context: OpContext) -> list[Outcome]:
    """Logits, labels, [weights] -> softmax, loss."""
    logits = context.input(0)
    at_least("logits", logits, 2)
    return [logits, logits.with_shape(())]


@rule("SigmoidCrossEntropyWithLogits", "WeightedSigmoidCrossEntropyWithLogits")
def _sigmoid_cross_entropy(context: OpContext) -> list[Outcome]:
    logits, targets = context.input(0), context.optional(1)
    at_least("logits", logits, 1)
    if targets is not None and targets.shape != logits.shape:
        raise ShapeError(f"targets {list(targets.shape)} for logits {list(logits.shape)}")
    return [logits.with_shape(logits.shape[:-1])]


@rule("MakeTwoClass")
def _make_two_class(context: OpContext) -> list[Outcome]:
    data = context.input(0)
    return [data.with_shape((*data.shape, 2))]


@rule("MakeTwoClassGradient")
def _make_two_class_gradient(context: OpContext) -> list[Outcome]:
    data = context.input(0)
    at_least("data", data, 1)
    return [data.with_shape(data.shape[:-1])]


@rule("Dropout")
def _dropout(context: OpContext) -> list[Outcome]:
    """X -> Y and, in training, the mask."""
    data = context.input(0)
    if context.integer("is_test", 0):
        return [data, "not written when is_test is set"]
    return [data, TensorType(data.shape, DataType.BOOL)]
