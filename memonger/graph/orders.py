"""Caffe2's two orders of the operators of a dataflow graph."""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

import networkx as nx

from memonger.errors import NetError

# What `longest_path_order` may spend on breaking ties as Caffe2 does, in edges visited.
_EFFORT = 500_000


def topological_order(graph: nx.DiGraph[int]) -> list[int]:
    """Return the operators so that each stands behind all that it must wait for.

    The operator that has become ready last comes first: Caffe2's ``topological_sort_traversal``
    with the networkx that it was written for (before 2.6), whatever networkx is installed.

    Parameters
    ----------
    graph
        Operator indices; edges from an operator to those that must wait for it.

    Returns
    -------
    list of int
        All nodes of the graph.

    Raises
    ------
    NetError
        If the graph has a cycle; names its operators.

    Notes
    -----
    Linear. Ties end in the order of the nodes and edges of the graph.

    Examples
    --------
    >>> topological_order(nx.DiGraph([(0, 2), (1, 2), (1, 3)]))
    [1, 3, 0, 2]
    """
    successors = {node: list(after) for node, after in graph.adjacency()}
    waits = _num_predecessors(successors)
    ready = [node for node in successors if not waits[node]]
    order = []
    while ready:
        node = ready.pop()
        order.append(node)
        for after in successors[node]:
            waits[after] -= 1
            if not waits[after]:
                ready.append(after)
    if len(order) < len(successors):
        raise NetError(_describe_cycle(graph, waits))
    return order


def longest_path_order(graph: nx.DiGraph[int]) -> list[int]:
    """Return the operators so that the longest way to the end is started first.

    Caffe2's ``topological_sort_traversal_longest_path``: (1) where several operators have no
    successor, a common one is added, the sink; (2) a longest path from each source to the sink;
    (3) these paths form a tree with the sink as root, the children of each node sorted by height;
    (4) the leaves from left to right are the sources; behind them stand, source by source, the
    operators that they reach; (5) of the operators that are ready, the last of these runs first.

    It differs from Caffe2's where that raises: paths that meet stay together from there on
    (Caffe2's longest paths need not form a tree); there is no limit of depth; the order of no
    operators is empty.

    Parameters
    ----------
    graph
        Operator indices; edges from an operator to those that must wait for it.

    Returns
    -------
    list of int
        All nodes of the graph, in a topological order.

    Raises
    ------
    NetError
        If the graph has a cycle; names its operators.

    Notes
    -----
    Near-linear: the lengths of all longest paths come from one sweep from the sink. Among paths
    of one length, Caffe2 takes what the queue of its Bellman-Ford search meets first, and orders
    what a source reaches as Python's set of these integers does (networkx 2.5). Both are repeated
    within a bounded effort, below a second; beyond, ties go to the first edge and to the operator
    of the larger index.

    Examples
    --------
    >>> longest_path_order(nx.DiGraph([(0, 4), (1, 2), (2, 3), (3, 4)]))
    [1, 2, 3, 0, 4]
    """
    order = topological_order(graph)
    if not order:
        return []
    own = {node: list(after) for node, after in graph.adjacency()}
    waits = _num_predecessors(own)
    sources = [node for node in own if not waits[node]]
    sinks = [node for node in own if not own[node]]
    sink = sinks[0] if len(sinks) == 1 else max(order) + 1
    successors = own
    if len(sinks) > 1:
        successors = own | {node: [sink] for node in sinks} | {sink: []}
    parents = _tree_of_longest_paths(successors, order, sources, sink)
    ranked = _reached_from(own, _leaves(parents, order, sink))
    rank = {node: position for position, node in enumerate(ranked)}
    ready = [-rank[node] for node in sources]
    heapq.heapify(ready)
    result = []
    while ready:
        node = ranked[-heapq.heappop(ready)]
        result.append(node)
        for after in own[node]:
            waits[after] -= 1
            if not waits[after]:
                heapq.heappush(ready, -rank[after])
    return result


@dataclass
class _Effort:
    """How many edges may still be visited."""

    left: int

    def spend(self, edges: int) -> bool:
        """Take off the edges; return whether there were enough."""
        self.left -= edges
        return self.left >= 0


def _num_predecessors(successors: dict[int, list[int]]) -> Counter[int]:
    return Counter(chain.from_iterable(successors.values()))


def _describe_cycle(graph: nx.DiGraph[int], waits: Counter[int]) -> str:
    """Return a message about one cycle among the operators that still wait."""
    node = next(node for node in graph if waits[node] > 0)
    path: dict[int, None] = {}
    while node not in path:
        path[node] = None
        node = next(before for before in graph.predecessors(node) if waits[before] > 0)
    walked = list(path)
    cycle = walked[walked.index(node) :][::-1]
    names = []
    for node in cycle[:10]:
        op = graph.nodes[node].get("op")
        names.append(f"{node} ({op.type})" if op is not None else str(node))
    rest = f" and {len(cycle) - 10} more" if len(cycle) > 10 else ""
    return f"operators in a cycle, each waits for the one before: {', '.join(names)}{rest}"


def _tree_of_longest_paths(
    successors: dict[int, list[int]], order: Sequence[int], sources: Sequence[int], sink: int
) -> dict[int, int]:
    """Return node -> next node on the longest paths from the sources to the sink.

    Paths that meet stay together. The nodes are inserted path by path, in the order of ``sources``.
    """
    distance = {sink: 0}
    following: dict[int, int] = {}
    tied = set()
    for node in reversed(order):
        if node == sink:
            continue
        distance[node] = 1 + max(distance[after] for after in successors[node])
        tight = [after for after in successors[node] if distance[after] == distance[node] - 1]
        following[node] = tight[0]
        if len(tight) > 1:
            tied.add(node)
    effort = _Effort(_EFFORT)
    parents: dict[int, int] = {}
    for source in sources:
        path = [source]
        while path[-1] != sink and path[-1] not in parents:
            path.append(following[path[-1]])
        if not tied.isdisjoint(path[:-1]):
            path = _queued_path(successors, source, sink, effort) or path
        for node, after in pairwise(path):
            if node in parents:
                break
            parents[node] = after
    return parents


def _queued_path(
    successors: dict[int, list[int]], source: int, sink: int, effort: _Effort
) -> list[int] | None:
    """Return the longest path that a search with a queue finds first, ``None`` without effort.

    The search is networkx's variant of Bellman and Ford's: a node waits while a predecessor on
    one of its best paths is in the queue.
    """
    length = {source: 0}
    before: dict[int, list[int]] = {source: []}  # on the longest paths so far, first found first
    queue = deque([source])
    queued = {source}
    while queue:
        node = queue.popleft()
        queued.remove(node)
        if not effort.spend(1 + len(before[node]) + len(successors[node])):
            return None
        if not queued.isdisjoint(before[node]):
            continue
        longer = length[node] + 1
        for after in successors[node]:
            if longer > length.get(after, -1):
                length[after] = longer
                before[after] = [node]
                if after not in queued:
                    queue.append(after)
                    queued.add(after)
            elif longer == length[after]:
                before[after].append(node)
    path = [sink]
    while path[-1] != source:
        path.append(before[path[-1]][0])
    return path[::-1]


def _leaves(parents: dict[int, int], order: Iterable[int], sink: int) -> list[int]:
    """Return the leaves of the tree, the children of every node sorted by their height."""
    height: dict[int, int] = {}
    for node in order:
        if node in parents:
            above = parents[node]
            height[above] = max(height.get(above, 0), height.get(node, 0) + 1)
    children: dict[int, list[int]] = {}
    for node, above in parents.items():
        children.setdefault(above, []).append(node)
    leaves = []
    stack = [sink]
    while stack:
        node = stack.pop()
        if node not in children:
            leaves.append(node)
            continue
        children[node].sort(key=lambda child: height.get(child, 0))
        stack.extend(reversed(children[node]))
    return leaves


def _reached_from(successors: dict[int, list[int]], sources: Sequence[int]) -> list[int]:
    """Return the sources, and behind them what each reaches that those before it do not."""
    effort = _Effort(_EFFORT)
    ranked = list(sources)
    seen = set(sources)
    for source in sources:
        fresh: list[int] = []
        stack = [source]
        while stack:
            unseen = [after for after in successors[stack.pop()] if after not in seen]
            seen.update(unseen)
            fresh += unseen
            stack += unseen
        if len(fresh) > 1:
            fresh.sort()
            hashed = _hashed_descendants(successors, source, effort)
            if hashed is not None:
                members = set(fresh)
                fresh = [node for node in hashed if node in members]
        ranked += fresh
    return ranked


def _hashed_descendants(
    successors: dict[int, list[int]], source: int, effort: _Effort
) -> list[int] | None:
    """Return what a node reaches, in the order of Python's sets, ``None`` without effort.

    The order of a set of integers depends on their values and on how it was filled, on no seed;
    it is filled here as ``networkx.descendants`` of version 2.5 does.
    """
    reached: list[int] = []
    seen: set[int] = set()
    level = {source}
    while level:
        fresh = [node for node in level if node not in seen]
        seen.update(fresh)
        reached += fresh
        level = set()
        for node in fresh:
            if not effort.spend(1 + len(successors[node])):
                return None
            level.update(successors[node])
    return list(set(reached) - {source})
