"""Orders by trees: each operator belongs to the last of those that read what it allocates.

On trees the order of Liu is the best of all, and that of Sethi and Ullman the best of those that
finish one subtree before they begin another. Elsewhere the trees are those of the last readers, and
what runs before its turn because another tree needs it is in neither theorem.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from memonger.graph.operator_dag import OperatorDag
from memonger.problem import IntArray

Nested = int | tuple["Nested", "Nested"] | tuple[()]


class Segment(NamedTuple):
    """Operators that run without a break.

    Parameters
    ----------
    hill, valley
        The most bytes live at a time within it, and those at its end, from the beginning of the
        subtree on.
    operators
        Nested pairs, in their order.
    """

    hill: int
    valley: int
    operators: Nested


def liu_order(dag: OperatorDag) -> IntArray:
    """Return an order in which subtrees take turns, from valley to valley.

    Parameters
    ----------
    dag
        The operators; their numbers are a valid order.

    Returns
    -------
    IntArray
        On trees (every operator waits for what it reads, and each is read by one) an order of the
        least peak.

    Notes
    -----
    The profile of a subtree is cut where memory is low: hills descend and valleys ascend. Those of
    several subtrees are run by descending hill - valley. O(n s log s) for s segments of a subtree,
    usually few.

    References
    ----------
    J. W. H. Liu, "An application of generalized tree pebbling to sparse matrix factorization",
    SIAM J. Algebraic Discrete Methods 8, 1987.
    """
    children, roots = _forest(dag)
    profiles: list[list[Segment]] = [[] for _ in range(dag.count)]
    allocated, stays = dag.allocated.tolist(), _staying(dag)
    kept = [0] * dag.count  # bytes of a subtree that stay to the end
    for v in range(dag.count):
        profile = _merged([profiles[child] for child in children[v]])
        own = stays[v]
        kept[v] = own.kept + sum([kept[child] for child in children[v]])
        live = profile[-1].valley if profile else 0
        _append(profile, Segment(live + allocated[v], kept[v] + own.read, v))
        profiles[v] = profile
        for child in children[v]:
            profiles[child] = []
    whole = _merged([profiles[root] for root in roots])
    ranks = np.empty(dag.count, dtype=np.int64)
    ranks[np.fromiter(_flat(whole), np.int64, dag.count)] = np.arange(dag.count)
    return _by_rank(dag, ranks.tolist())


def sethi_ullman_order(dag: OperatorDag) -> IntArray:
    """Return an order that finishes one subtree before it begins another.

    Parameters
    ----------
    dag
        The operators; their numbers are a valid order.

    Returns
    -------
    IntArray
        On trees the best order of that kind: subtrees by descending peak minus what they leave.

    Notes
    -----
    O(n log n + e) for n operators and e edges.

    References
    ----------
    R. Sethi and J. D. Ullman, "The generation of optimal code for arithmetic expressions", 1970;
    J. W. H. Liu, "On the storage requirement in the out-of-core multifrontal method", 1986, for
    results of any size.
    """
    children, _ = _forest(dag)
    allocated, stays = dag.allocated.tolist(), _staying(dag)
    peak, left, kept = ([0] * dag.count for _ in range(3))
    for v in range(dag.count):
        live = 0
        for child in sorted(children[v], key=lambda u: left[u] - peak[u]):
            peak[v] = max(peak[v], live + peak[child])
            live += left[child]
            kept[v] += kept[child]
        peak[v] = max(peak[v], live + allocated[v])
        kept[v] += stays[v].kept
        left[v] = kept[v] + stays[v].read
    return _depth_first(dag, [left[v] - peak[v] for v in range(dag.count)])


class _Staying(NamedTuple):
    """What an operator allocates that stays after it: to the end, or until it is read."""

    kept: int
    read: int


def _staying(dag: OperatorDag) -> list[_Staying]:
    read = np.zeros(dag.count, dtype=np.int64)
    kept = np.zeros(dag.count, dtype=np.int64)
    is_read = np.diff(dag.reads.first) > 0
    np.add.at(kept, dag.producers[dag.kept], dag.sizes[dag.kept])
    np.add.at(read, dag.producers[is_read & ~dag.kept], dag.sizes[is_read & ~dag.kept])
    return [_Staying(*pair) for pair in zip(kept.tolist(), read.tolist(), strict=True)]


def _forest(dag: OperatorDag) -> tuple[list[list[int]], list[int]]:
    """Return the children of each operator, which it waits for last of all, and the roots."""
    parent = np.full(dag.count, -1, dtype=np.int64)
    np.maximum.at(parent, dag.edges[:, 0], dag.edges[:, 1])
    children: list[list[int]] = [[] for _ in range(dag.count)]
    roots: list[int] = []
    for v, above in enumerate(parent.tolist()):
        (children[above] if above >= 0 else roots).append(v)
    return children, roots


def _merged(profiles: list[list[Segment]]) -> list[Segment]:
    """Return the profile of subtrees whose segments take turns; the given ones are used up."""
    if len(profiles) == 1:
        return profiles[0]
    steps = []  # (hill - valley, hill and valley from the end of the segment before, operators)
    for profile in profiles:
        before = 0
        for hill, valley, operators in profile:
            steps.append((hill - valley, hill - before, valley - before, operators))
            before = valley
    steps.sort(key=lambda step: -step[0])
    merged: list[Segment] = []
    live = 0
    for _, hill, change, operators in steps:
        _append(merged, Segment(live + hill, live + change, operators))
        live += change
    return merged


def _append(profile: list[Segment], last: Segment) -> None:
    """Append a segment to a profile: its hills descend, and its valleys ascend."""
    while profile and (last.hill >= profile[-1].hill or last.valley <= profile[-1].valley):
        hill, _, operators = profile.pop()
        last = Segment(max(hill, last.hill), last.valley, (operators, last.operators))
    profile.append(last)


def _flat(profile: list[Segment]) -> Iterator[int]:
    """Yield the operators of a profile in their order."""
    stack: list[Nested] = [segment.operators for segment in reversed(profile)]
    while stack:
        operators = stack.pop()
        if isinstance(operators, int):
            yield operators
        else:
            stack.extend(reversed(operators))


def _by_rank(dag: OperatorDag, ranks: list[int]) -> IntArray:
    """Return the valid order in which always the operator of the lowest rank comes next."""
    first, after = dag.after
    waits = np.diff(dag.before.first).tolist()
    at = [0] * dag.count
    for v, rank in enumerate(ranks):
        at[rank] = v
    ready = [ranks[v] for v in range(dag.count) if waits[v] == 0]
    heapq.heapify(ready)
    order: list[int] = []
    while ready:
        v = at[heapq.heappop(ready)]
        order.append(v)
        for u in after[first[v] : first[v + 1]].tolist():
            waits[u] -= 1
            if waits[u] == 0:
                heapq.heappush(ready, ranks[u])
    return np.array(order, dtype=np.int64)


def _depth_first(dag: OperatorDag, key: list[int]) -> IntArray:
    """Return the operators, each right after what it waits for, of that the lowest key first."""
    first, before = dag.before
    done = np.zeros(dag.count, dtype=np.bool_)
    order: list[int] = []
    ends = np.flatnonzero(np.diff(dag.after.first) == 0).tolist()
    stack = [(v, False) for v in sorted(ends, key=key.__getitem__, reverse=True)]
    while stack:
        v, ready = stack.pop()
        if done[v]:
            continue
        if ready:
            done[v] = True
            order.append(v)
            continue
        stack.append((v, True))
        inputs = before[first[v] : first[v + 1]].tolist()
        stack.extend((u, False) for u in sorted(inputs, key=key.__getitem__, reverse=True))
    return np.array(order, dtype=np.int64)
