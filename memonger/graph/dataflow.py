"""The dataflow graph of a list of operators: which one must wait for which, and for which blobs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import networkx as nx
from networkx.utils import UnionFind

from memonger.collector import collector_paused
from memonger.net.defuse import EXTERNAL, DefUse, analyse
from memonger.net.hazards import hazard_rows
from memonger.net.netdef_pb2 import NetDef, OperatorDef
from memonger.net.schema import schema
from memonger.net.subnets import Operands, operands_of


@collector_paused()
def interference_graph(
    ops: Sequence[OperatorDef], *, overwritten: bool = False, def_use: DefUse | None = None
) -> nx.DiGraph[int]:
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
    def_use
        Def-use of the net that the operators are, where it is known.

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
    if def_use is None:
        def_use = analyse(NetDef(), without_external_controls(operands_of(ops)))
    blobs: dict[tuple[int, int], list[str]] = {}
    for before, after, blob in dependencies(def_use):
        blobs.setdefault((before, after), []).append(blob)
    if overwritten:
        _add_overwritten(def_use, blobs)
    graph: nx.DiGraph[int] = nx.DiGraph()
    graph.add_nodes_from((index, {"op": op}) for index, op in enumerate(ops))
    graph.add_edges_from(
        (before, after, {"deps": found if len(found) == 1 else sorted(set(found))})
        for (before, after), found in sorted(blobs.items())
    )
    return graph


def dependencies(def_use: DefUse) -> Iterator[tuple[int, int, str]]:
    """Yield (before, after, blob) for operators of which one must wait for the other.

    Any order in which all of them wait computes the same; see `memonger.net.hazards`.
    """
    for before, after, _, blob in hazard_rows(def_use.operands, def_use.declared):
        yield before, after, blob
    yield from _hazards_of_views(def_use)


def without_external_controls(touched: Iterable[Operands]) -> Iterator[Operands]:
    """Drop the control inputs that no operator before has touched: there is nothing to wait for."""
    known: set[str] = set()
    for found in touched:
        kept = tuple(name for name in found.controls if name in known)
        yield found if kept == found.controls else found._replace(controls=kept)
        known.update(found.inputs, found.outputs)


def _hazards_of_views(def_use: DefUse) -> Iterator[tuple[int, int, str]]:
    """Yield (before, after, blob) for blobs that may be one memory under several names.

    Where each of the names has one value only, their own hazards suffice: the views follow the
    base, and nobody writes it again. Otherwise all accesses count as those of one blob.
    """
    names: UnionFind[str] = UnionFind()
    for touched in def_use.operands:
        if touched.plain:
            continue
        traits = schema(touched.type)
        if traits.views:
            names.union(*touched.outputs)
        for output, source in traits.aliases:
            if output < len(touched.outputs) and source < len(touched.inputs):
                names.union(touched.outputs[output], touched.inputs[source])
    if not names.parents:
        return
    memory = {name: names[name] for name in names.parents}
    values = Counter(v.blob for v in def_use.versions if v.writer != EXTERNAL or v.readers)
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


def _add_overwritten(def_use: DefUse, blobs: dict[tuple[int, int], list[str]]) -> None:
    """Add the edges from every earlier writer of a name to its readers."""
    writers: dict[str, list[int]] = {}
    for index, touched in enumerate(def_use.operands):
        for name in touched.inputs:
            for writer in writers.get(name, ()):
                blobs.setdefault((writer, index), []).append(name)
        for name in dict.fromkeys(touched.outputs):
            writers.setdefault(name, []).append(index)
