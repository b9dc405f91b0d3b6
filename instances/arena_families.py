"""Families of arena problems: random traces, tilings whose optimum is known, and constant load.

Each family is a function of a number of buffers and a seed, and returns a problem of exactly so
many buffers; it depends on these two alone, whatever the platform (see `Draws`).
"""

from __future__ import annotations

import bisect
import heapq
import itertools
from collections.abc import Callable

from memonger.errors import InputError
from memonger.instances.draws import Draws
from memonger.instances.network_families import Row
from memonger.problem import Buffer, Problem

MAX_BUFFERS = 1_000_000
OCTAVES = 10  # of the durations of traces: 1 to 1023
TILING_SIDE = 1 << 24
"""Bytes that a tiling needs, and the length of its time."""
CHURN_LOAD = 100
Box = tuple[int, int, int, int]  # start, end, offset, top


def uniform_trace(n: int, seed: int = 0) -> Problem:
    """Return a trace with sizes uniform from 1 to 1,000,000 bytes."""
    return _trace("uniform", n, seed, lambda draws: draws.between(1, 1_000_000))


def log_uniform_trace(n: int, seed: int = 0) -> Problem:
    """Return a trace with sizes from 1 byte to 1 MiB, each power of two as likely."""
    return _trace("log-uniform", n, seed, lambda draws: _octave(draws, 20))


def zipf_trace(n: int, seed: int = 0) -> Problem:
    """Return a trace with sizes of 64 bytes times 1 to 4096, the k-th with weight 1/k."""
    weights = list(itertools.accumulate(1.0 / k for k in range(1, 4097)))

    def size(draws: Draws) -> int:
        draw = draws.between(0, (1 << 40) - 1) / (1 << 40) * weights[-1]
        return 64 * (1 + bisect.bisect_right(weights, draw, hi=4095))

    return _trace("zipf", n, seed, size)


def bimodal_trace(n: int, seed: int = 0) -> Problem:
    """Return a trace in which one buffer in ten is about a hundred times as large as the others."""
    return _trace(
        "bimodal",
        n,
        seed,
        lambda draws: (
            draws.between(200_000, 300_000) if draws.chance(0.1) else draws.between(1, 5_000)
        ),
    )


def guillotine(n: int, seed: int = 0) -> Problem:
    """Return a tiling by guillotine cuts, shuffled: the optimum is `TILING_SIDE`."""
    return _tiling("guillotine", n, seed, 2)


def pinwheel(n: int, seed: int = 0) -> Problem:
    """Return a tiling of pinwheels within pinwheels, shuffled: the optimum is `TILING_SIDE`.

    A pinwheel is five boxes, none of which a straight cut can part from the others; one to three
    guillotine cuts make up the number of buffers.
    """
    return _tiling("pinwheel", n, seed, 5)


def churn(n: int, seed: int = 0) -> Problem:
    """Return a trace in which `CHURN_LOAD` bytes are live at all times: what ends makes room.

    One or two buffers end at a time, and as many bytes begin in one to three buffers. The optimum
    is often a little above the load.
    """
    draws = _draws("churn", n, seed)
    rows: list[Row] = []
    live = [(0, size) for size in _parts(draws, CHURN_LOAD, min(n, 6))]
    time = 0
    while len(rows) + len(live) < n:
        time += 1
        freed = 0
        for _ in range(draws.between(1, min(2, len(live)))):
            start, size = live.pop(draws.between(0, len(live) - 1))
            rows.append((size, start, time))
            freed += size
        most = min(3, n - len(rows) - len(live)) if len(live) < 7 else 1
        live += [(time, size) for size in _parts(draws, freed, draws.between(1, max(1, most)))]
    rows += [(size, start, time + 1) for start, size in live]
    return _problem(f"churn-{n}-{seed}", rows)


def _parts(draws: Draws, total: int, number: int) -> list[int]:
    """Cut a number into positive parts, so many if it is large enough."""
    cuts = sorted({0, total, *(draws.between(1, total) for _ in range(number - 1))})
    return [high - low for low, high in itertools.pairwise(cuts)]


def _draws(name: str, n: int, seed: int) -> Draws:
    if not 1 <= n <= MAX_BUFFERS:
        raise InputError(f"a problem has 1 to {MAX_BUFFERS} buffers, not {n}")
    return Draws(f"arena-{name}-{n}-{seed}")


def _problem(name: str, rows: list[Row]) -> Problem:
    return Problem(tuple(Buffer(f"t{i}", *row) for i, row in enumerate(rows)), name)


def _octave(draws: Draws, octaves: int) -> int:
    """Return an integer from 1 on: its leading power of two is uniform among so many."""
    low = 1 << draws.between(0, octaves - 1)
    return draws.between(low, 2 * low - 1)


def _trace(name: str, n: int, seed: int, size: Callable[[Draws], int]) -> Problem:
    """Return a trace with uniform starts and durations of 1 to 1023, each octave as likely."""
    draws = _draws(name, n, seed)
    rows = []
    for _ in range(n):
        start = draws.between(0, n - 1)
        rows.append((size(draws), start, start + _octave(draws, OCTAVES)))
    return _problem(f"{name}-{n}-{seed}", rows)


def _tiling(name: str, n: int, seed: int, pieces: int) -> Problem:
    """Cut the largest box into so many pieces again and again, and shuffle what is left."""
    draws = _draws(name, n, seed)
    boxes = [(-TILING_SIDE * TILING_SIDE, (0, TILING_SIDE, 0, TILING_SIDE))]
    while len(boxes) < n:
        _, box = heapq.heappop(boxes)
        parts = (
            _pinwheel(draws, box) if len(boxes) + pieces <= n and pieces == 5 else _cut(draws, box)
        )
        for part in parts:
            heapq.heappush(boxes, (-(part[1] - part[0]) * (part[3] - part[2]), part))
    rows = [(box[3] - box[2], box[0], box[1]) for _, box in boxes]
    for i in range(n - 1, 0, -1):
        j = draws.between(0, i)
        rows[i], rows[j] = rows[j], rows[i]
    return _problem(f"{name}-{n}-{seed}", rows)


def _inside(draws: Draws, low: int, high: int) -> int:
    """Return a place to cut a side: in its middle half."""
    quarter = (high - low) // 4
    return draws.between(low + quarter, high - quarter)


def _cut(draws: Draws, box: Box) -> list[Box]:
    """Cut a box in two, more likely across its longer side."""
    start, end, low, high = box
    if draws.between(1, end - start + high - low) <= end - start:
        time = _inside(draws, start, end)
        return [(start, time, low, high), (time, end, low, high)]
    height = _inside(draws, low, high)
    return [(start, end, low, height), (start, end, height, high)]


def _pinwheel(draws: Draws, box: Box) -> list[Box]:
    """Cut a box in five: four around one."""
    start, end, low, high = box
    one, two = sorted((_inside(draws, start, end), _inside(draws, start, end)))
    lower, upper = sorted((_inside(draws, low, high), _inside(draws, low, high)))
    if one == two or lower == upper:
        return _cut(draws, box)
    return [
        (start, two, low, lower),
        (two, end, low, upper),
        (one, end, upper, high),
        (start, one, lower, high),
        (one, two, lower, upper),
    ]


ARENA_FAMILIES: dict[str, Callable[[int, int], Problem]] = {
    "uniform": uniform_trace,
    "log-uniform": log_uniform_trace,
    "zipf": zipf_trace,
    "bimodal": bimodal_trace,
    "guillotine": guillotine,
    "pinwheel": pinwheel,
    "churn": churn,
}
"""The families by name."""
