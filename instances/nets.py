"""Built-in networks: published architectures as Caffe2 nets, and nets of any size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from memonger.errors import InputError
from memonger.instances import architectures
from memonger.instances.net_builder import NetBuilder
from memonger.net.netdef_pb2 import NetDef
from memonger.net.tensors import DataType, TensorType


@dataclass(frozen=True)
class BuiltNet:
    """A built-in network.

    Parameters
    ----------
    net
        The net, with its external inputs and outputs declared. A training net counts what
        it updates in place (parameters, momenta, statistics) among its outputs.
    types
        Type of every external input: data, parameters, state.
    description
        One line for people.
    """

    net: NetDef
    types: dict[str, TensorType]
    description: str


def _built(builder: NetBuilder, outputs: Sequence[str], description: str) -> BuiltNet:
    builder.net.external_output.extend(outputs)
    return BuiltNet(builder.net, builder.types, description)


def _classifier(builder: NetBuilder, scores: str, description: str) -> BuiltNet:
    return _built(builder, [builder.elementwise("Softmax", scores, "softmax")], description)


def _label(builder: NetBuilder, scores: str) -> str:
    return builder.data("label", builder.shapes[scores][:1], DataType.INT32)


def _softmax_with_loss(builder: NetBuilder, scores: str) -> str:
    builder.add("SoftmaxWithLoss", [scores, _label(builder, scores)], ["softmax", "loss"])
    return "loss"


def _trained(
    builder: NetBuilder, loss: str, description: str, *, momentum: float = 0.0
) -> BuiltNet:
    builder.sgd(builder.backward(loss), 0.1, momentum)
    written = {blob for op in builder.net.op for blob in op.output}
    state = [name for name in builder.types if name in written]
    return _built(builder, [loss, *state], description)


def _mlp() -> BuiltNet:
    builder = NetBuilder("mlp")
    scores = architectures.perceptron(builder, builder.data("data", (64, 784)), (512, 256, 10))
    return _classifier(builder, scores, "multilayer perceptron 784-512-256-10, batch 64")


def _mlp_train() -> BuiltNet:
    builder = NetBuilder("mlp-train")
    scores = architectures.perceptron(builder, builder.data("data", (64, 784)), (512, 256, 10))
    loss = _softmax_with_loss(builder, scores)
    return _trained(builder, loss, "one training step of mlp: loss, gradients, SGD")


def _cnn_train() -> BuiltNet:
    builder = NetBuilder("cnn-train")
    scores = architectures.lenet(builder, builder.data("data", (64, 1, 28, 28)))
    softmax = builder.elementwise("Softmax", scores, "softmax")
    builder.add("LabelCrossEntropy", [softmax, _label(builder, scores)], ["xent"])
    loss = builder.add("AveragedLoss", ["xent"], ["loss"])
    description = "one training step of LeNet (LeCun et al. 1998): loss, gradients, SGD, batch 64"
    return _trained(builder, loss, description)


def _resnet50() -> BuiltNet:
    builder = NetBuilder("resnet50")
    scores = architectures.resnet50(builder, builder.data("data", (1, 3, 224, 224)))
    return _classifier(builder, scores, "ResNet-50 (He et al. 2016), inference, 1x3x224x224")


def _resnet50_train() -> BuiltNet:
    builder = NetBuilder("resnet50-train")
    scores = architectures.resnet50(builder, builder.data("data", (32, 3, 224, 224)), train=True)
    loss = _softmax_with_loss(builder, scores)
    description = "one training step of ResNet-50 (He et al. 2016), SGD with momentum, batch 32"
    return _trained(builder, loss, description, momentum=0.9)


def _inception_v1() -> BuiltNet:
    builder = NetBuilder("inception-v1")
    scores = architectures.inception_v1(builder, builder.data("data", (1, 3, 224, 224)))
    return _classifier(builder, scores, "GoogLeNet (Szegedy et al. 2015), inference, 1x3x224x224")


def _unet() -> BuiltNet:
    builder = NetBuilder("unet")
    scores = architectures.unet(builder, builder.data("data", (1, 3, 256, 256)), classes=2)
    # A sigmoid per class and pixel: Caffe2's Softmax does not run along the channels alone.
    masks = builder.elementwise("Sigmoid", scores, "masks")
    description = "U-Net (Ronneberger et al. 2015), padded, 2 classes, inference, 1x3x256x256"
    return _built(builder, [masks], description)


def _lstm() -> BuiltNet:
    steps, batch, symbols = 20, 8, 50
    builder = NetBuilder("lstm")
    x = builder.data("data", (steps, batch, symbols))
    every, last, last_cell = architectures.lstm(builder, x, "lstm", 64)
    scores = builder.fc(every, "pred", symbols, axis=2)
    softmax = builder.elementwise("Softmax", scores, "softmax", axis=2)
    # The last states are outputs because the next sequence starts from them.
    description = f"LSTM language model over {symbols} symbols, 64 hidden, {steps} steps, batch 8"
    return _built(builder, [softmax, last, last_cell], description)


NETS: dict[str, Callable[[], BuiltNet]] = {
    "resnet50": _resnet50,
    "resnet50-train": _resnet50_train,
    "inception-v1": _inception_v1,
    "unet": _unet,
    "lstm": _lstm,
    "mlp": _mlp,
    "mlp-train": _mlp_train,
    "cnn-train": _cnn_train,
}
"""Builders of the built-in networks, by name."""


def build(name: str) -> BuiltNet:
    """Build a built-in network.

    Raises
    ------
    InputError
        If there is none of that name.

    Examples
    --------
    >>> len(build("mlp").net.op)
    6
    """
    if name not in NETS:
        raise InputError(f"no built-in net {name!r}; there are: {', '.join(NETS)}")
    return NETS[name]()


def _check_size(operators: int) -> None:
    if operators < 1:
        raise InputError(f"a net needs at least 1 operator, not {operators}")


def chain(operators: int) -> BuiltNet:
    """Build a chain of elementwise operators on one image of 64x28x28, in linear time.

    Parameters
    ----------
    operators
        Exact number of operators.

    Raises
    ------
    InputError
        If the number is below 1.
    """
    _check_size(operators)
    builder = NetBuilder(f"chain-{operators}")
    x = builder.data("data", (1, 64, 28, 28))
    types = ("Relu", "Sigmoid", "Tanh")
    for index in range(operators):
        x = builder.elementwise(types[index % len(types)], x, f"x{index}")
    return _built(builder, [x], f"chain of {operators} elementwise operators")


def resnet_like(operators: int) -> BuiltNet:
    """Build a residual network of basic blocks and about that many operators, in linear time.

    Four stages of 64 to 512 channels with equally many blocks of two 3x3 convolutions;
    inference on one image of 3x224x224.

    Parameters
    ----------
    operators
        Wished number of operators. The net has at most 9 more or fewer, but never less than
        one block of 7 and the 7 operators around it.

    Raises
    ------
    InputError
        If the number is below 1.
    """
    _check_size(operators)
    blocks = max(1, round((operators - 7) / 7))
    builder = NetBuilder(f"resnet-like-{operators}")
    x = architectures.residual_stem(builder, builder.data("data", (1, 3, 224, 224)))
    stage = 0
    for block in range(blocks):
        previous, stage = stage, 4 * block // blocks
        layers = [(64 << stage, 3)] * 2
        stride = 1 << (stage - previous)
        x = architectures.residual_block(builder, x, f"block{block}", layers, stride)
    x = builder.pool("AveragePool", x, "pool", builder.shapes[x][2], 1)
    description = f"residual network of {blocks} basic blocks, inference, 1x3x224x224"
    return _classifier(builder, builder.fc(x, "pred", 1000), description)
