"""List schedules: of the operators that are ready, the one with the best key runs next."""

from __future__ import annotations

import heapq
from enum import IntEnum

import numba
import numpy as np

from memonger.graph.operator_dag import OperatorDag
from memonger.problem import IntArray


class Key(IntEnum):
    """What is looked at; ties end in program order."""

    CHANGE = 0
    """The bytes by which memory grows: least first."""
    FREES = 1
    """Those that do not let memory grow, by how much they free; else program order."""
    LATEST = 2
    """Those that do not let memory grow, then what has become ready last."""
    LOAD = 3
    """Those that do not let memory grow, then the least bytes live while it runs."""
    GROWTH = 4
    """The bytes by which memory grows, none for those that free; then what is ready last."""


def list_schedule(dag: OperatorDag, key: Key, *, reverse: bool = False) -> IntArray:
    """Return a valid order, made operator by operator.

    Parameters
    ----------
    dag
        The operators.
    key
        Which of those that are ready comes next.
    reverse
        Whether the order is made from its end: memory then grows by what an operator reads first
        seen from there, and shrinks by what it allocates.

    Returns
    -------
    IntArray
        Operators, the first to run first; shape (operators,).

    Notes
    -----
    O((operators + edges + reads) log n): an operator gets a new entry in the heap whenever its key
    falls, which happens once for each of its reads at most; entries that are out of date are
    passed over.
    """
    ahead, behind = (dag.before, dag.after) if reverse else (dag.after, dag.before)
    waits = np.diff(behind.first)
    order: IntArray = _schedule(
        dag.count, reverse, int(key), ahead, waits, dag.inputs, dag.reads, dag.sizes,
        dag.allocated, dag.transient,
    )  # fmt: skip
    return np.ascontiguousarray(order[::-1]) if reverse else order


@numba.njit(cache=True, nogil=True)
def _schedule(count, reverse, key, ahead, waits, inputs, reads, sizes, allocated, transient):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Return the operators in the order in which they are taken."""
    waits = waits.copy()
    left = np.diff(reads.first)  # readers of an allocation that are not taken yet
    pending = np.zeros(len(sizes), np.int64)  # their numbers, combined by exclusive or
    touched = np.zeros(count, np.int64)  # when an operator became ready
    grows = allocated - transient  # what stays of what an operator allocates
    change = grows.copy()
    load = allocated.copy()
    taken = np.zeros(count, np.bool_)
    order = np.zeros(count, np.int64)
    for s in range(len(sizes)):
        for v in reads.items[reads.first[s] : reads.first[s + 1]]:
            pending[s] ^= v
    for v in range(count):
        if reverse:
            starts = sizes[inputs.items[inputs.first[v] : inputs.first[v + 1]]].sum()
            change[v] = starts - grows[v]
            load[v] = starts + transient[v]
        else:
            for s in inputs.items[inputs.first[v] : inputs.first[v + 1]]:
                if left[s] == 1:
                    change[v] -= sizes[s]
    heap = [_entry(key, reverse, np.int64(0), change, load, touched) for _ in range(0)]
    for v in range(count):
        if waits[v] == 0:
            heapq.heappush(heap, _entry(key, reverse, np.int64(v), change, load, touched))
    clock = 0
    while heap:
        entry = heapq.heappop(heap)
        v = -entry[4] if reverse else entry[4]
        if taken[v] or entry != _entry(key, reverse, v, change, load, touched):
            continue
        taken[v] = True
        order[clock] = v
        clock += 1
        for s in inputs.items[inputs.first[v] : inputs.first[v + 1]]:
            first = left[s] == reads.first[s + 1] - reads.first[s]
            left[s] -= 1
            pending[s] ^= v
            if reverse and first:  # it is live from here on, whoever else reads it
                for u in reads.items[reads.first[s] : reads.first[s + 1]]:
                    change[u] -= sizes[s]
                    load[u] -= sizes[s]
                    if not taken[u] and waits[u] == 0:
                        heapq.heappush(heap, _entry(key, reverse, u, change, load, touched))
            elif not reverse and left[s] == 1:  # the last of its readers frees it
                u = pending[s]
                change[u] -= sizes[s]
                if waits[u] == 0:
                    heapq.heappush(heap, _entry(key, reverse, u, change, load, touched))
        for u in ahead.items[ahead.first[v] : ahead.first[v + 1]]:
            waits[u] -= 1
            touched[u] = clock
            if waits[u] == 0:
                heapq.heappush(heap, _entry(key, reverse, u, change, load, touched))
    return order


@numba.njit(cache=True, nogil=True)
def _entry(key, reverse, v, change, load, touched):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Return the entry of an operator in the heap: its key, least first, with its number last."""
    number = -v if reverse else v
    grow = np.int64(change[v] > 0)
    if key == 0:
        return (np.int64(0), change[v], np.int64(0), np.int64(0), number)
    if key == 1:
        return (grow, min(change[v], np.int64(0)), np.int64(0), np.int64(0), number)
    if key == 2:
        return (grow, -touched[v], np.int64(0), np.int64(0), number)
    if key == 3:
        return (grow, load[v], change[v], np.int64(0), number)
    return (max(change[v], np.int64(0)), -touched[v], change[v], np.int64(0), number)
