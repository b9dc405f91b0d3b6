"""Graphs as they are read from other formats: data of ``memonger-graph/1``, put together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from memonger.errors import ProblemError
from memonger.instances.graph_json import FORMAT
from memonger.problem import MAX_TOTAL_BYTES

Graph = dict[str, Any]
"""The data of ``memonger-graph/1``."""


def bytes_of(name: str, shape: Sequence[int], bits: int) -> int:
    """Return the bytes of a tensor, elements of less than a byte packed.

    Raises
    ------
    ProblemError
        If a dimension is negative, or there are 2^62 bytes or more; names the tensor.

    Examples
    --------
    >>> bytes_of("x", (3, 5), 4)
    8
    """
    count = 1
    for dimension in shape:
        if dimension < 0:
            raise ProblemError(f"tensor {name!r} has the dimension {dimension}")
        count *= dimension
    size = -(-count * bits // 8)
    if size >= MAX_TOTAL_BYTES:
        raise ProblemError(f"tensor {name!r} has {size} bytes; the limit is 2^62")
    return size


@dataclass
class GraphBuilder:
    """Tensors and operators of one graph, as they are found.

    Parameters
    ----------
    meta
        The entry ``meta`` of the graph.
    """

    meta: Mapping[str, Any]
    _columns: dict[str, list[Any]] = field(
        default_factory=lambda: {
            key: [] for key in ("name", "bytes", "dtype", "shape", "kind", "alias")
        }
    )
    _ops: list[list[Any]] = field(default_factory=list)
    _taken: set[str] = field(default_factory=set)

    def tensor(
        self, name: str, size: int, kind: str, *, dtype: str = "", shape: Sequence[int | str] = ()
    ) -> int:
        """Add a tensor and return its number; a name that is taken gets a number, too.

        Parameters
        ----------
        name
            What its format calls it.
        size
            Bytes.
        kind
            ``i`` input, ``w`` weight or constant, ``a`` activation, ``o`` output.
        dtype, shape
            For people; nothing is worked out from them.
        """
        number = len(self._columns["name"])
        unique = name or f"tensor_{number}"
        while unique in self._taken:
            unique = f"{unique}#{number}"
        self._taken.add(unique)
        row = (unique, size, dtype, list(shape), kind, -1)
        for column, value in zip(self._columns.values(), row, strict=True):
            column.append(value)
        return number

    def view(self, tensor: int, base: int) -> None:
        """Say that a tensor lies in the memory of another."""
        self._columns["alias"][tensor] = base

    def kind(self, tensor: int) -> str:
        """Return the kind of a tensor."""
        return str(self._columns["kind"][tensor])

    def size(self, tensor: int) -> int:
        """Return the bytes of a tensor."""
        return int(self._columns["bytes"][tensor])

    def make_output(self, tensor: int) -> None:
        """Say that an activation is an output of the graph."""
        if self._columns["kind"][tensor] == "a":
            self._columns["kind"][tensor] = "o"

    def operator(
        self,
        name: str,
        kind: str,
        inputs: Iterable[int],
        outputs: Sequence[int],
        *,
        elementwise: bool = False,
    ) -> None:
        """Add an operator, which runs after those before it.

        Parameters
        ----------
        name, kind
            Its name, and what it does.
        inputs, outputs
            Tensors; repeats among the inputs are dropped.
        elementwise
            Whether its first output may be written over an input of the same size: a permission,
            noted for activations.
        """
        read = list(dict.fromkeys(inputs))
        alias = self._columns["alias"]
        is_view = bool(outputs) and all(alias[tensor] >= 0 for tensor in outputs)
        pairs = []
        if elementwise and outputs and not is_view:
            pairs = [
                [0, position]
                for position, tensor in enumerate(read)
                if self.kind(tensor) == "a" and self.size(tensor) == self.size(outputs[0])
            ]
        self._ops.append([name, kind, read, list(outputs), "v" if is_view else "", pairs])

    def graph(self) -> Graph:
        """Return the data of the graph."""
        return {
            "format": FORMAT,
            "meta": dict(self.meta),
            "tensors": self._columns,
            "ops": self._ops,
        }
