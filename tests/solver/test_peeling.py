"""Buffers that always fit."""

import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from memonger.errors import PlanError
from memonger.graph.sections import sections_of
from memonger.plan import ArenaPlan
from memonger.problem import Buffer, Problem
from memonger.solver.peeling import peel
from memonger.solver.solve import solve
from memonger.verify import verify_arena
from tests.oracles import first_fit, smallest_peak
from tests.strategies import arena_problems


@given(
    arena_problems(min_size=1, max_size=5), st.integers(0, 30), st.randoms(use_true_random=False)
)
def test_what_is_left_out_fits_wherever_the_others_lie(problem, more, rng):
    if smallest_peak(problem) is None:
        return
    sections = sections_of(problem)
    capacity = int(sections.load.max()) + more
    peeled = peel(sections, capacity)
    assert sorted([*peeled.kept.tolist(), *peeled.removed.tolist()]) == list(range(len(sections)))
    # Any placement of the others: each lies on top of others, at random, or above a random gap.
    kept = [int(sections.indices[i]) for i in peeled.kept]
    part = problem.subproblem(kept)
    pinned = [i for i, b in enumerate(part.buffers) if b.offset is not None]
    free = [i for i, b in enumerate(part.buffers) if b.offset is None]
    rng.shuffle(free)
    offsets = first_fit(part, [*pinned, *free])
    lifted = [
        o + (b.alignment * sections.unit * rng.randint(0, 3) if b.offset is None else 0)
        for o, b in zip(offsets, part.buffers, strict=True)
    ]
    try:
        verify_arena(part, ArenaPlan(tuple(lifted)))
        offsets = lifted
    except PlanError:
        pass
    if any(offset % sections.unit for offset in offsets):
        return
    below = max((o + b.size for o, b in zip(offsets, part.buffers, strict=True)), default=0)
    whole = peeled.whole(np.array(offsets, dtype=np.int64) // sections.unit) * sections.unit
    full = [0] * len(problem)
    for index, offset in zip(sections.indices.tolist(), whole.tolist(), strict=True):
        full[index] = offset
    peak = verify_arena(problem, ArenaPlan(tuple(full)))
    assert peak <= max(below, capacity * sections.unit)


@given(arena_problems(min_size=1))
def test_the_rest_needs_as_much_as_the_whole(problem):
    best = smallest_peak(problem)
    if best is None:
        return
    sections = sections_of(problem)
    load = int(sections.load.max())
    peeled = peel(sections, load)
    rest = problem.subproblem([int(sections.indices[i]) for i in peeled.kept])
    assert max(smallest_peak(rest), load * sections.unit) == best


def test_crumbs_are_left_out():
    rng = random.Random(2)
    rocks = [Buffer(f"r{i}", 1000, i, i + 3) for i in range(12)]
    crumbs = [Buffer(f"c{i}", 1, s, s + 1) for i in range(40) for s in [rng.randrange(2)]]
    problem = Problem((*rocks, *crumbs))
    sections = sections_of(problem)
    peeled = peel(sections, int(sections.load.max()))
    assert {problem.buffers[i].name[0] for i in sections.indices[peeled.removed]} == {"c"}
    assert len(peeled.removed) > 20
    assert solve(problem, form="arena").objective == 3000
