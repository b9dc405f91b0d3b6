"""The compiled search for placements, against all orders."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memonger.graph.sections import sections_of
from memonger.plan import ArenaPlan
from memonger.problem import Buffer, Problem
from memonger.solver.placement import NODES, board_of, state_of
from memonger.solver.placement_kernel import FITS, FULL, GAVE_UP, place_all
from memonger.verify import verify_arena
from tests.oracles import smallest_peak
from tests.strategies import arena_problems, constant_load


def search(problem, capacity, *, limit=10**6, keys=None, load_key=0, by_reach=False, state=None):
    """Return how the search ends for a capacity in bytes, and the plan."""
    sections = sections_of(problem)
    board = board_of(sections)
    state = state_of(sections, board, table_bits=12) if state is None else state
    if keys is None:
        keys = np.zeros((1, len(sections)))
    found = place_all(board, state, keys, load_key, by_reach, capacity // sections.unit, limit)
    plan = ArenaPlan(tuple((state.offset * sections.unit).tolist())) if found == FITS else None
    return found, plan, state


@given(arena_problems(min_size=1), st.booleans(), st.integers(0, 3))
def test_the_verdict_is_that_of_all_orders(problem, by_reach, seed):
    keys = np.random.default_rng(seed).random((2, len(problem)))
    best = smallest_peak(problem)
    if best is None:
        assert search(problem, 1000, keys=keys, by_reach=by_reach)[0] == FULL
        return
    found, plan, _ = search(problem, best, keys=keys, by_reach=by_reach)
    assert found == FITS
    assert verify_arena(problem, plan) == best
    assert search(problem, best - 1, keys=keys, by_reach=by_reach)[0] == FULL


@given(arena_problems(min_size=1), st.integers(0, 3))
def test_what_failed_at_a_larger_capacity_fails_at_a_smaller_one(problem, seed):
    best = smallest_peak(problem)
    if best is None:
        return
    state = None
    rng = np.random.default_rng(seed)
    for capacity in range(best + 3, best - 2, -1):  # one table for all of them
        keys = rng.random((2, len(problem)))
        found, plan, state = search(problem, capacity, keys=keys, load_key=-1, state=state)
        assert found == (FITS if capacity >= best else FULL)
        if plan is not None:
            assert verify_arena(problem, plan) <= capacity


def churn(seed, count):
    return constant_load(seed, count, 24)


@pytest.mark.parametrize("seed", range(20))
def test_orders_and_tables_do_not_change_the_verdict(seed):
    problem = churn(seed, 14)
    rng = np.random.default_rng(seed)
    verdicts = set()
    for by_reach, load_key in ((False, 0), (True, 0), (False, -1)):
        row = []
        for capacity in range(24, 30):
            keys = rng.random((2, len(problem)))
            found, plan, _ = search(
                problem, capacity, keys=keys, by_reach=by_reach, load_key=load_key
            )
            assert found != GAVE_UP
            assert plan is None or verify_arena(problem, plan) <= capacity
            row.append(found)
        verdicts.add(tuple(row))
    assert len(verdicts) == 1
    assert list(verdicts.pop()) == sorted(row)  # once it fits it fits


def test_the_limit_is_held():
    problem = churn(3, 40)
    found, plan, state = search(problem, 24, limit=5)
    assert (found, plan) == (GAVE_UP, None)
    assert state.heights[NODES] == 6


def test_nothing_and_one():
    assert search(Problem(()), 0)[:2] == (FITS, ArenaPlan(()))
    one = Problem((Buffer("a", 8, 0, 1),))
    assert search(one, 8)[0] == FITS
    assert search(one, 7)[0] == FULL


@given(arena_problems(min_size=1, max_size=8))
def test_the_board_has_the_pairs_that_conflict(problem):
    sections = sections_of(problem)
    board = board_of(sections)
    for i in range(len(problem)):
        row = board.neighbours[board.first[i] : board.first[i + 1]].tolist()
        assert row == [j for j in range(len(problem)) if j != i and problem.conflict(i, j)]


def test_twins_are_the_same_but_for_their_number():
    rows = [(4, 0, 2, 1, None), (4, 0, 2, 1, None), (4, 0, 2, 2, None), (4, 0, 2, 1, 4)]
    problem = Problem(
        tuple(Buffer(f"b{i}", s, a, e, al, "", o) for i, (s, a, e, al, o) in enumerate(rows))
    )
    twin = board_of(sections_of(problem)).twin.tolist()
    assert twin[0] == twin[1]
    assert len({*twin}) == 2  # alignment 2 says nothing where all sizes are multiples of 4


@given(arena_problems(min_size=1), st.integers(0, 3))
def test_large_numbers_are_as_good_as_small_ones(problem, seed):
    best = smallest_peak(problem)
    if best is None:
        return
    scale = 2**45 + 1

    def scaled(buffer):
        offset = None if buffer.offset is None else buffer.offset * scale
        size = buffer.size * scale
        return Buffer(buffer.name, size, buffer.start, buffer.end, buffer.alignment, "", offset)

    one = Buffer("one", 1, 99, 100)  # so that the unit is a byte
    large = Problem((*map(scaled, problem.buffers), one))
    keys = np.random.default_rng(seed).random((2, len(large)))
    found, plan, _ = search(large, best * scale, keys=keys)
    assert found == FITS
    assert verify_arena(large, plan) <= best * scale
    if all(b.alignment == 1 for b in problem.buffers):
        assert search(large, best * scale - 1, keys=keys)[0] == FULL
