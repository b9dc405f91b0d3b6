"""Networks of any length as lists of tensors, in the proportions of published architectures.

Each function returns a `Tape` of at least ``n`` operators; sizes are those of float32 tensors.
Parameters, the input data and what operators write in place have no tensor of their own.
"""

from __future__ import annotations

from collections.abc import Callable

from memonger.instances.draws import Draws

Row = tuple[int, int, int]  # bytes, start, end


class Tape:
    """Operators in order: operator ``t`` writes tensor ``t``, live until its last reader.

    Examples
    --------
    >>> tape = Tape()
    >>> shortcut = tape.op(64)
    >>> branch = tape.op(128, shortcut)
    >>> tape.op(64, shortcut, branch)
    2
    >>> tape.rows(2)
    [(64, 0, 2), (128, 1, 2)]
    """

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.ends: list[int] = []
        self.inputs: list[tuple[int, ...]] = []

    def op(self, size: int, *inputs: int) -> int:
        """Append an operator; return the tensor of so many bytes that it writes."""
        time = len(self.sizes)
        for tensor in inputs:
            self.ends[tensor] = time + 1
        self.sizes.append(size)
        self.ends.append(time + 1)
        self.inputs.append(inputs)
        return time

    def backward(self) -> None:
        """Append the gradients of all operators, from the last one on.

        A gradient operator reads the gradient of the output, the inputs and the output, and
        writes one tensor: the gradient of each input, as it is for operators with one input and
        for sums. The gradients of a tensor that several operators read are added up first.
        """
        forward = len(self.sizes)
        gradients: list[list[int]] = [[] for _ in range(forward)]
        gradients[-1].append(self.op(self.sizes[-1], forward - 1))
        for tensor in reversed(range(forward)):
            inputs, own = self.inputs[tensor], gradients[tensor]
            if not inputs or not own:
                continue
            total = own[0] if len(own) == 1 else self.op(self.sizes[tensor], *own)
            # A sum needs only its output, for the activation that is part of it.
            saved = (tensor,) if len(inputs) > 1 else (*inputs, tensor)
            gradient = self.op(self.sizes[inputs[0]], total, *saved)
            for source in inputs:
                gradients[source].append(gradient)

    def rows(self, n: int) -> list[Row]:
        """Return the tensors of the first ``n`` operators.

        What one of the operators that are cut off reads is live to the end.
        """
        return [
            (size, time, min(end, n))
            for time, (size, end) in enumerate(zip(self.sizes[:n], self.ends[:n], strict=True))
        ]


def _image(batch: int, channels: int, side: int) -> int:
    return 4 * batch * channels * side * side


def resnet(draws: Draws, n: int, *, operators_a_block: int = 7) -> Tape:
    """Return a residual network of bottleneck blocks (He et al. 2016), four stages."""
    tape = Tape()
    batch, side = draws.between(1, 8), draws.pick((128, 160, 192, 224)) // 2
    x = tape.op(_image(batch, 64, side))
    x = tape.op(tape.sizes[x], x)
    side //= 2
    x = tape.op(_image(batch, 64, side), x)
    blocks = -(-n // operators_a_block)
    stage = -1
    for block in range(blocks):
        before, stage = stage, 4 * block // blocks
        wide = _image(batch, 256 << stage, side >> stage)
        y = x
        # The second layer of a stage's first block has the stride; layers are normalised apart.
        entry = side >> max(before, 0)
        for size in (_image(batch, 64 << stage, entry), wide // 4, wide):
            y = tape.op(size, y)
            y = tape.op(size, y)
        if before != stage:
            x = tape.op(wide, x)
            x = tape.op(wide, x)
        x = tape.op(wide, x, y)
    return tape


def resnet_train(draws: Draws, n: int) -> Tape:
    """Return a residual network and the gradients of all its tensors."""
    tape = resnet(draws, n, operators_a_block=15)
    tape.backward()
    return tape


def inception(draws: Draws, n: int) -> Tape:
    """Return branch-and-join modules (Szegedy et al. 2015), their widths drawn, three stages."""
    tape = Tape()
    widths = (32, 48, 64, 96, 128, 192)
    modules = -(-n // 9)
    channels, stage = 192, 0
    x = tape.op(_image(1, channels, 35))
    for module in range(modules):
        before, stage = stage, 3 * module // modules
        side = (35, 17, 8)[stage]
        if before != stage:
            x = tape.op(_image(1, channels, side), x)
        ends, joined = [], 0
        for layers in (1, 2, 3):
            y = x
            for _ in range(layers):
                width = draws.pick(widths)
                y = tape.op(_image(1, width, side), y)
            ends.append(y)
            joined += width
        y = tape.op(tape.sizes[x], x)
        width = draws.pick(widths)
        ends.append(tape.op(_image(1, width, side), y))
        channels = joined + width
        x = tape.op(_image(1, channels, side), *ends)
    return tape


def densenet(draws: Draws, n: int) -> Tape:
    """Return dense blocks (Huang et al. 2017), their length and growth drawn; four a network.

    A layer reads the concatenation of all outputs of its block, which is a tensor of its own.
    """
    tape = Tape()
    block = 0
    while len(tape.sizes) < n:
        side = 56 >> block % 4
        if block % 4 == 0:
            channels = 64
            x = tape.op(_image(1, channels, side))
        growth = 16 * draws.between(1, 3)
        features = [x]
        for _ in range(draws.between(6, 48)):
            y = tape.op(_image(1, channels, side), features[-1])
            y = tape.op(_image(1, 4 * growth, side), y)
            features.append(tape.op(_image(1, growth, side), y))
            channels += growth
        x = tape.op(_image(1, channels, side), *features)
        channels = channels // 32 * 16
        x = tape.op(_image(1, channels, side), x)
        x = tape.op(_image(1, channels, side // 2), x)
        block += 1
    return tape


def unet(draws: Draws, n: int) -> Tape:
    """Return U-Nets (Ronneberger et al. 2015) of four levels, one after the other."""
    tape = Tape()
    batch, channels = draws.between(1, 4), draws.pick((16, 32, 48, 64))
    side = draws.pick((128, 192, 256))
    levels = [_image(batch, channels << level, side >> level) for level in range(5)]
    x = tape.op(levels[0])
    while len(tape.sizes) < n:
        skips = []
        for size in levels[:-1]:
            x = tape.op(size, tape.op(size, x))
            skips.append(x)
            x = tape.op(size // 4, x)
        x = tape.op(levels[-1], tape.op(levels[-1], x))
        for size, skip in zip(reversed(levels[:-1]), reversed(skips), strict=True):
            x = tape.op(2 * size, skip, tape.op(size, x))
            x = tape.op(size, tape.op(size, x))
    return tape


def transformer(draws: Draws, n: int) -> Tape:
    """Return encoder layers (Vaswani et al. 2017), normalised before each half."""
    tape = Tape()
    batch, length = draws.between(1, 8), 64 * draws.between(2, 8)
    heads = draws.pick((4, 8, 12, 16))
    tokens = 4 * batch * length * 64 * heads
    scores = 4 * batch * heads * length * length
    x = tape.op(tokens)
    while len(tape.sizes) < n:
        y = tape.op(tokens, x)
        query, key, value = (tape.op(tokens, y) for _ in range(3))
        weights = tape.op(scores, tape.op(scores, query, key))
        y = tape.op(tokens, tape.op(tokens, weights, value))
        x = tape.op(tokens, x, y)
        y = tape.op(4 * tokens, tape.op(tokens, x))
        y = tape.op(tokens, tape.op(4 * tokens, y))
        x = tape.op(tokens, x, y)
    return tape


def randwire(draws: Draws, n: int) -> Tape:
    """Return a randomly wired network (Xie et al. 2019).

    As in Watts and Strogatz's graphs an operator reads its two neighbours, of which each is
    exchanged for any of the 32 operators before it with probability 3/4. Of 20 sizes each
    operator has one.
    """
    tape = Tape()
    sizes = [64 * draws.between(16, 31) << draws.between(0, 8) for _ in range(20)]
    for time in range(n):
        sources = [
            draws.between(max(0, time - 32), time - 1) if draws.chance(0.75) else near
            for near in (time - 1, time - 2)
            if near >= 0
        ]
        tape.op(draws.pick(sizes), *sources)
    return tape


NETWORKS: dict[str, Callable[[Draws, int], Tape]] = {
    "randwire": randwire,
    "densenet": densenet,
    "inception": inception,
    "resnet": resnet,
    "unet": unet,
    "transformer": transformer,
    "resnet-train": resnet_train,
}
"""The networks by name."""
