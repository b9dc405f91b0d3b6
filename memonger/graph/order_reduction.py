"""Fewer operators and readers with the same optimum: what makes ordering problems small.

Memory is a submodular function of the set of operators that have run; that is why these steps
are safe:

* a reader that another reader waits for does not decide how long an allocation lives;
* an edge that others imply says nothing;
* allocations of one producer and the same readers are one;
* an operator that allocates nothing and waits for one other only may run right after that: it
  can only free memory (views are of this kind).
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from memonger.graph.operator_dag import OperatorDag, Rows, rows_of
from memonger.order_problem import BoolArray
from memonger.problem import IntArray

WORDS = 8
"""Sources that one sweep follows, in words of 64."""


@dataclass(frozen=True, eq=False)
class Reduction:
    """A smaller problem and what its operators stand for.

    Parameters
    ----------
    dag
        The smaller problem: its optimal peak is that of the original.
    members
        Operator of the smaller problem -> operators of the original, to be run in that order.
    """

    dag: OperatorDag
    members: Rows

    def expand(self, order: IntArray) -> list[int]:
        """Return the order of the original operators; its peak is not above that of ``order``."""
        first, items = self.members
        return [
            operator
            for group in order.tolist()
            for operator in items[first[group] : first[group + 1]].tolist()
        ]


def reduce_operators(dag: OperatorDag) -> Reduction:
    """Return a smaller problem of the same optimal peak.

    Notes
    -----
    Reachability is looked up by sweeps over the operators, ``64 WORDS`` sources at a time:
    O((operators + edges) operators / 64) steps of one word, linear memory.
    """
    members = [[operator] for operator in range(dag.count)]
    while True:
        dag = _without_implied(dag)
        leader = _glued(dag)
        if (leader == np.arange(dag.count)).all():
            break
        for operator in np.flatnonzero(leader != np.arange(dag.count)).tolist():
            members[int(leader[operator])] += members[operator]
        stays = leader == np.arange(dag.count)
        members = [members[operator] for operator in np.flatnonzero(stays).tolist()]
        dag = _contracted(dag, (np.cumsum(stays) - 1)[leader], len(members))
    counts = [len(group) for group in members]
    items = np.array([operator for group in members for operator in group], dtype=np.int64)
    return Reduction(dag, rows_of(np.repeat(np.arange(len(counts)), counts), items, dag.count))


def _without_implied(dag: OperatorDag) -> OperatorDag:
    """Return the problem without implied edges and readers, equal allocations merged."""
    edge_stays = np.ones(len(dag.edges), dtype=np.bool_)
    read_stays = np.ones(len(dag.reads.items), dtype=np.bool_)
    allocation, reader = dag.read_pairs
    # Edges and reads by their source, so that each sweep finds its own next to each other.
    edges = np.argsort(dag.edges[:, 0], kind="stable")
    reads = np.argsort(reader, kind="stable")
    _mark_implied(
        dag.count, dag.before, edges, np.ascontiguousarray(dag.edges), edge_stays,
        reads, allocation, dag.reads, read_stays,
    )  # fmt: skip
    return _merged(
        dag.count,
        dag.edges[edge_stays],
        dag.sizes,
        dag.producers,
        dag.kept,
        rows_of(allocation[read_stays], reader[read_stays], len(dag.sizes)),
    )


@numba.njit(cache=True, nogil=True)
def _mark_implied(count, before, edges, pairs, edge_stays, reads, allocations, readers, read_stays):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Clear the marks of edges that others imply, and of readers that other readers wait for.

    ``edges`` and ``reads`` are sorted by their sources. A block of sources at a time, bit b of
    ``reach[v]`` says whether source b is v or reaches it.
    """
    reach = np.zeros((count, WORDS), np.uint64)
    block = 64 * WORDS
    next_edge = next_read = 0
    for low in range(0, count, block):
        high = min(count, low + block)
        reach[low:] = 0
        for v in range(low, count):
            for p in before.items[before.first[v] : before.first[v + 1]]:
                if p >= low:
                    for w in range(WORDS):
                        reach[v, w] |= reach[p, w]
            if v < high:
                reach[v, (v - low) >> 6] |= np.uint64(1) << np.uint64((v - low) & 63)
        while next_edge < len(edges) and pairs[edges[next_edge], 0] < high:
            edge = edges[next_edge]
            source, v = pairs[edge]
            word, bit = (source - low) >> 6, np.uint64((source - low) & 63)
            for p in before.items[before.first[v] : before.first[v + 1]]:
                if p > source and reach[p, word] >> bit & np.uint64(1):
                    edge_stays[edge] = False
                    break
            next_edge += 1
        while next_read < len(reads) and readers.items[reads[next_read]] < high:
            read = reads[next_read]
            source, s = readers.items[read], allocations[read]
            word, bit = (source - low) >> 6, np.uint64((source - low) & 63)
            for other in readers.items[readers.first[s] : readers.first[s + 1]]:
                if other > source and reach[other, word] >> bit & np.uint64(1):
                    read_stays[read] = False
                    break
            next_read += 1


def _merged(
    count: int,
    edges: IntArray,
    sizes: IntArray,
    producers: IntArray,
    kept: BoolArray,
    reads: Rows,
) -> OperatorDag:
    """Return the problem with allocations of one producer, the same readers and fate as one."""
    first, items = reads
    found: dict[tuple[int, bool, bytes], int] = {}
    number = np.empty(len(sizes), dtype=np.int64)
    for s, (producer, stays) in enumerate(zip(producers.tolist(), kept.tolist(), strict=True)):
        key = (producer, stays, items[first[s] : first[s + 1]].tobytes())
        number[s] = found.setdefault(key, len(found))
    _, chosen = np.unique(number, return_index=True)
    total = np.zeros(len(found), dtype=np.int64)
    np.add.at(total, number, sizes)
    counts = np.diff(first)[chosen]
    readers = [items[first[s] : first[s + 1]] for s in chosen.tolist()]
    joined = np.concatenate(readers) if readers else items[:0]
    return OperatorDag(
        count,
        edges,
        total,
        producers[chosen],
        kept[chosen],
        rows_of(np.repeat(np.arange(len(found)), counts), joined, len(found)),
    )


def _glued(dag: OperatorDag) -> IntArray:
    """Return operator -> the one that it runs right after, itself where it stands alone."""
    leader = np.arange(dag.count)
    first, before = dag.before
    alone = np.flatnonzero((dag.allocated == 0) & (np.diff(first) == 1))
    for operator in alone.tolist():  # ascending: what it waits for has its leader already
        leader[operator] = leader[before[first[operator]]]
    return leader


def _contracted(dag: OperatorDag, group: IntArray, count: int) -> OperatorDag:
    """Return the problem whose operators are groups, numbered in a valid order."""
    edges = group[dag.edges]
    edges = np.unique(edges[edges[:, 0] != edges[:, 1]][:, ::-1], axis=0)[:, ::-1]
    allocation, reader = dag.read_pairs
    reader, producers = group[reader], group[dag.producers]
    outside = reader != producers[allocation]  # within the group it is free after the group
    pairs = np.unique(np.stack([allocation[outside], reader[outside]], axis=1), axis=0)
    reads = rows_of(pairs[:, 0], pairs[:, 1], len(dag.sizes))
    return OperatorDag(count, np.ascontiguousarray(edges), dag.sizes, producers, dag.kept, reads)
