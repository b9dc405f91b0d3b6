"""The segmented dive: a dive in stretches that are tried in several noisy orders and taken back."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from memonger.graph.sections import FREE, Sections
from memonger.heuristics.arena_boxes import Flags, pins_clash
from memonger.heuristics.arena_orders import KEYS, Values
from memonger.heuristics.dive import advance
from memonger.heuristics.dive_state import (
    CAPACITY,
    OPEN,
    PEAK,
    PLACED,
    Terrain,
    state_of,
    terrain_of,
)
from memonger.problem import IntArray
from memonger.stop import Deadline

FIRST_NOISE = (0.0, 0.0, 0.02, 0.1)
NOISE = (0.02, 0.1, 0.3)
RETRIES = (8, 40)
KEPT = 8  # stretches that can be taken back
FAMILIES: dict[str, tuple[tuple[str, float], ...]] = {
    "T": (
        ("TC", 0.0), ("TWA", 0.01), ("TC", 0.01), ("TA", 0.01), ("TWA", 0.03), ("TA", 0.03),
    ),
    "Z": (("Zl", 0.0), ("A", 0.0), ("TZ", 0.0)),
    "A": (("A", 0.0), ("Zl", 0.0), ("TA", 0.01)),
}  # fmt: skip
"""Orders, and how coarse their T is, that a dive turns to; by the first letter of its own order."""


@dataclass(frozen=True)
class Stretches:
    """How a segmented dive goes about it.

    Parameters
    ----------
    number
        Stretches that the buffers are placed in.
    tries
        Orders that a stretch is tried in at most, if the capacity must rise in all.
    back
        Times that one stretch may send the dive back by one to three stretches.
    backs
        Times altogether.
    """

    number: int = 50
    tries: int = 5
    back: int = 3
    backs: int = 30


class Snapshot(NamedTuple):
    """What a dive comes back to: three arrays of `State`, the capacity and the peak."""

    head: IntArray
    pushed: IntArray
    status: Flags
    capacity: int
    peak: int


@dataclass(frozen=True, eq=False)
class NoisyOrders:
    """Orders of the buffers by codes, with noise.

    Parameters
    ----------
    sections
        The buffers.
    """

    sections: Sections

    @cached_property
    def columns(self) -> dict[str, Values]:
        """Values of each letter, computed when a code first asks for them."""
        return {}

    def order(self, code: str, coarse: float, noise: float, rng: np.random.Generator) -> IntArray:
        """Return an order.

        Parameters
        ----------
        code
            As in `memonger.heuristics.arena_orders`.
        coarse
            Values of T are rounded down to multiples of this part of the load, unless it is 0.
        noise
            The first other letter is multiplied by the exponential of a normal variate with this
            standard deviation.
        rng
            Where the noise is from.
        """
        columns: list[Values] = []
        noisy = False
        for letter in code:
            values = self._column(letter.upper())
            if letter.upper() == "T":
                grain = int(coarse * int(self.sections.load.max(initial=0)))
                values = values // grain if grain else values
            elif noise and not noisy:
                noisy = True
                values = values * np.exp(rng.normal(0.0, noise, len(values)))
            columns.append(-values if letter.isupper() else values)
        return np.lexsort(columns[::-1])

    def _column(self, letter: str) -> Values:
        if letter not in self.columns:
            self.columns[letter] = KEYS[letter].values(self.sections)
        return self.columns[letter]


def segmented_dive(
    sections: Sections,
    code: str,
    capacity: int,
    *,
    seed: int = 0,
    stretches: Stretches | None = None,
    below: int | None = None,
    deadline: Deadline | None = None,
    terrain: Terrain | None = None,
    orders: NoisyOrders | None = None,
) -> IntArray | None:
    """Dive in stretches: each is tried in several orders, and taken back when all are bad.

    Parameters
    ----------
    sections
        The buffers.
    code
        The first order; others of its kind follow when the capacity would rise.
    capacity
        What the peak should not exceed, in units. A little above the load is often better.
    seed
        Of the noise.
    stretches
        How many, and how often; `Stretches` by default.
    below, deadline, terrain
        As in `memonger.heuristics.dive.dive`.
    orders
        `NoisyOrders` of the sections, if they are at hand.

    Returns
    -------
    IntArray or None
        Offset of each buffer in units; ``None`` where it gave up, or if pinned buffers overlap.

    Notes
    -----
    A stretch is a `dive` with an order of its own. Of its tries the first that keeps the capacity
    counts, else the one that raises it least; before it is accepted, the dive may go back by some
    stretches and come again with other noise. O(n) memory for each stretch that can be taken back.
    """
    if pins_clash(sections):
        return None
    terrain = terrain_of(sections) if terrain is None else terrain
    orders = NoisyOrders(sections) if orders is None else orders
    rng = np.random.default_rng(seed)
    plan = Stretches() if stretches is None else stretches
    now = _start(terrain, capacity)
    left = int((now.status != PLACED).sum())
    step = max(1, -(-left // plan.number))
    behind: deque[Snapshot] = deque(maxlen=KEPT)
    sent_back: dict[int, int] = {}
    while left:
        best = _stretch(terrain, orders, code, now, left - step, plan.tries, rng, below, deadline)
        if deadline is not None and deadline.expired:
            return None
        risen = best is None or best.capacity > now.capacity
        again = sent_back.get(left, 0)
        if risen and behind and again < plan.back and sum(sent_back.values()) < plan.backs:
            sent_back[left] = again + 1
            for _ in range(min(len(behind), 1 + int(rng.integers(3)))):
                now = behind.pop()
        elif best is None:
            return None
        else:
            behind.append(now)
            now = best
        left = int((now.status != PLACED).sum())
    return now.head


def _start(terrain: Terrain, capacity: int) -> Snapshot:
    pinned = terrain.sections.pinned != FREE
    tops = terrain.ground + terrain.sections.size
    peak = int(tops.max(initial=0, where=pinned))
    status = np.where(pinned, PLACED, OPEN).astype(np.int8)
    pushed = np.full(len(pinned), -1, dtype=np.int64)
    return Snapshot(terrain.ground, pushed, status, max(capacity, peak), peak)


def _stretch(
    terrain: Terrain,
    orders: NoisyOrders,
    code: str,
    now: Snapshot,
    left: int,
    tries: int,
    rng: np.random.Generator,
    below: int | None,
    deadline: Deadline | None,
) -> Snapshot | None:
    """Place buffers until so many are left; return what raised the capacity least.

    ``None`` if the capacity never stayed below ``below``, or the deadline came.
    """
    best: Snapshot | None = None
    others = ((code, 0.0), *FAMILIES.get(code[0], FAMILIES["T"]))
    for number in range(tries):
        first = number == 0
        chosen, coarse = others[0] if first else others[int(rng.integers(len(others)))]
        noise = float(rng.choice(FIRST_NOISE if first else NOISE))
        order = orders.order(chosen, coarse, noise, rng)
        state = state_of(
            terrain, order, now.head.copy(), now.pushed.copy(), now.status.copy(),
            now.capacity, now.peak,
        )  # fmt: skip
        if advance(terrain, state, int(rng.choice(RETRIES)), max(0, left), below, deadline):
            capacity, peak = int(state.tally[CAPACITY]), int(state.tally[PEAK])
            if best is None or capacity < best.capacity:
                best = Snapshot(state.head, state.pushed, state.status, capacity, peak)
            if best.capacity <= now.capacity:
                break
        elif deadline is not None and deadline.expired:
            break
    return best
