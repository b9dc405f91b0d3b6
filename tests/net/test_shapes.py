"""Shape and type inference: hand-computed shapes per family, odd inputs, and recorded nets."""

import json
import os
import random
import tarfile
from pathlib import Path

import pytest

from memonger.errors import ShapeError
from memonger.net.netdef_pb2 import Argument, NetDef, OperatorDef
from memonger.net.shapes import SUPPORTED, infer_types, types_from_init_net
from memonger.net.tensors import DataType, TensorType

FLOAT, INT32, INT64, BOOL, UINT8 = (
    DataType.FLOAT,
    DataType.INT32,
    DataType.INT64,
    DataType.BOOL,
    DataType.UINT8,
)


def argument(name, value):
    arg = Argument(name=name)
    if isinstance(value, int):
        arg.i = value
    elif isinstance(value, float):
        arg.f = value
    elif isinstance(value, str):
        arg.s = value.encode()
    elif isinstance(value, NetDef):
        arg.n.CopyFrom(value)
    elif value and isinstance(value[0], str):
        arg.strings.extend(text.encode() for text in value)
    else:
        arg.ints.extend(value)
    return arg


def operator(kind, inputs, outputs, **args):
    return OperatorDef(
        type=kind,
        input=inputs.split(),
        output=outputs.split(),
        arg=[argument(name, value) for name, value in args.items()],
    )


def as_type(spec):
    """Turn ``(2, 3)`` into a float tensor, and leave a type as it is."""
    return spec if isinstance(spec, TensorType) else TensorType(spec)


def infer(kind, inputs, count=1, **args):
    """Infer one operator; an input ``[3, 4]`` is an int64 constant with these values."""
    net, known = NetDef(), {}
    for position, spec in enumerate(inputs):
        name = f"x{position}"
        if isinstance(spec, list):
            fill = operator("GivenTensorInt64Fill", "", name, shape=[len(spec)], values=spec)
            net.op.append(fill)
        elif spec is not None:
            known[name] = as_type(spec)
    names = " ".join(f"x{position}" for position in range(len(inputs)))
    net.op.append(operator(kind, names, " ".join(f"y{i}" for i in range(count)), **args))
    return infer_types(net, known)


def shapes(kind, inputs, count=1, **args):
    return [t and t.shape for t in infer(kind, inputs, count, **args).outputs[-1]]


IMAGE = (2, 3, 8, 10)
LAST = (2, 8, 10, 3)
WEIGHTS = (4, 3, 3, 3)

CONVOLUTIONS = [
    ("Conv", [IMAGE, WEIGHTS, (4,)], {"kernel": 3}, [(2, 4, 6, 8)]),
    ("Conv", [IMAGE, WEIGHTS], {"kernel": 3, "pad": 1, "stride": 2}, [(2, 4, 4, 5)]),
    ("Conv", [IMAGE, WEIGHTS], {"kernel": 3, "dilation": 2}, [(2, 4, 4, 6)]),
    (
        "Conv",
        [IMAGE, WEIGHTS],
        {"kernels": [3, 3], "pads": [1, 0, 2, 1], "strides": [2, 3]},
        [(2, 4, 5, 3)],  # (8 + 1 + 2 - 3) / 2 + 1, (10 + 0 + 1 - 3) / 3 + 1
    ),
    (
        "Conv",
        [IMAGE, WEIGHTS],
        {
            **{"kernel_h": 3, "kernel_w": 3, "stride_h": 2, "stride_w": 1},
            **{"pad_t": 1, "pad_l": 0, "pad_b": 1, "pad_r": 2},
        },
        [(2, 4, 4, 10)],
    ),
    ("Conv", [IMAGE, WEIGHTS], {"kernel": 3, "pad_l": 1, "pad_r": 1}, [(2, 4, 6, 8)]),
    ("Conv", [IMAGE, WEIGHTS], {"kernel": 3, "legacy_pad": 1}, [(2, 4, 6, 8)]),
    ("Conv", [IMAGE, WEIGHTS], {"kernel": 3, "legacy_pad": 2, "stride": 3}, [(2, 4, 3, 4)]),
    ("Conv", [LAST, (4, 3, 3, 3)], {"kernel": 3, "order": "NHWC"}, [(2, 6, 8, 4)]),
    ("Conv", [(2, 6, 8, 8), WEIGHTS], {"kernel": 3, "group": 2}, [(2, 4, 6, 6)]),
    ("Conv", [(2, 3, 9), (4, 3, 3)], {"kernels": [3], "strides": [2]}, [(2, 4, 4)]),
    ("Conv", [(2, 3, 9, 9, 9), (4, 3, 3, 3, 3)], {"kernels": [3, 3, 3]}, [(2, 4, 7, 7, 7)]),
    ("Conv", [(0, 3, 8, 8), WEIGHTS], {"kernel": 3}, [(0, 4, 6, 6)]),
    ("ConvTranspose", [IMAGE, (3, 4, 3, 3)], {"kernel": 3}, [(2, 4, 10, 12)]),
    (
        "ConvTranspose",
        [IMAGE, (3, 4, 3, 3)],
        {"kernel": 3, "stride": 2, "pad": 1, "adj_h": 1, "adj_w": 0},
        [(2, 4, 16, 19)],  # 7 * 2 + 3 - 2 + 1, 9 * 2 + 3 - 2
    ),
    (
        "ConvTranspose",
        [(2, 6, 8, 8), (6, 2, 3, 3)],
        {"kernel": 3, "stride": 2, "group": 2},
        [(2, 4, 17, 17)],
    ),
    ("ConvTranspose", [LAST, (3, 3, 3, 4)], {"kernel": 3, "order": "NHWC"}, [(2, 10, 12, 4)]),
    ("MaxPool", [IMAGE], {"kernel": 2, "stride": 2}, [(2, 3, 4, 5)]),
    ("AveragePool", [LAST], {"kernel": 3, "order": "NHWC"}, [(2, 6, 8, 3)]),
    ("LpPool", [IMAGE], {"kernel": 3, "stride": 2, "pad": 1}, [(2, 3, 4, 5)]),
    ("MaxPool", [(1, 1, 8, 8)], {"kernel": 3, "stride": 2}, [(1, 1, 3, 3)]),
    ("MaxPool", [(1, 1, 8, 8)], {"kernel": 3, "stride": 2, "legacy_pad": 3}, [(1, 1, 4, 4)]),
    (  # rounding up gives 5 windows of the width 10, but the fifth would start behind the image
        "MaxPool",
        [(1, 1, 9, 10)],
        {"kernel": 2, "stride": 3, "legacy_pad": 3, "pad": 1},
        [(1, 1, 4, 4)],
    ),
    ("MaxPool", [IMAGE], {"global_pooling": 1}, [(2, 3, 1, 1)]),
    ("AveragePool3D", [(2, 3, 8, 8, 8)], {"kernels": [2, 2, 2]}, [(2, 3, 7, 7, 7)]),
    ("Int8Conv", [LAST, (4, 3, 3, 3)], {"kernel": 3, "order": "NHWC"}, [(2, 6, 8, 4)]),
    ("Int8ConvRelu", [(1, 8, 8, 4), (4, 3, 3, 1)], {"kernel": 3, "group": 4}, [(1, 6, 6, 4)]),
    ("Int8AveragePool", [LAST], {"global_pooling": 1}, [(2, 1, 1, 3)]),
    ("PadImage", [IMAGE], {"pad_t": 1, "pad_l": 2, "pad_b": 3, "pad_r": 4}, [(2, 3, 12, 16)]),
    ("PadImageGradient", [(2, 3, 12, 14)], {"pad": 2}, [IMAGE]),
    ("ConvGradient", [IMAGE, WEIGHTS, (2, 4, 6, 8)], {"kernel": 3}, [WEIGHTS, (4,), IMAGE]),
    ("ConvGradient", [IMAGE, WEIGHTS, (2, 4, 6, 8)], {"no_bias": 1}, [WEIGHTS, IMAGE]),
    ("ConvTransposeGradient", [IMAGE, (3, 4, 3, 3), IMAGE], {}, [(3, 4, 3, 3), (4,), IMAGE]),
    ("MaxPoolGradient", [IMAGE, (2, 3, 4, 5), (2, 3, 4, 5)], {"kernel": 2}, [IMAGE]),
    ("Im2Col", [IMAGE], {"kernel": 3}, [(2, 27, 6, 8)]),
]
MATRICES = [
    ("FC", [(4, 3, 5), (7, 15), (7,)], {}, [(4, 7)]),
    ("FC", [(4, 3, 5), (7, 5), (7,)], {"axis": 2}, [(4, 3, 7)]),
    ("FC", [(1, 8, 1, 1), (1, 1, 9, 8), (9,)], {"axis_w": 3}, [(1, 9)]),
    ("FCTransposed", [(4, 3, 5), (15, 7), (7,)], {}, [(4, 7)]),
    ("Int8FC", [(2, 3, 3, 4), (7, 36), (7,)], {}, [(2, 7)]),
    ("FCGradient", [(4, 3, 5), (7, 15), (4, 7)], {}, [(7, 15), (7,), (4, 3, 5)]),
    ("FCTransposedGradient", [(4, 5), (5, 7), (4, 7)], {}, [(5, 7), (7,), (4, 5)]),
    ("MatMul", [(5, 4), (6, 5)], {"trans_a": 1, "trans_b": 1}, [(4, 6)]),
    ("MatMul", [(2, 3, 5), (5, 6)], {"axis_a": 2}, [(6, 6)]),
    ("MatMul", [(2, 6), (15, 6), (2, 3, 5)], {"trans_b": 1}, [(2, 3, 5)]),
    ("BatchMatMul", [(2, 5, 4), (2, 6, 5)], {"trans_a": 1, "trans_b": 1}, [(2, 4, 6)]),
    ("BatchMatMul", [(3, 1, 4, 5), (2, 5, 6)], {"broadcast": 1}, [(3, 2, 4, 6)]),
    ("BatchMatMul", [(5,), (3, 6, 5)], {"broadcast": 1, "trans_b": 1}, [(3, 6)]),
    ("BatchMatMul", [(3, 4, 5), (5,)], {"broadcast": 1}, [(3, 4)]),
    ("BatchMatMul", [(5,), (5,)], {"broadcast": 1}, [(1,)]),
]
NORMALIZATIONS = [
    ("SpatialBN", [IMAGE, *[(3,)] * 4], {"is_test": 1}, [IMAGE]),
    ("SpatialBN", [LAST, *[(3,)] * 4], {"order": "NHWC"}, [LAST, *[(3,)] * 4]),
    ("SpatialBNGradient", [IMAGE, (3,), IMAGE, (3,), (3,)], {}, [IMAGE, (3,), (3,)]),
    ("LRN", [IMAGE], {}, [IMAGE, IMAGE]),
    ("LRNGradient", [IMAGE, IMAGE, IMAGE], {}, [IMAGE]),
    ("InstanceNorm", [IMAGE, (3,), (3,)], {}, [IMAGE, (2, 3), (2, 3)]),
    ("LayerNorm", [IMAGE], {"axis": 2}, [IMAGE, (2, 3, 1), (2, 3, 1)]),
    ("LayerNorm", [IMAGE], {"axis": -1}, [IMAGE, (2, 3, 8, 1), (2, 3, 8, 1)]),
    (
        "LayerNormGradient",
        [IMAGE, IMAGE, (2, 3, 8, 1), (2, 3, 8, 1), IMAGE, (10,)],
        {},
        [IMAGE, (10,), (10,)],
    ),
    ("AffineChannelGradient", [IMAGE, IMAGE, (3,)], {}, [IMAGE, (3,), (3,)]),
    ("GroupNorm", [(2, 6, 4, 4), (6,), (6,)], {"group": 3}, [(2, 6, 4, 4), (2, 3), (2, 3)]),
    ("GroupNormGradient", [IMAGE, IMAGE, (3,), (3,), (2, 1), (2, 1)], {}, [IMAGE, (3,), (3,)]),
]
ELEMENTWISE = [
    ("Relu", [IMAGE], {}, [IMAGE]),
    ("ReluGradient", [IMAGE, IMAGE], {}, [IMAGE]),
    ("ReluGradient", [IMAGE, None], {}, [IMAGE]),
    ("PRelu", [IMAGE, (3,)], {}, [IMAGE]),
    ("PReluGradient", [IMAGE, IMAGE, IMAGE, (3,)], {}, [IMAGE, (3,)]),
    ("Sum", [(2, 3), (2, 3)], {}, [(2, 3)]),
    ("Sum", [None, (2, 3)], {}, [(2, 3)]),
    ("Add", [(2, 3, 4), (3, 1)], {}, [(2, 3, 4)]),
    ("Add", [(2, 1, 4), (3, 1)], {}, [(2, 3, 4)]),
    ("Mul", [(2, 3, 4), (3,)], {"broadcast": 1, "axis": 1}, [(2, 3, 4)]),
    ("Mul", [(2, 3, 4), (3,)], {"broadcast": 1, "axis_str": "C"}, [(2, 3, 4)]),
    ("Sub", [(2, 3, 4), (2, 1)], {"broadcast": 1, "axis": 0}, [(2, 3, 4)]),
    ("Div", [(2, 3, 4), (1, 4)], {"broadcast": 1}, [(2, 3, 4)]),
    ("Add", [(2, 3), ()], {"broadcast": 1}, [(2, 3)]),
    ("Pow", [(2, 3)], {"exponent": 2.0}, [(2, 3)]),
    ("MulGradient", [(2, 3, 4), (2, 1, 4), (3, 1)], {}, [(2, 1, 4), (3, 1)]),
    ("SumReduceLike", [(2, 3, 4), (3, 4)], {}, [(3, 4)]),
    ("MaxGradient", [(2,), (2,), (2,), (2,)], {}, [(2,), (2,)]),
    ("MeanGradient", [(2, 3)], {}, [(2, 3), (2, 3)]),
    ("Dropout", [(2, 3)], {"ratio": 0.5}, [(2, 3), (2, 3)]),
    ("DropoutGrad", [(2, 3), (2, 3)], {}, [(2, 3)]),
    ("Softmax", [(2, 3)], {}, [(2, 3)]),
    ("Free", [(2,), (3,)], {}, [(2,), (3,)]),
]
LAYOUTS = [
    ("Reshape", [(2, 3, 4)], {"shape": [4, -1]}, [(4, 6), (3,)]),
    ("Reshape", [(2, 3, 4)], {"shape": [0, -1]}, [(2, 12), (3,)]),
    ("Reshape", [(2, 3, 4), [6, -1]], {}, [(6, 4), (3,)]),
    ("Reshape", [(0, 3)], {"shape": [3, -1]}, [(3, 0), (2,)]),
    ("Flatten", [IMAGE], {}, [(2, 240)]),
    ("Flatten", [IMAGE], {"axis": 4}, [(480, 1)]),
    ("FlattenToVec", [IMAGE], {}, [(480,)]),
    ("ResizeLike", [(2, 12), (4, 6)], {}, [(4, 6)]),
    ("Transpose", [(2, 3, 4)], {}, [(4, 3, 2)]),
    ("Transpose", [(2, 3, 4)], {"axes": [1, 0, 2]}, [(3, 2, 4)]),
    ("NCHW2NHWC", [IMAGE], {}, [LAST]),
    ("NHWC2NCHW", [LAST], {}, [IMAGE]),
    ("Squeeze", [(1, 3, 1)], {"dims": [0, 2]}, [(3,)]),
    ("ExpandDims", [(2, 3)], {"dims": [0, 3]}, [(1, 2, 3, 1)]),
    ("Tile", [(2, 3)], {"tiles": 2, "axis": -1}, [(2, 6)]),
    ("Tile", [(2, 3), [4], [0]], {}, [(8, 3)]),
    ("TileGradient", [(2, 6)], {"tiles": 2, "axis": 1}, [(2, 3)]),
    ("NumpyTile", [(2, 3), [2, 5]], {}, [(4, 15)]),
    ("Expand", [(2, 1, 4), [3, 1]], {}, [(2, 3, 4)]),
    ("ResizeNearest", [IMAGE], {"width_scale": 2.0, "height_scale": 1.5}, [(2, 3, 12, 20)]),
    ("UpsampleBilinear", [IMAGE], {"width_scale": 1.1, "height_scale": 0.7}, [(2, 3, 5, 11)]),
    ("Int8ResizeNearest", [LAST], {"width_scale": 2.0}, [(2, 8, 20, 3)]),
    ("ResizeNearestGradient", [(2, 3, 16, 20), IMAGE], {}, [IMAGE]),
    ("SpaceToBatch", [(2, 3, 8, 8)], {"block_size": 2}, [(8, 3, 4, 4)]),
    ("BatchToSpace", [(8, 3, 4, 4)], {"block_size": 2}, [(2, 3, 8, 8)]),
    ("MergeDim", [(2, 3, 4)], {}, [(6, 4)]),
    ("PrependDim", [(6, 4)], {"dim_size": 2}, [(2, 3, 4)]),
]
JOINING = [
    ("Concat", [(2, 3, 4), (2, 5, 4)], {}, [(2, 8, 4), (2,)]),
    ("Concat", [(2, 3, 4, 5), (2, 3, 4, 6)], {"order": "NHWC"}, [(2, 3, 4, 11), (2,)]),
    ("Concat", [(2, 3), (2, 3)], {"axis": -1, "add_axis": 1}, [(2, 3, 2), (2,)]),
    ("Concat", [(2, 3), (2, 3)], {"axis": 0, "add_axis": 1}, [(2, 2, 3), (2,)]),
    ("DepthConcat", [(2, 3, 4, 4), (2, 4, 4, 4)], {}, [(2, 7, 4, 4), (2,)]),
    ("Int8Concat", [(1, 8, 8, 4), (1, 8, 8, 5)], {}, [(1, 8, 8, 9)]),
    ("Split", [(2, 6, 4)], {}, [(2, 2, 4)] * 3),
    ("Split", [(2, 6, 4)], {"axis": 1, "split": [1, 5]}, [(2, 1, 4), (2, 5, 4)]),
    ("Split", [(2, 6, 4), [4, 2]], {"axis": 1}, [(2, 4, 4), (2, 2, 4)]),
    ("Split", [(2, 2, 4)], {"axis": 1, "add_axis": 1}, [(2, 4), (2, 4)]),
    ("SplitByLengths", [(6, 4), [1, 2, 1, 2]], {"axis": 0}, [(3, 4), (3, 4)]),
    ("Slice", [(4, 5)], {"starts": [0, 2], "ends": [-1, -1]}, [(4, 3)]),
    ("Slice", [(4, 5)], {"starts": [0, -3], "ends": [-1, 9]}, [(4, 2)]),
    ("Slice", [(4, 5), [0, 1], [-1, 3]], {}, [(4, 2)]),
    ("SliceGradient", [(4, 5), (4, 2)], {"starts": [0, 1], "ends": [-1, 3]}, [(4, 5)]),
    ("Gather", [(5, 6, 7), (4, 2)], {}, [(4, 2, 6, 7)]),
    ("Gather", [(5, 6, 7), (5, 4)], {"axis": 1, "match_outer": 1}, [(5, 4, 7)]),
    ("BatchGather", [(5, 6, 7), (4,)], {}, [(5, 4, 7)]),
    ("TopK", [(2, 8)], {"k": 3}, [(2, 3), (2, 3), (6,)]),
    ("TopK", [(2, 3, 8), [2]], {"axis": 1}, [(2, 2, 8), (2, 2, 8)]),
    ("OneHot", [(4,), [3]], {}, [(4, 3)]),
    ("Glu", [(4, 6, 8)], {"dim": 1}, [(4, 3, 8)]),
]
FILLERS = [
    ("ConstantFill", [], {"shape": [2, 3]}, [(2, 3)]),
    ("ConstantFill", [IMAGE], {}, [IMAGE]),
    ("XavierFill", [IMAGE], {"extra_shape": [5]}, [(*IMAGE, 5)]),
    ("GaussianFill", [[3, 4]], {"input_as_shape": 1, "extra_shape": [2]}, [(3, 4, 2)]),
    ("Range", [[9]], {}, [(9,)]),
    ("Range", [[2], [9], [3]], {}, [(3,)]),
    ("Range", [[9], [2], [-2]], {}, [(3,)]),  # Caffe2 stops at 5
    ("Range", [[9], [2]], {}, [(0,)]),
    ("Shape", [IMAGE], {}, [(4,)]),
    ("Shape", [IMAGE], {"axes": [0, 2]}, [(2,)]),
    ("Size", [IMAGE], {}, [()]),
    ("Iter", [], {}, [(1,)]),
    ("LearningRate", [(1,)], {}, [()]),
]
REDUCTIONS = [
    ("ReduceSum", [IMAGE], {}, [(1, 1, 1, 1)]),
    ("ReduceMean", [IMAGE], {"axes": [1, -1], "keepdims": 0}, [(2, 8)]),
    ("ReduceMaxGradient", [(2, 1), (2, 3), (2, 1)], {}, [(2, 3)]),
    ("ReduceFrontSum", [IMAGE], {"num_reduce_dim": 2}, [(8, 10)]),
    ("ReduceBackMean", [IMAGE], {"num_reduce_dim": 3}, [(2,)]),
    ("ReduceBackMeanGradient", [(2,), IMAGE], {"num_reduce_dim": 3}, [IMAGE]),
    ("Moments", [IMAGE], {"axes": [1, 2], "keepdims": 0}, [(2, 10), (2, 10)]),
    ("ArgMax", [IMAGE], {"axis": 1}, [(2, 1, 8, 10)]),
    ("SumElements", [IMAGE], {}, [()]),
    ("LabelCrossEntropy", [(4, 5), (4,)], {}, [(4,)]),
    ("LabelCrossEntropyGradient", [(4, 5), (4,), (4,)], {}, [(4, 5)]),
    ("SoftmaxWithLoss", [(4, 5), (4,)], {}, [(4, 5), ()]),
    ("SoftmaxWithLossGradient", [(4, 5), (4,), (4, 5), ()], {}, [(4, 5)]),
    ("SigmoidCrossEntropyWithLogits", [(2, 4, 5), (2, 4, 5)], {}, [(2, 4)]),
    ("SigmoidCrossEntropyWithLogitsGradient", [(4,), (4, 5), (4, 5)], {}, [(4, 5)]),
    ("SquaredL2DistanceGradient", [(4, 5), (4, 5), (4,)], {}, [(4, 5), (4, 5)]),
    ("SquaredL2Distance", [(4, 5, 2), (4, 5, 2)], {}, [(4,)]),
    ("AveragedLoss", [(4, 5)], {}, [()]),
    ("AveragedLossGradient", [(4, 5), ()], {}, [(4, 5)]),
    ("Accuracy", [(4, 5), (4,)], {}, [()]),
    ("MakeTwoClass", [(4,)], {}, [(4, 2)]),
]
SPARSE = [
    ("SparseLengthsSum", [(20, 8), (12,), (4,)], {}, [(4, 8)]),
    ("SparseLengthsWeightedSum", [(20, 8), (12,), (12,), (4,)], {}, [(4, 8)]),
    ("SparseLengthsSumFused8BitRowwise", [(20, 16), (12,), (4,)], {}, [(4, 8)]),
    ("SparseLengthsSumFused4BitRowwise", [(20, 12), (12,), (4,)], {}, [(4, 16)]),
    ("FloatToFused4BitRowwiseQuantized", [(20, 8)], {}, [(20, 8)]),
    ("SparseLengthsIndicesInGradientSumGradient", [(4, 8), (4,), (12,)], {}, [(12, 8)]),
    ("LengthsSum", [(12, 8), (4,)], {}, [(4, 8)]),
    ("LengthsToRanges", [(4,)], {}, [(4, 2)]),
    ("LengthsToSegmentIds", [[1, 2, 3, 0]], {}, [(6,)]),
    ("LengthsTile", [(3, 5), [1, 0, 3]], {}, [(4, 5)]),
    ("SortedSegmentSum", [(4, 5), [0, 0, 1, 2]], {}, [(3, 5)]),
    ("UnsortedSegmentSum", [(6, 4), (6,)], {"num_segments": 3}, [(3, 4)]),
    ("SparseToDense", [(2,), (2, 5), (4, 5)], {}, [(4, 5)]),
    ("RoIAlign", [IMAGE, (5, 5)], {"pooled_h": 2, "pooled_w": 4}, [(5, 3, 2, 4)]),
    ("RoIAlign", [LAST, (5, 4)], {"pooled_h": 2, "order": "NHWC"}, [(5, 2, 1, 3)]),
    ("RoIPool", [IMAGE, (5, 5)], {"pooled_h": 2, "pooled_w": 4}, [(5, 3, 2, 4)] * 2),
    ("BBoxTransform", [(5, 5), (5, 8), (2, 3)], {}, [(5, 8), (2,)]),
    ("LSTMUnit", [(1, 4, 10), (1, 4, 10), (1, 4, 40), (4,), (1,)], {}, [(1, 4, 10)] * 2),
    ("MomentumSGDUpdate", [(4, 5), (4, 5), (1,), (4, 5)], {}, [(4, 5)] * 3),
    ("Adam", [(4, 5), (4, 5), (4, 5), (4, 5), (1,), (1,)], {}, [(4, 5)] * 3),
    ("WeightedSum", [(4, 5), (1,), (4, 5), (1,)], {}, [(4, 5)]),
    ("WeightedSumGradient", [(4,), (4,), (1,), (4,), (1,)], {}, [(4,), (4,)]),
]
FAMILIES = [
    *CONVOLUTIONS,
    *MATRICES,
    *NORMALIZATIONS,
    *ELEMENTWISE,
    *LAYOUTS,
    *JOINING,
    *FILLERS,
    *REDUCTIONS,
    *SPARSE,
]


@pytest.mark.parametrize(
    ("kind", "inputs", "args", "expected"),
    FAMILIES,
    ids=[f"{position}-{case[0]}" for position, case in enumerate(FAMILIES)],
)
def test_shapes_of_outputs(kind, inputs, args, expected):
    assert shapes(kind, inputs, len(expected), **args) == expected


@pytest.mark.parametrize(
    ("kind", "inputs", "args", "expected"),
    [
        ("EQ", [(2, 3), (3,)], {}, [BOOL]),
        ("And", [TensorType((2,), BOOL), TensorType((2,), BOOL)], {}, [BOOL]),
        ("Cast", [(2,)], {"to": 10}, [INT64]),
        ("Cast", [(2,)], {"to": "int32"}, [INT32]),
        ("Dropout", [(2,)], {}, [FLOAT, BOOL]),
        ("Concat", [(2, 3), (2, 3)], {}, [FLOAT, INT32]),
        ("Reshape", [(2, 3)], {"shape": [6]}, [FLOAT, INT64]),
        ("ArgMax", [(2, 3)], {}, [INT64]),
        ("TopK", [(2, 3)], {"k": 1}, [FLOAT, INT64]),
        ("IsEmpty", [(2, 3)], {}, [BOOL]),
        ("ConstantFill", [], {"shape": [1], "value": 3}, [INT64]),
        ("ConstantFill", [], {"shape": [1], "value": 1.0}, [FLOAT]),
        ("ConstantFill", [], {"shape": [1], "dtype": 5}, [BOOL]),
        ("GivenTensorIntFill", [], {"shape": [1], "values": [7]}, [INT32]),
        ("Int8GivenTensorFill", [], {"shape": [2]}, [UINT8]),
        ("Int8GivenIntTensorFill", [], {"shape": [2]}, [INT32]),
        ("Int8Quantize", [(2,)], {}, [UINT8]),
        ("Int8Dequantize", [TensorType((2,), UINT8)], {}, [FLOAT]),
        ("Int8Relu", [TensorType((2,), UINT8)], {}, [UINT8]),
        ("SparseLengthsSum8BitsRowwise", [TensorType((9, 8), UINT8), (5,), (4,)], {}, [FLOAT]),
        ("Relu", [TensorType((2,), DataType.FLOAT16)], {}, [DataType.FLOAT16]),
    ],
)
def test_types_of_outputs(kind, inputs, args, expected):
    outputs = infer(kind, inputs, len(expected), **args).outputs[-1]
    assert [t.dtype for t in outputs] == expected


@pytest.mark.parametrize(
    ("kind", "inputs", "args", "message"),
    [
        ("Conv", [IMAGE, (4, 5, 3, 3)], {"kernel": 3}, "3 channels in 1 groups"),
        ("Conv", [IMAGE, WEIGHTS], {"kernel": 2}, "kernel does not fit weights"),
        ("Conv", [(2, 3, 2, 2), WEIGHTS], {"kernel": 3}, "window of 3 does not fit"),
        ("Conv", [IMAGE, WEIGHTS, (5,)], {"kernel": 3}, "bias"),
        ("Conv", [IMAGE, WEIGHTS], {"kernel": 3, "stride": 0}, "not positive"),
        ("Conv", [IMAGE, WEIGHTS], {"kernels": [3]}, "1 values of kernel"),
        ("Conv", [IMAGE, WEIGHTS], {"kernel": 3, "order": "HWNC"}, "unknown storage order"),
        ("Conv", [IMAGE], {"kernel": 3}, "needs at least 2 inputs, has 1"),
        ("MaxPool", [(2, 3)], {"kernel": 3}, "at least 3 dimensions"),
        ("FC", [(4, 5), (7, 6), (7,)], {}, "does not fit weights"),
        ("FC", [(4, 5), (7, 5), (8,)], {}, "bias"),
        ("MatMul", [(4, 5), (6, 5)], {}, "product of 4 x 5 and 6 x 5"),
        ("BatchMatMul", [(1, 4, 5), (3, 5, 6)], {}, "without broadcast"),
        ("Sum", [(2, 3), (3, 2)], {}, r"\[2, 3\] and \[3, 2\]"),
        ("Sum", [(2,), TensorType((2,), INT32)], {}, "FLOAT and INT32"),
        ("Add", [(2, 3, 4), (2, 3)], {}, "do not broadcast"),
        ("Add", [(2, 3, 4), (4,)], {"broadcast": 1, "axis": 1}, "no part of"),
        ("Pow", [(2, 3), (3,)], {}, "without broadcast"),
        ("ReluGradient", [(2, 3), (3, 2)], {}, "shapes"),
        ("SpatialBN", [IMAGE, (4,), (3,), (3,), (3,)], {"is_test": 1}, "scale"),
        ("Concat", [(2, 3), (3, 3)], {"axis": 1}, "do not join"),
        ("Concat", [(2, 3)], {"axis": 2}, "axis 2 of a tensor with 2 dimensions"),
        ("Split", [(2, 5)], {"axis": 1, "split": [2, 2]}, "does not split"),
        ("Split", [(2, 4), [2, 2, 0]], {"axis": 1}, "does not split"),
        ("Slice", [(4, 5)], {"starts": [0, 4], "ends": [-1, 2]}, "slice from 4 to 2"),
        ("Slice", [(4, 5)], {"starts": [1, 1], "ends": [2, 2]}, "Caffe2 slices one"),
        ("Reshape", [(2, 3)], {"shape": [4]}, "cannot become"),
        ("Reshape", [(2, 3)], {"shape": [-1, -1]}, "more than one -1"),
        ("Reshape", [(2, 3)], {"shape": [-2, -3]}, "negative dimension"),
        ("Transpose", [(2, 3)], {"axes": [0, 0]}, "do not permute"),
        ("Squeeze", [(1, 3)], {"dims": [1]}, "not all 1"),
        ("ConstantFill", [], {"shape": [-1]}, "negative dimension"),
        ("Cast", [(2,)], {"to": 99}, "no data type 99"),
        ("TopK", [(2, 3)], {}, "k is -1"),
        ("RoIAlign", [IMAGE, (5, 3)], {}, "columns"),
        ("Range", [[1], [5], [0]], {}, "step is 0"),
        ("PadImage", [IMAGE], {"pad": -9}, "negative dimension"),
        ("ResizeNearest", [IMAGE], {"width_scale": float("nan")}, "scaled by nan"),
        ("ResizeLike", [(2, 3), (4,)], {}, "does not have 4 elements"),
        ("ConvTranspose", [IMAGE, (4, 3, 3, 3)], {"kernel": 3}, "do not fit weights"),
        ("ConvTranspose", [IMAGE, (3, 4, 3, 3)], {"kernel": 3, "legacy_pad": 3}, "pooling only"),
        ("PadImage", [(2, 3, 4)], {"pad": 1}, "4 dimensions"),
        ("MaxPool", [(2, 3, 0, 4)], {"kernel": 1}, "is empty"),
        ("MatMul", [(2, 6), (15, 6), (2, 3, 4)], {"trans_b": 1}, "third input"),
        ("BatchMatMul", [(4,), (3, 5, 6)], {}, "product of"),
        ("Tile", [(2, 3)], {"tiles": 2}, "neither an argument nor an input axis"),
        ("TileGradient", [(2, 3)], {"tiles": 2, "axis": 1}, "do not divide 3"),
        ("SpaceToBatch", [(1, 1, 3, 4)], {}, "in blocks of 2"),
        ("Gather", [(5, 6), (4, 2)], {"axis": 1, "match_outer": 1}, "do not match"),
        ("GroupNorm", [IMAGE, (3,), (3,)], {"group": 2}, "3 channels in 2 groups"),
        ("ReduceFrontSum", [(2,)], {"num_reduce_dim": 2}, "num_reduce_dim 2"),
        ("SparseLengthsSum", [(9, 2), (5,), (2, 2)], {}, "1 dimension"),
        ("XavierFill", [(2,)], {"shape": [2]}, "both a shape argument and an input"),
        ("Mul", [(2, 3), (3,)], {"broadcast": 1, "axis_str": "Q"}, "no axis 'Q'"),
        ("Relu", [], {}, "needs at least 1 input, has 0"),
        ("If", [(1,)], {}, "has no then_net"),
        ("RecurrentNetwork", [(4, 2, 3)], {"recurrent_states": ["s"]}, "differ in length"),
    ],
)
def test_contradictions_name_the_operator(kind, inputs, args, message):
    constants = sum(isinstance(spec, list) for spec in inputs)
    with pytest.raises(ShapeError, match=message) as caught:
        infer(kind, inputs, 2, **args)
    assert str(caught.value).startswith(f"operator {constants} ({kind}) -> 'y0': ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "inputs", "args", "reason"),
    [
        ("NoSuchOp", [(2,)], {}, "no shape rule for operator type NoSuchOp"),
        ("Relu", [None], {}, "the type of input 'x0' is not known"),
        ("Conv", [IMAGE, None], {"kernel": 3}, "the type of input 'x1' is not known"),
        ("Reshape", [(2, 3), TensorType((1,), INT64)], {}, "the value of input 'x1' is not known"),
        ("GenerateProposals", [(2, 3)], {}, "data-dependent"),
        ("CreateMutex", [], {}, "not a tensor"),
        ("LengthsTile", [(2, 3), (2,)], {}, "the value of input 'x1' is not known"),
        ("Conv", [IMAGE, WEIGHTS], {"kernel": 3.0}, "argument 'kernel' is not an integer"),
        ("ConstantFill", [], {"value": "text"}, "argument 'value' is no number"),
    ],
)
def test_reasons_of_unknown_types(kind, inputs, args, reason):
    inference = infer(kind, inputs, **args)
    assert inference.outputs == ((None,),)
    assert [(u.blob, u.index, u.type, u.reason) for u in inference.unknown] == [
        ("y0", 0, kind, reason)
    ]
    assert "y0" not in inference.blobs


def test_partly_known_outputs():
    inference = infer("ConvGradient", [None, WEIGHTS, None], 3)
    assert inference.outputs == ((TensorType(WEIGHTS), TensorType((4,)), None),)
    assert inference.unknown[0].reason == "the type of input 'x0' is not known"
    assert infer("Dropout", [(2,)], 2, is_test=1).outputs == ((TensorType((2,)), None),)
    assert infer("Relu", [(2,)], 2).unknown[0].reason.startswith("no shape rule for output 1")


def test_versions_of_a_blob():
    net = NetDef(
        op=[
            operator("Flatten", "x", "t"),
            operator("Relu", "t", "u"),
            operator("Transpose", "t", "t"),
            operator("Relu", "t", "v"),
            operator("NoSuchOp", "t", "t"),
            operator("Relu", "t", "w"),
            operator("NoSuchOp", "t", "t"),
        ]
    )
    inference = infer_types(net, {"x": TensorType((2, 3, 4))})
    assert [t and t.shape for (t,) in inference.outputs] == [
        (2, 12),
        (2, 12),
        (12, 2),
        (12, 2),
        None,
        None,
        None,
    ]
    assert inference.blobs["t"].shape == (12, 2)
    assert inference.blobs["x"].shape == (2, 3, 4)
    assert [(u.blob, u.index) for u in inference.unknown] == [("t", 4), ("w", 5)]


def test_given_types_win_for_every_version():
    net = NetDef(op=[operator("NoSuchOp", "x", "t"), operator("Relu", "t", "y")] * 2)
    inference = infer_types(net, {"t": TensorType((5,), INT64)})
    assert inference.outputs == ((TensorType((5,), INT64),),) * 4
    assert not inference.unknown


def test_shapes_computed_in_the_net():
    net = NetDef(
        op=[
            operator("Shape", "x", "s"),
            operator("Slice", "s", "batch", starts=[0], ends=[1]),
            operator("GivenTensorInt64Fill", "", "rest", shape=[1], values=[-1]),
            operator("Concat", "batch rest", "new info", axis=0),
            operator("Reshape", "x new", "y old"),
            operator("Reshape", "y old", "z older"),
            operator("ConstantFill", "old", "filled", input_as_shape=1),
            operator("Gather", "s one", "picked"),
        ]
    )
    blobs = infer_types(net, {"x": TensorType((2, 3, 4))}).blobs
    assert blobs["y"].shape == (2, 12)
    assert blobs["z"].shape == blobs["filled"].shape == (2, 3, 4)
    # A second version of a constant is not taken for the first.
    net.op.insert(4, operator("NoSuchOp", "new", "new"))
    assert "y" not in infer_types(net, {"x": TensorType((2, 3, 4))}).blobs


def test_values_of_integer_tensors():
    def filled(*ops):
        net = NetDef(op=[*ops, operator("ConstantFill", "shape", "y", input_as_shape=1)])
        (known,) = infer_types(net, {"x": TensorType((2, 3))}).outputs[-1]
        return known and known.shape

    ends = [operator("GivenTensorIntFill", "", name, shape=[1], values=[2]) for name in "ab"]
    ends[1].arg[1].ints[0] = 5
    assert filled(*ends, operator("Range", "a b", "shape")) == (2, 3, 4)
    assert filled(*ends, operator("Concat", "a b a", "shape info", axis=0)) == (2, 5, 2)
    size = operator("Size", "x", "size")
    assert filled(size, operator("ExpandDims", "size", "shape", dims=[0])) == (6,)
    fours = operator("ConstantFill", "", "fours", shape=[3], value=4)
    assert filled(fours, operator("Cast", "fours", "shape", to=2)) == (4, 4, 4)
    assert filled(fours, operator("Cast", "fours", "shape", to=1)) is None
    assert filled(fours, operator("Reshape", "fours", "shape old", shape=[3, 1])) == (4, 4, 4)
    assert filled(operator("ConstantFill", "", "shape", shape=[9999], value=1)) is None
    assert filled(operator("ConstantFill", "", "shape", shape=[3], dtype=10)) == (0, 0, 0)
    assert filled(operator("GivenTensorIntFill", "", "shape", shape=[2], values=[1])) is None
    assert filled(operator("GivenTensorIntFill", "", "shape", shape=[1], values=[2**40])) is None


def test_gradient_of_a_concatenation():
    net = NetDef(
        op=[
            operator("Concat", "a b", "c info"),
            operator("Split", "c_grad info", "a_grad b_grad"),
        ]
    )
    types = {"a": (2, 3), "b": (2, 5), "c_grad": (2, 8)}
    blobs = infer_types(net, {name: TensorType(shape) for name, shape in types.items()}).blobs
    assert blobs["a_grad"].shape == (2, 3)
    assert blobs["b_grad"].shape == (2, 5)


def branch(net, other=None, outputs="y"):
    args = {"then_net": NetDef(op=net)}
    if other is not None:
        args["else_net"] = NetDef(op=other)
    return operator("If", "flag x", outputs, **args)


def test_branches_that_agree():
    flatten = operator("Flatten", "x", "y")
    op = branch([operator("Relu", "x", "t"), operator("Flatten", "t", "y")], [flatten])
    inference = infer_types(NetDef(op=[op]), {"x": TensorType(IMAGE)})
    assert inference.outputs == ((TensorType((2, 240)),),)
    assert "t" not in inference.blobs


def test_branches_that_differ_or_are_missing():
    known = {"x": TensorType((2, 3))}
    differ = branch([operator("Relu", "x", "y")], [operator("Transpose", "x", "y")])
    inference = infer_types(NetDef(op=[differ]), known)
    assert inference.unknown[0].reason == "the branches do not agree on a known type"
    alone = branch([operator("Relu", "x", "y")])
    assert infer_types(NetDef(op=[alone]), known).blobs["y"].shape == (2, 3)
    unwritten = branch([operator("Relu", "x", "t")])
    inference = infer_types(NetDef(op=[unwritten]), known)
    assert inference.unknown[0].reason == "no sub-network writes it"


def test_branch_that_writes_an_undeclared_blob():
    net = NetDef(
        op=[
            operator("Relu", "x", "t"),
            branch([operator("Transpose", "x", "t")], outputs=""),
            operator("Relu", "t", "y"),
        ]
    )
    inference = infer_types(net, {"x": TensorType((2, 3))})
    assert inference.outputs[2] == (None,)
    assert infer_types(net, {"x": TensorType((3, 3))}).outputs[2] == (TensorType((3, 3)),)


def test_error_inside_a_branch_names_both_operators():
    op = branch([operator("Relu", "x", "t"), operator("FC", "t w b", "y")])
    known = {"x": TensorType((2, 3)), "w": TensorType((5, 4)), "b": TensorType((5,))}
    with pytest.raises(ShapeError, match=r"^operator 0 \(If\) -> 'y': operator 1 \(FC\) -> 'y': "):
        infer_types(NetDef(op=[op]), known)


def test_loops():
    steady = NetDef(op=[operator("Relu", "x", "x"), operator("Flatten", "x", "y")])
    known = {"x": TensorType((2, 3, 4)), "c": TensorType((1,), BOOL)}
    condition = NetDef(op=[operator("Copy", "c", "c")])
    op = operator("While", "c x", "x y", loop_net=steady, cond_net=condition)
    blobs = infer_types(NetDef(op=[op]), known).outputs[0]
    assert [t.shape for t in blobs] == [(2, 3, 4), (2, 12)]
    growing = NetDef(op=[operator("Concat", "x x", "x info", axis=0)])
    op = operator("While", "c x", "x", loop_net=growing)
    del known["x"]
    net = NetDef(op=[operator("ConstantFill", "", "x", shape=[2, 3]), op])
    inference = infer_types(net, known)
    assert inference.outputs == ((TensorType((2, 3)),), (None,))
    assert "from one iteration to the next" in inference.unknown[0].reason


def test_network_in_a_workspace_of_its_own():
    inner = NetDef(op=[operator("Flatten", "in", "mid"), operator("Relu", "mid", "out")])
    op = operator(
        "Do", "x ws", "y ws", net=inner, inner_blobs=["in", "out"], outer_blobs_idx=[0, 1]
    )
    known = {"x": TensorType(IMAGE), "mid": TensorType((1,))}
    inference = infer_types(NetDef(op=[op]), known)
    assert inference.outputs == ((TensorType((2, 240)), None),)
    assert inference.unknown[0].reason == "not a tensor"
    op.arg[2].ints[1] = 7
    with pytest.raises(ShapeError, match="do not bind"):
        infer_types(NetDef(op=[op]), known)


def test_networks_nested_too_deep():
    net = NetDef()
    inner = net
    for _ in range(80):  # in place, for messages so deep cannot be copied
        op = inner.op.add(type="If", output=["y"])
        inner = op.arg.add(name="then_net").n
    inner.op.add(type="Relu", input=["x"], output=["y"])
    with pytest.raises(ShapeError, match="nested more than"):
        infer_types(net, {"x": TensorType((2,))})


def recurrent(**changes):
    step = NetDef(op=[operator("FC", "h_prev w b", "pre", axis=2), operator("Sum", "pre x_t", "h")])
    args = {
        "step_net": step,
        "recurrent_states": ["h_states"],
        "initial_recurrent_state_ids": [1],
        "link_internal": ["h_prev", "h", "x_t"],
        "link_external": ["h_states", "h_states", "x"],
        "link_offset": [0, 1, 0],
        "alias_src": ["h_states", "h_states"],
        "alias_dst": ["h_all", "h_last"],
        "alias_offset": [1, -1],
        "outputs_with_grads": [0],
        "param": [2, 3],
    }
    return operator("RecurrentNetwork", "x h0 w b", "h_all h_last ws", **{**args, **changes})


SEQUENCE = {
    "x": TensorType((7, 4, 5)),
    "h0": TensorType((1, 4, 5)),
    "w": TensorType((5, 5)),
    "b": TensorType((5,)),
}


def test_recurrent_network():
    inference = infer_types(NetDef(op=[recurrent()]), SEQUENCE)
    assert inference.outputs == ((TensorType((7, 4, 5)), TensorType((1, 4, 5)), None),)
    assert inference.unknown[0].reason == "not a tensor"
    flat = infer_types(NetDef(op=[recurrent()]), {**SEQUENCE, "h0": TensorType((5,))})
    assert flat.outputs == inference.outputs


def test_recurrent_network_that_changes_its_state():
    with pytest.raises(ShapeError, match=r"'h' of the step network: \[1, 4, 6\] becomes"):
        infer_types(
            NetDef(op=[recurrent(recurrent_states=["h_states"])]),
            {**SEQUENCE, "h0": TensorType((1, 4, 6)), "w": TensorType((5, 6))},
        )
    with pytest.raises(ShapeError, match="for a batch of 4"):
        infer_types(NetDef(op=[recurrent()]), {**SEQUENCE, "h0": TensorType((1, 3, 5))})


def test_gradient_of_a_recurrent_network():
    op = recurrent()
    op.type = "RecurrentNetworkGradient"
    del op.input[:]
    op.input.extend(["h_all_grad", *SEQUENCE, "h_all", "h_last", "ws"])
    del op.output[:]
    op.output.extend(["x_grad", "w_grad", "b_grad", "h0_grad"])
    (outputs,) = infer_types(NetDef(op=[op]), SEQUENCE).outputs
    assert outputs == tuple(SEQUENCE[name] for name in ("x", "w", "b", "h0"))


def test_types_of_an_init_net():
    net = NetDef(
        op=[
            operator("XavierFill", "", "w", shape=[4, 3]),
            operator("ConstantFill", "", "b", shape=[4]),
            operator("GivenTensorInt64Fill", "", "ids", shape=[2], values=[1, 2]),
            operator("Int8GivenTensorFill", "", "q", shape=[2, 2]),
            operator("LoadFromSomewhere", "", "unknown"),
        ]
    )
    assert types_from_init_net(net) == {
        "w": TensorType((4, 3)),
        "b": TensorType((4,)),
        "ids": TensorType((2,), INT64),
        "q": TensorType((2, 2), UINT8),
    }


def test_empty_and_long_nets():
    assert infer_types(NetDef(), {}).outputs == ()
    net = NetDef(op=[operator("Relu", "x", "x")] * 5000)
    assert infer_types(net, {"x": TensorType((2,))}).outputs[-1] == (TensorType((2,)),)


ODD_NUMBERS = [-(2**63), -7, -1, 0, 1, 2, 3, 2**31, 2**63 - 1]
ODD_NAMES = """
    kernel kernels stride strides pad pads dilation group order axis axis_w axes dims shape
    split starts ends broadcast axis_str add_axis tiles k num_reduce_dim keepdims to dtype value
    extra_shape input_as_shape legacy_pad global_pooling no_bias width_scale block_size adj
    dim_size num_segments pooled_h then_net loop_net net step_net inner_blobs outer_blobs_idx
    recurrent_states initial_recurrent_state_ids alias_src alias_dst alias_offset link_internal
    link_external link_offset link_window outputs_with_grads param match_outer values dim
"""


def odd_operator(kind, rng):
    op = OperatorDef(type=kind)
    op.input.extend(rng.choice("abcdefg") for _ in range(rng.randrange(7)))
    op.output.extend(rng.choice("abyz") for _ in range(rng.randrange(5)))
    for name in rng.sample(ODD_NAMES.split(), 6):
        arg = op.arg.add(name=name)
        form = rng.randrange(6)
        if form < 2:
            arg.i = rng.choice(ODD_NUMBERS)
        elif form == 2:
            arg.f = rng.choice([0.0, -1.0, 0.5, 1e38, float("inf"), float("nan")])
        elif form == 3:
            arg.ints.extend(rng.choice(ODD_NUMBERS) for _ in range(rng.randrange(5)))
        elif form == 4:
            arg.s = rng.choice([b"NCHW", b"NHWC", b"C", b"\xff", b""])
            arg.strings.extend([b"a", b"y", b"\xff"][: rng.randrange(4)])
        else:
            arg.n.op.append(operator("Relu", "a", "y"))
    return op


def test_odd_operators_never_crash():
    rng = random.Random(7)
    types, messages = 0, []
    for kind in sorted(SUPPORTED):
        for _ in range(25):
            known = {
                name: TensorType(
                    tuple(rng.choice([0, 1, 2, 3, 4]) for _ in range(rng.randrange(6))),
                    rng.choice([FLOAT, FLOAT, INT32, INT64]),
                )
                for name in "abcde"
            }
            constant = operator("GivenTensorInt64Fill", "", "f", shape=[2], values=[1, 2])
            net = NetDef(op=[constant, odd_operator(kind, rng)])
            try:
                inference = infer_types(net, known)
            except ShapeError as error:
                messages.append((kind, str(error)))
            else:
                types += sum(known is not None for known in inference.outputs[1])
    assert len(messages) > 1000
    assert all(message.startswith(f"operator 1 ({kind})") for kind, message in messages)
    assert not any("\n" in message for _, message in messages)
    assert types > 1000


# Recorded nets of the real Caffe2. Test-mode dropouts never write their masks; the recorder
# invented types for them.
UNWRITTEN = {
    ("real_alexnet", "_fc6_mask"),
    ("real_alexnet", "_fc7_mask"),
    ("real_inception_v1", "_pool5/7x7_s1_mask"),
    ("real_vgg19", "_fc6_mask"),
    ("real_vgg19", "_fc7_mask"),
}
COVERAGE_FLOOR = 0.998


@pytest.fixture(scope="module")
def golden():
    root = Path(__file__).resolve().parents[2]
    folder = Path(os.environ.get("MEMONGER_DATA", root.parent / "shared" / "data"))
    archive = folder / "caffe2" / "golden.tgz"
    if not archive.exists():
        pytest.skip(f"no recorded nets at {archive}")
    files = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            name = member.name.removeprefix("golden/")
            if name == "index.json" or name.startswith("nets/"):
                files[name] = tar.extractfile(member).read()
    records = json.loads(files["index.json"])["nets"]
    return [(record, NetDef.FromString(files[record["file"]])) for record in records]


def given_types(record, net):
    """Return the types of what the net was fed, and of nothing that it computes."""
    if record["external_inputs"]:
        return {
            name: TensorType(tuple(fed["shape"]), DataType.parse(fed["dtype"]))
            for name, fed in record["external_inputs"].items()
        }
    return {
        name: TensorType(tuple(record["blob_shapes"][name]), DataType(record["blob_types"][name]))
        for name in net.external_input
        if name in record["blob_shapes"]
    }


def test_recorded_nets(golden):
    recorded = inferred = 0
    wrong, missing = [], set()
    for record, net in golden:
        blobs = infer_types(net, given_types(record, net)).blobs
        for name, shape in record["blob_shapes"].items():
            recorded += 1
            if name not in blobs:
                missing.add((record["name"], name))
                continue
            inferred += 1
            # Nets that could not be run have shapes, but every type is recorded as float.
            same_type = record["shapes_from"] == "none" or (
                blobs[name].dtype == record["blob_types"][name]
            )
            if list(blobs[name].shape) != shape or not same_type:
                wrong.append((record["name"], name, blobs[name], shape))
    print(f"{inferred} of {recorded} blobs of {len(golden)} nets: {inferred / recorded:.4f}")
    assert not wrong
    assert missing == UNWRITTEN
    assert len(golden) >= 99
    assert inferred / recorded >= COVERAGE_FLOOR
