"""Valleys: states of a search over orders that need not be gone back from.

Let the search come from the state D to the state E within its budget, and let no state between
them hold less memory than E. Then if any order goes on from D within the budget, one goes on from
E: run the way to E first, and after it the operators of that order that are left. Memory is
submodular, so M(D_i + E) <= M(D_i) + M(E) - M(D_i & E) <= M(D_i) for every state D_i of it (Liu
1987 has this for trees). Whether E is such a state is one small maximum flow.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from memonger.problem import IntArray

MOST_OPERATORS = 300
"""Operators between the two states, beyond which nobody looks."""
UNLIMITED = 2**60


class Network(NamedTuple):
    """Arcs in pairs, an arc and its reverse; the arcs of a node are a linked list."""

    first: IntArray
    following: IntArray
    head: IntArray
    left: IntArray
    counts: IntArray  # nodes, arcs


@numba.njit(cache=True, nogil=True)
def is_valley(ops, done, between, local):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Return whether no state on any way between two states holds less memory than the later.

    ``between``: the operators that have run since the earlier one. ``local``: -1 everywhere.
    """
    for i in range(len(between)):
        local[between[i]] = i
    network, wanted = _network(ops, done, between, local)
    for v in between:
        local[v] = -1
    return _reaches(network, wanted)


@numba.njit(cache=True, nogil=True)
def _network(ops, done, between, local):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Return the network of `memonger.solver.least_memory` and the flow that the later state needs.

    The later state is at one end of the interval: all of ``between`` has run (forward), or
    nothing of it (in reverse). There the cut is made of all arcs of one kind.
    """
    nodes, arcs = 2 + len(between), 0
    for v in between:
        arcs += ops.before.first[v + 1] - ops.before.first[v]
        for rows in (ops.inputs, ops.outputs):
            for s in rows.items[rows.first[v] : rows.first[v + 1]]:
                nodes += 1
                arcs += 1 + ops.reads.first[s + 1] - ops.reads.first[s]
    network = Network(
        np.full(nodes, -1, np.int64), np.zeros(2 * arcs, np.int64), np.zeros(2 * arcs, np.int64),
        np.zeros(2 * arcs, np.int64), np.array([2 + len(between), 0]),
    )  # fmt: skip
    from_source = to_sink = np.int64(0)
    for i in range(len(between)):
        v = between[i]
        for p in ops.before.items[ops.before.first[v] : ops.before.first[v + 1]]:
            if local[p] >= 0:
                _add(network, 2 + i, 2 + local[p], UNLIMITED)
        for s in ops.outputs.items[ops.outputs.first[v] : ops.outputs.first[v + 1]]:
            if ops.kept[s] or _read_later(ops, done, local, s):
                _add(network, 2 + i, 1, ops.sizes[s])
                to_sink += ops.sizes[s]
            elif ops.reads.first[s] < ops.reads.first[s + 1]:
                _add_allocation(ops, network, local, 2 + i, s)
        for s in ops.inputs.items[ops.inputs.first[v] : ops.inputs.first[v + 1]]:
            own = local[ops.producers[s]] < 0 and _first_reader(ops, local, s) == v
            if own and not _read_later(ops, done, local, s):
                _add_allocation(ops, network, local, 0, s)
                from_source += ops.sizes[s]
    return network, from_source if ops.reverse else to_sink


@numba.njit(cache=True, nogil=True)
def _first_reader(ops, local, s):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Return the first reader of an allocation among the operators between the states."""
    for c in ops.reads.items[ops.reads.first[s] : ops.reads.first[s + 1]]:
        if local[c] >= 0:
            return c
    return -1


@numba.njit(cache=True, nogil=True)
def _read_later(ops, done, local, s):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Return whether an operator after all states of the interval reads an allocation."""
    for c in ops.reads.items[ops.reads.first[s] : ops.reads.first[s + 1]]:
        if local[c] < 0 and done[c] == ops.reverse:
            return True
    return False


@numba.njit(cache=True, nogil=True)
def _add_allocation(ops, network, local, tail, s):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    middle = network.counts[0]
    network.counts[0] += 1
    _add(network, tail, middle, ops.sizes[s])
    for c in ops.reads.items[ops.reads.first[s] : ops.reads.first[s + 1]]:
        if local[c] >= 0:
            _add(network, middle, 2 + local[c], UNLIMITED)


@numba.njit(cache=True, nogil=True)
def _add(network, tail, head, limit):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    for node, other, left in ((tail, head, limit), (head, tail, 0)):
        arc = network.counts[1]
        network.counts[1] += 1
        network.head[arc], network.left[arc] = other, left
        network.following[arc] = network.first[node]
        network.first[node] = arc


@numba.njit(cache=True, nogil=True)
def _reaches(network, wanted):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Return whether the maximum flow from node 0 to node 1 is at least ``wanted``.

    Shortest augmenting paths (Edmonds and Karp 1972).
    """
    flow = np.int64(0)
    queue = np.empty(network.counts[0], np.int64)
    while flow < wanted:
        came = np.full(network.counts[0], -1, np.int64)  # by which arc
        queue[0], begin, end = 0, 0, 1
        while begin < end and came[1] < 0:
            arc = network.first[queue[begin]]
            begin += 1
            while arc >= 0:
                node = network.head[arc]
                if network.left[arc] > 0 and came[node] < 0 and node != 0:
                    came[node] = arc
                    queue[end] = node
                    end += 1
                arc = network.following[arc]
        if came[1] < 0:
            return False
        least, node = np.int64(UNLIMITED), 1
        while node != 0:
            least = min(least, network.left[came[node]])
            node = network.head[came[node] ^ 1]
        node = 1
        while node != 0:
            network.left[came[node]] -= least
            network.left[came[node] ^ 1] += least
            node = network.head[came[node] ^ 1]
        flow += least
    return True
