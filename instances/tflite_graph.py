"""TensorFlow Lite models as graphs.

Tensors with contents are constants, and so is what DEQUANTIZE or DENSIFY makes of them; none is
planned, and neither are variables (the state that a model keeps between runs) and inputs. Source of
the format: https://github.com/tensorflow/tensorflow/blob/master/tensorflow/compiler/mlir/lite/schema/schema.fbs.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from memonger.errors import InputError, MissingExtraError, ProblemError
from memonger.instances.graph_builder import Graph, GraphBuilder, bytes_of

if TYPE_CHECKING:
    import tflite

IDENTIFIER = b"TFL3"
ALIGNMENT = 16
"""Bytes that TensorFlow Lite for Microcontrollers rounds the offsets of its arena up to."""

VIEWS = frozenset({"EXPAND_DIMS", "RESHAPE", "SQUEEZE"})
FOLDED = frozenset({"DENSIFY", "DEQUANTIZE"})
ELEMENTWISE = frozenset(
    re.findall(
        r"\w+",
        """ABS ADD CEIL COS DEQUANTIZE DIV ELU EXP FLOOR GELU HARD_SWISH LEAKY_RELU LOG LOGICAL_NOT
        LOGISTIC MAXIMUM MINIMUM MUL NEG POW PRELU QUANTIZE RELU RELU6 ROUND RSQRT SIN SOFTMAX
        SQRT SQUARE SUB TANH""",
    )
)
_BITS = {
    "FLOAT32": 32,
    "FLOAT16": 16,
    "BFLOAT16": 16,
    "FLOAT64": 64,
    "INT4": 4,
    "INT8": 8,
    "INT16": 16,
    "INT32": 32,
    "INT64": 64,
    "UINT8": 8,
    "UINT16": 16,
    "UINT32": 32,
    "UINT64": 64,
    "BOOL": 8,
    "COMPLEX64": 64,
    "COMPLEX128": 128,
    # A resource is a handle; what it stands for lies elsewhere.
    "RESOURCE": 32,
}
# What a reader of flatbuffers raises where offsets or numbers in them are wrong.
_MALFORMED = (
    AttributeError,
    IndexError,
    OverflowError,
    TypeError,
    UnicodeDecodeError,
    ValueError,
    struct.error,
)


def graph_from_tflite(data: bytes, source: str = "model", subgraph: int = 0) -> Graph:
    """Return a graph of a TensorFlow Lite model, in the order of its operators.

    Parameters
    ----------
    data
        Contents of a ``.tflite`` file.
    source
        What to call them in an error.
    subgraph
        Which of its graphs; 0 is the main one.

    Raises
    ------
    InputError
        If the data are no model, or there is no such subgraph.
    ProblemError
        If the size of a tensor that is to be planned is unknown: names the tensor.
    MissingExtraError
        If the package tflite is not installed.

    Notes
    -----
    Linear in the size of the graph.
    """
    try:
        import tflite
    except ImportError:
        raise MissingExtraError("tflite", "tflite") from None
    if data[4:8] != IDENTIFIER:
        raise InputError(f"{source}: not a TensorFlow Lite model: no {IDENTIFIER.decode()} in it")
    try:
        model = tflite.Model.GetRootAsModel(data, 0)
        count = model.SubgraphsLength()
        if not 0 <= subgraph < count:
            raise InputError(f"{source}: no subgraph {subgraph}; there are {count}, from 0")
        return _Reader(model, subgraph, source).read()
    except _MALFORMED as error:
        detail = " ".join(str(error).split())[:200]
        raise InputError(
            f"{source}: not a TensorFlow Lite model: truncated or damaged: {detail}"
        ) from None


def _names(enumeration: type) -> dict[int, str]:
    return {number: name for name, number in vars(enumeration).items() if isinstance(number, int)}


@dataclass
class _Reader:
    """Reads one graph; ``known`` is number in the file -> number in the graph."""

    model: tflite.Model
    number: int
    source: str
    known: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        import tflite

        self.graph: Any = self.model.Subgraphs(self.number)
        self.types = _names(tflite.TensorType)
        self.operators = _names(tflite.BuiltinOperator)
        name = (self.graph.Name() or b"").decode() or self.source
        meta = {"name": name, "source": "tflite", "graphs": self.model.SubgraphsLength()}
        self.builder = GraphBuilder(meta)
        self.outputs = {self.graph.Outputs(i) for i in range(self.graph.OutputsLength())}
        self.made: set[int] = set()

    def read(self) -> Graph:
        graph = self.graph
        operators = [graph.Operators(index) for index in range(graph.OperatorsLength())]
        for operator in operators:
            self.made.update(_filled(operator.Outputs, operator.OutputsLength()))
        for index in range(graph.InputsLength()):
            self._tensor(graph.Inputs(index), "i", "the inputs")
        for index, operator in enumerate(operators):
            self._operator(index, operator)
        for tensor in sorted(self.outputs):
            if tensor in self.made and tensor not in self.known:
                raise InputError(f"{self.source}: no operator makes the output {tensor}")
        return self.builder.graph()

    def _operator(self, index: int, operator: Any) -> None:  # noqa: ANN401
        kind = self._kind(operator)
        label = f"operator {index} ({kind})"
        inputs = []
        for tensor in _filled(operator.Inputs, operator.InputsLength()):
            if tensor not in self.known:
                self._source(tensor, label)
            inputs.append(self.known[tensor])
        outputs = _filled(operator.Outputs, operator.OutputsLength())
        constant = kind in FOLDED and all(self.builder.kind(read) == "w" for read in inputs)
        for tensor in outputs:
            if tensor in self.known and not self._is_variable(tensor):
                raise InputError(f"{self.source}: {label} makes the tensor {tensor} once more")
            made = "w" if constant else "o" if tensor in self.outputs else "a"
            self._tensor(tensor, made, label)
        if constant:
            return
        written = [self.known[tensor] for tensor in outputs]
        if kind in VIEWS and inputs and len(written) == 1:
            self.builder.view(written[0], inputs[0])
        self.builder.operator(
            f"{kind.lower()}_{index}", kind, inputs, written, elementwise=kind in ELEMENTWISE
        )

    def _kind(self, operator: Any) -> str:  # noqa: ANN401
        index = operator.OpcodeIndex()
        if index >= self.model.OperatorCodesLength():
            raise InputError(f"{self.source}: an operator has the unknown code {index}")
        code: Any = self.model.OperatorCodes(index)
        # Codes above 126 are only in the newer of the two fields.
        number = max(code.DeprecatedBuiltinCode(), code.BuiltinCode())
        name = self.operators.get(number, f"BUILTIN_{number}")
        return f"CUSTOM:{(code.CustomCode() or b'').decode()}" if name == "CUSTOM" else name

    def _source(self, tensor: int, label: str) -> None:
        """Add a tensor that is read before an operator makes it."""
        if self._is_constant(tensor, label):
            self._tensor(tensor, "w", label)
        elif self._is_variable(tensor) or tensor not in self.made:
            # Without contents and without a maker: state, or a constant of no elements.
            self._tensor(tensor, "w", label)
        else:
            raise InputError(
                f"{self.source}: {label} reads the tensor {tensor} before it is made: a cycle, or "
                "operators out of order"
            )

    def _entry(self, tensor: int, label: str) -> Any:  # noqa: ANN401
        if not 0 <= tensor < self.graph.TensorsLength():
            raise InputError(f"{self.source}: {label}: there is no tensor {tensor}")
        return self.graph.Tensors(tensor)

    def _is_variable(self, tensor: int) -> bool:
        return bool(self._entry(tensor, "a variable").IsVariable())

    def _is_constant(self, tensor: int, label: str) -> bool:
        entry = self._entry(tensor, label)
        if entry.Buffer() >= self.model.BuffersLength():
            raise InputError(f"{self.source}: {label}: there is no buffer {entry.Buffer()}")
        held: Any = self.model.Buffers(entry.Buffer())
        # Contents after the flatbuffer have an offset; 1 is none.
        return bool(held.DataLength() > 0 or held.Offset() > 1)

    def _tensor(self, tensor: int, kind: str, label: str) -> None:
        if tensor in self.known:
            return
        entry = self._entry(tensor, label)
        name = (entry.Name() or b"").decode()
        shape = [entry.Shape(axis) for axis in range(entry.ShapeLength())]
        dtype = self.types.get(entry.Type(), str(entry.Type()))
        size = 0
        if kind in "ao":
            if self._is_variable(tensor):
                kind = "w"
            elif dtype not in _BITS:
                raise ProblemError(
                    f"{self.source}: {label}: output {name!r} has elements of the type "
                    f"{dtype.lower()}, whose size is unknown"
                )
        if kind in "ao":
            try:
                size = bytes_of(name, shape, _BITS[dtype])
            except ProblemError as error:
                raise ProblemError(f"{self.source}: {label}: {error}") from None
        self.known[tensor] = self.builder.tensor(name, size, kind, dtype=dtype.lower(), shape=shape)


def _filled(entry: Any, length: int) -> list[int]:  # noqa: ANN401
    """Return the tensors in a list in which -1 stands for one that is left out."""
    return [tensor for tensor in (entry(index) for index in range(length)) if tensor != -1]
