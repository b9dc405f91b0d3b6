"""Operators whose every output has the type of one of the inputs: gradients and optimizers."""

from __future__ import annotations

from memonger.errors import ShapeError
from memonger.net.shapes.rules import OpContext, Outcome, rule

_NDIMS = ("", "1D", "2D", "3D")
_FIRST = (0,)
_SECOND = (1,)
_BOTH = (0, 1)

LIKE: dict[str, tuple[int, ...]] = {
    # Gradients whose inputs start with those of the forward operator.
    **dict.fromkeys(
        (
            *(f"{kind}Pool{n}Gradient" for kind in ("Max", "Average", "Lp") for n in _NDIMS),
            "MaxPoolWithIndexGradient",
            "LRNGradient",
            "ColwiseMaxGradient",
            "RowwiseMaxGradient",
            "SumElementsGradient",
            "SoftmaxWithLossGradient",
            "SpatialSoftmaxWithLossGradient",
            "LabelCrossEntropyGradient",
            "CrossEntropyGradient",
            "AveragedLossGradient",
            "SliceGradient",
            "BatchGatherGradient",
            "RoIAlignGradient",
            "RoIAlignRotatedGradient",
            "RoIPoolGradient",
            "NormalizeGradient",
            "LpNormGradient",
            "ChannelShuffleGradient",
            "FlexibleTopKGradient",
            "DropoutGrad",
            "DropoutGradient",
            "NegateGradient",
        ),
        _FIRST,
    ),
    **dict.fromkeys(
        (f"{name}Gradient" for name in ("SquaredL2Distance", "L1Distance", "DotProduct")), _BOTH
    ),
    "CosineSimilarityGradient": _BOTH,
    "SpatialBNGradient": (0, 1, 1),
    "InstanceNormGradient": (0, 1, 2),
    "LSTMUnitGradient": (0, 1, 2),
    "GRUUnitGradient": _BOTH,
    # Gradients that take the gradient of the output first.
    **dict.fromkeys(("AddGradient", "SubGradient", "MulGradient", "DivGradient"), (1, 2)),
    **dict.fromkeys(
        (f"Reduce{how}Gradient" for how in ("Sum", "Mean", "Max", "Min", "L1", "L2")), _SECOND
    ),
    **dict.fromkeys(
        (
            f"Reduce{end}{how}Gradient"
            for end in ("Front", "Back")
            for how in ("Sum", "Mean", "Max")
        ),
        _SECOND,
    ),
    **dict.fromkeys(
        (
            "ResizeNearestGradient",
            "ResizeBilinearGradient",
            "UpsampleBilinearGradient",
            "SigmoidCrossEntropyWithLogitsGradient",
            "WeightedSigmoidCrossEntropyWithLogitsGradient",
            "Col2Im",
            "ExpandGradient",
        ),
        _SECOND,
    ),
    "TopKGradient": (2,),
    "BatchMomentsGradient": (2,),
    "MomentsGradient": (2,),
    "GroupNormGradient": (1, 2, 3),
    "LayerNormGradient": (4, 5, 5),
    "ElementwiseLinearGradient": (1, 2, 2),
    "PReluGradient": (2, 3),
    "LengthsMaxWithMainInputAndForwardOutputGradient": (3,),
    # Cells and updates in place.
    "LSTMUnit": _BOTH,
    "GRUUnit": _FIRST,
    "WeightedSum": _FIRST,
    "ScatterAssign": _FIRST,
    "ScatterWeightedSum": _FIRST,
    "Scatter": _FIRST,
    "AtomicIter": _SECOND,
    "Lars": (2,),
    # Optimizers: gradient, momentum, learning rate, parameter.
    **dict.fromkeys(
        (
            "MomentumSGD",
            "MomentumSGDUpdate",
            "FP16MomentumSGDUpdate",
            "FP32MomentumSGDUpdate",
            "SparseMomentumSGDUpdate",
        ),
        (0, 1, 3),
    ),
    # Optimizers: parameter, moments, ...
    "Adam": (0, 1, 2, 3),
    "SparseAdam": (0, 1, 2, 4),
    "RowWiseSparseAdam": (0, 1, 2),
    "Adagrad": (0, 1, 2, 0),
    "SparseAdagrad": _BOTH,
    "RowWiseSparseAdagrad": _BOTH,
    "Adadelta": (0, 1, 2),
    "SparseAdadelta": (0, 1, 2),
    "RmsProp": (0, 1, 2),
    "Ftrl": _BOTH,
    "SparseFtrl": _BOTH,
    "Wngrad": _BOTH,
}


@rule(*LIKE)
def _like(context: OpContext) -> list[Outcome]:
    outcomes: list[Outcome] = []
    for position in LIKE[context.op.type][: len(context.op.output)]:
        if position >= len(context.inputs):
            raise ShapeError(f"needs at least {position + 1} inputs, has {len(context.inputs)}")
        known = context.inputs[position]
        outcomes.append(context.missing(position) if known is None else known)
    return outcomes


@rule("WeightedSumGradient")
def _weighted_sum_gradient(context: OpContext) -> list[Outcome]:
    """dY, X0, w0, X1, w1, ... -> dX0, dX1, ... [, dw0, dw1, ...]."""
    pairs = (len(context.inputs) - 1) // 2
    data = [context.optional(1 + 2 * i) for i in range(pairs)]
    weights = [context.optional(2 + 2 * i) for i in range(pairs)]
    return [*data, *weights]
