"""Shapes and sizes as users give them: JSON files, mappings, init nets."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from memonger.errors import InputError, ShapeError
from memonger.net.io import load_net, looks_like_text, parse_json, read_bytes
from memonger.net.shapes import types_from_init_net
from memonger.net.tensors import DataType, TensorType

PathLike = str | os.PathLike[str]


def parse_types(data: object, source: str = "shapes") -> dict[str, TensorType]:
    """Return the tensor types that JSON data give.

    Parameters
    ----------
    data
        ``{blob: [dims]}`` (float), ``{blob: {"shape": [dims], "dtype": "int64"}}``, or
        `TensorType` objects, in any mixture.
    source
        What to call the data in an error.

    Raises
    ------
    ShapeError
        If an entry is none of these; names the blob.

    Examples
    --------
    >>> parse_types({"x": [2, 3], "i": {"shape": [4], "dtype": "int64"}})["i"].nbytes
    32
    """
    if not isinstance(data, Mapping):
        raise ShapeError(f"{source}: expected an object of blob -> shape")
    return {str(blob): _parse_type(value, f"{source}: {blob!r}") for blob, value in data.items()}


def types_to_json(types: Mapping[str, TensorType]) -> dict[str, Any]:
    """Return the JSON data that `parse_types` reads."""
    return {
        blob: {"shape": list(known.shape), "dtype": known.dtype.name.lower()}
        for blob, known in types.items()
    }


def _parse_type(value: object, where: str) -> TensorType:
    if isinstance(value, TensorType):
        return value
    dtype = DataType.FLOAT
    if isinstance(value, Mapping):
        unknown = set(value) - {"shape", "dtype"}
        if unknown or "shape" not in value:
            raise ShapeError(f'{where}: expected {{"shape": [...], "dtype": "..."}}')
        try:
            dtype = DataType.parse(str(value.get("dtype", "float")))
        except ShapeError as error:
            raise ShapeError(f"{where}: {error}") from None
        value = value["shape"]
    if not isinstance(value, list | tuple) or not all(type(dim) is int for dim in value):
        raise ShapeError(f"{where}: a shape is a list of integers, got {value!r}")
    if any(dim < 0 for dim in value):
        raise ShapeError(f"{where}: negative dimension in {list(value)}")
    return TensorType(tuple(value), dtype)


def parse_sizes(data: object, source: str = "sizes") -> dict[str, int]:
    """Return the sizes in bytes that JSON data give, ``{blob: bytes}``.

    Raises
    ------
    ShapeError
        If an entry is no integer of at least 0; names the blob.
    """
    if not isinstance(data, Mapping):
        raise ShapeError(f"{source}: expected an object of blob -> bytes")
    for blob, size in data.items():
        if type(size) is not int:
            raise ShapeError(f"{source}: {blob!r}: a size is an integer, got {size!r}")
        if size < 0:
            raise ShapeError(f"{source}: {blob!r} has the negative size {size}")
    return dict(data)


def read_types(path: PathLike) -> dict[str, TensorType]:
    """Read shapes: JSON as in `parse_types`, or an init net whose fills tell them.

    Raises
    ------
    InputError
        If the file cannot be read, or is neither.
    """
    data = read_bytes(path)
    if looks_like_text(data.lstrip()) or not data.lstrip().startswith((b"{", b"[")):
        found = types_from_init_net(load_net(path))
        if not found:
            raise ShapeError(f"{path}: no fill operator with a shape: this is no init net")
        return found
    return parse_types(_parse_json(data, path), str(path))


def read_sizes(path: PathLike) -> dict[str, int]:
    """Read sizes: JSON as in `parse_sizes`."""
    return parse_sizes(_parse_json(read_bytes(path), path), str(path))


def _parse_json(data: bytes, path: PathLike) -> Any:  # noqa: ANN401
    try:
        return parse_json(data, os.fspath(path))
    except InputError as error:
        raise ShapeError(str(error)) from None
