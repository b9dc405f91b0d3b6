"""What operators of a graph may write over what they read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from reprlib import repr as shown
from typing import Any

from memonger.errors import ProblemError
from memonger.problem import Buffer

# Views that keep the order of the elements.
_STRAIGHT_VIEWS = frozenset(
    (
        *("EXPAND_DIMS", "RESHAPE", "SQUEEZE"),  # of TFLite
        *("Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"),  # of ONNX
        *("_reshape_alias", "_unsafe_view", "alias", "detach", "flatten", "reshape", "squeeze"),
        *("unsqueeze", "view"),  # of torch
    )
)


def permitted_pairs(
    data: Mapping[str, Any], base: Sequence[int], buffers: Sequence[Buffer], source: str
) -> Iterator[tuple[int, int]]:
    """Yield the pairs (taken, over) that operators permit, where one ends as the other begins.

    Nothing else of the memory taken may be read by the operator, and what it reads must lie there
    element by element: a view that transposes is read in another order than is written.

    Parameters
    ----------
    data
        Of the graph, checked but for the pairs.
    base
        Tensor -> the one in whose memory it lies.
    buffers
        What is planned, named after its base.
    source
        What to call the data in an error.

    Raises
    ------
    ProblemError
        If a pair is none: names the operator.
    """
    number = {buffer.name: index for index, buffer in enumerate(buffers)}
    names = data["tensors"]["name"]
    straight = {tensor for tensor, root in enumerate(base) if tensor == root}
    seen: set[tuple[int, int]] = set()
    for time, (name, kind, inputs, outputs, *rest) in enumerate(data["ops"]):
        if kind in _STRAIGHT_VIEWS and straight.issuperset(inputs[:1]):
            straight.update(outputs)
        for pair in rest[1] if len(rest) > 1 else ():
            if not _is_pair(pair, len(outputs), len(inputs)):
                raise ProblemError(f"{source}: operator {time} ({name!r}) permits {shown(pair)}")
            written, read = outputs[pair[0]], inputs[pair[1]]
            root = base[read]
            over, taken = number.get(names[written]), number.get(names[root])
            if over is None or taken is None or (taken, over) in seen or read not in straight:
                continue
            if any(base[tensor] == root for tensor in inputs if tensor != read):
                continue
            one, other = buffers[taken], buffers[over]
            timely = one.start < time == other.start == one.end - 1 and one.end < other.end
            if timely and one.size == other.size:
                seen.add((taken, over))
                yield taken, over


def _is_pair(pair: object, outputs: int, inputs: int) -> bool:
    return (
        isinstance(pair, list)
        and [type(end) for end in pair] == [int, int]
        and 0 <= pair[0] < outputs
        and 0 <= pair[1] < inputs
    )
