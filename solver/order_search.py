"""The search for an order between a lower bound and the best order so far."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt

from memonger.graph.operator_dag import OperatorDag
from memonger.problem import IntArray
from memonger.result import Proof
from memonger.solver.order_contradiction import probed
from memonger.solver.order_incumbent import OrderIncumbent
from memonger.solver.order_kernel import (
    BY_CHANCE,
    BY_CHANGE,
    BY_LATEST,
    BY_LOAD,
    BY_NUMBER,
    FOUND,
    INFEASIBLE,
    UNKNOWN,
    search,
)
from memonger.solver.order_probing import Effort
from memonger.solver.order_state import LENGTH, first_state, operators_of
from memonger.stop import Deadline

KEYS = (BY_NUMBER, BY_CHANGE, BY_LATEST, BY_LOAD, BY_CHANCE)
FIRST_LIMIT = 2_000
GROWTH = 4
PROBING = 1_000
"""Operators and edges that probing goes through for each state of a search."""
Flag = npt.NDArray[np.bool_]


@contextmanager
def stopping(deadline: Deadline) -> Iterator[Flag]:
    """Give a flag that is set when the time is up: what compiled code looks at."""
    flag = np.zeros(1, dtype=np.bool_)
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(min(0.1, deadline.remaining())):
            if deadline.expired:
                flag[0] = True
                return

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield flag
    finally:
        ended.set()
        watcher.join()


class Searcher:
    """Searches of one problem from one side.

    Parameters
    ----------
    dag
        The operators.
    reverse
        Whether orders are made from their end.
    seed
        Of `BY_CHANCE`.
    """

    def __init__(self, dag: OperatorDag, *, reverse: bool, seed: int = 0) -> None:
        self.dag = dag
        self.reverse = reverse
        self.ops = operators_of(dag, reverse=reverse)
        self.chances = np.random.default_rng(seed).uniform(0.5, 1.5, dag.count)

    def run(
        self, budget: int, key: int, limit: int, stop: Flag, *, commit: bool = True
    ) -> tuple[int, IntArray | None, int]:
        """Return (outcome, order if one was found, the least load that did not fit)."""
        state = first_state(self.dag, reverse=self.reverse)
        outcome, _, least = search(self.ops, state, budget, key, self.chances, limit, commit, stop)
        order = None
        if outcome == FOUND:
            order = state.sequence[: state.numbers[LENGTH]]
            order = np.ascontiguousarray(order[::-1]) if self.reverse else order.copy()
        return int(outcome), order, int(least)


def search_between(incumbent: OrderIncumbent, seed: int) -> None:
    """Raise the bound and lower the peak until they meet or the time is up.

    In rounds of ever more states: from the end, then from the beginning of the orders; for less
    than the best peak by every key; then at the bound itself, which either succeeds or raises the
    bound to the least load that did not fit; then half way. Between the rounds probing adds edges
    that all orders below the best peak keep to.
    """
    limit = FIRST_LIMIT
    dag = incumbent.dag
    with stopping(incumbent.run.deadline) as stop:
        while not (incumbent.closed or incumbent.run.deadline.expired):
            for reverse in (True, False):
                side = Searcher(dag, reverse=reverse, seed=seed)
                _descend(incumbent, side, limit, stop)
                _raise(incumbent, side, limit, stop)
                _halve(incumbent, side, limit, stop)
            if not (incumbent.closed or stop[0]):
                # Probing takes about as long as a few states of a search do.
                stronger = probed(incumbent, dag, Effort(PROBING * limit))
                if stronger is None:
                    incumbent.prove(incumbent.peak, Proof.PROBE)
                    return
                dag = stronger
            limit *= GROWTH


def _descend(incumbent: OrderIncumbent, side: Searcher, limit: int, stop: Flag) -> None:
    """Search for less than the best peak; go on from there as long as that succeeds."""
    number = 0
    while number < len(KEYS) and not (incumbent.closed or stop[0]):
        outcome = _try(incumbent, side, incumbent.peak - incumbent.unit, KEYS[number], limit, stop)
        number = 0 if outcome == FOUND else number + 1


def _raise(incumbent: OrderIncumbent, side: Searcher, limit: int, stop: Flag) -> None:
    """Search within the bound; raise it as long as it is proven to be too low."""
    outcome = INFEASIBLE
    while outcome == INFEASIBLE and not (incumbent.closed or stop[0]):
        outcome = _try(incumbent, side, incumbent.bound, BY_NUMBER, limit, stop)


def _halve(incumbent: OrderIncumbent, side: Searcher, limit: int, stop: Flag) -> None:
    """Search half way between the bound and the best peak."""
    if not (incumbent.closed or stop[0]):
        middle = (incumbent.bound + incumbent.peak) // 2
        _try(incumbent, side, middle, BY_NUMBER, limit, stop)


def _try(
    incumbent: OrderIncumbent, side: Searcher, budget: int, key: int, limit: int, stop: Flag
) -> int:
    """Search within a budget and take what comes of it."""
    outcome, order, least = side.run(budget, key, limit, stop)
    if order is not None:
        incumbent.offer(order, "search")
    elif outcome == INFEASIBLE:
        # No load between the budget and the least that was refused occurred: with any budget
        # below that one the search would have gone the same way.
        incumbent.prove(min(least, incumbent.peak), Proof.SEARCH)
    else:
        assert outcome == UNKNOWN
    return outcome
