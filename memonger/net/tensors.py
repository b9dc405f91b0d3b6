"""Types of tensors: shape, data type, bytes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from memonger.errors import ShapeError


class DataType(IntEnum):
    """Caffe2's ``TensorProto.DataType``, with the bytes of one element."""

    UNDEFINED = 0
    FLOAT = 1
    INT32 = 2
    BYTE = 3
    STRING = 4
    BOOL = 5
    UINT8 = 6
    INT8 = 7
    UINT16 = 8
    INT16 = 9
    INT64 = 10
    FLOAT16 = 12
    DOUBLE = 13
    ZERO_COLLISION_HASH = 14
    REBATCHING_BUFFER = 15

    @property
    def itemsize(self) -> int | None:
        """Bytes of one element; ``None`` where elements are no plain bytes (strings, objects)."""
        return _ITEMSIZE.get(self)

    @classmethod
    def parse(cls, text: str) -> DataType:
        """Return the type of a name such as ``float``, ``float32``, ``INT64`` or ``half``.

        Raises
        ------
        ShapeError
            If there is no such type.
        """
        name = text.strip().upper()
        name = _SYNONYMS.get(name, name)
        if name not in cls.__members__:
            known = ", ".join(member.name.lower() for member in cls)
            raise ShapeError(f"unknown data type {text!r}; known: {known}")
        return cls[name]


_ITEMSIZE = {
    DataType.FLOAT: 4,
    DataType.INT32: 4,
    DataType.BYTE: 1,
    DataType.BOOL: 1,
    DataType.UINT8: 1,
    DataType.INT8: 1,
    DataType.UINT16: 2,
    DataType.INT16: 2,
    DataType.INT64: 8,
    DataType.FLOAT16: 2,
    DataType.DOUBLE: 8,
}
_SYNONYMS = {
    "FLOAT32": "FLOAT",
    "FLOAT64": "DOUBLE",
    "HALF": "FLOAT16",
    "INT": "INT32",
    "LONG": "INT64",
}


@dataclass(frozen=True, slots=True)
class TensorType:
    """Shape and data type of a tensor.

    Parameters
    ----------
    shape
        Dimensions, each at least 0; ``()`` is a scalar.
    dtype
        Type of the elements.

    Raises
    ------
    ShapeError
        If a dimension is negative.

    Examples
    --------
    >>> TensorType((1, 3, 224, 224)).nbytes
    602112
    """

    shape: tuple[int, ...]
    dtype: DataType = DataType.FLOAT

    def __post_init__(self) -> None:
        if any(dim < 0 for dim in self.shape):
            raise ShapeError(f"negative dimension in shape {list(self.shape)}")

    @property
    def numel(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int | None:
        """Bytes of all elements; ``None`` where they are no plain bytes."""
        itemsize = self.dtype.itemsize
        return None if itemsize is None else self.numel * itemsize

    def with_shape(self, shape: Iterable[int]) -> TensorType:
        """Return the same data type with another shape."""
        return TensorType(tuple(shape), self.dtype)
