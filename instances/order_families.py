"""Generated operators to be put in order."""

from __future__ import annotations

import random

from memonger.order_problem import Allocation, OrderProblem


def layered(count: int, width: int, seed: int | random.Random = 0) -> OrderProblem:
    """Return operators that allocate 1 to 100 bytes each and read what others have allocated.

    Parameters
    ----------
    count
        Number of operators.
    width
        Each but the first reads from one to three of the ``width`` before it.
    seed
        A seed, or the source of random numbers.

    Notes
    -----
    Linear. With a width of some ten and hundreds of operators hard: cuts prove little there.

    Examples
    --------
    >>> problem = layered(5, 2)
    >>> len(problem), len(problem.allocations)
    (5, 5)
    """
    rng = seed if isinstance(seed, random.Random) else random.Random(seed)
    readers: list[set[int]] = [set() for _ in range(count)]
    for after in range(1, count):
        low = max(0, after - width)
        for before in rng.sample(range(low, after), min(rng.randint(1, 3), after - low)):
            readers[before].add(after)
    allocations = tuple(
        Allocation(str(v), rng.randint(1, 100), v, tuple(sorted(found)))
        for v, found in enumerate(readers)
    )
    names = tuple(f"op{v}" for v in range(count))
    return OrderProblem(names, (), allocations, f"layered-{count}-{width}")
