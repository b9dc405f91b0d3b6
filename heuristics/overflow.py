"""Overflow search: whether buffers fit into classes of given numbers of shared buffers.

A class of N shared buffers takes any set of buffers of which at no time more than N are live. So
whether given numbers suffice is a question of loads alone: put every buffer into some class large
enough, and move buffers out of the cells (class, time) that are overfull until there is none. Each
step takes the move that adds the least weight to overfull cells; the weight of a cell grows where
no move relieves it (breakout; Morris 1993), and a buffer does not go back at once (tabu; Glover
1989). Live ranges are mostly short, so a step looks at little, whatever the number of buffers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from memonger.graph.cliques import Groups
from memonger.heuristics.class_load import Rule, orders, place
from memonger.heuristics.overflow_kernel import overfull_cells, relieve
from memonger.problem import IntArray
from memonger.stop import Deadline

Int32Array = npt.NDArray[np.int32]

# Largest tables that are worked on: classes x cliques, and buffers x cliques they are live in.
MAX_CELLS = 20_000_000
MAX_LIVE = 40_000_000
# Entries of the table looked at between two looks at the clock: well below a second.
CHUNK = 50_000_000


@dataclass(frozen=True)
class Fit:
    """What a search came to.

    Parameters
    ----------
    classes
        Buffer index -> class, shape (buffers,), where all fit; else ``None``.
    excess
        What was too much, over all cells, at the best moment.
    pressure
        For each clique, how often nothing relieved it, and its overfull classes at the end: what
        it is that does not fit.
    """

    classes: IntArray | None
    excess: int
    pressure: IntArray


def fit(
    groups: Groups,
    at_least: IntArray,
    start: IntArray,
    effort: int,
    seed: int = 0,
    deadline: Deadline | None = None,
) -> Fit | None:
    """Search for classes of all buffers such that each class has room for its own.

    Parameters
    ----------
    groups
        The buffers over compressed time.
    at_least
        M_k, the number of shared buffers of at least w_k, ascending, at least 1; shape (D,).
    start
        Buffer index -> class, -1 where that is open, shape (buffers,): of some plan, or of part of
        one. The search begins where class-load first fit ends from there, or from nothing,
        whichever has less that is too much.
    effort
        Entries of the table of loads to look at; about 10^9 take a second.
    seed
        Of the ties.
    deadline
        When to give up.

    Returns
    -------
    Fit or None
        ``None`` where the tables would be too large, or the deadline came before the search
        could begin.

    Notes
    -----
    Only classes that have shared buffers count: the tables have at most M_D rows, however many
    sizes there are. That nothing was found proves nothing.
    """
    capacity = np.diff(at_least, prepend=0)
    usable = np.flatnonzero(capacity)
    if len(usable) * groups.num_cliques > MAX_CELLS:
        return None
    if int(((groups.last - groups.first + 1) * groups.multiplicity).sum()) > MAX_LIVE:
        return None
    level = np.searchsorted(usable, groups.level, side="right") - 1  # the smallest large enough
    coarse = replace(groups, level=level, sizes=groups.sizes[usable])
    room = capacity[usable].astype(np.int64)
    ranks = np.where(start < 0, -1, np.searchsorted(usable, start, side="right") - 1)
    searches = []
    for given in (np.full_like(ranks, -1), ranks):
        begun = place(coarse, next(orders(coarse)), Rule.SNUG, room, given, deadline)
        if begun is None:
            return None
        searches.append(_Search.of(coarse, room, begun.classes, seed))
    search = min(searches, key=lambda search: search.least_excess)
    while search.overfull and effort > 0 and (deadline is None or not deadline.expired):
        search.run(min(CHUNK, effort))
        effort -= CHUNK
    classes = None
    if not search.overfull:
        classes = np.empty(len(start), dtype=np.int64)
        classes[search.flat] = usable[search.classes]
    return Fit(classes, search.least_excess, search.pressure())


@dataclass(frozen=True)
class _Search:
    """The arrays of a search; buffers are numbered in the order of their groups."""

    flat: IntArray
    first: IntArray
    last: IntArray
    level: IntArray
    offsets: IntArray
    live: Int32Array
    classes: IntArray
    load: Int32Array
    capacity: IntArray
    weight: Int32Array
    until: Int32Array
    place: IntArray
    cells: IntArray
    state: IntArray

    @classmethod
    def of(cls, groups: Groups, capacity: IntArray, classes: IntArray, seed: int) -> _Search:
        flat = np.fromiter((i for group in groups.members for i in group), np.int64)
        rows = (groups.first, groups.last, groups.level)
        first, last, level = (np.repeat(row, groups.multiplicity) for row in rows)
        lengths = last - first + 1
        shift = np.repeat(first - (np.cumsum(lengths) - lengths), lengths)
        cliques = np.arange(int(lengths.sum())) + shift
        live: Int32Array = np.repeat(np.arange(len(flat), dtype=np.int32), lengths)
        live = live[np.argsort(cliques, kind="stable")]
        offsets = np.append(0, np.cumsum(np.bincount(cliques, minlength=groups.num_cliques)))
        own = classes[flat]
        shape = (len(capacity), groups.num_cliques)
        change = np.zeros((shape[0], shape[1] + 1), dtype=np.int32)
        np.add.at(change, (own, first), 1)
        np.subtract.at(change, (own, last + 1), 1)
        load: Int32Array = np.cumsum(change[:, :-1], axis=1, dtype=np.int32)
        place, cells = (np.empty(load.size, dtype=np.int64) for _ in range(2))
        count = overfull_cells(load, capacity, place, cells)
        excess = int(np.maximum(0, load - capacity[:, None]).sum())
        state = np.array([count, excess, excess, 0, seed % 2**31], dtype=np.int64)
        weight = np.ones(shape, dtype=np.int32)
        until = np.zeros((len(flat), shape[0]), dtype=np.int32)
        return cls(
            flat, first, last, level, offsets, live, own, load, capacity, weight, until, place,
            cells, state,
        )  # fmt: skip

    @property
    def overfull(self) -> int:
        """Number of overfull cells."""
        return int(self.state[0])

    @property
    def least_excess(self) -> int:
        return int(self.state[2])

    def pressure(self) -> IntArray:
        overfull = (self.load > self.capacity[:, None]).sum(axis=0)
        pressure: IntArray = overfull + self.weight.sum(axis=0) - len(self.weight)
        return pressure

    def run(self, effort: int) -> None:
        relieve(
            self.first, self.last, self.level, self.offsets, self.live, self.classes, self.load,
            self.capacity, self.weight, self.until, self.place, self.cells, self.state, effort,
        )  # fmt: skip
