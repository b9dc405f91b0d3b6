"""Search for placements of one component: capacity after capacity, order after order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from memonger.graph.sections import Sections
from memonger.heuristics.arena_orders import KEYS
from memonger.problem import IntArray
from memonger.solver.evolved_orders import Candidate, EvolvedOrders, ranks_of
from memonger.solver.placement import DEEPEST, NODES, board_of, state_of
from memonger.solver.placement_kernel import FITS, FULL, GAVE_UP, place_all
from memonger.stop import Deadline

FloatArray = npt.NDArray[np.float64]

SCHEDULE = (
    "TWA", "TC", "B", "TWA*", "CZ", "U", "TO*", "WAT", "TAW", "OA", "TZ*", "L", "A", "TB*", "l",
)  # fmt: skip
"""Orders that are tried first; a star: the load is how high the unplaced buffers reach."""

LETTERS = "WATBCOLUZlu"
"""Keys that random orders are made of."""

NOISE = (0.0, 0.02, 0.08, 0.25)
"""Standard deviations of the logarithms that keys are multiplied by."""

SLICE_WORK = 400_000_000
"""Nodes x `node_work` in one call of the compiled code, which hears no deadline: about a second."""

BASE_NODES = 3000
"""Limit of a random try, times a number of Luby's sequence."""

EVOLVE_FROM = 64
"""Buffers from which on orders evolve: fewer are soon searched through."""

EVOLVED_SHARE = 3
"""Nodes for orders that evolve, for each one of the others."""

EVOLVED_NODES = 500
"""Least limit of a try of such an order."""

MAX_BUFFERS = 3000
"""Components of more buffers are left to the heuristics, as are those that `is_too_large`."""


@dataclass(frozen=True)
class Order:
    """One order of the buffers: a code, and what it is multiplied by.

    Parameters
    ----------
    code
        Letters of `memonger.heuristics.arena_orders.KEYS`, most important first.
    by_reach
        Whether ``T`` is worked out at each node.
    factors
        Factor for the keys of each buffer, shape (buffers,), or ``None``.
    """

    code: str
    by_reach: bool = False
    factors: FloatArray | None = None


def luby(index: int) -> int:
    """Return number ``index`` of Luby's sequence 1 1 2 1 1 2 4 ..., from 0.

    References
    ----------
    M. Luby, A. Sinclair, D. Zuckerman, "Optimal speedup of Las Vegas algorithms", 1993.

    Examples
    --------
    >>> [luby(i) for i in range(7)]
    [1, 1, 2, 1, 1, 2, 4]
    """
    size = 1
    while size < index + 1:
        size = 2 * size + 1
    while size != index + 1:
        size //= 2
        index %= size
        size = 1
        while size < index + 1:
            size = 2 * size + 1
    return (size + 1) // 2


def node_work(sections: Sections) -> int:
    """Return what a node takes: a step for each section of each buffer, and some a buffer."""
    return int((sections.end - sections.begin).sum()) + 4 * len(sections) + 1


def is_too_large(sections: Sections) -> bool:
    """Return whether not even one placement without a step back fits in a slice of work."""
    return len(sections) > MAX_BUFFERS or len(sections) * node_work(sections) > SLICE_WORK


class PlacementSearch:
    """The search for one component. What has failed at a capacity stays known for smaller ones.

    Parameters
    ----------
    sections
        A component.
    seed
        Of the random orders.
    table_bits
        Logarithm of the entries in the table of failed states, 8 bytes each.

    Attributes
    ----------
    offsets
        The last placement found, or one that was given to be improved, units; or ``None``.
    nodes
        Nodes of all calls.
    """

    def __init__(self, sections: Sections, seed: int = 0, *, table_bits: int = 23) -> None:
        self.sections = sections
        self.offsets: IntArray | None = None
        self.nodes = 0
        self._rng = np.random.default_rng(seed)
        self._board = board_of(sections)
        self._state = state_of(sections, self._board, table_bits=table_bits)
        self._winners: list[str] = []
        self._smallest = -1  # capacity that the table speaks of
        self._turn = 0  # orders of the schedule that were tried
        self._orders = EvolvedOrders(self._newcomer, self._rng)
        self._bred_from: IntArray | None = None  # the last placement whose order was tried
        self._evolved = 0  # nodes of orders that evolved

    def fits(
        self,
        capacity: int,
        deadline: Deadline,
        max_nodes: float = float("inf"),
        halted: Callable[[], bool] = lambda: False,
    ) -> int:
        """Return `FITS`, `FULL` (proven) or `GAVE_UP` for a capacity in units.

        A run takes at most ``max_nodes`` nodes, and ends soon after the deadline, or when it is
        ``halted``. The first one begins with the schedule; when it has been through once, most of
        the nodes are for orders that evolve.
        """
        if int(self.sections.load.max(initial=0)) > capacity:
            return FULL
        if not 0 <= capacity <= self._smallest:
            self._state.slots[:] = 0
        self._smallest = capacity
        left = max_nodes
        tries = self._tries()
        while True:
            before = self.nodes
            if self._evolves():
                verdict = self._evolve(capacity, left)
                self._evolved += self.nodes - before
            else:
                order, limit = next(tries)
                verdict = self._try(order, capacity, int(min(limit, left)))
                if verdict == FITS:
                    self._winners.append(order.code + "*" * order.by_reach)
            left -= self.nodes - before
            if verdict != GAVE_UP or left <= 0 or deadline.expired or halted():
                return verdict

    def _evolves(self) -> bool:
        """Return whether it is the turn of an order that evolves."""
        return (
            self._turn >= len(SCHEDULE)
            and len(self.sections) >= EVOLVE_FROM
            and self._evolved < EVOLVED_SHARE * (self.nodes - self._evolved)
        )

    def _evolve(self, capacity: int, left: float) -> int:
        """Try one order that evolves."""
        count = len(self.sections)
        if self.offsets is not None and self.offsets is not self._bred_from:
            self._bred_from = self.offsets  # of another search, perhaps
            candidate = Candidate(ranks_of(-self.offsets.astype(np.float64)))
        else:
            candidate = self._orders.propose(capacity)
        limit = int(min(max(EVOLVED_NODES, count + count // 4), left))
        verdict = self._place(candidate.ranks[np.newaxis], -1, False, capacity, limit)
        depth = count if verdict == FITS else int(self._state.heights[DEEPEST])
        self._orders.learn(candidate, capacity, depth)
        return verdict

    def _try(self, order: Order, capacity: int, limit: int) -> int:
        keys, load_key = keys_of(self.sections, order)
        return self._place(keys, load_key, order.by_reach, capacity, limit)

    def _place(
        self, keys: FloatArray, load_key: int, by_reach: bool, capacity: int, limit: int
    ) -> int:
        limit = min(limit, max(1, SLICE_WORK // node_work(self.sections)))
        verdict: int = place_all(
            self._board, self._state, keys, load_key, by_reach, capacity, limit
        )
        self.nodes += int(self._state.heights[NODES])
        if verdict == FITS:
            self.offsets = self._state.offset.copy()
        return verdict

    def _tries(self) -> Iterator[tuple[Order, int]]:
        """Yield orders with limits: the schedule from where it was left, then random ones too."""
        limit = max(1000, 5 * len(self.sections))
        for _ in SCHEDULE:
            yield self._scheduled(), limit
        index = 0
        while True:
            limit *= 2
            for _ in SCHEDULE:
                yield self._scheduled(), limit
                for _ in range(2):
                    yield self._random_order(), BASE_NODES * luby(index)
                    index += 1

    def _scheduled(self) -> Order:
        """Return the next order of the schedule."""
        code = SCHEDULE[self._turn % len(SCHEDULE)]
        self._turn += 1
        return Order(code.rstrip("*"), code.endswith("*"))

    def _newcomer(self) -> FloatArray:
        """Return keys of a random order, larger first, in one number a buffer."""
        keys, _ = keys_of(self.sections, replace(self._new_order(), by_reach=False))
        ranks = np.empty(len(self.sections))
        ranks[np.lexsort(-keys[::-1])] = -np.arange(len(ranks))
        return ranks

    def _random_order(self) -> Order:
        """Return a winner, a guided, a weighted or a new order, with noise."""
        rng, count = self._rng, len(self.sections)
        factors = np.exp(rng.choice(NOISE) * rng.standard_normal(count))
        kind = rng.random()
        if kind < 0.4 and self._winners:
            code = self._winners[int(rng.integers(len(self._winners)))]
            return Order(code.rstrip("*"), code.endswith("*"), factors)
        if kind < 0.6 and self.offsets is not None:
            top = float(self.offsets.max()) + 1.0
            return Order("", factors=(top - self.offsets) * factors)  # the lowest first
        if kind < 0.75:
            return Order("", factors=(self._state.weight + 1.0) * factors)
        return self._new_order()

    def _new_order(self) -> Order:
        """Return a random code, with noise."""
        rng = self._rng
        factors = np.exp(rng.choice(NOISE) * rng.standard_normal(len(self.sections)))
        letters = rng.choice(list(LETTERS), size=int(rng.integers(1, 4)), replace=False)
        return Order("".join(letters), bool(rng.random() < 0.4), factors)


def keys_of(sections: Sections, order: Order) -> tuple[FloatArray, int]:
    """Return the keys of an order, larger first, shape (keys, buffers), and the place of ``T``."""
    rows = []
    for letter in order.code:
        values = KEYS[letter.upper()].values(sections).astype(np.float64)
        rows.append(values if letter.isupper() else values.max(initial=0.0) - values)
    keys = np.array(rows or [np.ones(len(sections))])
    if order.factors is not None:
        keys = keys * order.factors
    return np.ascontiguousarray(keys), order.code.find("T")
