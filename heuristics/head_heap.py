"""A heap of (head, rank), the least on top, in two arrays: for compiled functions.

The caller keeps the length; every function that changes it returns the new one.
"""

from __future__ import annotations

import numba


@numba.njit(cache=True, nogil=True)
def push(heads, ranks, length, head, rank):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Add an entry."""
    at = length
    while at > 0:
        parent = (at - 1) // 2
        if (heads[parent], ranks[parent]) <= (head, rank):
            break
        heads[at], ranks[at] = heads[parent], ranks[parent]
        at = parent
    heads[at], ranks[at] = head, rank
    return length + 1


@numba.njit(cache=True, nogil=True)
def pop(heads, ranks, length):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Drop the least entry, which stands in place 0."""
    length -= 1
    if length > 0:
        replace_least(heads, ranks, length, heads[length], ranks[length])
    return length


@numba.njit(cache=True, nogil=True)
def replace_least(heads, ranks, length, head, rank):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Put an entry in the place of the least one."""
    at = 0
    while True:
        child = 2 * at + 1
        if child >= length:
            break
        other = child + 1
        if other < length and (heads[other], ranks[other]) < (heads[child], ranks[child]):
            child = other
        if (head, rank) <= (heads[child], ranks[child]):
            break
        heads[at], ranks[at] = heads[child], ranks[child]
        at = child
    heads[at], ranks[at] = head, rank
