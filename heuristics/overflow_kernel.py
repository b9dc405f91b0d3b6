"""The inner loop of the search for classes with room, compiled."""

from __future__ import annotations

import numba
import numpy as np

TENURE = 5  # steps, at least, for which a buffer does not go back to a class that it has left
VARIATION = 10  # and at most so many more, drawn


@numba.njit(cache=True, nogil=True)
def _next(random):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Return the next number of a linear congruential generator, 31 bits; the low ones are poor."""
    return (random * 1103515245 + 12345) & 0x7FFFFFFF


@numba.njit(cache=True, nogil=True)
def overfull_cells(load, capacity, place, cells):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """List the cells (class, clique) of more load than capacity; return how many there are.

    ``cells[:count]`` are their numbers, ``place`` says where in it a cell stands, or -1.
    """
    num_classes, num_cliques = load.shape
    count = 0
    for c in range(num_classes):
        for q in range(num_cliques):
            cell = c * num_cliques + q
            place[cell] = -1
            if load[c, q] > capacity[c]:
                place[cell] = count
                cells[count] = cell
                count += 1
    return count


@numba.njit(cache=True, nogil=True)
def relieve(  # type: ignore[no-untyped-def]  # noqa: ANN201
    first, last, level, offsets, live, classes, load, capacity, weight, until, place, cells,  # noqa: ANN001
    state, effort,  # noqa: ANN001
):  # fmt: skip
    """Move buffers out of cells of more load than capacity until none is left.

    ``state``: number of such cells, sum of what is too much, least such sum, steps, random state;
    all arrays are worked on, so that a further call goes on. Ends once ``effort`` entries of the
    table have been looked at.
    """
    num_cliques = load.shape[1]
    count, excess, least, step = state[0], state[1], state[2], state[3]
    random = state[4]
    looked = np.int64(0)
    while count > 0 and looked < effort:
        step += 1
        random = _next(random)
        cell = cells[(random >> 8) % count]
        source, q = cell // num_cliques, cell % num_cliques
        best, chosen, target = np.int64(1) << 60, -1, -1
        looked += offsets[q + 1] - offsets[q]
        for p in range(offsets[q], offsets[q + 1]):
            i = live[p]
            if classes[i] != source:
                continue
            relief = np.int64(0)
            for t in range(first[i], last[i] + 1):
                if load[source, t] > capacity[source]:
                    relief += weight[source, t]
            looked += last[i] + 1 - first[i]
            for c in range(level[i] + 1):
                if c == source or until[i, c] > step:
                    continue
                change = -relief
                for t in range(first[i], last[i] + 1):
                    if load[c, t] >= capacity[c]:
                        change += weight[c, t]
                        if change > best:
                            break
                looked += t + 1 - first[i]
                if change < best:
                    best, chosen, target = change, i, c
                elif change == best:
                    random = _next(random)
                    if (random >> 16) & 1:
                        chosen, target = i, c
        if best >= 0:
            weight[source, q] += 1
        if chosen < 0:
            continue
        for t in range(first[chosen], last[chosen] + 1):
            if load[source, t] > capacity[source]:
                excess -= 1
                if load[source, t] == capacity[source] + 1:
                    count -= 1
                    cell = source * num_cliques + t
                    moved = cells[count]
                    cells[place[cell]] = moved
                    place[moved] = place[cell]
                    place[cell] = -1
            load[source, t] -= 1
            if load[target, t] >= capacity[target]:
                excess += 1
                if load[target, t] == capacity[target]:
                    place[target * num_cliques + t] = count
                    cells[count] = target * num_cliques + t
                    count += 1
            load[target, t] += 1
        classes[chosen] = target
        random = _next(random)
        until[chosen, source] = step + TENURE + (random >> 8) % VARIATION
        least = min(least, excess)
    state[0], state[1], state[2], state[3], state[4] = count, excess, least, step, random
