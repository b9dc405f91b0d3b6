"""Published architectures as layers of a builder: each appends a body and returns its output."""

from __future__ import annotations

from collections.abc import Sequence

from memonger.instances.net_builder import NetBuilder
from memonger.net.netdef_pb2 import NetDef
from memonger.net.tensors import DataType


def perceptron(builder: NetBuilder, x: str, widths: Sequence[int]) -> str:
    """Append fully connected layers, all but the last with Relu."""
    for number, width in enumerate(widths[:-1], start=1):
        x = builder.relu(builder.fc(x, f"fc{number}", width), f"relu{number}")
    return builder.fc(x, "pred", widths[-1])


def lenet(builder: NetBuilder, x: str) -> str:
    """Append LeNet (LeCun et al. 1998) with max pooling, as Caffe2's tutorial trains it."""
    x = builder.conv(x, "conv1", 20, 5, no_gradient_to_input=1)
    x = builder.pool("MaxPool", x, "pool1", 2, 2)
    x = builder.pool("MaxPool", builder.conv(x, "conv2", 50, 5), "pool2", 2, 2)
    return builder.fc(builder.relu(builder.fc(x, "fc3", 500)), "pred", 10)


# Residual networks.


def conv_bn(
    builder: NetBuilder,
    x: str,
    name: str,
    channels: int,
    kernel: int,
    stride: int = 1,
    *,
    train: bool = False,
) -> str:
    """Append a convolution without bias and its normalisation."""
    x = builder.conv(x, name, channels, kernel, stride=stride, pad=kernel // 2, bias=False)
    return builder.spatial_bn(x, f"{name}_bn", train=train)


def residual_block(
    builder: NetBuilder,
    x: str,
    name: str,
    layers: Sequence[tuple[int, int]],
    stride: int = 1,
    *,
    train: bool = False,
) -> str:
    """Append layers of (channels, kernel), the first with the stride, and their shortcut.

    A shortcut that would change the shape is projected.
    """
    y = x
    for number, (channels, kernel) in enumerate(layers):
        if number:
            y = builder.relu(y)
        step = 1 if number else stride
        layer = f"{name}_branch2{'abc'[number]}"
        y = conv_bn(builder, y, layer, channels, kernel, step, train=train)
    shortcut = x
    if builder.shapes[x] != builder.shapes[y]:
        channels = layers[-1][0]
        shortcut = conv_bn(builder, x, f"{name}_branch1", channels, 1, stride, train=train)
    # In place as in Caffe2's model zoo; its trainer gives the sum a blob of its own.
    return builder.relu(builder.sum([y, shortcut], f"{name}_sum" if train else y))


def residual_stem(builder: NetBuilder, x: str, *, train: bool = False) -> str:
    """Append the first layers of ResNet: from 224x224 to 64 channels of 56x56."""
    arguments = {"no_gradient_to_input": 1} if train else {}
    x = builder.conv(x, "conv1", 64, 7, stride=2, pad=3, bias=False, **arguments)
    x = builder.relu(builder.spatial_bn(x, "conv1_bn", train=train))
    return builder.pool("MaxPool", x, "pool1", 3, 2, (1, 1))


def resnet50(builder: NetBuilder, x: str, *, train: bool = False) -> str:
    """Append ResNet-50 (He et al. 2016, the stride in the first 1x1 layer of a stage)."""
    x = residual_stem(builder, x, train=train)
    for stage, blocks in enumerate((3, 4, 6, 3)):
        width = 64 << stage
        layers = [(width, 1), (width, 3), (4 * width, 1)]
        for block in range(blocks):
            stride = 2 if stage > 0 and block == 0 else 1
            name = f"res{stage + 2}_{block}"
            x = residual_block(builder, x, name, layers, stride, train=train)
    return builder.fc(builder.pool("AveragePool", x, "pool5", 7, 1), "fc1000", 1000)


# GoogLeNet.

_INCEPTIONS = {  # 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool projection
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


def _conv_relu(builder: NetBuilder, x: str, name: str, channels: int, kernel: int = 1) -> str:
    return builder.relu(builder.conv(x, name, channels, kernel, pad=kernel // 2))


def _halve(builder: NetBuilder, x: str, name: str) -> str:
    # One row and column of padding at the end give the published sizes: 112, 56, 28, 14, 7.
    return builder.pool("MaxPool", x, name, 3, 2, (0, 1))


def _lrn(builder: NetBuilder, x: str, name: str) -> str:
    shape = builder.shapes[x]
    outputs = {name: shape, f"_{name}_scale": shape}
    return builder.add("LRN", [x], outputs, size=5, alpha=1e-4, beta=0.75, bias=1.0, order="NCHW")


def _inception(builder: NetBuilder, x: str, name: str, widths: Sequence[int]) -> str:
    one, reduce3, three, reduce5, five, projection = widths
    branches = [_conv_relu(builder, x, f"{name}/1x1", one)]
    y = _conv_relu(builder, x, f"{name}/3x3_reduce", reduce3)
    branches.append(_conv_relu(builder, y, f"{name}/3x3", three, 3))
    y = _conv_relu(builder, x, f"{name}/5x5_reduce", reduce5)
    branches.append(_conv_relu(builder, y, f"{name}/5x5", five, 5))
    y = builder.pool("MaxPool", x, f"{name}/pool", 3, 1, (1, 1))
    branches.append(_conv_relu(builder, y, f"{name}/pool_proj", projection))
    return builder.concat(branches, f"{name}/output")


def inception_v1(builder: NetBuilder, x: str) -> str:
    """Append GoogLeNet (Szegedy et al. 2015) for inference, without auxiliary classifiers."""
    x = builder.relu(builder.conv(x, "conv1", 64, 7, stride=2, pad=3))
    x = _lrn(builder, _halve(builder, x, "pool1"), "norm1")
    x = _conv_relu(builder, _conv_relu(builder, x, "conv2_reduce", 64), "conv2", 192, 3)
    x = _halve(builder, _lrn(builder, x, "norm2"), "pool2")
    for name, widths in _INCEPTIONS.items():
        if name in ("4a", "5a"):
            x = _halve(builder, x, "pool3" if name == "4a" else "pool4")
        x = _inception(builder, x, f"inception_{name}", widths)
    x = builder.pool("AveragePool", x, "pool5", 7, 1)
    # Dropout writes no mask in test mode, so none is declared.
    x = builder.elementwise("Dropout", x, x, ratio=0.4, is_test=1)
    return builder.fc(x, "classifier", 1000)


# U-Net.


def _two_convs(builder: NetBuilder, x: str, name: str, channels: int) -> str:
    for number in (1, 2):
        x = _conv_relu(builder, x, f"{name}_conv{number}", channels, 3)
    return x


def unet(builder: NetBuilder, x: str, classes: int) -> str:
    """Append U-Net (Ronneberger et al. 2015) with padded convolutions: scores per pixel."""
    skips = []
    for level in range(1, 5):
        skips.append(_two_convs(builder, x, f"down{level}", 32 << level))
        x = builder.pool("MaxPool", skips[-1], f"pool{level}", 2, 2)
    x = _two_convs(builder, x, "bottom", 1024)
    for level in range(4, 0, -1):
        x = builder.conv_transpose(x, f"up{level}", 32 << level, 2, 2)
        x = builder.concat([skips[level - 1], x], f"merge{level}")
        x = _two_convs(builder, x, f"merge{level}", 32 << level)
    return builder.conv(x, "scores", classes, 1)


# Recurrent networks.


def _lstm_step(name: str, lengths: str) -> NetDef:
    """Return the net of one time step; it sees weights and lengths of the outer net."""
    hidden, cell, gates = f"{name}/hidden_t_prev", f"{name}/cell_t_prev", f"{name}/gates_t"
    new = [f"{name}/hidden_state", f"{name}/cell_state"]
    step = NetBuilder(name)
    step.add("FC", [hidden, f"{gates}_w", f"{gates}_b"], [gates], axis=2)
    step.add("Sum", [gates, "input_t"], [gates])
    inputs = [hidden, cell, gates, lengths, "timestep"]
    step.add("LSTMUnit", inputs, new, forget_bias=0.0, drop_states=0, sequence_lengths=1)
    step.net.external_input.extend(
        ["input_t", "timestep", hidden, cell, f"{gates}_w", f"{gates}_b", lengths]
    )
    step.net.external_output.extend(new)
    return step.net


def lstm(
    builder: NetBuilder, x: str, name: str, width: int, lengths: str | None = None
) -> tuple[str, str, str]:
    """Append an LSTM layer over (time, batch, features).

    Parameters
    ----------
    builder, x, name
        Where, what it reads, and what its blobs are named after.
    width
        Features of a hidden state.
    lengths
        The lengths of the sequences; ``None`` declares ``seq_lengths``, and names the initial
        states without the name of the layer.

    Returns
    -------
    tuple
        The hidden states of all steps, and the last hidden and cell state.
    """
    steps, batch, _ = builder.shapes[x]
    prefix = "" if lengths is None else f"{name}/"
    lengths = lengths or builder.data("seq_lengths", (batch,), DataType.INT32)
    gates = [
        builder.parameter(f"{name}/gates_t_w", (4 * width, width)),
        builder.parameter(f"{name}/gates_t_b", (4 * width,)),
    ]
    projected = builder.fc(x, f"{name}/i2h", 4 * width, axis=2)
    kinds = ("hidden", "cell")
    initial = [builder.data(f"{prefix}{kind}_init", (1, batch, width)) for kind in kinds]
    # Per kind one tensor holds the states of times 0 to T: a step reads time t and writes
    # t + 1, and the outputs are views of it.
    states = [f"{name}/{kind}_t_prev_states" for kind in kinds]
    links = [f"{name}/{kind}_{end}" for kind in kinds for end in ("t_prev", "state")]
    twice = [state for state in states for _ in range(2)]
    outputs: dict[str, tuple[int, ...]] = {}
    for kind in kinds:
        outputs[f"{name}/{kind}_state_all"] = (steps, batch, width)
        outputs[f"{name}/{kind}_state_last"] = (1, batch, width)
    builder.add(
        "RecurrentNetwork",
        [projected, *initial, *gates, lengths],
        [*outputs, f"{name}/step_workspaces"],
        alias_src=twice,
        alias_dst=list(outputs),
        alias_offset=[1, -1] * 2,
        recurrent_states=states,
        initial_recurrent_state_ids=[1, 2],
        link_internal=[*links, "input_t"],
        link_external=[*twice, projected],
        link_offset=[0, 1, 0, 1, 0],
        enable_rnn_executor=1,
        step_net=_lstm_step(name, lengths),
        timestep="timestep",
    )
    builder.shapes.update(outputs)
    every, last, _, last_cell = outputs
    return every, last, last_cell
