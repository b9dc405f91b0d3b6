"""Probing: which operators must run before which if the peak is to stay within a budget.

If every state in which x has run and v has not holds so much memory that v does not fit any more,
v runs before x in every order within the budget; and x before v, if every state in which neither
has run does. Each such question is one minimum cut, and its answer holds for smaller budgets too.
The edges make the search smaller; where they form a cycle, no order is within the budget.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from memonger.graph.operator_dag import OperatorDag
from memonger.order_problem import BoolArray
from memonger.solver.least_memory import least_memory
from memonger.stop import Deadline

Edge = tuple[int, int]


class Conclusion(NamedTuple):
    """Something that holds in every order within a budget.

    Parameters
    ----------
    operator
        An operator that does not fit
    other
        if this one has run before it, or has not; -1: in any case.
    ran
        Whether it is supposed to have run.
    """

    operator: int
    other: int
    ran: bool

    @property
    def edge(self) -> Edge:
        """Which of the two runs before which."""
        return (self.operator, self.other) if self.ran else (self.other, self.operator)


@dataclass
class Effort:
    """Operators and edges that flows may still go through."""

    left: int

    def spend(self, dag: OperatorDag) -> bool:
        """Take off one flow; return whether there was enough left."""
        self.left -= dag.count + len(dag.edges) + len(dag.reads.items)
        return self.left >= 0


def probe(
    dag: OperatorDag, budget: int, operators: Iterable[int], effort: Effort, deadline: Deadline
) -> list[Conclusion]:
    """Return what holds in every order within a budget.

    Parameters
    ----------
    dag
        The operators; edges may be of any direction, but form no cycle.
    budget
        Bytes.
    operators
        Those that are looked at, the most promising first.
    effort, deadline
        When to stop.

    Returns
    -------
    list of Conclusion
        If the last one is that an operator does not fit at all, no order is within the budget.
    """
    found: list[Conclusion] = []
    for v in operators:
        outside = dag.descendants(v)
        outside[v] = True
        inside = dag.ancestors(v)
        room = budget - int(dag.allocated[v])
        if not effort.spend(dag) or deadline.expired:
            return found
        least = least_memory(dag, inside, outside)
        if least.bytes > room:
            return [*found, Conclusion(v, -1, ran=True)]
        asked = _Asked(dag, v, room, inside, outside, least.done)
        found += asked.before(effort, deadline)
        found += asked.after(effort, deadline)
    return found


class _Asked:
    """What is known of one operator: which others may run before it, and which after.

    Parameters
    ----------
    dag, v
        The operators, and the one.
    room
        Bytes that may be live when it starts.
    inside, outside
        What surely runs before it, and not before it.
    done
        A set of operators that may have run when it starts: they may be before, the others after.
    """

    def __init__(
        self,
        dag: OperatorDag,
        v: int,
        room: int,
        inside: BoolArray,
        outside: BoolArray,
        done: BoolArray,
    ) -> None:
        self.dag, self.v, self.room = dag, v, room
        self.inside, self.outside = inside, outside
        self.free = np.flatnonzero(~(inside | outside)).tolist()
        self.may_precede = done.copy()
        self.may_follow = ~done

    def before(self, effort: Effort, deadline: Deadline) -> list[Conclusion]:
        """Find every x that cannot run before v, but follows none of these."""
        found: list[Conclusion] = []
        settled = np.zeros(self.dag.count, dtype=np.bool_)
        for x in self.free:
            if self.may_precede[x] or settled[x]:
                continue
            if not effort.spend(self.dag) or deadline.expired:
                break
            inside = self.inside | self.dag.ancestors(x)
            inside[x] = True
            least = least_memory(self.dag, inside, self.outside)
            if least.bytes <= self.room:
                self.may_precede |= least.done
                self.may_follow |= ~least.done
            else:
                found.append(Conclusion(self.v, x, ran=True))
                settled |= self.dag.descendants(x)
        return found

    def after(self, effort: Effort, deadline: Deadline) -> list[Conclusion]:
        """Find every x that cannot run after v, but precedes none of these."""
        found: list[Conclusion] = []
        settled = np.zeros(self.dag.count, dtype=np.bool_)
        for x in reversed(self.free):
            if self.may_follow[x] or settled[x]:
                continue
            if not effort.spend(self.dag) or deadline.expired:
                break
            outside = self.outside | self.dag.descendants(x)
            outside[x] = True
            least = least_memory(self.dag, self.inside, outside)
            if least.bytes <= self.room:
                self.may_follow |= ~least.done
            else:
                found.append(Conclusion(self.v, x, ran=False))
                settled |= self.dag.ancestors(x)
        return found


def with_edges(dag: OperatorDag, edges: Sequence[Edge]) -> OperatorDag | None:
    """Return the operators with more edges, numbered as before; ``None`` if there is a cycle."""
    pairs = np.concatenate([dag.edges, np.array(edges, dtype=np.int64).reshape(-1, 2)])
    stronger = replace(dag, edges=np.unique(pairs, axis=0))
    waits = np.diff(stronger.before.first)
    ready = np.flatnonzero(waits == 0).tolist()
    ran = 0
    first, after = stronger.after
    while ready:
        v = ready.pop()
        ran += 1
        for u in after[first[v] : first[v + 1]].tolist():
            waits[u] -= 1
            if waits[u] == 0:
                ready.append(u)
    return stronger if ran == dag.count else None
