"""Caffe2 nets of any size in the proportions of published architectures, and their training.

A body appends so many blocks to a builder and returns its output. What a net is made of depends on
its family, the number of operators asked for and the seed alone; widths are drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from memonger.instances import architectures
from memonger.instances.draws import Draws
from memonger.instances.net_builder import NetBuilder
from memonger.instances.nets import BuiltNet
from memonger.net.tensors import DataType

Body = Callable[[NetBuilder, Draws, int], str]
"""Appends so many blocks, at least one; returns the output."""

CLASSES = 10


def chain(builder: NetBuilder, draws: Draws, blocks: int) -> str:
    """Append elementwise operators, one after the other."""
    x = builder.data("data", (draws.between(1, 4), draws.pick((16, 32, 64)), 28, 28))
    for block in range(blocks):
        x = builder.elementwise(draws.pick(("Relu", "Sigmoid", "Tanh")), x, f"x{block}")
    return x


def perceptron(builder: NetBuilder, draws: Draws, blocks: int) -> str:
    """Append fully connected layers, widths drawn."""
    x = builder.data("data", (32, 64))
    for block in range(blocks):
        x = builder.fc(x, f"fc{block}", draws.pick((64, 128, 256, 512)))
        x = builder.relu(x, f"relu{block}")
    return x


def residual(builder: NetBuilder, draws: Draws, blocks: int) -> str:
    """Append residual blocks (He et al. 2016) of two convolutions in three stages."""
    channels = draws.pick((16, 32))
    x = _image(builder, channels, 32)
    stage = 0
    for block in range(blocks):
        before, stage = stage, 3 * block // blocks
        layers = [(channels << stage, 3)] * 2
        x = architectures.residual_block(
            builder, x, f"block{block}", layers, 1 << (stage - before), train=True
        )
    return x


def u_nets(builder: NetBuilder, draws: Draws, blocks: int) -> str:
    """Append U-Nets (Ronneberger et al. 2015) of three levels, one after the other."""
    width = draws.pick((8, 16))
    x = _image(builder, width, 32)
    for block in range(blocks):
        skips = []
        for level in range(3):
            x = _conv(builder, x, f"u{block}/down{level}", width << level)
            skips.append(x)
            x = builder.pool("MaxPool", x, f"u{block}/pool{level}", 2, 2)
        x = _conv(builder, x, f"u{block}/bottom", width << 3)
        for level in (2, 1, 0):
            x = builder.conv_transpose(x, f"u{block}/up{level}", width << level, 2, 2)
            x = builder.concat([skips[level], x], f"u{block}/merge{level}")
            x = _conv(builder, x, f"u{block}/merged{level}", width << level)
    return x


def dense_blocks(builder: NetBuilder, draws: Draws, blocks: int) -> str:
    """Append dense layers (Huang et al. 2017): each reads all of its block, up to twelve."""
    growth = draws.pick((8, 12, 16))
    x = _image(builder, 2 * growth, 16)
    features, most = [x], draws.between(6, 12)
    for block in range(blocks):
        if len(features) == most:
            x = _conv(builder, x, f"d{block}/transition", 2 * growth, 1)
            features = [x]
        features.append(_conv(builder, x, f"d{block}/layer", growth))
        x = builder.concat(features, f"d{block}/joined")
    return x


def inception(builder: NetBuilder, draws: Draws, blocks: int) -> str:
    """Append modules of four branches that join (Szegedy et al. 2015), widths drawn."""
    x = _image(builder, 32, 16)
    for block in range(blocks):
        name = f"m{block}"
        branches = [_conv(builder, x, f"{name}/1x1", draws.pick((16, 24, 32)), 1)]
        for kernel in (3, 5):
            y = _conv(builder, x, f"{name}/{kernel}_reduce", draws.pick((8, 16)), 1)
            y = _conv(builder, y, f"{name}/{kernel}", draws.pick((16, 24, 32)), kernel)
            branches.append(y)
        y = builder.pool("MaxPool", x, f"{name}/pool", 3, 1, (1, 1))
        branches.append(_conv(builder, y, f"{name}/projected", 16, 1))
        x = builder.concat(branches, f"{name}/output")
    return x


def randomly_wired(builder: NetBuilder, draws: Draws, blocks: int) -> str:
    """Append nodes that add up to three of the sixteen before them (Xie et al. 2019)."""
    nodes = [builder.data("data", (16, 128))]
    unread: dict[str, None] = {}
    for block in range(blocks):
        recent = nodes[-16:]
        sources = list(
            dict.fromkeys([nodes[-1], *(draws.pick(recent) for _ in range(draws.between(0, 2)))])
        )
        x = builder.sum(sources, f"n{block}/sum") if len(sources) > 1 else sources[0]
        nodes.append(builder.relu(builder.fc(x, f"n{block}", 128), f"n{block}/relu"))
        unread = {name: None for name in (*unread, nodes[-1]) if name not in sources}
    return builder.sum(list(unread), "last") if len(unread) > 1 else nodes[-1]


def encoder(builder: NetBuilder, draws: Draws, blocks: int) -> str:
    """Append encoder layers (Vaswani et al. 2017), normalised before each half, one head."""
    length, width = draws.pick((32, 48, 64)), draws.pick((32, 64))
    x = builder.data("data", (4, length, width))
    for block in range(blocks):
        y = _normalised(builder, x, f"l{block}/before")
        query, key, value = (builder.fc(y, f"l{block}/{kind}", width, axis=2) for kind in "qkv")
        x = _attended(builder, x, f"l{block}", query, key, value)
    return x


def decoder(builder: NetBuilder, draws: Draws, blocks: int) -> str:
    """Append decoder layers that add the keys and values of one token to those of the others.

    The caches that grow are outputs of the net.
    """
    length, width = draws.between(64, 192), draws.pick((32, 64))
    x = builder.data("data", (1, 1, width))
    for block in range(blocks):
        y = _normalised(builder, x, f"l{block}/before")
        query = builder.fc(y, f"l{block}/q", width, axis=2)
        kept = []
        for kind in "kv":
            cache = builder.data(f"l{block}/{kind}_cache", (1, length, width))
            new = builder.fc(y, f"l{block}/{kind}", width, axis=2)
            name = f"l{block}/{kind}_all"
            outputs = {name: (1, length + 1, width), f"{name}_dims": (2,)}
            kept.append(builder.add("Concat", [cache, new], outputs, axis=1))
        x = _attended(builder, x, f"l{block}", query, *kept)
        builder.net.external_output.extend(kept)
    return x


def lstm_steps(builder: NetBuilder, draws: Draws, blocks: int) -> str:
    """Append an LSTM (Hochreiter and Schmidhuber 1997) unrolled in time, its weights shared."""
    batch, width = 8, draws.pick((32, 64))
    hidden, cell = (builder.data(f"{kind}_init", (batch, width)) for kind in ("hidden", "cell"))
    weights = {}
    for gate in "ifgo":
        for kind in "xh":
            name = f"{gate}{kind}"
            shapes = {"w": (width, width), "b": (width,)}
            weights[name] = [builder.parameter(f"{name}_{p}", s) for p, s in shapes.items()]
    shape = (batch, width)
    for step in range(blocks):
        x, gates = builder.data(f"x{step}", shape), {}
        for gate in "ifgo":
            parts = [
                builder.add("FC", [blob, *weights[gate + kind]], {f"t{step}/{gate}{kind}": shape})
                for kind, blob in (("x", x), ("h", hidden))
            ]
            total = builder.sum(parts, f"t{step}/{gate}_sum")
            function = "Tanh" if gate == "g" else "Sigmoid"
            gates[gate] = builder.elementwise(function, total, f"t{step}/{gate}")
        kept = builder.add("Mul", [gates["f"], cell], {f"t{step}/kept": shape})
        new = builder.add("Mul", [gates["i"], gates["g"]], {f"t{step}/new": shape})
        cell = builder.sum([kept, new], f"t{step}/cell")
        squashed = builder.elementwise("Tanh", cell, f"t{step}/squashed")
        hidden = builder.add("Mul", [gates["o"], squashed], {f"t{step}/hidden": shape})
    return hidden


def lstm_layers(builder: NetBuilder, draws: Draws, blocks: int) -> str:
    """Append LSTM layers, each one operator that runs a net of its own for every step of time."""
    steps, batch, width = draws.between(8, 20), 4, draws.pick((16, 32))
    x = builder.data("data", (steps, batch, width))
    lengths = builder.data("seq_lengths", (batch,), DataType.INT32)
    for block in range(blocks):
        x, *last = architectures.lstm(builder, x, f"lstm{block}", width, lengths)
        builder.net.external_output.extend(last)
    return x


def _image(builder: NetBuilder, channels: int, side: int) -> str:
    return builder.relu(builder.conv(builder.data("data", (2, 3, side, side)), "stem", channels, 1))


def _conv(builder: NetBuilder, x: str, name: str, channels: int, kernel: int = 3) -> str:
    return builder.relu(builder.conv(x, name, channels, kernel, pad=kernel // 2))


def _normalised(builder: NetBuilder, x: str, name: str) -> str:
    shape = builder.shapes[x]
    statistic = (*shape[:2], 1)
    outputs = {name: shape, f"{name}_mean": statistic, f"{name}_std": statistic}
    return builder.add("LayerNorm", [x], outputs, axis=2, epsilon=1e-5)


def _attended(builder: NetBuilder, x: str, name: str, query: str, key: str, value: str) -> str:
    """Append attention and the two fully connected layers behind it, each around a shortcut."""
    batch, rows, width = builder.shapes[query]
    shape = (batch, rows, builder.shapes[key][1])
    scores = builder.add("BatchMatMul", [query, key], {f"{name}/scores": shape}, trans_b=1)
    weights = builder.elementwise("Softmax", scores, f"{name}/weights", axis=2)
    product = {f"{name}/context": (batch, rows, width)}
    y = builder.fc(builder.add("BatchMatMul", [weights, value], product), f"{name}/out", width, 2)
    x = builder.sum([x, y], f"{name}/attended")
    y = builder.fc(_normalised(builder, x, f"{name}/between"), f"{name}/wide", 4 * width, 2)
    y = builder.fc(builder.relu(y, f"{name}/relu"), f"{name}/narrow", width, 2)
    return builder.sum([x, y], f"{name}/output")


BODIES: dict[str, tuple[str, Body]] = {
    "chain": ("elementwise operators, one after the other", chain),
    "mlp": ("fully connected layers, widths drawn", perceptron),
    "resnet": ("residual blocks of two convolutions", residual),
    "unet": ("U-Nets of three levels, one after the other", u_nets),
    "densenet": ("dense layers, each of which reads all of its block", dense_blocks),
    "inception": ("modules of four branches that join, widths drawn", inception),
    "randwire": (
        "randomly wired nodes that read up to three of the sixteen before",
        randomly_wired,
    ),
    "encoder": ("transformer encoder layers", encoder),
    "decoder": ("transformer decoder layers, one token, keys and values kept", decoder),
    "lstm": ("an LSTM unrolled in time, its weights shared", lstm_steps),
    "recurrent-lstm": ("LSTM layers as recurrent operators with step nets", lstm_layers),
}
"""Name -> what it is, and the body. As nets they are called ``NAME-net``."""

UNTRAINED = ("decoder", "recurrent-lstm")
"""Bodies without a training net: a decoder's caches, and recurrent operators."""


def net_of(name: str, operators: int, seed: int = 0, *, train: bool = False) -> BuiltNet:
    """Return a net of about that many operators, at least one block.

    Parameters
    ----------
    name
        In `BODIES`.
    operators
        Wished number of operators; of a training net with gradients and updates.
    seed
        Of the widths.
    train
        Whether loss, gradients and one step of gradient descent are appended.

    Notes
    -----
    Linear: nets of one and three blocks tell how much a block adds, a net of about the right size
    by how much that is wrong.
    """
    summary, body = BODIES[name]
    kind = "training" if train else "net"
    label = f"{name}-{kind}-{operators}-{seed}"

    def built(blocks: int) -> BuiltNet:
        return _built(label, body, summary, blocks, train=train)

    one, three = (len(built(blocks).net.op) for blocks in (1, 3))
    blocks = max(1, 1 + round(2 * (operators - one) / (three - one)))
    about = built(blocks)
    better = max(1, round(blocks * operators / len(about.net.op)))
    return about if better == blocks else built(better)


def _built(label: str, body: Body, summary: str, blocks: int, *, train: bool) -> BuiltNet:
    builder = NetBuilder(label)
    scores = _scored(builder, body(builder, Draws(label), blocks))
    outputs: Sequence[str]
    if train:
        label_blob = builder.data("label", builder.shapes[scores][:1], DataType.INT32)
        builder.add("SoftmaxWithLoss", [scores, label_blob], ["softmax", "loss"])
        builder.sgd(builder.backward("loss"), 0.1)
        written = {blob for op in builder.net.op for blob in op.output}
        outputs = ["loss", *(name for name in builder.types if name in written)]
    else:
        outputs = [builder.elementwise("Softmax", scores, "softmax")]
    builder.net.external_output.extend(outputs)
    return BuiltNet(builder.net, builder.types, f"{summary}; training" if train else summary)


def _scored(builder: NetBuilder, x: str) -> str:
    """Append scores of ten classes for each example: pooled images, flattened sequences."""
    if len(builder.shapes[x]) == 4:
        x = builder.pool("AveragePool", x, "pooled", builder.shapes[x][2], 1)
    return builder.fc(x, "scores", CLASSES)
