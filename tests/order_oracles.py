"""Ordering problems: random ones, and their optimum by all sets of operators."""

import random

from memonger.instances.order_families import layered
from memonger.order_problem import Allocation, OrderProblem


def random_order_problem(rng: random.Random, count: int, *, kept: float = 0.15) -> OrderProblem:
    """Return operators with few dependencies, some of them local; readers beyond the edges, too."""
    edges = set()
    for after in range(count):
        low = max(0, after - rng.choice([3, 5, count]))
        waits = min(rng.randint(0, 3), after - low)
        edges.update((before, after) for before in rng.sample(range(low, after), waits))
    allocations = []
    for producer in range(count):
        for number in range(rng.choice([0, 1, 1, 1, 2])):
            readers = {b for a, b in edges if a == producer and rng.random() < 0.8}
            if producer + 1 < count and rng.random() < 0.2:
                readers.add(rng.randrange(producer + 1, count))
            size = rng.choice([0, 1, 2, 3, 5, 8, 13, rng.randint(1, 100)])
            name = f"{producer}.{number}"
            allocations.append(
                Allocation(name, size, producer, tuple(sorted(readers)), rng.random() < kept)
            )
    names = tuple(f"op{number}" for number in range(count))
    return OrderProblem(names, tuple(sorted(edges)), tuple(allocations), "random")


def tricky_problem(seed: int) -> OrderProblem:
    """Return a problem on which a search that trusts every valley may go wrong."""
    rng = random.Random(seed)
    count = rng.randint(8, 16)
    if seed % 2:
        return layered(count, rng.randint(3, 8), rng)
    return random_order_problem(rng, count)


def least_peak(problem: OrderProblem) -> int:
    """Return the least peak of all orders, by the sets of operators that have run."""
    waits = [0] * len(problem)
    for before, after in problem.edges:
        waits[after] |= 1 << before
    readers = []
    for held in problem.allocations:
        readers.append(sum(1 << reader for reader in held.readers))
        for reader in held.readers:
            waits[reader] |= 1 << held.producer
    made = [
        sum(held.size for held in problem.allocations if held.producer == v)
        for v in range(len(problem))
    ]
    best = {0: 0}
    for _ in range(len(problem)):
        following: dict[int, int] = {}
        for done, peak in best.items():
            live = sum(
                held.size
                for held, mask in zip(problem.allocations, readers, strict=True)
                if done >> held.producer & 1 and (held.kept or mask & ~done)
            )
            for v in range(len(problem)):
                if not done >> v & 1 and not waits[v] & ~done:
                    more = done | 1 << v
                    found = max(peak, live + made[v])
                    if found < following.get(more, found + 1):
                        following[more] = found
        best = following
    return best[(1 << len(problem)) - 1]
