"""Small problems of buffers: all of them, drawn ones, and those one step smaller."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import replace

from memonger.problem import Buffer, Problem

MAX_SIZE = 3
"""Bytes: all problems up to these sizes are gone through."""
DRAWN = (5, 12)
"""Buffers of the problems that are drawn."""
DRAWN_SIZE = 8
"""Bytes: the largest size that is drawn."""
LETTERS = "abcdefghijklmnopqrstuvwxyz"

NOUN = "buffers"
BOX = f"sizes up to {MAX_SIZE} bytes, live ranges in at most as many steps as buffers"
STEPS = "no buffer can be left out, no size lowered and no live range shortened by one"

Row = tuple[int, int, int]  # start, end, size


def all_problems(count: int) -> Iterator[Problem]:
    """Yield all problems of so many buffers: smallest sizes first, then fewest times."""
    return map(_problem, all_rows(count))


def all_rows(count: int) -> Iterator[tuple[Row, ...]]:
    """Yield them as rows, which ascend: which buffer comes first is not looked at.

    As many times as buffers are enough, as the cliques of an interval graph that count are not
    more.
    """
    for largest in range(1, MAX_SIZE + 1):
        for horizon in range(1, count + 1):
            ranges = [(s, e) for s in range(horizon) for e in range(s + 1, horizon + 1)]
            rows = [(s, e, size) for s, e in ranges for size in range(1, largest + 1)]
            for chosen in itertools.combinations_with_replacement(rows, count):
                sizes, ends = {row[2] for row in chosen}, {row[1] for row in chosen}
                if max(sizes) == largest and max(ends) == horizon:
                    yield chosen


def _problem(rows: tuple[Row, ...]) -> Problem:
    names = zip(LETTERS, rows, strict=False)
    return Problem(tuple(Buffer(name, size, start, end) for name, (start, end, size) in names))


def drawn_problems(rng: random.Random) -> Iterator[Problem]:
    """Yield problems without end."""
    while True:
        count = rng.randint(*DRAWN)
        rows = []
        for _ in range(count):
            start = rng.randrange(count)
            rows.append((start, rng.randint(start + 1, count), rng.randint(1, DRAWN_SIZE)))
        yield _problem(tuple(sorted(rows)))


def smaller_problems(problem: Problem) -> Iterator[Problem]:
    """Yield the problems that are one step smaller."""
    buffers = problem.buffers
    for i in range(len(buffers)):
        yield Problem(buffers[:i] + buffers[i + 1 :])
    for i, buffer in enumerate(buffers):
        changes = []
        if buffer.size > 1:
            changes += [{"size": buffer.size // 2}, {"size": buffer.size - 1}]
        if buffer.end - buffer.start > 1:
            changes += [{"end": buffer.end - 1}, {"start": buffer.start + 1}]
        for change in changes:
            yield Problem((*buffers[:i], replace(buffer, **change), *buffers[i + 1 :]))  # type: ignore[arg-type]
