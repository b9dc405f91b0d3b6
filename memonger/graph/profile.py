"""Memory over time: load, and the number of live buffers of at least each size."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from memonger.gaps import Span
from memonger.problem import Buffer, IntArray, Problem


@dataclass(frozen=True)
class Peak:
    """The largest load: bytes, and the first time at which it occurs."""

    bytes: int
    time: int


def load(problem: Problem) -> tuple[IntArray, IntArray]:
    """Return (times, bytes live from that time to the next), at every change.

    The load is a lower bound for any placement of the buffers. In gaps of an arena only what is
    taken counts. O(n log n).
    """
    starts, ends, sizes = problem.starts, problem.ends, problem.sizes
    if problem.gapped:
        rows = [(*span[:2], size) for b in problem.buffers for span, size in taken(b)]
        starts, ends, sizes = np.array(rows, dtype=np.int64).reshape(-1, 3).T
    times = np.unique(np.concatenate([problem.starts, problem.ends, starts, ends]))
    change = np.zeros(len(times), dtype=np.int64)
    np.add.at(change, np.searchsorted(times, starts), sizes)
    np.subtract.at(change, np.searchsorted(times, ends), sizes)
    return times, np.cumsum(change)


def taken(buffer: Buffer) -> list[tuple[Span, int]]:
    """Return the spans of a buffer with their bytes: its padded size where it is whole."""
    whole = Span(buffer.start, buffer.end, 0, buffer.size)
    found = []
    for span in buffer.spans if buffer.gaps else (whole,):
        size = span.upper - span.lower
        found.append((span, size if size < buffer.size else buffer.padded_size))
    return found


def peak(problem: Problem) -> Peak:
    """Return the largest load of a problem; 0 bytes at time 0 where it has no buffers."""
    if not len(problem):
        return Peak(0, 0)
    times, live = load(problem)
    best = int(np.argmax(live))
    return Peak(int(live[best]), int(times[best]))


@dataclass(frozen=True)
class SizeProfile:
    """How many buffers of at least each size are live at once, at most.

    Parameters
    ----------
    sizes
        The distinct positive sizes w_1 > w_2 > ... > w_D, bytes.
    counts
        ``counts[k]`` = max over time of the number of live buffers of at least ``sizes[k]``.
    times
        A time at which that maximum occurs.
    """

    sizes: IntArray
    counts: IntArray
    times: IntArray

    @property
    def bound(self) -> int:
        """The threshold bound: sum over k of (w_k - w_(k+1)) counts[k], bytes."""
        steps = self.sizes - np.append(self.sizes[1:], 0)
        return int(steps @ self.counts)


def size_profile(problem: Problem) -> SizeProfile:
    """Return the profile behind the threshold bound.

    Notes
    -----
    Buffers enter a segment tree over time in descending order of size; its maximum after each
    size is the count. O(n log n) time, O(n) memory, whatever the number of sizes.
    """
    positive = np.flatnonzero(problem.sizes > 0)
    sizes, starts = problem.sizes[positive], problem.starts[positive]
    order = np.argsort(-sizes, kind="stable")
    points = np.unique(starts)  # a maximum is reached where a range starts
    first = np.searchsorted(points, starts)
    last = np.searchsorted(points, problem.freed[positive])  # exclusive
    distinct = np.unique(sizes)[::-1].copy()
    group_ends = np.searchsorted(-sizes[order], -distinct, side="right")
    counts, where = _running_maxima(first[order], last[order], group_ends, max(1, len(points)))
    return SizeProfile(distinct, counts, points[where] if len(points) else where)


@numba.njit(cache=True, nogil=True)
def _running_maxima(first, last, group_ends, num_points):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Insert the ranges [first, last) group by group; after each, the maximum depth and a point.

    A bottom-up segment tree: ``add`` holds what covers a node as a whole, ``top`` the maximum
    below it, ``top[v] = add[v] + max(top[2v], top[2v + 1])``. Empty leaves stay at depth 0, which
    a maximum never takes from a covered one.
    """
    width = 1
    while width < num_points:
        width *= 2
    add = np.zeros(2 * width, np.int64)
    top = np.zeros(2 * width, np.int64)
    counts = np.zeros(len(group_ends), np.int64)
    where = np.zeros(len(group_ends), np.int64)
    item = 0
    for group in range(len(group_ends)):
        while item < group_ends[group]:
            low, high = first[item] + width, last[item] + width
            left, right = low, high - 1
            while low < high:
                if low & 1:
                    add[low] += 1
                    top[low] += 1
                    low += 1
                if high & 1:
                    high -= 1
                    add[high] += 1
                    top[high] += 1
                low >>= 1
                high >>= 1
            for leaf in (left, right):
                node = leaf >> 1
                while node >= 1:
                    top[node] = add[node] + max(top[2 * node], top[2 * node + 1])
                    node >>= 1
            item += 1
        counts[group] = top[1]
        node = 1
        while node < width:
            node = 2 * node if top[2 * node] >= top[2 * node + 1] else 2 * node + 1
        where[group] = node - width
    return counts, where
