"""Depth-first search for an order within a budget of memory.

Every state is a set of operators that have run. On entering one

1. each ready operator that does not let memory grow, and fits, runs at once: memory is submodular,
   so later it would grow no less, and running it now raises no later state;
2. states above it from which it is a valley are closed: `memonger.solver.order_valleys`;
3. it is given up if it was before: states whose continuations have all failed are remembered, as
   exact sets.
"""

from __future__ import annotations

import numba
import numpy as np

from memonger.solver.order_state import LENGTH, MEMORY, READY, run, step, undo
from memonger.solver.order_valleys import MOST_OPERATORS, is_valley

FOUND, INFEASIBLE, UNKNOWN = 1, 0, -1
NEVER = 2**62
BY_NUMBER, BY_CHANGE, BY_LATEST, BY_LOAD, BY_CHANCE = range(5)
"""In which order the children of a state are tried."""
MAX_DEAD_WORDS = 1 << 27
"""Words that remembered states may take, 8 bytes each: beyond, no more are remembered."""


@numba.njit(cache=True, nogil=True)
def search(ops, state, budget, key, chances, limit, commit, stop):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Search for an order whose loads are all within a budget.

    Returns (FOUND, INFEASIBLE or UNKNOWN, states entered, the least load that did not fit). The
    order is in ``state.sequence``. UNKNOWN after ``limit`` states, or when ``stop[0]`` is set.
    ``chances`` are what changes are multiplied with for BY_CHANCE, shape (operators,); ``commit``
    is whether valleys are looked for.
    """
    count = len(state.done)
    lengths = np.empty(count + 2, np.int64)  # of each open state: operators that have run,
    memory = np.empty(count + 2, np.int64)  # bytes,
    child = np.zeros(count + 2, np.int64)  # the next child to try
    until = np.zeros(count + 2, np.int64)  # and where its children end
    children = np.empty(1 << 10, np.int64)
    slots = np.zeros(1 << 12, np.int64)
    dead = np.empty((1 << 10, len(state.bits) + 1), np.int64)  # the sets as bits, and their codes
    num_dead = 0
    local = np.full(count, -1, np.int64)
    least = np.int64(NEVER)
    nodes = depth = 0
    while True:
        least = min(least, _run_free(ops, state, budget))
        nodes += 1
        if state.numbers[LENGTH] == count:
            return FOUND, nodes, least
        if commit:
            _close_above(ops, state, lengths, memory, child, until, depth, local)
        begin = until[depth - 1] if depth else 0
        end = begin
        if not _is_dead(state, slots, dead):
            if begin + state.numbers[READY] > len(children):
                children = _grown(children, begin + state.numbers[READY])
            end, load = _children(ops, state, budget, key, chances, children, begin)
            least = min(least, load)
        lengths[depth], memory[depth] = state.numbers[LENGTH], state.numbers[MEMORY]
        child[depth], until[depth] = begin, end
        depth += 1
        while child[depth - 1] == until[depth - 1]:  # back to a state with children left
            depth -= 1
            while state.numbers[LENGTH] > lengths[depth]:
                undo(ops, state)
            if (num_dead + 1) * dead.shape[1] <= MAX_DEAD_WORDS:
                slots, dead = _with_room(slots, dead, num_dead)
                num_dead = _bury(state, slots, dead, num_dead)
            if depth == 0:
                return INFEASIBLE, nodes, least
        if nodes >= limit or stop[0]:
            return UNKNOWN, nodes, least
        while state.numbers[LENGTH] > lengths[depth - 1]:
            undo(ops, state)
        v = children[child[depth - 1]]
        child[depth - 1] += 1
        run(ops, state, v, step(ops, state, v)[1])


@numba.njit(cache=True, nogil=True)
def _run_free(ops, state, budget):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Run what fits and does not let memory grow; return the least load that did not fit."""
    again = True
    least = np.int64(NEVER)
    while again:
        again = False
        i = 0
        while i < state.numbers[READY]:
            v = state.ready[i]
            load, change = step(ops, state, v)
            if change <= 0 and load <= budget:
                run(ops, state, v, change)
                again = True
            else:
                if change <= 0:
                    least = min(least, load)
                i += 1
    return least


@numba.njit(cache=True, nogil=True)
def _close_above(ops, state, lengths, memory, child, until, depth, local):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Take all children from the open states above from which this one is a valley."""
    length = state.numbers[LENGTH]
    for above in range(depth - 1, -1, -1):
        if child[above] < until[above]:
            between = state.sequence[lengths[above] : length]
            if memory[above] < state.numbers[MEMORY] or len(between) > MOST_OPERATORS:
                return
            if not is_valley(ops, state.done, between, local):
                return
            child[above] = until[above]


@numba.njit(cache=True, nogil=True)
def _children(ops, state, budget, key, chances, children, begin):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Write the children of a state, sorted; return where they end, and the least load too high."""
    found = 0
    least = np.int64(NEVER)
    size = state.numbers[READY]
    first, second = np.empty(size, np.float64), np.empty(size, np.float64)
    fitting = np.empty(size, np.int64)
    for i in range(size):
        v = state.ready[i]
        load, change = step(ops, state, v)
        if load > budget:
            least = min(least, load)
            continue
        number = float(-v if ops.reverse else v)
        one, two = number, 0.0
        if key == BY_CHANGE:
            one, two = float(change), number
        elif key == BY_LATEST:
            one, two = -float(state.touched[v]), float(change)
        elif key == BY_LOAD:
            one, two = float(load), float(change)
        elif key == BY_CHANCE:
            one, two = float(change) * chances[v], number
        first[found], second[found], fitting[found] = one, two, v
        found += 1
    by = np.argsort(second[:found], kind="mergesort")
    by = by[np.argsort(first[by], kind="mergesort")]
    children[begin : begin + found] = fitting[by]
    return begin + found, least


@numba.njit(cache=True, nogil=True)
def _grown(array, needed):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    larger = np.empty(max(needed, 2 * len(array)), array.dtype)
    larger[: len(array)] = array
    return larger


@numba.njit(cache=True, nogil=True)
def _is_dead(state, slots, dead):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Return whether all continuations of the state have failed before."""
    at = state.code[0] & (len(slots) - 1)
    while slots[at]:
        if _is_same(state, dead[slots[at] - 1]):
            return True
        at = (at + 1) & (len(slots) - 1)
    return False


@numba.njit(cache=True, nogil=True)
def _bury(state, slots, dead, num_dead):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Remember the state, if it is not yet; return how many are."""
    at = state.code[0] & (len(slots) - 1)
    while slots[at]:
        if _is_same(state, dead[slots[at] - 1]):
            return num_dead
        at = (at + 1) & (len(slots) - 1)
    dead[num_dead, :-1] = state.bits
    dead[num_dead, -1] = state.code[0]
    slots[at] = num_dead + 1
    return num_dead + 1


@numba.njit(cache=True, nogil=True)
def _is_same(state, row):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Return whether a row of the table is the state: the whole set counts, not its code alone."""
    return row[-1] == state.code[0] and (row[:-1] == state.bits).all()


@numba.njit(cache=True, nogil=True)
def _with_room(slots, dead, num_dead):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Return the table with room for one more state."""
    if num_dead == len(dead):
        larger = np.empty((2 * len(dead), dead.shape[1]), np.int64)
        larger[:num_dead] = dead
        dead = larger
    if 2 * (num_dead + 1) > len(slots):
        slots = np.zeros(4 * len(slots), np.int64)
        for index in range(num_dead):
            at = dead[index, -1] & (len(slots) - 1)
            while slots[at]:
                at = (at + 1) & (len(slots) - 1)
            slots[at] = index + 1
    return slots, dead
