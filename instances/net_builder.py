"""A builder of Caffe2 nets: operators by layer, with the shapes that parameters need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from memonger.errors import NetError
from memonger.instances.gradients import append_backward
from memonger.net.netdef_pb2 import NetDef, OperatorDef
from memonger.net.tensors import DataType, TensorType

ArgumentValue = int | float | str | Sequence[int] | Sequence[str] | NetDef


def set_arguments(op: OperatorDef, arguments: Mapping[str, ArgumentValue]) -> None:
    """Append arguments to an operator, each in the field of its Python type."""
    for name, value in arguments.items():
        arg = op.arg.add(name=name)
        if isinstance(value, int):
            arg.i = value
        elif isinstance(value, float):
            arg.f = value
        elif isinstance(value, str):
            arg.s = value.encode()
        elif isinstance(value, NetDef):
            arg.n.CopyFrom(value)
        else:
            for item in value:
                if isinstance(item, str):
                    arg.strings.append(item.encode())
                else:
                    arg.ints.append(item)


class NetBuilder:
    """Builds a net of type ``simple``, operator by operator.

    A layer is named after its output; its parameters are external inputs named after the
    layer (``conv1_w``, ``conv1_b``). Images are NCHW.

    Parameters
    ----------
    name
        Name of the net.

    Attributes
    ----------
    net
        What has been built so far.
    types
        Type of every external input.
    parameters
        Trainable parameters, in the order of their layers.
    shapes
        Shapes of the blobs that layers may read, external inputs included.

    Examples
    --------
    >>> builder = NetBuilder("tiny")
    >>> hidden = builder.relu(builder.fc(builder.data("data", (8, 100)), "fc1", 10))
    >>> [op.type for op in builder.net.op], builder.parameters, builder.shapes[hidden]
    (['FC', 'Relu'], ['fc1_w', 'fc1_b'], (8, 10))
    """

    def __init__(self, name: str) -> None:
        self.net = NetDef(name=name, type="simple")
        self.types: dict[str, TensorType] = {}
        self.parameters: list[str] = []
        self.shapes: dict[str, tuple[int, ...]] = {}

    def data(self, name: str, shape: Sequence[int], dtype: DataType = DataType.FLOAT) -> str:
        """Declare an external input that no gradient step changes."""
        if name in self.shapes:
            raise NetError(f"blob {name!r} exists already")
        self.net.external_input.append(name)
        self.types[name] = TensorType(tuple(shape), dtype)
        self.shapes[name] = tuple(shape)
        return name

    def parameter(self, name: str, shape: Sequence[int]) -> str:
        """Declare a trainable parameter."""
        self.parameters.append(self.data(name, shape))
        return name

    def add(
        self,
        type_: str,
        inputs: Sequence[str],
        outputs: Mapping[str, Sequence[int]] | Sequence[str],
        **arguments: ArgumentValue,
    ) -> str:
        """Append an operator and return its first output.

        Parameters
        ----------
        type_
            Operator type.
        inputs, outputs
            Blobs; ``outputs`` may map them to shapes, which later layers can then ask for.
        arguments
            Operator arguments.
        """
        op = self.net.op.add(type=type_, input=inputs, output=outputs)
        set_arguments(op, arguments)
        if isinstance(outputs, Mapping):
            for blob, shape in outputs.items():
                self.shapes[blob] = tuple(shape)
        return op.output[0]

    # Layers.

    def conv(
        self,
        x: str,
        name: str,
        channels: int,
        kernel: int,
        *,
        stride: int = 1,
        pad: int = 0,
        bias: bool = True,
        **arguments: ArgumentValue,
    ) -> str:
        """Convolve."""
        batch, depth, height, width = self.shapes[x]
        inputs = [x, self.parameter(f"{name}_w", (channels, depth, kernel, kernel))]
        if bias:
            inputs.append(self.parameter(f"{name}_b", (channels,)))
        size = [(side + 2 * pad - kernel) // stride + 1 for side in (height, width)]
        return self.add(
            "Conv",
            inputs,
            {name: (batch, channels, *size)},
            kernel=kernel,
            stride=stride,
            pad=pad,
            order="NCHW",
            **arguments,
        )

    def conv_transpose(self, x: str, name: str, channels: int, kernel: int, stride: int) -> str:
        """Convolve transposed, which enlarges the image by the stride."""
        batch, depth, height, width = self.shapes[x]
        weight = self.parameter(f"{name}_w", (depth, channels, kernel, kernel))
        inputs = [x, weight, self.parameter(f"{name}_b", (channels,))]
        size = [(side - 1) * stride + kernel for side in (height, width)]
        return self.add(
            "ConvTranspose",
            inputs,
            {name: (batch, channels, *size)},
            kernel=kernel,
            stride=stride,
            pad=0,
            order="NCHW",
        )

    def fc(self, x: str, name: str, width: int, axis: int = 1) -> str:
        """Multiply by a matrix; dimensions from ``axis`` on are flattened."""
        shape = self.shapes[x]
        depth = TensorType(shape[axis:]).numel
        weight = self.parameter(f"{name}_w", (width, depth))
        inputs = [x, weight, self.parameter(f"{name}_b", (width,))]
        outputs = {name: (*shape[:axis], width)}
        if axis == 1:
            return self.add("FC", inputs, outputs)
        return self.add("FC", inputs, outputs, axis=axis)

    def spatial_bn(self, x: str, name: str, *, train: bool = False) -> str:
        """Normalise each channel.

        In training it also updates the running statistics in place and saves those of the
        batch for the backward pass.
        """
        shape = self.shapes[x]
        channels = shape[1:2]
        running = [f"{name}_rm", f"{name}_riv"]
        scale = self.parameter(f"{name}_s", channels)
        inputs = [x, scale, self.parameter(f"{name}_b", channels)]
        inputs.extend(self.data(statistic, channels) for statistic in running)
        outputs = {name: shape}
        arguments: dict[str, ArgumentValue] = {"epsilon": 1e-5, "order": "NCHW"}
        if train:
            blobs = [*running, f"{name}_sm", f"{name}_siv"]
            outputs.update(dict.fromkeys(blobs, channels))
            arguments["momentum"] = 0.9
        return self.add("SpatialBN", inputs, outputs, is_test=int(not train), **arguments)

    def relu(self, x: str, name: str | None = None) -> str:
        """Rectify, in place unless the output has a name of its own."""
        return self.add("Relu", [x], {name or x: self.shapes[x]})

    def elementwise(self, type_: str, x: str, name: str, **arguments: ArgumentValue) -> str:
        """Apply an operator that keeps the shape (``Sigmoid``, ``Softmax``, ...)."""
        return self.add(type_, [x], {name: self.shapes[x]}, **arguments)

    def sum(self, inputs: Sequence[str], name: str) -> str:
        """Add blobs of one shape."""
        return self.add("Sum", inputs, {name: self.shapes[inputs[0]]})

    def pool(
        self,
        type_: str,
        x: str,
        name: str,
        kernel: int,
        stride: int,
        pads: tuple[int, int] = (0, 0),
    ) -> str:
        """Pool (``MaxPool`` or ``AveragePool``); ``pads`` are before (top, left) and after."""
        batch, channels, height, width = self.shapes[x]
        before, after = pads
        size = [(side + before + after - kernel) // stride + 1 for side in (height, width)]
        padding: dict[str, ArgumentValue] = {"pad": before}
        if before != after:
            padding = {"pad_t": before, "pad_l": before, "pad_b": after, "pad_r": after}
        return self.add(
            type_,
            [x],
            {name: (batch, channels, *size)},
            kernel=kernel,
            stride=stride,
            order="NCHW",
            **padding,
        )

    def concat(self, inputs: Sequence[str], name: str) -> str:
        """Concatenate along the channels; the second output is Caffe2's ``split_info``."""
        batch, _, height, width = self.shapes[inputs[0]]
        channels = sum(self.shapes[blob][1] for blob in inputs)
        outputs = {name: (batch, channels, height, width), f"_{name}_dims": (len(inputs),)}
        return self.add("Concat", inputs, outputs, order="NCHW")

    # Training.

    def backward(self, loss: str) -> dict[str, str]:
        """Append the backward pass; return each parameter's gradient.

        Raises
        ------
        NetError
            If a parameter does not contribute to the loss, or as `append_backward`.
        """
        gradients = append_backward(self.net, loss)
        for name in self.parameters:
            if name not in gradients:
                raise NetError(f"parameter {name!r} has no gradient")
        return {name: gradients[name] for name in self.parameters}

    def sgd(self, gradients: Mapping[str, str], rate: float, momentum: float = 0.0) -> None:
        """Append one step of gradient descent, in place on each parameter."""
        step = self.data("optimizer_iteration", (1,), DataType.INT64)
        self.add("Iter", [step], [step])
        # MomentumSGDUpdate subtracts the step, WeightedSum adds it.
        base = rate if momentum else -rate
        schedule: dict[str, ArgumentValue] = {"policy": "step", "stepsize": 1000, "gamma": 0.999}
        self.add("LearningRate", [step], ["learning_rate"], base_lr=base, **schedule)
        if not momentum:
            one = self.data("ONE", (1,))
        for name, gradient in gradients.items():
            if momentum:
                history = self.data(f"{name}_momentum", self.shapes[name])
                self.add(
                    "MomentumSGDUpdate",
                    [gradient, history, "learning_rate", name],
                    [gradient, history, name],
                    momentum=momentum,
                    nesterov=1,
                )
            else:
                self.add("WeightedSum", [name, one, gradient, "learning_rate"], [name])
