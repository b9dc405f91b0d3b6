"""Orders for the search for placements that evolve: those that lead deep are bred from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

POPULATION = 10
"""Orders that are bred from."""

NEWCOMERS = 0.1
"""Part of the tries that are new orders."""

MIXTURES = 0.25
"""Part of the children that have two parents."""

SHARES = (0.1, 0.3)
"""Weight of the second parent."""

STEPS = (0.01, 0.03, 0.1, 0.3)
"""Standard deviations by which buffers move in an order, as parts of its length."""

MOVED = (0.05, 0.2, 1.0)
"""Parts of the buffers that move."""

PATIENCE = 300
"""Tries without one that leads deeper after which all begins anew; it doubles each time."""


@dataclass(eq=False)
class Candidate:
    """An order, and how far it led.

    Parameters
    ----------
    ranks
        Rank of each buffer, from 0 below 1, the first one to be placed has the largest.
    capacity
        What was last asked with it, units; -1 before.
    depth
        The most buffers that were placed at once then.
    """

    ranks: FloatArray
    capacity: int = -1
    depth: int = -1


class EvolvedOrders:
    """Proposes orders, and learns from how many buffers each one placed within a limit.

    A search that is cut short says more than that it failed: the order that placed more of the
    buffers is nearer to one that places all. Children of good orders, moved a little, lead to
    placements that random orders do not find. When the capacity changes, what is known of an order
    is out of date: it is tried again before it has children.

    Parameters
    ----------
    newcomer
        Returns keys of a new order, one a buffer, larger first.
    rng
        Of the random choices.
    """

    def __init__(self, newcomer: Callable[[], FloatArray], rng: np.random.Generator) -> None:
        self._newcomer = newcomer
        self._rng = rng
        self._best: list[Candidate] = []  # deepest first
        self._record = (-1, -1)  # capacity and depth
        self._patience = PATIENCE
        self._idle = 0  # tries since the record
        self._founders = POPULATION  # new orders that come before any children

    def propose(self, capacity: int) -> Candidate:
        """Return an order to try at a capacity; `learn` is to be told how far it led."""
        rng = self._rng
        if self._idle >= self._patience:
            self._best.clear()
            self._record = (-1, -1)
            self._patience *= 2
            self._idle = 0
            self._founders = POPULATION
        if not self._best or self._founders or rng.random() < NEWCOMERS:
            self._founders = max(0, self._founders - 1)
            return Candidate(ranks_of(self._newcomer()))
        # The better one of two.
        parent = self._best[int(rng.integers(len(self._best), size=2).min())]
        if parent.capacity != capacity:
            return parent
        if rng.random() < MIXTURES:
            other = self._best[int(rng.integers(len(self._best)))]
            share = rng.choice(SHARES)
            return Candidate(ranks_of((1 - share) * parent.ranks + share * other.ranks))
        count = len(parent.ranks)
        moves = rng.choice(STEPS) * rng.standard_normal(count)
        return Candidate(ranks_of(parent.ranks + moves * (rng.random(count) < rng.choice(MOVED))))

    def learn(self, candidate: Candidate, capacity: int, depth: int) -> None:
        """Take note of how many buffers a candidate placed."""
        candidate.capacity, candidate.depth = capacity, depth
        # Where orders lead as deep, they lead to much the same: the newest one stands for them.
        self._best = [
            one
            for one in self._best
            if one is not candidate and (one.capacity, one.depth) != (capacity, depth)
        ]
        self._idle += 1
        if capacity != self._record[0] or depth > self._record[1]:
            self._record = (capacity, depth)
            self._idle = 0
        self._best.insert(0, candidate)
        self._best.sort(key=lambda one: -one.depth)
        del self._best[POPULATION:]


def ranks_of(keys: FloatArray) -> FloatArray:
    """Return the rank of each key, from 0 below 1; of equal ones the first has the larger rank.

    Examples
    --------
    >>> ranks_of(np.array([7.0, 1.0, 7.0, 5.0])).tolist()
    [0.75, 0.0, 0.5, 0.25]
    """
    ranks = np.empty(len(keys))
    ranks[np.argsort(-keys, kind="stable")] = np.arange(len(keys) - 1, -1, -1)
    return ranks / max(1, len(keys))
