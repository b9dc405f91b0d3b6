"""What every algorithm of the arena form keeps, over the whole registry."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import memonger.solver.solve  # noqa: F401  (fills the registry)
from memonger.errors import InputError
from memonger.plan import ArenaPlan
from memonger.problem import Buffer, Problem
from memonger.registry import ARENA
from memonger.result import Proof, Status
from memonger.solver.solve import solve
from memonger.verify import verify_arena
from tests.oracles import smallest_peak
from tests.strategies import arena_problems, parallel_problems

NAMES = ARENA.names()
LIMIT = None  # hill climbing and dives end by themselves


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=15)
@given(problem=arena_problems())
def test_plans_are_valid_and_bounds_hold(name, problem):
    best = smallest_peak(problem)
    result = solve(problem, name, form="arena", workers=1, time_limit=LIMIT)
    if best is None:
        assert result.plan is None
        return
    assert result.objective == verify_arena(problem, result.plan) >= best >= result.bound
    assert (result.status is Status.OPTIMAL) == (result.objective == result.bound)
    assert result.proof in (Proof.CLIQUE, Proof.SEARCH, Proof.CP_SAT)
    assert ARENA.get(name).proves or result.proof is Proof.CLIQUE


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=5)
@given(problem=arena_problems(min_size=2, max_size=8, pins=False), seed=st.integers(0, 3))
def test_one_seed_gives_one_plan(name, problem, seed):
    one, two = (
        solve(problem, name, form="arena", workers=1, seed=seed, time_limit=LIMIT) for _ in range(2)
    )
    assert one.plan == two.plan


@pytest.mark.parametrize("name", NAMES)
def test_a_hint_is_never_made_worse(name):
    buffers = [Buffer(f"b{i}", 1 + i % 4, i, i + 1 + i % 3) for i in range(9)]
    problem = Problem(tuple(buffers))
    hint = solve(problem, form="arena").plan
    for limit in (0.0, LIMIT):
        result = solve(problem, name, form="arena", hint=hint, time_limit=limit)
        assert result.objective <= hint.cost(problem)


@pytest.mark.parametrize("name", NAMES)
def test_extremes(name):
    assert solve(Problem(()), name, form="arena").plan == ArenaPlan(())
    one = Problem((Buffer("a", 2**50, 0, 2**40),))
    assert solve(one, name, form="arena").objective == 2**50
    empty = Problem((Buffer("a", 0, 0, 2), Buffer("b", 0, 0, 2)))
    assert solve(empty, name, form="arena").objective == 0
    large = Problem(tuple(Buffer(f"b{i}", 2**50 - i, i, i + 2) for i in range(5)))
    result = solve(large, name, form="arena", time_limit=LIMIT)
    assert result.objective >= 2**51 - 1


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=3)
@given(problem=parallel_problems())
def test_vector_time_is_refused(name, problem):
    if problem.vector_time is not None:
        with pytest.raises(InputError, match="run in parallel"):
            solve(problem, name, form="arena")
