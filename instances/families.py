"""Families of sharing problems of any size, to measure algorithms on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from memonger.errors import InputError
from memonger.instances import network_families as networks
from memonger.instances.draws import Draws
from memonger.instances.network_families import Row, Tape
from memonger.problem import Buffer, Problem

MAX_BUFFERS = 1_000_000


@dataclass(frozen=True)
class Family:
    """A family of problems: called with a number of buffers and a seed, it returns a problem.

    Parameters
    ----------
    name
        As in `FAMILIES`.
    summary
        One line.
    rows
        Returns (bytes, start, end) of each buffer.

    Examples
    --------
    >>> problem = FAMILIES["transformer"](1000, seed=7)
    >>> problem.name, len(problem), problem.buffers[1].end
    ('transformer-1000-7', 1000, 5)
    """

    name: str
    summary: str
    rows: Callable[[Draws, int], list[Row]]

    def __call__(self, n: int, seed: int = 0) -> Problem:
        """Return the problem of exactly so many buffers; near-linear in ``n``.

        A network is cut off after ``n`` operators; what a later operator of its last block would
        read is live to the end. The problem depends on family, ``n`` and seed alone, whatever the
        platform.

        Raises
        ------
        InputError
            If ``n`` is not between 1 and 1,000,000.
        """
        if not 1 <= n <= MAX_BUFFERS:
            raise InputError(f"a problem has 1 to {MAX_BUFFERS} buffers, not {n}")
        name = f"{self.name}-{n}-{seed}"
        rows = self.rows(Draws(name), n)
        return Problem(tuple(Buffer(f"t{i}", *row) for i, row in enumerate(rows)), name)


def _random(draws: Draws, n: int) -> list[Row]:
    sizes = [64 * draws.between(1, 2000) for _ in range(30)]
    rows = []
    for _ in range(n):
        start = draws.between(0, n - 1)
        rows.append((draws.pick(sizes), start, start + draws.between(1, 40)))
    return rows


def _heavy(draws: Draws, n: int) -> list[Row]:
    rows = []
    for _ in range(n):
        start = draws.between(0, n - 1)
        length = draws.heavy(2, max(2, n // 2))
        rows.append((64 * draws.heavy(40, 1 << 20), start, start + length))
    return rows


def _bursty(draws: Draws, n: int) -> list[Row]:
    """Bursts of short live ranges that begin almost at once, between long ones that are rare."""
    rows: list[Row] = []
    time = 0
    while len(rows) < n:
        burst = draws.heavy(4, 64)
        for _ in range(burst):
            start = time + draws.between(0, 3)
            rows.append((64 * draws.between(1, 512), start, start + draws.between(1, 8)))
        rows.append((64 * draws.between(1, 4096), time, time + draws.between(20, 200)))
        time += draws.between(4, 30)
    return rows[:n]


def _powers(draws: Draws, n: int) -> list[Row]:
    rows = []
    for _ in range(n):
        start = draws.between(0, n - 1)
        rows.append((64 << draws.between(0, 12), start, start + draws.between(1, 60)))
    return rows


def _adversarial(draws: Draws, n: int) -> list[Row]:
    """Stairs up, stairs down and nests of ranges, each stage running into the next.

    Sizes rise along stairs, so that a sweep enlarges what it has just opened; in a nest the
    shorter range is the larger one, so that the largest first is a bad order to colour in.
    """
    rows: list[Row] = []
    time = 0
    while len(rows) < n:
        depth = draws.between(2, 6)
        unit = 64 * draws.pick((1, 2, 3, 5, 8, 13, 21))
        rising, nested = draws.chance(0.5), draws.chance(0.3)
        for step in range(depth):
            size = unit * (step + 1 if rising or nested else depth - step)
            end = time + (2 * depth - step if nested else depth + draws.between(0, depth + 2))
            rows.append((size, time + step, end))
        time += draws.between(1, depth)
    return rows[:n]


def _network(build: Callable[[Draws, int], Tape]) -> Callable[[Draws, int], list[Row]]:
    return lambda draws, n: build(draws, n).rows(n)


_TABLE = (
    Family("random", "uniform live ranges of up to 40 operators, 30 uniform sizes", _random),
    Family("heavy", "live ranges and sizes with heavy tails, many distinct sizes", _heavy),
    Family("bursty", "bursts of short live ranges, and a few long ones", _bursty),
    Family("powers", "sizes are powers of two, live ranges of up to 60 operators", _powers),
    Family("adversarial", "stairs and nests whose sizes lead greedy rules astray", _adversarial),
    Family(
        "randwire",
        "randomly wired network of Watts and Strogatz's kind, 20 sizes",
        _network(networks.randwire),
    ),
    Family(
        "densenet",
        "dense blocks: outputs live to the end of their block, growing concatenations",
        _network(networks.densenet),
    ),
    Family(
        "inception",
        "modules of four branches that join, widths drawn",
        _network(networks.inception),
    ),
    Family("resnet", "residual network of bottleneck blocks", _network(networks.resnet)),
    Family("unet", "U-Nets of four levels, one after the other", _network(networks.unet)),
    Family("transformer", "transformer encoder layers", _network(networks.transformer)),
    Family(
        "resnet-train",
        "residual network and its gradients",
        _network(networks.resnet_train),
    ),
)
FAMILIES: dict[str, Family] = {family.name: family for family in _TABLE}
"""The families by name."""
