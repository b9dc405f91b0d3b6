"""Each constraint family of the class model, feasible and infeasible, by fixing variables."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ortools.sat.python import cp_model

from memonger.graph.cliques import compress
from memonger.heuristics.classes import plan_from_classes
from memonger.problem import Buffer, Problem
from memonger.result import Status
from memonger.solver.class_model import ClassModel, maximal_cliques, num_entries
from memonger.solver.cpsat import run_cpsat
from memonger.solver.presolve import allowed_pairs, gap_fixing, unreduced
from tests import oracles
from tests.strategies import problems, random_problem

# Sizes 8 > 4 > 2, that is classes 0, 1, 2; a group for each buffer, in their order. The last two
# leave room in the limits of M_0 and M_1, so that each test meets one constraint alone.
TINY = Problem(
    (
        Buffer("large", 8, 0, 2),
        Buffer("middle", 4, 2, 4),
        Buffer("small", 2, 1, 3),
        Buffer("other", 2, 3, 5),
        Buffer("late", 8, 6, 7),
        Buffer("last", 4, 7, 8),
    )
)


def model_of(problem=TINY, cost=None):
    groups = compress(problem)
    limits = gap_fixing(groups, problem.total if cost is None else cost)
    return ClassModel(groups, unreduced(groups, limits))


def solved(model):
    return run_cpsat(model.model, seconds=60.0, workers=1, seed=0)


def fixed(model, placed=None, at_least=None):
    """Fix variables and return the status."""
    for key, value in (placed or {}).items():
        model.model.add(model.placed[key] == value)
    for k, value in (at_least or {}).items():
        model.model.add(model.at_least[k] == value)
    return solved(model).status


def bytes_of(model, answer):
    """Return the bound in bytes: the model counts in units of the gcd."""
    return answer.bound * model.groups.gcd


def test_cost_of_the_tiny_problem():
    """No buffer is in a class smaller than itself; the cost is that of the M_k."""
    model = model_of()
    answer = solved(model)
    assert answer.status is Status.OPTIMAL
    assert bytes_of(model, answer) == oracles.optimum(TINY) == 10
    levels = model.groups.level.tolist()
    assert levels == [0, 1, 2, 2, 0, 1]
    assert set(model.placed) == {(g, c) for g, level in enumerate(levels) for c in range(level + 1)}
    assert model.groups.steps.tolist() == [4, 2, 2]
    assert model.reduction.limits.low.tolist() == [1, 1, 2]
    assert model.reduction.limits.high.tolist() == [2, 4, 6]


@pytest.mark.parametrize(
    ("placed", "status"),
    [
        ({(0, 0): 1}, Status.OPTIMAL),
        ({(0, 0): 0}, Status.INFEASIBLE),
        ({(1, 0): 1, (1, 1): 0}, Status.OPTIMAL),
        ({(1, 0): 0, (1, 1): 0}, Status.INFEASIBLE),
        ({(1, 0): 1, (1, 1): 1}, Status.INFEASIBLE),
        ({(2, 0): 0, (2, 1): 0, (2, 2): 1}, Status.OPTIMAL),
        ({(2, 0): 0, (2, 1): 0, (2, 2): 0}, Status.INFEASIBLE),
    ],
)
def test_1_every_buffer_is_in_one_class(placed, status):
    assert fixed(model_of(), placed) is status


@pytest.mark.parametrize(
    ("at_least", "status"),
    [
        ({0: 1, 1: 1, 2: 1}, Status.INFEASIBLE),  # `large` and `small` are live together
        ({0: 1, 1: 1, 2: 2}, Status.OPTIMAL),
        ({0: 1, 1: 2, 2: 2}, Status.OPTIMAL),
        ({0: 2, 1: 2, 2: 2}, Status.OPTIMAL),
    ],
)
def test_2_no_more_live_buffers_than_capacity(at_least, status):
    assert fixed(model_of(), None, at_least) is status


def test_2_capacity_of_one_class():
    placed = {(0, 0): 1, (2, 0): 1}  # live together, both in class 0
    assert fixed(model_of(), placed, {0: 1}) is Status.INFEASIBLE
    assert fixed(model_of(), placed, {0: 2}) is Status.OPTIMAL
    apart = {(0, 0): 1, (1, 0): 1}  # one after the other
    assert fixed(model_of(), apart, {0: 1}) is Status.OPTIMAL


@pytest.mark.parametrize(
    ("at_least", "status"),
    [
        ({0: 1, 1: 2, 2: 2}, Status.OPTIMAL),
        ({0: 2, 1: 1}, Status.INFEASIBLE),
        ({1: 3, 2: 2}, Status.INFEASIBLE),
    ],
)
def test_3_counts_do_not_fall(at_least, status):
    assert fixed(model_of(), None, at_least) is status


def test_4_limits_of_the_counts():
    model = model_of(cost=10)
    low, high = model.reduction.limits.low.tolist(), model.reduction.limits.high.tolist()
    assert fixed(model_of(cost=10), None, {0: high[0] + 1}) is Status.INFEASIBLE
    assert fixed(model_of(cost=10), None, {2: low[2] - 1}) is Status.INFEASIBLE
    assert fixed(model_of(cost=10), None, {0: low[0]}) is Status.OPTIMAL


@pytest.mark.parametrize(
    ("low", "high", "status"),
    [(0, 10, Status.OPTIMAL), (10, 10, Status.OPTIMAL), (0, 9, Status.INFEASIBLE)],
)
def test_cost_limits(low, high, status):
    model = model_of()
    model.require_cost(low, high)
    assert solved(model).status is status


def test_cost_may_be_forced_up():
    model = model_of()
    model.require_cost(11, 16)
    answer = solved(model)
    assert answer.status is Status.OPTIMAL
    assert 12 <= bytes_of(model, answer) <= 16


def test_identical_buffers_are_counted():
    problem = Problem(tuple(Buffer(f"b{i}", 4, 0, 2) for i in range(3)))
    assert fixed(model_of(problem), {(0, 0): 3}, {0: 3}) is Status.OPTIMAL
    assert fixed(model_of(problem), {(0, 0): 2}) is Status.INFEASIBLE
    assert fixed(model_of(problem), None, {0: 2}) is Status.INFEASIBLE


def test_a_model_of_the_caller_is_added_to():
    own = cp_model.CpModel()
    flag = own.new_bool_var("flag")
    groups = compress(TINY)
    model = ClassModel(groups, unreduced(groups, gap_fixing(groups, TINY.total)), own)
    assert model.model is own
    own.add(flag == 1)
    answer = solved(model)
    assert answer.solver.value(flag) == 1
    assert bytes_of(model, answer) == 10


@settings(max_examples=60, deadline=None)
@given(problems(min_size=1, max_size=6, sizes=st.integers(1, 9), aligned=False))
def test_optimum_and_plan(problem):
    """Fixed at the cost of any plan, the model keeps the optimum; its classes make a plan of it."""
    best = oracles.optimum(problem)
    for cost in (best, best + 2, problem.total):
        model = model_of(problem, max(best, cost))
        answer = solved(model)
        assert answer.status is Status.OPTIMAL
        assert bytes_of(model, answer) == best
        plan = plan_from_classes(problem, model.classes(answer.solver.value))
        assert oracles.is_valid(problem, plan.shared)
        assert oracles.cost_of(problem, plan.shared) == best


@pytest.mark.parametrize("seed", range(20))
def test_hint_is_complete_and_feasible(seed):
    rng = random.Random(seed)
    problem = random_problem(rng, 7, largest=5)
    plans = list(oracles.valid_plans(problem))
    best = oracles.optimum(problem)
    for shared in (min(plans, key=lambda s: oracles.cost_of(problem, s)), rng.choice(plans)):
        cost = oracles.cost_of(problem, shared)
        model = model_of(problem, cost)
        sizes = model.groups.sizes.tolist()
        capacity = {}
        for index, number in enumerate(shared):
            capacity[number] = max(capacity.get(number, 0), int(problem.sizes[index]))
        model.require_cost(oracles.threshold_bound(problem), cost)
        model.add_hint([0] * len(problem))  # an older hint is forgotten
        model.add_hint([sizes.index(capacity[number]) for number in shared])
        answer = run_cpsat(model.model, seconds=60.0, workers=1, seed=0, keep_log=True)
        assert bytes_of(model, answer) == best
        assert "The solution hint is complete and is feasible" in answer.log


@settings(max_examples=100, deadline=None)
@given(problems(min_size=1, max_size=7, sizes=st.integers(1, 3), aligned=False), st.data())
def test_maximal_cliques(problem, data):
    groups = compress(problem)
    members = data.draw(st.lists(st.integers(0, len(groups) - 1), unique=True, min_size=1))
    found = [frozenset(clique) for clique in maximal_cliques(groups, members)]
    live = {
        frozenset(g for g in members if groups.first[g] <= q <= groups.last[g])
        for q in range(groups.num_cliques)
    }
    assert len(found) == len(set(found))
    assert set(found) == {s for s in live if s and not any(s < other for other in live)}


def test_number_of_entries():
    groups = compress(TINY)
    wide, tight = (allowed_pairs(groups, gap_fixing(groups, cost)) for cost in (TINY.total, 10))
    assert 0 < num_entries(groups, tight) <= num_entries(groups, wide)
    lengths = [int(last - first + 2) for first, last in zip(groups.first, groups.last, strict=True)]
    every = [(level + 1) * length for level, length in zip(groups.level, lengths, strict=True)]
    assert num_entries(groups, wide) <= sum(every)
