"""Overflow search: what it finds fits, and it finds what brute force says is there."""

import itertools
import random

import numpy as np
import pytest

from memonger.graph.cliques import compress
from memonger.heuristics import overflow
from memonger.heuristics.overflow import fit
from memonger.instances.families import FAMILIES
from memonger.problem import Buffer, Problem
from memonger.stop import Deadline
from tests import oracles
from tests.solver.test_relaxation import loose_problems
from tests.strategies import random_problem

EFFORT = 300_000


def profile(groups):
    return groups.counts.max(axis=1).astype(np.int64)


def unknown(problem):
    return np.full(len(problem), -1, dtype=np.int64)


def numbers_of_plans(problem, sizes):
    """Return M_k of every plan, by brute force."""
    found = set()
    for shared in oracles.valid_plans(problem):
        largest = {}
        for buffer, number in zip(problem.buffers, shared, strict=True):
            largest[number] = max(largest.get(number, 0), buffer.size)
        found.add(tuple(sum(value >= size for value in largest.values()) for size in sizes))
    return found


def check(problem, groups, at_least, classes):
    """Check by the definition that classes hold their buffers, time by time."""
    room = np.diff(at_least, prepend=0).tolist()
    for buffer, c in zip(problem.buffers, classes.tolist(), strict=True):
        assert groups.sizes[c] >= buffer.size
    for time in range(max(b.end for b in problem.buffers)):
        live = [
            c
            for b, c in zip(problem.buffers, classes.tolist(), strict=True)
            if b.start <= time < b.end
        ]
        assert all(live.count(c) <= room[c] for c in set(live))


@pytest.mark.parametrize("seed", range(3))
def test_against_brute_force(seed):
    """Every choice of M_k near the profile: a fit is one, and wherever there is one it is found."""
    rng = random.Random(seed)
    possible = impossible = 0
    drawn = [random_problem(rng, 8, largest=9) for _ in range(12)]
    for problem in (*drawn, *loose_problems(seed, 6)):
        groups = compress(problem)
        low = profile(groups)
        plans = numbers_of_plans(problem, groups.sizes.tolist())
        for more in itertools.islice(itertools.product(range(2), repeat=len(low)), 8):
            at_least = np.maximum.accumulate(low + np.array(more))
            fits = any((np.array(plan) <= at_least).all() for plan in plans)
            found = fit(groups, at_least, unknown(problem), EFFORT)
            assert (found.classes is not None) == fits
            assert (found.excess == 0) == fits
            if fits:
                check(problem, groups, at_least, found.classes)
                possible += 1
            else:
                assert found.pressure.any()
                impossible += 1
    assert possible > 60
    assert impossible > 8


@pytest.mark.parametrize(("family", "n"), [("random", 5000), ("adversarial", 2000)])
def test_profiles_of_large_problems(family, n):
    """The threshold bound is met where class-load first fit alone does not meet it."""
    problem = FAMILIES[family](n, 1)
    groups = compress(problem)
    at_least = profile(groups)
    nothing_done = fit(groups, at_least, unknown(problem), 0)
    assert nothing_done.classes is None
    assert nothing_done.excess > 10
    found = fit(groups, at_least, unknown(problem), 50_000_000)
    assert found.excess < nothing_done.excess / 10
    if found.classes is not None:
        check(problem, groups, at_least, found.classes)


def test_the_pressure_is_where_it_does_not_fit():
    """Two copies of a problem one after the other; the first one without its smaller half."""
    tight = loose_problems(1, 1)[0]
    rows = [(b.size, b.start + 100, b.end + 100) for b in tight.buffers]
    rows += sorted((b.size, b.start, b.end) for b in tight.buffers)[len(tight) // 2 :]
    problem = Problem(tuple(Buffer(f"b{i}", *row) for i, row in enumerate(rows)))
    groups = compress(problem)
    found = fit(groups, profile(groups), unknown(problem), EFFORT)
    assert found.classes is None
    late = groups.times >= 100
    assert found.pressure[late].sum() > 100 * found.pressure[~late].sum()


def test_it_begins_where_it_is_told_if_that_is_better():
    """A plan that fits is returned as it is, however little may be looked at."""
    problem = FAMILIES["random"](300, 2)
    groups = compress(problem)
    at_least = profile(groups) + 1
    found = fit(groups, at_least, unknown(problem), 50_000_000)
    again = fit(groups, at_least, found.classes, 0)
    assert again.classes is not None
    half = found.classes.copy()
    half[::2] = -1
    assert fit(groups, at_least, half, 50_000_000).classes is not None


def test_one_seed_one_result():
    problem = FAMILIES["random"](400, 3)
    groups = compress(problem)
    at_least = profile(groups)
    runs = [fit(groups, at_least, unknown(problem), 2_000_000, seed) for seed in (5, 5, 6)]
    assert runs[0].excess == runs[1].excess
    assert (runs[0].pressure == runs[1].pressure).all()
    assert not (runs[0].pressure == runs[2].pressure).all() or runs[0].classes is not None


def test_pieces_do_not_matter(monkeypatch):
    """The clock is looked at in between; what is found does not depend on it."""
    problem = FAMILIES["random"](400, 3)
    groups = compress(problem)
    at_least = profile(groups)
    whole = fit(groups, at_least, unknown(problem), 3_000_000, 1)
    monkeypatch.setattr(overflow, "CHUNK", 3_000_000)
    assert (fit(groups, at_least, unknown(problem), 3_000_000, 1).pressure == whole.pressure).all()


@pytest.mark.parametrize("limit", ["MAX_CELLS", "MAX_LIVE"])
def test_tables_that_are_too_large(monkeypatch, limit):
    problem = FAMILIES["random"](50, 0)
    groups = compress(problem)
    monkeypatch.setattr(overflow, limit, 10)
    assert fit(groups, profile(groups), unknown(problem), EFFORT) is None


def test_no_time():
    problem = FAMILIES["random"](50, 0)
    groups = compress(problem)
    found = fit(groups, profile(groups), unknown(problem), EFFORT, deadline=Deadline(0.0))
    assert found is None
