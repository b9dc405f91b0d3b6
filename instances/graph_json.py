"""Graphs as JSON, ``memonger-graph/1``: exported networks of other frameworks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from reprlib import repr as shown
from typing import Any, Literal, TypeVar

from memonger.errors import ProblemError
from memonger.instances.graph_in_place import permitted_pairs
from memonger.order_problem import Allocation, OrderProblem
from memonger.problem import Buffer, Problem

FORMAT = "memonger-graph/1"
Planned = Literal["activations", "activations+outputs"]

_COLUMNS = ("name", "bytes", "kind", "alias")
# The kind of a buffer is the first of these that it or one of its views has.
_STRENGTH = {"i": 0, "w": 1, "o": 2, "a": 3}


def problem_from_graph(
    data: object,
    source: str = "graph",
    planned: Planned | None = None,
    *,
    in_place: bool = False,
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
    in_place
        Whether the problem has the pairs in place that the operators permit: a permission, which
        no plan need take. Of an input, only the last operator that touches it may.

    Raises
    ------
    ProblemError
        If the data are no graph, or a tensor is read before it is produced.

    Notes
    -----
    Linear in the size of the graph.
    """
    return _read(data, source, lambda graph: _problem(graph, source, planned, in_place))


def order_problem_from_graph(
    data: object, source: str = "graph", planned: Planned | None = None
) -> OrderProblem:
    """Return the operators of a graph, to be put in order.

    An operator waits for the producers of the tensors that it reads. The allocations are the
    buffers of `problem_from_graph`; graph outputs that are planned stay to the end.

    Parameters
    ----------
    data, source, planned
        As for `problem_from_graph`.

    Raises
    ------
    ProblemError
        As `problem_from_graph` does.
    """
    return _read(data, source, lambda graph: _order_problem(graph, source, planned))


T = TypeVar("T")


def _read(data: object, source: str, read: Callable[[Mapping[str, Any]], T]) -> T:
    """Return what is read from the data of a graph, once these are checked."""
    if not isinstance(data, Mapping) or data.get("format") != FORMAT:
        raise ProblemError(f"{source}: expected the format {FORMAT!r}")
    tensors, ops, meta = data.get("tensors"), data.get("ops"), data.get("meta", {})
    _check_tensors(tensors, source)
    _check_operators(ops, len(tensors["name"]), source)  # type: ignore[index]
    if not isinstance(meta, Mapping):
        raise ProblemError(f"{source}: 'meta' must be an object, got {shown(meta)}")
    try:
        return read(data)
    except ProblemError as error:
        raise error if source in str(error) else ProblemError(f"{source}: {error}") from None


def _check_tensors(tensors: object, source: str) -> None:
    """Check the columns of the tensors."""
    if not isinstance(tensors, Mapping):
        raise ProblemError(f"{source}: 'tensors' must be an object of columns")
    for key in _COLUMNS:
        if not isinstance(tensors.get(key), list):
            raise ProblemError(f"{source}: 'tensors' must have a list {key!r}")
        if len(tensors[key]) != len(tensors["name"]):
            raise ProblemError(
                f"{source}: 'tensors' has {len(tensors['name'])} names, but {len(tensors[key])} "
                f"entries in {key!r}"
            )
    count = len(tensors["name"])
    for number, (name, size, kind, alias) in enumerate(
        zip(*(tensors[key] for key in _COLUMNS), strict=True)
    ):
        if not isinstance(name, str):
            raise ProblemError(f"{source}: tensor {number} has no name but {shown(name)}")
        if type(size) is not int or size < 0:
            raise ProblemError(f"{source}: tensor {name!r} has the size {shown(size)}")
        if not isinstance(kind, str) or kind not in _STRENGTH:
            known = ", ".join(_STRENGTH)
            raise ProblemError(
                f"{source}: tensor {name!r} has the kind {shown(kind)}; known: {known}"
            )
        if type(alias) is not int or alias >= count:
            raise ProblemError(f"{source}: tensor {name!r} has the alias {shown(alias)}")


def _check_operators(ops: object, count: int, source: str) -> None:
    """Check the operators of a graph of so many tensors."""
    if not isinstance(ops, list):
        raise ProblemError(f"{source}: 'ops' must be a list of operators")
    for number, op in enumerate(ops):
        if not isinstance(op, list) or len(op) < 4:
            raise ProblemError(
                f"{source}: operator {number} must be [name, type, inputs, outputs, ...]"
            )
        for side, key in ((op[2], "inputs"), (op[3], "outputs")):
            if not isinstance(side, list):
                raise ProblemError(f"{source}: operator {number}: the {key} must be a list")
            for tensor in side:
                if type(tensor) is not int or not 0 <= tensor < count:
                    raise ProblemError(
                        f"{source}: operator {number} names the tensor {shown(tensor)}"
                    )


@dataclass(frozen=True)
class _Bases:
    """Tensor -> the one whose memory it is a view of; of these the kinds, and what is planned."""

    base: list[int]
    kinds: list[str]
    wanted: frozenset[str]
    sizes: list[int]

    def plans(self, root: int) -> bool:
        return self.kinds[root] in self.wanted and self.sizes[root] > 0


def _bases_of(data: Mapping[str, Any], source: str, planned: Planned | None) -> _Bases:
    tensors, meta = data["tensors"], data.get("meta", {})
    if planned is None:
        training = meta.get("mode") == "training"
        planned = "activations+outputs" if training else "activations"
    base = bases_of(tensors["alias"], tensors["name"], source)
    kinds = list(tensors["kind"])
    for tensor, root in enumerate(base):
        if _STRENGTH[tensors["kind"][tensor]] < _STRENGTH[kinds[root]]:
            kinds[root] = tensors["kind"][tensor]
    wanted = frozenset("a" if planned == "activations" else "ao")
    return _Bases(base, kinds, wanted, tensors["bytes"])


def _accesses(
    data: Mapping[str, Any], held: _Bases, source: str
) -> tuple[dict[int, int], dict[int, list[int]]]:
    """Return base -> the operator that produces it, and base -> all that touch it, ascending."""
    start: dict[int, int] = {}
    touched: dict[int, list[int]] = {}
    for time, (name, _, inputs, outputs, *_) in enumerate(data["ops"]):
        for tensor in outputs:
            start.setdefault(held.base[tensor], time)
        for tensor in (*inputs, *outputs):
            root = held.base[tensor]
            if root not in start and held.kinds[root] not in "iw":
                raise ProblemError(
                    f"{source}: operator {time} ({name!r}) reads {data['tensors']['name'][root]!r} "
                    "before it is produced"
                )
            operators = touched.setdefault(root, [])
            if not operators or operators[-1] != time:
                operators.append(time)
    return start, touched


def _problem(
    data: Mapping[str, Any], source: str, planned: Planned | None, in_place: bool
) -> Problem:
    held = _bases_of(data, source, planned)
    start, touched = _accesses(data, held, source)
    names, horizon = data["tensors"]["name"], len(data["ops"])
    buffers = []
    for root, first in start.items():
        if held.plans(root):
            last = horizon if held.kinds[root] == "o" else touched[root][-1] + 1
            buffers.append(Buffer(names[root], held.sizes[root], first, last))
    pairs = tuple(permitted_pairs(data, held.base, buffers, source)) if in_place else ()
    return Problem(tuple(buffers), _name_of(data, source), in_place=pairs)


def _order_problem(data: Mapping[str, Any], source: str, planned: Planned | None) -> OrderProblem:
    held = _bases_of(data, source, planned)
    start, touched = _accesses(data, held, source)
    producer: dict[int, int] = {}  # of a tensor, views included
    edges: dict[tuple[int, int], None] = {}
    for time, (_, _, inputs, outputs, *_) in enumerate(data["ops"]):
        for before in (producer.get(tensor, time) for tensor in inputs):
            if before != time:
                edges[before, time] = None
        for tensor in outputs:
            producer[tensor] = time
            # What is written into memory waits for the one that allocates it.
            if start[held.base[tensor]] != time:
                edges[start[held.base[tensor]], time] = None
    allocations = tuple(
        Allocation(
            data["tensors"]["name"][root],
            held.sizes[root],
            first,
            tuple(time for time in touched[root] if time > first),
            kept=held.kinds[root] == "o",
        )
        for root, first in start.items()
        if held.plans(root)
    )
    names = tuple(str(op[0]) for op in data["ops"])
    return OrderProblem(names, tuple(edges), allocations, _name_of(data, source))


def _name_of(data: Mapping[str, Any], source: str) -> str:
    return str(data.get("meta", {}).get("name", source))


def bases_of(alias: list[int], names: list[str], source: str) -> list[int]:
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
