"""Small graphs of operators: all of them, drawn ones, and those one step smaller."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

from memonger.order_problem import Allocation, OrderProblem

MAX_SIZE = 3
"""Bytes: all graphs up to these sizes are gone through."""
DRAWN = (5, 12)
"""Operators of the graphs that are drawn."""
DRAWN_SIZE = 8
"""Bytes: the largest size that is drawn."""
MOST_INPUTS = 3
"""Inputs of an operator of a graph that is drawn."""
LETTERS = "abcdefghijklmnopqrstuvwxyz"

NOUN = "operators"
BOX = f"each allocates up to {MAX_SIZE} bytes, any later ones may read them, nothing else is kept"
STEPS = "no operator and no reader can be left out, and no size lowered by one"

Row = tuple[int, tuple[int, ...]]  # size of what an operator allocates, its readers


def all_problems(count: int) -> Iterator[OrderProblem]:
    """Yield all graphs of so many operators in program order: smallest sizes first."""
    readers = [list(_subsets(range(i + 1, count))) for i in range(count)]
    for largest in range(1, MAX_SIZE + 1):
        for sizes in itertools.product(range(largest + 1), repeat=count):
            if max(sizes) == largest:
                for chosen in itertools.product(*readers):
                    yield _problem(tuple(zip(sizes, chosen, strict=True)))


def _subsets(numbers: range) -> Iterator[tuple[int, ...]]:
    for count in range(len(numbers) + 1):
        yield from itertools.combinations(numbers, count)


def _problem(rows: tuple[Row, ...]) -> OrderProblem:
    names = LETTERS[: len(rows)]
    return OrderProblem(
        tuple(names),
        (),
        tuple(
            Allocation(name, size, i, readers)
            for i, (name, (size, readers)) in enumerate(zip(names, rows, strict=True))
        ),
    )


def drawn_problems(rng: random.Random) -> Iterator[OrderProblem]:
    """Yield graphs without end: each operator reads a few of those before it."""
    while True:
        count = rng.randint(*DRAWN)
        readers: list[list[int]] = [[] for _ in range(count)]
        for i in range(1, count):
            for source in rng.sample(range(i), rng.randint(0, min(i, MOST_INPUTS))):
                readers[source].append(i)
        yield _problem(tuple((rng.randint(0, DRAWN_SIZE), tuple(each)) for each in readers))


def smaller_problems(problem: OrderProblem) -> Iterator[OrderProblem]:
    """Yield the graphs that are one step smaller."""
    rows = tuple((held.size, held.readers) for held in problem.allocations)
    for i in range(len(rows)):
        yield _problem(tuple(_without(i, row) for j, row in enumerate(rows) if j != i))
    for i, (size, readers) in enumerate(rows):
        changes: list[Row] = [(size, readers[:k] + readers[k + 1 :]) for k in range(len(readers))]
        if size > 0:
            changes += [(size // 2, readers), (size - 1, readers)]
        for change in changes:
            yield _problem((*rows[:i], change, *rows[i + 1 :]))


def _without(gone: int, row: Row) -> Row:
    size, readers = row
    return size, tuple(reader - (reader > gone) for reader in readers if reader != gone)
