"""Shapes of ONNX models: parsing, dimensions by name, inference, constants folded."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memonger.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    from onnx import (
        GraphProto,
        ModelProto,
        NodeProto,
        TensorProto,
        TensorShapeProto,
        TypeProto,
        ValueInfoProto,
    )

LARGE = 4096  # elements; constants that shapes depend on are smaller
# Bits an element, by the number of the type in TensorProto.DataType; strings have no size.
_BITS = {
    **dict.fromkeys((1, 6, 12), 32),
    **dict.fromkeys((2, 3, 9, 17, 18, 19, 20, 24), 8),
    **dict.fromkeys((4, 5, 10, 16), 16),
    **dict.fromkeys((7, 11, 13, 14), 64),
    15: 128,
    **dict.fromkeys((21, 22, 23), 4),
    **dict.fromkeys((25, 26), 2),
}


@dataclass(frozen=True)
class Known:
    """What is known of a value.

    Parameters
    ----------
    shape
        Its dimensions, ``None`` if one of them is unknown.
    bits
        Of an element; 0 if the type has no fixed size.
    dtype
        The name of the type.
    fault
        What is missing, for an error.
    """

    shape: tuple[int, ...] | None
    bits: int
    dtype: str
    fault: str


Types = Mapping[str, Known]


def parse_onnx(data: bytes, source: str) -> ModelProto:
    """Return the model in the bytes; tensors in other files are left where they are.

    Raises
    ------
    InputError
        If they are no ONNX model.
    MissingExtraError
        If onnx is not installed.
    """
    try:
        import onnx
    except ImportError:
        raise MissingExtraError("onnx", "onnx") from None
    from google.protobuf.message import DecodeError

    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError:
        raise InputError(
            f"{source}: not an ONNX model: truncated, or another kind of file"
        ) from None
    if not model.HasField("graph") or not (model.graph.node or model.graph.output):
        raise InputError(f"{source}: not an ONNX model: it has no graph")
    return model


def with_dimensions(model: ModelProto, source: str, dims: Mapping[str, int]) -> ModelProto:
    """Return a copy of a model whose inputs have some dimensions fixed.

    Parameters
    ----------
    model
        The model, which stays as it is.
    source
        What to call it in an error.
    dims
        Values of symbolic dimensions (``batch``), or of those of one input (``input:0``).

    Raises
    ------
    InputError
        If a name is no dimension of an input.
    """
    fixed = type(model)()
    fixed.CopyFrom(model)
    _set_dimensions(fixed.graph, source, dims)
    for graph in (fixed.graph, *subgraphs(fixed.graph)):
        # Shapes that were worked out before, with symbols in them.
        for output in graph.output:
            if output.type.HasField("tensor_type"):
                output.type.tensor_type.ClearField("shape")
        del graph.value_info[:]
    return fixed


def subgraphs(graph: GraphProto) -> Iterator[GraphProto]:
    """Yield the bodies of the nodes of a graph, depth first."""
    for node in graph.node:
        for body in bodies(node):
            yield body
            yield from subgraphs(body)


def bodies(node: NodeProto) -> Iterator[GraphProto]:
    """Yield the bodies of an If, Loop or Scan."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def inferred(model: ModelProto, source: str) -> ModelProto:
    """Return a copy of a model, without its large weights, with the shapes that can be worked out.

    Raises
    ------
    InputError
        If onnx refuses the model.
    """
    import onnx

    light = type(model)()
    light.CopyFrom(model)
    for tensor in light.graph.initializer:
        _drop_content(tensor)
    try:
        return onnx.shape_inference.infer_shapes(light, strict_mode=False, data_prop=True)
    except Exception as error:  # onnx raises what it likes: RuntimeError, ValueError, TypeError
        detail = " ".join(str(error).split())[:200]
        raise InputError(f"{source}: onnx cannot infer the shapes: {detail}") from None


def _drop_content(tensor: TensorProto) -> None:
    """Leave out a large weight: a copy would go through the inference, which needs none."""
    if math.prod(tensor.dims) > LARGE:
        tensor.ClearField("raw_data")
        tensor.ClearField("float_data")
        tensor.ClearField("double_data")


def _set_dimensions(graph: GraphProto, source: str, dims: Mapping[str, int]) -> None:
    known = open_dimensions(graph)
    for name in dims:
        if not any(name in names for _, names in known):
            listed = ", ".join(dict.fromkeys(names[0] for _, names in known)) or "none"
            raise InputError(f"{source}: no input has the open dimension {name!r}; open: {listed}")
    for dimension, names in known:
        value = next((dims[name] for name in names if name in dims), None)
        if value is not None:
            dimension.dim_value = value
        elif dimension.dim_value < 0:  # how some exporters say unknown
            dimension.ClearField("dim_value")


def open_dimensions(graph: GraphProto) -> list[tuple[TensorShapeProto.Dimension, list[str]]]:
    """Return the dimensions of inputs that have no value, each with the names it goes by."""
    constants = {tensor.name for tensor in graph.initializer}
    found = []
    for value in graph.input:
        if value.name in constants:
            continue
        for axis, dimension in enumerate(value.type.tensor_type.shape.dim):
            if not dimension.HasField("dim_value") or dimension.dim_value < 0:
                place = f"{value.name}:{axis}"
                symbol = dimension.dim_param
                found.append((dimension, [symbol, place] if symbol not in {"", "?"} else [place]))
    return found


def parse_dimension(text: str) -> tuple[str, int]:
    """Return the name and the value in ``name=value``.

    Raises
    ------
    InputError
        If the text is not of that form.

    Examples
    --------
    >>> parse_dimension("batch=4")
    ('batch', 4)
    """
    match = re.fullmatch(r"(.+)=(\d{1,18})", text)
    if match is None:
        raise InputError(f"--dim {text}: expected NAME=VALUE, such as batch=1 or input:0=1")
    return match[1], int(match[2])


def types_of(graph: GraphProto) -> dict[str, Known]:
    """Return what is known of the values of a graph, its bodies not included."""
    found = {}
    for value in (*graph.value_info, *graph.input, *graph.output):
        found[value.name] = _known(value)
    return found


def _known(value: ValueInfoProto) -> Known:
    from onnx import TensorProto

    kind: TypeProto = value.type
    if not kind.HasField("tensor_type"):
        what = kind.WhichOneof("value") or "no type"
        return Known(None, 0, what, f"no size that is known ({what.removesuffix('_type')})")
    number = kind.tensor_type.elem_type
    names = {n: name.lower() for name, n in TensorProto.DataType.items()}
    bits, dtype = _BITS.get(number, 0), names.get(number, str(number))
    if not bits:
        return Known(None, 0, dtype, f"elements of the type {dtype}, whose size is unknown")
    if not kind.tensor_type.HasField("shape"):
        return Known(None, bits, dtype, "unknown shape")
    dimensions = list(_dimensions(kind.tensor_type.shape))
    if any(isinstance(dimension, str) for dimension in dimensions):
        shown = ", ".join(map(str, dimensions))
        return Known(None, bits, dtype, f"the shape [{shown}], with unknown dimensions")
    return Known(tuple(d for d in dimensions if isinstance(d, int)), bits, dtype, "")


def _dimensions(shape: TensorShapeProto) -> Iterator[int | str]:
    for dimension in shape.dim:
        known = dimension.HasField("dim_value")
        yield dimension.dim_value if known else (dimension.dim_param or "?")


def fold_constants(model: ModelProto, source: str, *, needed: bool = True) -> ModelProto:
    """Return the model after the basic optimizations of onnxruntime, which fold constants.

    Parameters
    ----------
    model
        The model.
    source
        What to call it in an error.
    needed
        Otherwise the model itself is returned where onnxruntime is missing or refuses it.

    Raises
    ------
    MissingExtraError
        If onnxruntime is not installed.
    InputError
        If it refuses the model: also where weights lie in other files.
    """
    try:
        import onnxruntime
    except ImportError:
        if needed:
            raise MissingExtraError("onnxruntime", "onnxruntime") from None
        return model
    import tempfile
    from pathlib import Path

    import onnx

    asked = onnxruntime.SessionOptions()
    asked.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    asked.log_severity_level = 4
    with tempfile.TemporaryDirectory() as directory:
        asked.optimized_model_filepath = str(Path(directory) / "folded.onnx")
        try:
            onnxruntime.InferenceSession(
                model.SerializeToString(), asked, providers=["CPUExecutionProvider"]
            )
            return onnx.load(asked.optimized_model_filepath, load_external_data=False)
        except Exception as error:  # onnxruntime's own classes, which it does not promise
            if not needed:
                return model
            detail = " ".join(str(error).split())[:200]
            raise InputError(f"{source}: onnxruntime cannot fold constants: {detail}") from None
