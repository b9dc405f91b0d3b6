import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memonger.errors import PlanError
from memonger.plan import SharingPlan
from memonger.problem import Buffer, Problem
from tests.oracles import cost_of
from tests.strategies import labels, problems


@pytest.mark.parametrize(
    ("given_labels", "shared"),
    [
        ([], ()),
        ([5], (0,)),
        ([7, 3, 7], (0, 1, 0)),
        ([-1, -2, -1], (0, 1, 0)),
        ([2, 1, 0], (0, 1, 2)),
        ([True, 1, 0], (0, 0, 1)),
    ],
)
def test_numbers_run_in_order_of_first_appearance(given_labels, shared):
    assert SharingPlan.of(given_labels).shared == shared


def test_equal_plans_are_equal_objects():
    assert SharingPlan.of([3, 3, 1]) == SharingPlan.of([0, 0, 9])
    assert hash(SharingPlan.of([3, 3, 1])) == hash(SharingPlan.of([0, 0, 9]))
    assert SharingPlan.of([3, 3, 1]) != SharingPlan.of([0, 1, 1])


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_cost_and_members(data):
    problem = data.draw(problems())
    shared = data.draw(labels(len(problem)))
    plan = SharingPlan.of(shared)
    assert plan.cost(problem) == cost_of(problem, shared)
    assert plan.num_shared == len(set(shared))
    members = plan.members()
    assert sorted(i for group in members for i in group) == list(range(len(problem)))
    for group in members:
        assert group == sorted(group)
        assert len({shared[i] for i in group}) == 1
    capacities = plan.capacities(problem)
    assert capacities == [max(problem.sizes[i] for i in group) for group in members]


def test_huge_costs_are_exact():
    problem = Problem(tuple(Buffer(f"b{i}", 2**58 + i, 0, 1) for i in range(8)))
    assert SharingPlan.of(range(8)).cost(problem) == 8 * 2**58 + 28


@pytest.mark.parametrize("shared", [(), (0,), (0, 1, 2)])
def test_cost_of_a_plan_for_another_number_of_buffers(shared):
    problem = Problem((Buffer("a", 1, 0, 1), Buffer("b", 1, 1, 2)))
    with pytest.raises(PlanError, match="the problem has 2"):
        SharingPlan(shared).cost(problem)
