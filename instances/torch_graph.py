"""PyTorch graphs of ATen operators: `torch.export` programs and FX graph modules.

The objects are read by their attributes alone; torch is not imported. What is a view of what is
taken from the schemas of the operators (``Tensor(a)``), source:
https://github.com/pytorch/pytorch/blob/main/aten/src/ATen/native/README.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeGuard

from memonger.errors import InputError, ProblemError
from memonger.instances.graph_builder import Graph, GraphBuilder, bytes_of
from memonger.instances.graph_json import (
    Planned,
    order_problem_from_graph,
    problem_from_graph,
)
from memonger.order_problem import OrderProblem
from memonger.problem import Problem

Mode = Literal["inference", "training"]

# Views whose schemas do not say so, because autograd is not to know.
VIEWS = frozenset({"_reshape_alias", "_unsafe_view", "alias", "detach", "lift_fresh"})
# What the schemas call views, but are copies where memory or type demand it.
MAY_COPY = frozenset({"contiguous", "flatten", "reshape", "to"})
# One output element for one element of an input: the output may be written over the input.
ELEMENTWISE = frozenset(
    re.findall(
        r"\w+",
        """_log_softmax _log_softmax_backward_data _softmax _softmax_backward_data abs add
        bitwise_and bitwise_not bitwise_or ceil clamp clamp_max clamp_min cos div elu
        elu_backward erf exp floor gelu gelu_backward hardsigmoid hardsigmoid_backward hardswish
        hardswish_backward hardtanh hardtanh_backward leaky_relu leaky_relu_backward log
        logical_and logical_not logical_or masked_fill maximum minimum mish mul neg pow
        reciprocal relu round rsqrt rsub sigmoid sigmoid_backward sign silu silu_backward sin
        sqrt sub tanh tanh_backward threshold_backward where""",
    )
)
_WEIGHTS = ("inputs_to_parameters", "inputs_to_buffers", "inputs_to_lifted_tensor_constants")


def from_torch(
    exported: Any,  # noqa: ANN401
    *,
    planned: Planned | None = None,
    mode: Mode = "inference",
) -> Problem:
    """Return the live ranges of a PyTorch graph in its own order.

    Parameters
    ----------
    exported
        An ``ExportedProgram`` of `torch.export.export`, or a ``GraphModule`` of ATen operators
        whose nodes have their fake tensors in ``meta["val"]``: also the joint graph of a forward
        and a backward pass. It is not changed.
    planned
        As for `problem_from_graph`.
    mode
        With ``training`` the outputs of the graph, gradients, are planned by default.

    Raises
    ------
    InputError
        If the object is no such graph: names the node.
    ProblemError
        If the shape of a tensor is not fixed: names the node.

    Notes
    -----
    Linear in the size of the graph.
    """
    return problem_from_graph(graph_from_torch(exported, mode), "torch", planned)


def order_from_torch(
    exported: Any,  # noqa: ANN401
    *,
    planned: Planned | None = None,
    mode: Mode = "inference",
) -> OrderProblem:
    """Return the operators of a PyTorch graph, to be put in order; else as `from_torch`."""
    return order_problem_from_graph(graph_from_torch(exported, mode), "torch", planned)


def graph_from_torch(exported: Any, mode: Mode = "inference") -> Graph:  # noqa: ANN401
    """Return a PyTorch graph as data of ``memonger-graph/1``; parameters as for `from_torch`."""
    module = getattr(exported, "graph_module", exported)
    nodes = getattr(getattr(module, "graph", None), "nodes", None)
    if nodes is None:
        raise InputError(f"torch: a {type(exported).__name__} is no graph: it has no graph.nodes")
    signature = getattr(exported, "graph_signature", None)
    weights = {name for key in _WEIGHTS for name in getattr(signature, key, None) or {}}
    name = str(getattr(module, "_get_name", lambda: type(module).__name__)())
    builder = GraphBuilder({"name": name, "source": "torch", "mode": mode})
    return _Reader(builder, weights).read(list(nodes))


# What a node gives: a tensor, several of which some may be none, or nothing that takes memory.
_Value = int | list[int | None] | None


@dataclass
class _Reader:
    """Reads one graph; ``values`` is node -> what it gives."""

    builder: GraphBuilder
    weights: set[str]
    values: dict[Any, _Value] = field(default_factory=dict)

    def read(self, nodes: list[Any]) -> Graph:
        for node in nodes:
            if node.op in ("placeholder", "get_attr"):
                kind = "w" if node.op == "get_attr" or node.name in self.weights else "i"
                if _is_tensor(node.meta.get("val")):
                    self.values[node] = self._tensor(node, node.meta["val"], node.name, kind)
                else:
                    # Attributes need not have a fake tensor; their sizes are of no matter.
                    self.values[node] = self.builder.tensor(node.name, 0, kind)
            elif node.op == "call_function":
                self._call(node)
            elif node.op == "output":
                for tensor in self._tensors(node.args):
                    self.builder.make_output(tensor)
            else:
                raise InputError(
                    f"torch: node {node.name!r} is a {node.op!r}: expected ATen operators, as "
                    "torch.export makes them"
                )
        return self.builder.graph()

    def _call(self, node: Any) -> None:  # noqa: ANN401
        if getattr(node.target, "__name__", "") == "getitem" and not _schema(node):
            self.values[node] = self._item(node)
            return
        inputs = list(self._tensors((node.args, node.kwargs)))
        found = node.meta.get("val")
        several = isinstance(found, list | tuple)
        parts = list(found) if isinstance(found, list | tuple) else [found]
        bases = self._bases(node, len(parts), several=several)
        made: list[int | None] = []
        for position, part in enumerate(parts):
            if not _is_tensor(part):  # a number, or a gradient that nobody wants
                made.append(None)
                continue
            name = f"{node.name}.{position}" if several else node.name
            tensor = self._tensor(node, part, name, "a")
            if (base := bases.get(position)) is not None:
                self.builder.view(tensor, base)
            made.append(tensor)
        self.values[node] = made if several else made[0]
        written = [tensor for tensor in made if tensor is not None]
        kind = _kind(node)
        elementwise = kind.rstrip("_") in ELEMENTWISE
        self.builder.operator(node.name, kind, inputs, written, elementwise=elementwise)

    def _item(self, node: Any) -> _Value:  # noqa: ANN401
        value = self.values.get(node.args[0])
        if isinstance(value, list) and isinstance(node.args[1], int):
            try:
                return value[node.args[1]]
            except IndexError:
                raise InputError(f"torch: node {node.name!r}: no item {node.args[1]}") from None
        return value

    def _bases(self, node: Any, count: int, *, several: bool) -> dict[int, int]:  # noqa: ANN401
        """Return output position -> the tensor whose memory it lies in."""
        schema = _schema(node)
        if _kind(node) in MAY_COPY and _copies(node):
            return {}
        sources: dict[str, int] = {}
        if schema is not None:
            for position, argument in enumerate(schema.arguments):
                given = node.kwargs.get(argument.name)
                if position < len(node.args) and given is None:
                    given = node.args[position]
                tensor = next(self._tensors(given), None)
                if tensor is not None:
                    for alias in _aliases(argument):
                        sources.setdefault(alias, tensor)
        returns = list(schema.returns) if schema is not None else []
        if several and len(returns) == 1:  # Tensor(a)[]: every item is a view
            # The letter of a list is lost in the schema: its mark is there, and empty.
            if getattr(returns[0], "alias_info", None) is not None and sources:
                return dict.fromkeys(range(count), next(iter(sources.values())))
            returns *= count
        found = {}
        for position, returned in enumerate(returns):
            named = [sources[alias] for alias in _aliases(returned) if alias in sources]
            if not named and "*" in _aliases(returned):  # of whatever the operator may write
                named = list(sources.values())[:1]
            if named:
                found[position] = named[0]
        if not found and _kind(node) in VIEWS:
            found.update((0, tensor) for tensor in list(self._tensors(node.args))[:1])
        return found

    def _tensors(self, given: object) -> Iterator[int]:
        """Yield the tensors in arguments, however deep."""
        if isinstance(given, list | tuple):
            for item in given:
                yield from self._tensors(item)
        elif isinstance(given, Mapping):
            yield from self._tensors(list(given.values()))
        elif isinstance(given, slice):
            yield from self._tensors((given.start, given.stop, given.step))
        elif given is not None and hasattr(given, "op") and hasattr(given, "target"):
            if given not in self.values:
                raise InputError(f"torch: node {given} is read before it is made")
            value = self.values[given]
            for tensor in value if isinstance(value, list) else [value]:
                if tensor is not None:
                    yield tensor

    def _tensor(self, node: Any, value: Any, name: str, kind: str) -> int:  # noqa: ANN401
        shape: list[Any] = list(value.shape)
        size = 0
        if kind == "a":
            try:
                shape = [_fixed(dimension) for dimension in shape]
                size = bytes_of(name, shape, 8 * _element_bytes(value))
            except (ProblemError, TypeError, ValueError) as error:
                detail = " ".join(str(error).split())[:200]
                raise ProblemError(
                    f"torch: node {node.name!r} has the shape {list(value.shape)}: {detail}"
                ) from None
        dtype = str(value.dtype).removeprefix("torch.")
        return self.builder.tensor(
            name,
            size,
            kind,
            dtype=dtype,
            shape=[d if isinstance(d, int) else str(d) for d in shape],
        )


def _fixed(dimension: object) -> int:
    """Return a dimension that is a number; symbolic ones are not turned into their hints."""
    if not isinstance(dimension, int):
        raise ValueError(f"{dimension} is not fixed; export it without dynamic shapes")
    return dimension


def _copies(node: Any) -> bool:  # noqa: ANN401
    """Return whether an operator that may copy does; strides tell, and types."""
    given = getattr(node.args[0], "meta", {}).get("val") if node.args else None
    made = node.meta.get("val")
    if not _is_tensor(given) or not _is_tensor(made):
        return False
    is_contiguous = getattr(given, "is_contiguous", None)
    if given.dtype != made.dtype or getattr(given, "device", 0) != getattr(made, "device", 0):
        return True
    return is_contiguous is not None and not is_contiguous()


def _element_bytes(value: Any) -> int:  # noqa: ANN401
    return int(value.element_size())


def _is_tensor(value: object) -> TypeGuard[Any]:
    return hasattr(value, "shape") and hasattr(value, "dtype") and hasattr(value, "element_size")


def _schema(node: Any) -> Any:  # noqa: ANN401
    return getattr(node.target, "_schema", None)


def _kind(node: Any) -> str:  # noqa: ANN401
    schema = _schema(node)
    if schema is not None:
        return str(schema.name).rsplit("::", 1)[-1]
    return str(getattr(node.target, "__name__", node.target))


def _aliases(entry: Any) -> list[str]:  # noqa: ANN401
    """Return the letters of an argument or a result of a schema, sorted."""
    info = getattr(entry, "alias_info", None)
    if info is None:
        return []
    return sorted({*info.before_set, *info.after_set})
