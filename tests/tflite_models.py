"""Small TensorFlow Lite models, built as flatbuffers."""

from dataclasses import dataclass

import flatbuffers
import tflite

FLOAT32, INT8, STRING = (
    tflite.TensorType.FLOAT32,
    tflite.TensorType.INT8,
    tflite.TensorType.STRING,
)


@dataclass(frozen=True)
class Tensor:
    name: str
    shape: tuple
    dtype: int = FLOAT32
    content: bytes = b""
    variable: bool = False


@dataclass(frozen=True)
class Operator:
    kind: str
    inputs: tuple
    outputs: tuple


@dataclass(frozen=True)
class Graph:
    tensors: tuple
    operators: tuple
    inputs: tuple
    outputs: tuple
    name: str = "main"


def model(*graphs):
    """Return the bytes of a model; tensors and operators are numbered as they stand."""
    builder = flatbuffers.Builder(1024)
    kinds = sorted({op.kind for graph in graphs for op in graph.operators})
    codes = [_code(builder, kind) for kind in kinds]
    contents = [b""]
    made = [_graph(builder, graph, kinds, contents) for graph in graphs]
    buffers = [_buffer(builder, content) for content in contents]
    codes, made, buffers = (_offsets(builder, rows) for rows in (codes, made, buffers))
    tflite.ModelStart(builder)
    tflite.ModelAddVersion(builder, 3)
    tflite.ModelAddOperatorCodes(builder, codes)
    tflite.ModelAddSubgraphs(builder, made)
    tflite.ModelAddBuffers(builder, buffers)
    builder.Finish(tflite.ModelEnd(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _code(builder, kind):
    custom = None
    if kind.startswith("CUSTOM:"):
        custom = builder.CreateString(kind.removeprefix("CUSTOM:"))
    number = tflite.BuiltinOperator.CUSTOM if custom else getattr(tflite.BuiltinOperator, kind)
    tflite.OperatorCodeStart(builder)
    tflite.OperatorCodeAddDeprecatedBuiltinCode(builder, min(number, 127))
    tflite.OperatorCodeAddBuiltinCode(builder, number)
    if custom:
        tflite.OperatorCodeAddCustomCode(builder, custom)
    return tflite.OperatorCodeEnd(builder)


def _buffer(builder, content):
    data = builder.CreateByteVector(content) if content else None
    tflite.BufferStart(builder)
    if data is not None:
        tflite.BufferAddData(builder, data)
    return tflite.BufferEnd(builder)


def _graph(builder, graph, kinds, contents):
    tensors = []
    for tensor in graph.tensors:
        name, shape = builder.CreateString(tensor.name), _numbers(builder, tensor.shape)
        tflite.TensorStart(builder)
        tflite.TensorAddName(builder, name)
        tflite.TensorAddShape(builder, shape)
        tflite.TensorAddType(builder, tensor.dtype)
        tflite.TensorAddIsVariable(builder, tensor.variable)
        if tensor.content:
            contents.append(tensor.content)
            tflite.TensorAddBuffer(builder, len(contents) - 1)
        tensors.append(tflite.TensorEnd(builder))
    operators = []
    for op in graph.operators:
        inputs, outputs = _numbers(builder, op.inputs), _numbers(builder, op.outputs)
        tflite.OperatorStart(builder)
        tflite.OperatorAddOpcodeIndex(builder, kinds.index(op.kind))
        tflite.OperatorAddInputs(builder, inputs)
        tflite.OperatorAddOutputs(builder, outputs)
        operators.append(tflite.OperatorEnd(builder))
    name = builder.CreateString(graph.name)
    inputs, outputs = _numbers(builder, graph.inputs), _numbers(builder, graph.outputs)
    tensors, operators = _offsets(builder, tensors), _offsets(builder, operators)
    tflite.SubGraphStart(builder)
    tflite.SubGraphAddName(builder, name)
    tflite.SubGraphAddTensors(builder, tensors)
    tflite.SubGraphAddOperators(builder, operators)
    tflite.SubGraphAddInputs(builder, inputs)
    tflite.SubGraphAddOutputs(builder, outputs)
    return tflite.SubGraphEnd(builder)


def _offsets(builder, rows):
    builder.StartVector(4, len(rows), 4)
    for row in reversed(rows):
        builder.PrependUOffsetTRelative(row)
    return builder.EndVector()


def _numbers(builder, numbers):
    builder.StartVector(4, len(numbers), 4)
    for number in reversed(numbers):
        builder.PrependInt32(number)
    return builder.EndVector()


SMALL = Graph(
    (
        Tensor("x", (1, 4, 4)),
        Tensor("packed", (4,), INT8, b"1234"),
        Tensor("w", (4,)),
        Tensor("a", (1, 4, 4)),
        Tensor("flat", (1, 16)),
        Tensor("state", (16,), variable=True),
        Tensor("b", (1, 16)),
        Tensor("c", (1, 16)),
        Tensor("y", (1, 2)),
    ),
    (
        Operator("DEQUANTIZE", (1,), (2,)),
        Operator("MUL", (0, 2), (3,)),
        Operator("RESHAPE", (3, -1), (4,)),
        Operator("ADD", (4, 5), (6,)),
        Operator("CUSTOM:mine", (6, 4), (7,)),
        Operator("FULLY_CONNECTED", (7, 2, -1), (8,)),
    ),
    (0,),
    (8,),
)
"""Constants, a view, a variable, an operator of someone's own."""

BODY = Graph(
    (Tensor("p", (8,)), Tensor("q", (8,)), Tensor("r", (8,))),
    (Operator("ABS", (0,), (1,)), Operator("NEG", (1,), (2,))),
    (0,),
    (2,),
    "body",
)
