"""Graphs of other frameworks as NetDefs, to be planned, rewritten and verified as such.

An operator keeps its type behind that of its framework (``onnx:Conv``), as Caffe2's operators of
one name may do something else: the net is for planning, and for those who give such types a
meaning. A view becomes an ``Alias``; what writes into the memory of another tensor writes its blob
in place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from memonger.errors import ProblemError
from memonger.instances.graph_json import bases_of, problem_from_graph
from memonger.net.netdef_pb2 import NetDef


@dataclass(frozen=True)
class GraphNet:
    """A graph as a net.

    Parameters
    ----------
    net
        The operators in the order of the graph, type ``simple``.
    sizes
        Blob -> bytes: those of the tensor whose memory it lies in.
    """

    net: NetDef
    sizes: dict[str, int]


def net_of_graph(data: Mapping[str, Any], source: str = "graph") -> GraphNet:
    """Return the net of a graph.

    Inputs and weights are its external inputs, outputs of the graph its external outputs, which
    are not planned. Blobs have the names of the tensors.

    Parameters
    ----------
    data
        Of ``memonger-graph/1``.
    source
        What to call them in an error.

    Raises
    ------
    ProblemError
        If the data are no graph, or two tensors have one name.

    Notes
    -----
    Linear in the size of the graph.
    """
    problem_from_graph(data, source)  # checks the data
    tensors, meta = data["tensors"], data.get("meta", {})
    names, kinds = tensors["name"], tensors["kind"]
    if len(set(names)) < len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise ProblemError(f"{source}: two tensors are called {twice!r}")
    base = bases_of(tensors["alias"], names, source)
    net = NetDef(name=str(meta.get("name", source)), type="simple")
    framework = str(meta.get("source", "graph"))
    blob = list(names)
    for number, (name, kind, inputs, outputs, *rest) in enumerate(data["ops"]):
        lies_in = {base[tensor]: tensor for tensor in reversed(inputs)}
        others = []
        for tensor in outputs:
            if rest[:1] == ["v"] and base[tensor] in lies_in:
                op = net.op.add(type="Alias", name=str(name))
                op.input.append(blob[lies_in[base[tensor]]])
                op.output.append(blob[tensor])
                op.arg.add(name="view", s=f"{framework}:{kind} {number}".encode())
            else:
                blob[tensor] = blob[base[tensor]]
                others.append(blob[tensor])
        if others or not outputs:
            op = net.op.add(type=f"{framework}:{kind}", name=str(name))
            op.input.extend(blob[tensor] for tensor in inputs)
            op.output.extend(dict.fromkeys(others))
    made = {name for op in net.op for name in op.output}
    read = {name for op in net.op for name in op.input}
    net.external_input.extend(
        n for n, k in zip(blob, kinds, strict=True) if k in "iw" and n in read
    )
    net.external_output.extend(
        dict.fromkeys(n for n, k in zip(blob, kinds, strict=True) if k == "o" and n in made)
    )
    sizes = {name: tensors["bytes"][root] for name, root in zip(blob, base, strict=True)}
    return GraphNet(net, sizes)
