"""Problems for hypothesis: small, with ties, empty buffers, alignments, devices, parallel nets."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from memonger.gaps import Gap
from memonger.problem import Buffer, Problem, VectorTime

SIZES = st.one_of(
    st.integers(0, 12),
    st.sampled_from([0, 1, 1, 4, 4, 8, 16, 64]),
    st.sampled_from([2**50, 2**50 - 1, 3 * 2**48]),
)


@st.composite
def buffers(
    draw: st.DrawFn,
    index: int,
    sizes: st.SearchStrategy[int],
    alignments: st.SearchStrategy[int],
    devices: st.SearchStrategy[str],
    horizon: int,
) -> Buffer:
    """Draw a buffer with the name ``b<index>``."""
    start = draw(st.integers(0, horizon - 1))
    length = draw(st.integers(1, horizon - start))
    return Buffer(f"b{index}", draw(sizes), start, start + length, draw(alignments), draw(devices))


@st.composite
def problems(
    draw: st.DrawFn,
    *,
    max_size: int = 7,
    min_size: int = 0,
    sizes: st.SearchStrategy[int] = SIZES,
    aligned: bool = True,
    devices: tuple[str, ...] = ("",),
    horizon: int = 8,
) -> Problem:
    """Draw a problem in interval time."""
    count = draw(st.integers(min_size, max_size))
    alignments = st.sampled_from([1, 1, 1, 4, 64]) if aligned else st.just(1)
    device = st.sampled_from(devices)
    return Problem(
        tuple(draw(buffers(i, sizes, alignments, device, horizon)) for i in range(count)), "drawn"
    )


def problems_of_devices(max_size: int = 7) -> st.SearchStrategy[Problem]:
    """Draw problems with up to three devices."""
    return problems(max_size=max_size, devices=("cpu", "cuda:0", ""))


@st.composite
def parallel_problems(draw: st.DrawFn, *, max_size: int = 6, max_operators: int = 7) -> Problem:
    """Draw a problem in vector time from a random dependency graph.

    Every operator is a chain of its own, the plainest chain cover there is: a buffer is over
    before another begins iff all operators that touch it (and so all that precede its writer)
    precede the other's writer.
    """
    operators = draw(st.integers(1, max_operators))
    before: list[set[int]] = []
    for operator in range(operators):
        direct = draw(st.sets(st.integers(0, operator - 1), max_size=2)) if operator else set()
        before.append(direct.union(*(before[other] for other in direct)))
    count = draw(st.integers(0, max_size))
    found, start, end = [], [], []
    for index in range(count):
        writer = draw(st.integers(0, operators - 1))
        after = [other for other in range(operators) if writer in before[other]]
        readers = draw(st.sets(st.sampled_from(after), max_size=3)) if after else set()
        accesses = {writer, *readers}
        found.append(Buffer(f"b{index}", draw(st.integers(0, 12)), writer, max(accesses) + 1))
        start.append([int(c in before[writer]) for c in range(operators)])
        end.append([int(c in accesses | before[writer]) for c in range(operators)])
    shape = (count, operators)
    time = VectorTime.of(
        np.array(start, dtype=np.int64).reshape(shape), np.array(end, dtype=np.int64).reshape(shape)
    )
    return Problem(tuple(found), "parallel", time)


@st.composite
def labels(draw: st.DrawFn, count: int) -> tuple[int, ...]:
    """Draw an assignment of buffers to shared buffers, valid or not."""
    return tuple(draw(st.lists(st.integers(0, max(0, count)), min_size=count, max_size=count)))


def random_problem(rng: random.Random, count: int, horizon: int = 10, largest: int = 12) -> Problem:
    """Return a random problem of one device without empty buffers, for loops with a seed."""
    found = []
    for index in range(count):
        start = rng.randrange(horizon)
        found.append(
            Buffer(
                f"b{index}", rng.randint(1, largest), start, start + rng.randint(1, horizon // 2)
            )
        )
    return Problem(tuple(found), "random")


@st.composite
def arena_problems(
    draw: st.DrawFn,
    *,
    max_size: int = 6,
    min_size: int = 0,
    largest: int = 9,
    pins: bool = True,
    horizon: int = 6,
) -> Problem:
    """Draw a problem for one arena: small sizes, some alignments and pins."""
    rows = []
    for index in range(draw(st.integers(min_size, max_size))):
        start = draw(st.integers(0, horizon - 1))
        alignment = draw(st.sampled_from([1, 1, 1, 2, 3, 4]))
        pinned = pins and draw(st.integers(0, 5)) == 0
        offset = alignment * draw(st.integers(0, 4)) if pinned else None
        size, length = draw(st.integers(1, largest)), draw(st.integers(1, horizon - start))
        rows.append(Buffer(f"b{index}", size, start, start + length, alignment, "", offset))
    return Problem(tuple(rows), "drawn")


@st.composite
def gaps_within(draw: st.DrawFn, start: int, end: int, size: int) -> tuple[Gap, ...]:
    """Draw gaps of a buffer, at most two, with and without windows; they may meet."""
    times = sorted(draw(st.sets(st.integers(start, end), max_size=4)))
    gaps = []
    for first, last in zip(times[::2], times[1::2], strict=False):
        lower, upper = 0, 0
        if size and draw(st.booleans()):
            lower = draw(st.integers(0, size - 1))
            upper = draw(st.integers(lower + 1, size))
        gaps.append(Gap(first, last, lower, upper))
    return tuple(gaps)


@st.composite
def gapped_problems(
    draw: st.DrawFn, *, devices: tuple[str, ...] = ("",), **options: int
) -> Problem:
    """Draw a problem as `arena_problems`, most of its buffers with gaps."""
    problem = draw(arena_problems(**options))  # type: ignore[arg-type]
    buffers = []
    for buffer in problem.buffers:
        gaps = draw(gaps_within(buffer.start, buffer.end, buffer.size))
        buffers.append(replace(buffer, gaps=gaps, device=draw(st.sampled_from(devices))))
    return Problem(tuple(buffers), "gapped")


def constant_load(seed: int, count: int, load: int) -> Problem:
    """Return a problem whose load is the same at all times: its optimum is often above."""
    rng = random.Random(seed)
    live, buffers, time = [(0, load)], [], 0
    while len(buffers) < count:
        time += 1
        rng.shuffle(live)
        start, size = live.pop()
        buffers.append(Buffer(f"b{len(buffers)}", size, start, time))
        while size:
            part = rng.randint(1, size)
            live.append((time, part))
            size -= part
    rest = [Buffer(f"r{i}", size, start, time + 1) for i, (start, size) in enumerate(live)]
    return Problem((*buffers, *rest))
