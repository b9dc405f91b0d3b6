"""ONNX models as graphs.

Initializers and what is computed from them alone are constants, which are not planned; neither
are the shapes of tensors that are known. Weights that lie in other files are not read. Source of
the format: https://github.com/onnx/onnx/blob/main/docs/IR.md.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from memonger.errors import InputError, ProblemError
from memonger.instances.graph_builder import Graph, GraphBuilder, bytes_of
from memonger.instances.onnx_shapes import (
    Types,
    bodies,
    fold_constants,
    inferred,
    open_dimensions,
    parse_onnx,
    subgraphs,
    types_of,
    with_dimensions,
)

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

VIEWS = frozenset({"Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"})
# One output element for one element of each input: the output may be written over an input.
ELEMENTWISE = frozenset(
    re.findall(
        r"\w+",
        """Abs Add BatchNormalization Cast Ceil Celu Clip Cos Div Elu Erf Exp Floor Gelu HardSigmoid
        HardSwish LeakyRelu Log Max Mean Min Mish Mul Neg PRelu Pow Reciprocal Relu Round Selu
        Sigmoid Sign Sin Softmax Softplus Softsign Sqrt Sub Sum Tanh ThresholdedRelu Where""",
    )
)
# What gives another result at each run: never a constant, whatever it reads.
RANDOM = frozenset(
    {
        "Bernoulli",
        "Multinomial",
        "RandomNormal",
        "RandomNormalLike",
        "RandomUniform",
        "RandomUniformLike",
    }
)


def graph_from_onnx(
    data: bytes,
    source: str = "model",
    dims: Mapping[str, int] | None = None,
    subgraph: int = 0,
    fold: bool | None = None,
) -> Graph:
    """Return a graph of an ONNX model, in the order of its nodes.

    Parameters
    ----------
    data
        Contents of an ``.onnx`` file.
    source
        What to call them in an error.
    dims
        Values of symbolic dimensions: ``batch=1``; or, for one of an input, ``input:0=1``.
    subgraph
        0 is the model; the bodies of its If, Loop and Scan nodes follow, depth first.
    fold
        Whether onnxruntime folds constants first. By default where shapes are unknown otherwise,
        if onnxruntime is installed.

    Raises
    ------
    InputError
        If the data are no model, a name in `dims` is none of it, or there is no such subgraph.
    ProblemError
        If the shape of a tensor that is to be planned is unknown: names the tensor.
    MissingExtraError
        If onnx is not installed.

    Notes
    -----
    Linear in the size of the graph, apart from the inference of shapes, which onnx does.
    """
    model = with_dimensions(parse_onnx(data, source), source, dims or {})
    if fold:
        model = fold_constants(model, source)
    try:
        return _graph_of(inferred(model, source), source, subgraph)
    except _UnknownShape as error:
        fault, folded = error, model
        if fold is None:
            folded = fold_constants(model, source, needed=False)
    if folded is not model:
        try:
            return _graph_of(inferred(folded, source), source, subgraph)
        except _UnknownShape as error:
            fault = error
    advice = ""
    if names := dict.fromkeys(names[0] for _, names in open_dimensions(model.graph)):
        advice = f"; --dim NAME=VALUE sets {', '.join(names)}"
    elif importlib.util.find_spec("onnxruntime") is None:
        advice = "; onnxruntime, if it is installed, works out more shapes"
    raise InputError(f"{fault}{advice}")


class _UnknownShape(ProblemError):
    """The size of a tensor that is to be planned is not known."""


def _graph_of(model: ModelProto, source: str, number: int) -> Graph:
    graphs = [model.graph, *subgraphs(model.graph)]
    if not 0 <= number < len(graphs):
        raise InputError(f"{source}: no subgraph {number}; there are {len(graphs)}, from 0")
    graph = graphs[number]
    meta = {"name": graph.name or source, "source": "onnx", "graphs": len(graphs)}
    return _Reader(graph, source, GraphBuilder(meta), types_of(graph), {}).read()


@dataclass
class _Reader:
    """Reads one graph; ``known`` is name -> number of the tensors so far."""

    graph: GraphProto
    source: str
    builder: GraphBuilder
    types: Types
    known: dict[str, int]

    def read(self) -> Graph:
        graph = self.graph
        for tensor in graph.initializer:
            self._constant(tensor.name)
        for sparse in graph.sparse_initializer:
            self._constant(sparse.values.name)
        for value in graph.input:
            if value.name not in self.known:
                self._outside(value.name)
        made = {name for node in graph.node for name in node.output}
        outputs = {value.name for value in graph.output}
        for index, node in enumerate(graph.node):
            self._node(index, node, made, outputs)
        for name in sorted(outputs - self.known.keys() - {""}):
            raise InputError(f"{self.source}: no node makes the output {name!r}")
        return self.builder.graph()

    def _constant(self, name: str) -> int:
        self.known[name] = self.builder.tensor(name, 0, "w")
        return self.known[name]

    def _outside(self, name: str) -> int:
        """Add an input, or what a body reads of the graph around it; its size is of no matter."""
        self.known[name] = self.builder.tensor(name, 0, "i")
        return self.known[name]

    def _node(self, index: int, node: NodeProto, made: set[str], outputs: set[str]) -> None:
        label = f"node {index} ({node.name or node.op_type!r})"
        inputs = []
        for name in self._reads(node):
            if name not in self.known:
                if name in made:
                    raise InputError(
                        f"{self.source}: {label} reads {name!r} before it is made: a cycle, or "
                        "nodes out of order"
                    )
                self._outside(name)
            inputs.append(self.known[name])
        for name in node.output:
            if name in self.known:
                raise InputError(f"{self.source}: {label} makes {name!r} once more")
        if self._is_constant(node, inputs):
            for name in filter(None, node.output):
                self._constant(name)
            return
        base = inputs[0] if self._is_view(node, inputs) else None
        written = []
        for name in filter(None, node.output):
            self.known[name] = self._made(name, label, "o" if name in outputs else "a")
            written.append(self.known[name])
        if base is not None and written:
            self.builder.view(written[0], base)
        self.builder.operator(
            node.name or f"{node.op_type}_{index}",
            node.op_type,
            inputs,
            written,
            elementwise=node.op_type in ELEMENTWISE,
        )

    def _reads(self, node: NodeProto) -> Sequence[str]:
        """Return what a node reads, what its bodies read from outside them included."""
        captured = [name for body in bodies(node) for name in _captured(body)]
        return [name for name in (*node.input, *captured) if name]

    def _is_constant(self, node: NodeProto, inputs: Sequence[int]) -> bool:
        if node.op_type in RANDOM or any(True for _ in bodies(node)):
            return False
        if node.op_type in {"Shape", "Size"} and node.domain in {"", "ai.onnx"} and node.input:
            found = self.types.get(node.input[0])
            if found is not None and found.shape is not None:
                return True
        return all(self.builder.kind(tensor) == "w" for tensor in inputs)

    def _is_view(self, node: NodeProto, inputs: Sequence[int]) -> bool:
        if not inputs or node.domain not in {"", "ai.onnx"}:
            return False
        if node.op_type == "Dropout":  # in inference, without a mask
            training = node.input[2] if len(node.input) > 2 else ""
            used = any(node.output[1:])
            return not used and (not training or self._is_false(training))
        return node.op_type in VIEWS

    def _is_false(self, name: str) -> bool:
        held = (tensor for tensor in self.graph.initializer if tensor.name == name)
        return any(not any(t.raw_data) and not any(t.int32_data) for t in held)

    def _made(self, name: str, label: str, kind: str) -> int:
        found = self.types.get(name)
        if found is None or found.shape is None or not found.bits:
            why = "unknown shape" if found is None else found.fault
            raise _UnknownShape(f"{self.source}: {label}: output {name!r} has {why}")
        try:
            size = bytes_of(name, found.shape, found.bits)
        except ProblemError as error:
            raise ProblemError(f"{self.source}: {label}: {error}") from None
        return self.builder.tensor(name, size, kind, dtype=found.dtype, shape=found.shape)


def _captured(body: GraphProto) -> dict[str, Any]:
    """Return the names that a body reads from outside it, in order."""
    held = {value.name for value in body.input}
    held.update(tensor.name for tensor in body.initializer)
    held.update(sparse.values.name for sparse in body.sparse_initializer)
    found: dict[str, Any] = {}
    for node in body.node:
        inner = (name for deeper in bodies(node) for name in _captured(deeper))
        found.update((name, None) for name in (*node.input, *inner) if name and name not in held)
        held.update(node.output)
    found.update((value.name, None) for value in body.output if value.name not in held)
    return found
