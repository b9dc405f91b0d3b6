"""The dataflow graph of a list of operators: which one must wait for which, and for which blobs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import networkx as nx
from networkx.utils import UnionFind

from memonger.net.defuse import DefUse, analyse
from memonger.net.hazards import hazards
from memonger.net.netdef_pb2 import NetDef, OperatorDef
from memonger.net.schema import schema


def interference_graph(ops: Sequence[OperatorDef], *, overwritten: bool = False) -> nx.DiGraph[int]:
    """Return the graph of the dependencies between operators.

    Every topological order of it computes the same. Where every blob is written once, it is
    Caffe2's ``compute_interference_graph``. Caffe2 joins a writer to all later readers of the
    name, whoever has written it since, and knows neither of writes that must wait (WAR, WAW) nor
    of control inputs, of what nets inside operators touch, and of views (Alias).

    Parameters
    ----------
    ops
        The operators in program order. Blobs that none of them has written before count as
        external.
    overwritten
        Whether to add Caffe2's edges from writers whose blob is written again before it is read.
        They follow from the others, so the topological orders stay the same; their number may be
        quadratic (a chain of operators in place).

    Returns
    -------
    networkx.DiGraph
        Nodes: operator indices, with the operator as ``op``. Edges: from an operator to one that
        must wait for it, with the sorted names of the blobs as ``deps``; inserted by source, then
        by target.

    Raises
    ------
    NetError
        If an operator has no type, or carries a text net that cannot be parsed.

    Notes
    -----
    Linear in the number of reads and writes, but for the sorting of the edges and for those that
    ``overwritten`` adds. Caffe2's needs quadratic time; its missing edges let
    ``optimize_interference`` move a write before a read of the older value.

    Examples
    --------
    Operator 2 overwrites what operator 1 reads:

    >>> ops = [
    ...     OperatorDef(type="Tanh", input=["x"], output=["a"]),
    ...     OperatorDef(type="Sigmoid", input=["a"], output=["s"]),
    ...     OperatorDef(type="Relu", input=["a"], output=["a"]),
    ... ]
    >>> list(interference_graph(ops).edges(data="deps"))
    [(0, 1, ['a']), (0, 2, ['a']), (1, 2, ['a'])]
    """
    net = NetDef(op=ops)
    _drop_external_controls(net)
    def_use = analyse(net)
    blobs: dict[tuple[int, int], set[str]] = {}
    for hazard in hazards(def_use):
        blobs.setdefault((hazard.before, hazard.after), set()).add(hazard.blob)
    for before, after, blob in _hazards_of_views(net, def_use):
        blobs.setdefault((before, after), set()).add(blob)
    if overwritten:
        _add_overwritten(net, blobs)
    graph: nx.DiGraph[int] = nx.DiGraph()
    graph.add_nodes_from((index, {"op": op}) for index, op in enumerate(ops))
    graph.add_edges_from((*edge, {"deps": sorted(blobs[edge])}) for edge in sorted(blobs))
    return graph


def _drop_external_controls(net: NetDef) -> None:
    """Drop the control inputs that no operator before has touched: there is nothing to wait for."""
    if not any(op.control_input for op in net.op):
        return
    known: set[str] = set()
    for op in net.op:
        if op.control_input:
            kept = [name for name in op.control_input if name in known]
            del op.control_input[:]
            op.control_input.extend(kept)
        known.update(op.input, op.output)


def _hazards_of_views(net: NetDef, def_use: DefUse) -> Iterator[tuple[int, int, str]]:
    """Yield (before, after, blob) for blobs that may be one memory under several names.

    Where each of the names has one value only, their own hazards suffice: the views follow the
    base, and nobody writes it again. Otherwise all accesses count as those of one blob.
    """
    names: UnionFind[str] = UnionFind()
    for op in net.op:
        traits = schema(op.type)
        if traits.views:
            names.union(*op.output)
        for output, source in traits.aliases:
            if output < len(op.output) and source < len(op.input):
                names.union(op.output[output], op.input[source])
    values = Counter(version.blob for version in def_use.versions) if names.parents else Counter()
    memory = {name: names[name] for name in names.parents}
    unsafe = {memory[name] for name in memory if values[name] > 1}
    writers: dict[str, int] = {}
    readers: dict[str, list[int]] = {}
    for index, touched in enumerate(def_use.operands if unsafe else ()):
        for blob in touched.reads:
            if memory.get(blob) in unsafe:
                readers.setdefault(memory[blob], []).append(index)
                if memory[blob] in writers:
                    yield writers[memory[blob]], index, blob
        for blob in touched.writes:
            if memory.get(blob) in unsafe:
                waits = [*readers.pop(memory[blob], ()), writers.get(memory[blob], index)]
                yield from ((before, index, blob) for before in waits if before != index)
                writers[memory[blob]] = index


def _add_overwritten(net: NetDef, blobs: dict[tuple[int, int], set[str]]) -> None:
    """Add the edges from every earlier writer of a name to its readers."""
    writers: dict[str, list[int]] = {}
    for index, op in enumerate(net.op):
        for name in op.input:
            for writer in writers.get(name, ()):
                blobs.setdefault((writer, index), set()).add(name)
        for name in dict.fromkeys(op.output):
            writers.setdefault(name, []).append(index)
