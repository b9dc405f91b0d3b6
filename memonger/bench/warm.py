"""Load all that numba compiles, before the runs that are timed."""

from __future__ import annotations

import os
import random
import time
from itertools import product

from memonger.bench.trial import REGISTRIES, environment
from memonger.order_problem import Allocation, OrderProblem
from memonger.problem import Buffer, Problem
from memonger.registry import ORDER
from memonger.solver.order import solve_order
from memonger.solver.solve import solve

SEEDS = {40: 2, 60: 0}
"""Number of buffers -> seed: instances that need all kernels, and of which none takes long."""
NOT_WARMED = "neighbourhoods"
"""It would use all of its time limit."""
PROVEN_SECONDS = 20.0
"""For what ends by itself in a tenth of a second, on a machine that is busy."""
QUICK_SECONDS = 0.2
_ENDING_SECONDS = 5.0


def buffers(count: int, horizon: int = 30) -> Problem:
    """Return random buffers, hard enough for greedy placements to fail."""
    draw = random.Random(SEEDS[count])
    found = []
    for number in range(count):
        start = draw.randrange(horizon)
        size = draw.randrange(1, 40)
        found.append(Buffer(f"{number}", size, start, start + 1 + draw.randrange(horizon // 2)))
    return Problem(tuple(found))


def operators(count: int = 40) -> OrderProblem:
    """Return operators that each read some of what others before them allocate."""
    draw = random.Random(SEEDS[count])
    held = []
    for number in range(count):
        size, after = draw.randrange(1, 40), range(number + 1, count)
        readers = sorted(draw.sample(after, min(3, len(after))))
        held.append(Allocation(f"{number}", size, number, tuple(readers)))
    return OrderProblem(tuple(map(str, range(count))), (), tuple(held))


def warm_up() -> None:
    """Run the algorithms on small instances; return when their threads have ended.

    A process with several threads must not fork. The first time on a machine numba compiles, for
    a minute or so; what it compiles it keeps.
    """
    environment()
    for count, form in product(SEEDS, ("sharing", "arena")):
        for algorithm in REGISTRIES[form]:
            if algorithm.name != NOT_WARMED:
                limit = PROVEN_SECONDS if algorithm.name == "optimal" else QUICK_SECONDS
                solve(buffers(count), algorithm.name, form=form, workers=1, time_limit=limit)
    for ordering in ORDER:
        solve_order(operators(), ordering.name, time_limit=PROVEN_SECONDS)
    until = time.monotonic() + _ENDING_SECONDS
    while threads() > 1 and time.monotonic() < until:
        time.sleep(0.01)


def threads() -> int:
    """Return how many threads this process has, those of libraries included; 1 if unknown."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return 1
