"""The state of a search over orders: which operators have run, and what is live after them.

All functions are compiled. Seen from the end of the orders (``reverse``) memory is the same
function of the operators that have run, so the search works on either side; "runs" then means "is
put before those that have been".
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from memonger.graph.operator_dag import OperatorDag, Rows
from memonger.order_problem import BoolArray
from memonger.problem import IntArray

LENGTH, READY, MEMORY, CLOCK = range(4)
"""Places in `State.numbers`."""


class Operators(NamedTuple):
    """What does not change. ``ahead``: operators that wait for one, as seen from the side."""

    reverse: bool
    ahead: Rows
    before: Rows
    inputs: Rows
    outputs: Rows
    reads: Rows
    sizes: IntArray
    producers: IntArray
    kept: BoolArray
    allocated: IntArray
    transient: IntArray
    codes: IntArray


class State(NamedTuple):
    """What changes as operators run.

    Parameters
    ----------
    done
        Whether an operator has run.
    waits
        How many operators it still waits for.
    readers
        Forward: readers of an allocation that have not run; in reverse: those that have.
    ready, place
        Operators that may run next, and where in the list an operator stands.
    touched
        When an operator became ready.
    sequence
        The operators that have run, in this order.
    bits
        ``done`` as bits.
    code
        A hash of them.
    numbers
        How many have run, how many are ready, the bytes live, the steps so far.
    """

    done: BoolArray
    waits: IntArray
    readers: IntArray
    ready: IntArray
    place: IntArray
    touched: IntArray
    sequence: IntArray
    bits: IntArray
    code: IntArray
    numbers: IntArray


def operators_of(dag: OperatorDag, *, reverse: bool) -> Operators:
    """Return the operators, seen from the beginning or from the end."""
    codes = np.random.default_rng(12345).integers(1, 2**62, dag.count)
    return Operators(
        reverse, dag.before if reverse else dag.after, dag.before, dag.inputs, dag.outputs,
        dag.reads, dag.sizes, dag.producers, dag.kept, dag.allocated, dag.transient, codes,
    )  # fmt: skip


def first_state(dag: OperatorDag, *, reverse: bool) -> State:
    """Return the state in which nothing has run."""
    behind = dag.after if reverse else dag.before
    waits = np.diff(behind.first)
    counts = np.diff(dag.reads.first)
    free = np.flatnonzero(waits == 0)
    ready, place = np.zeros(dag.count, dtype=np.int64), np.full(dag.count, -1)
    ready[: len(free)], place[free] = free, np.arange(len(free))
    return State(
        done=np.zeros(dag.count, dtype=np.bool_),
        waits=waits,
        readers=np.zeros_like(counts) if reverse else counts,
        ready=ready,
        place=place,
        touched=np.zeros(dag.count, dtype=np.int64),
        sequence=np.zeros(dag.count, dtype=np.int64),
        bits=np.zeros(max(1, -(-dag.count // 63)), dtype=np.int64),
        code=np.zeros(1, dtype=np.int64),
        numbers=np.array([0, len(free), dag.kept_bytes if reverse else 0, 0], dtype=np.int64),
    )


@numba.njit(cache=True, nogil=True)
def step(ops, state, v):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Return (bytes live while a ready operator runs, change of memory by it)."""
    stays = ops.allocated[v] - ops.transient[v]
    moved = np.int64(0)
    wanted = 0 if ops.reverse else 1
    for s in ops.inputs.items[ops.inputs.first[v] : ops.inputs.first[v + 1]]:
        if state.readers[s] == wanted:
            moved += ops.sizes[s]
    if ops.reverse:
        return state.numbers[MEMORY] + moved + ops.transient[v], moved - stays
    return state.numbers[MEMORY] + ops.allocated[v], stays - moved


@numba.njit(cache=True, nogil=True)
def run(ops, state, v, change):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Let a ready operator run; ``change`` is from `step`."""
    numbers = state.numbers
    state.sequence[numbers[LENGTH]] = v
    numbers[LENGTH] += 1
    numbers[MEMORY] += change
    numbers[CLOCK] += 1
    _flip(ops, state, v)
    for s in ops.inputs.items[ops.inputs.first[v] : ops.inputs.first[v + 1]]:
        state.readers[s] += 1 if ops.reverse else -1
    _not_ready(state, v)
    for u in ops.ahead.items[ops.ahead.first[v] : ops.ahead.first[v + 1]]:
        state.waits[u] -= 1
        state.touched[u] = numbers[CLOCK]
        if state.waits[u] == 0:
            _is_ready(state, u)


@numba.njit(cache=True, nogil=True)
def undo(ops, state):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Take back the operator that ran last."""
    numbers = state.numbers
    numbers[LENGTH] -= 1
    v = state.sequence[numbers[LENGTH]]
    _flip(ops, state, v)
    for u in ops.ahead.items[ops.ahead.first[v] : ops.ahead.first[v + 1]]:
        if state.waits[u] == 0:
            _not_ready(state, u)
        state.waits[u] += 1
    _is_ready(state, v)
    for s in ops.inputs.items[ops.inputs.first[v] : ops.inputs.first[v + 1]]:
        state.readers[s] -= 1 if ops.reverse else -1
    _, change = step(ops, state, v)
    numbers[MEMORY] -= change


@numba.njit(cache=True, nogil=True)
def _flip(ops, state, v):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    state.done[v] = not state.done[v]
    state.bits[v // 63] ^= np.int64(1) << np.int64(v % 63)
    state.code[0] ^= ops.codes[v]


@numba.njit(cache=True, nogil=True)
def _is_ready(state, v):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    at = state.numbers[READY]
    state.ready[at] = v
    state.place[v] = at
    state.numbers[READY] += 1


@numba.njit(cache=True, nogil=True)
def _not_ready(state, v):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    state.numbers[READY] -= 1
    last = state.ready[state.numbers[READY]]
    at = state.place[v]
    state.ready[at] = last
    state.place[last] = at
    state.place[v] = -1
