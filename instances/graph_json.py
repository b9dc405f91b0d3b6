"""Graphs as JSON, ``memonger-graph/1``: exported networks of other frameworks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from memonger.errors import ProblemError
from memonger.problem import Buffer, Problem

FORMAT = "memonger-graph/1"
Planned = Literal["activations", "activations+outputs"]

# The kind of a buffer is the first of these that it or one of its views has.
_STRENGTH = {"i": 0, "w": 1, "o": 2, "a": 3}


def problem_from_graph(
    data: object, source: str = "graph", planned: Planned | None = None
) -> Problem:
    """Return the live ranges of a graph in its own order.

    A buffer is a base tensor, named after it, read and written wherever one of its views is; it
    is live from the operator that produces it to its last reader, both inclusive. Inputs, weights
    and buffers without bytes are left out.

    Parameters
    ----------
    data
        The JSON data.
    source
        What to call them in an error.
    planned
        ``activations`` leaves the graph outputs out; ``activations+outputs`` plans them too, live
        to the end. By default the latter for training graphs (``meta.mode``), else the former.

    Raises
    ------
    ProblemError
        If the data are no graph, or a tensor is read before it is produced.

    Notes
    -----
    Linear in the size of the graph.
    """
    if not isinstance(data, Mapping) or data.get("format") != FORMAT:
        raise ProblemError(f"{source}: expected the format {FORMAT!r}")
    try:
        _check_columns(data["tensors"], data["ops"], source)
        return _problem(data, source, planned)
    except ProblemError as error:
        raise error if source in str(error) else ProblemError(f"{source}: {error}") from None
    except (KeyError, TypeError, IndexError, ValueError, AttributeError) as error:
        raise ProblemError(f"{source}: malformed graph ({type(error).__name__}: {error})") from None


def _check_columns(tensors: Mapping[str, Any], ops: Any, source: str) -> None:  # noqa: ANN401
    """Check what Python would let pass: booleans, fractions, negative indices."""
    count = len(tensors["name"])
    for number, (name, size) in enumerate(zip(tensors["name"], tensors["bytes"], strict=True)):
        if not isinstance(name, str):
            raise ProblemError(f"{source}: tensor {number} has no name but {name!r}")
        if type(size) is not int or size < 0:
            raise ProblemError(f"{source}: tensor {name!r} has the size {size!r}")
    for number, op in enumerate(ops):
        for tensor in (*op[2], *op[3]):
            if type(tensor) is not int or not 0 <= tensor < count:
                raise ProblemError(f"{source}: operator {number} names the tensor {tensor!r}")


def _problem(data: Mapping[str, Any], source: str, planned: Planned | None) -> Problem:
    tensors, meta = data["tensors"], data.get("meta", {})
    if planned is None:
        training = meta.get("mode") == "training"
        planned = "activations+outputs" if training else "activations"
    base = _bases(tensors["alias"], tensors["name"], source)
    kinds = list(tensors["kind"])
    for tensor, root in enumerate(base):
        if _STRENGTH[tensors["kind"][tensor]] < _STRENGTH[kinds[root]]:
            kinds[root] = tensors["kind"][tensor]
    wanted = {"a"} if planned == "activations" else {"a", "o"}
    start: dict[int, int] = {}
    end: dict[int, int] = {}
    for time, (name, _, inputs, outputs, *_) in enumerate(data["ops"]):
        for tensor in outputs:
            start.setdefault(base[tensor], time)
        for tensor in (*inputs, *outputs):
            root = base[tensor]
            if root not in start and kinds[root] not in "iw":
                raise ProblemError(
                    f"{source}: operator {time} ({name!r}) reads {tensors['name'][root]!r} before "
                    "it is produced"
                )
            end[root] = time + 1
    horizon = len(data["ops"])
    buffers = []
    for root, first in start.items():
        if kinds[root] in wanted and tensors["bytes"][root] > 0:
            last = horizon if kinds[root] == "o" else end[root]
            buffers.append(Buffer(tensors["name"][root], tensors["bytes"][root], first, last))
    return Problem(tuple(buffers), str(meta.get("name", source)))


def _bases(alias: list[int], names: list[str], source: str) -> list[int]:
    """Return tensor -> the tensor whose memory it is a view of, itself if of none."""
    base = [-1] * len(alias)
    for tensor in range(len(alias)):
        path = []
        at = tensor
        while base[at] < 0 and alias[at] >= 0:
            path.append(at)
            at = alias[at]
            if len(path) > len(alias):
                raise ProblemError(f"{source}: tensor {names[tensor]!r} is a view of itself")
        root = base[at] if base[at] >= 0 else at
        for view in (*path, at):
            base[view] = root
    return base
