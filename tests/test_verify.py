import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memonger.errors import PlanError, ProblemError
from memonger.plan import ArenaPlan, SharingPlan
from memonger.problem import Buffer, Problem, VectorTime
from memonger.rules import Rules
from memonger.verify import verify_arena, verify_sharing
from tests.oracles import cost_of, is_valid, may_share, valid_plans
from tests.strategies import labels, parallel_problems, problems, problems_of_devices

ANY = st.one_of(problems(), problems_of_devices(), parallel_problems())


def verdict(problem, shared):
    """Return what the verifier says: the cost, or ``None`` for an invalid plan."""
    try:
        return verify_sharing(problem, SharingPlan(tuple(shared)))
    except PlanError:
        return None


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_random_plans(data):
    problem = data.draw(ANY)
    shared = data.draw(labels(len(problem)))
    expected = cost_of(problem, shared) if is_valid(problem, shared) else None
    assert verdict(problem, shared) == expected


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_valid_plan_with_one_buffer_moved(data):
    problem = data.draw(
        st.one_of(problems(min_size=2, max_size=6), parallel_problems(max_size=6)).filter(
            lambda p: len(p) >= 2
        )
    )
    plans = list(valid_plans(problem))
    shared = list(data.draw(st.sampled_from(plans)))
    assert verdict(problem, shared) == cost_of(problem, shared)
    moved, into = data.draw(st.permutations(range(len(problem))))[:2]
    shared[moved] = shared[into]
    assert (verdict(problem, shared) is not None) == is_valid(problem, shared)
    if not may_share(problem, moved, into):
        assert verdict(problem, shared) is None


@settings(max_examples=50, deadline=None)
@given(problems_of_devices(max_size=6).filter(lambda p: len(p.devices) > 1))
def test_no_sharing_across_devices(problem):
    first = problem.buffers[0].device
    other = next(i for i, b in enumerate(problem.buffers) if b.device != first)
    shared = list(range(len(problem)))
    shared[other] = 0
    with pytest.raises(PlanError, match=r"live at the same time|across devices"):
        verify_sharing(problem, SharingPlan(tuple(shared)))


PAIR = Problem((Buffer("a", 4, 0, 2), Buffer("b", 8, 2, 3)))


@pytest.mark.parametrize(
    ("shared", "message"),
    [
        ((), "places 0 buffers, the problem has 2"),
        ((0,), "places 1 buffers, the problem has 2"),
        ((0, 1, 2), "places 3 buffers, the problem has 2"),
        ((-1, 0), "'a' is not placed"),
        ((0, -1), "'b' is not placed"),
        ((-1, -1), "'a' is not placed"),
    ],
)
def test_malformed_plans(shared, message):
    with pytest.raises(PlanError, match=message) as error:
        verify_sharing(PAIR, SharingPlan(shared))
    assert error.value.exit_code == 3
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("one", "other", "disjoint"),
    [
        ((0, 2), (2, 3), True),
        ((2, 3), (0, 2), True),
        ((0, 2), (1, 3), False),
        ((0, 3), (1, 2), False),
        ((0, 1), (0, 1), False),
        ((0, 2**61), (2**61, 2**61 + 1), True),
    ],
)
def test_live_ranges_are_half_open(one, other, disjoint):
    problem = Problem((Buffer("a", 4, *one), Buffer("b", 8, *other)))
    assert verdict(problem, (0, 0)) == (8 if disjoint else None)
    assert verdict(problem, (0, 1)) == 12


def test_error_names_both_buffers():
    problem = Problem((Buffer("one", 4, 0, 2), Buffer("two", 8, 1, 3)))
    with pytest.raises(PlanError, match=r"'one' \[0, 2\) and 'two' \[1, 3\)"):
        verify_sharing(problem, SharingPlan((0, 0)))


def test_empty_buffers_conflict_too():
    problem = Problem((Buffer("a", 0, 0, 2), Buffer("b", 0, 1, 3)))
    assert verdict(problem, (0, 0)) is None
    assert verdict(problem, (0, 1)) == 0


def test_empty_problem():
    assert verify_sharing(Problem(()), SharingPlan(())) == 0


def test_vector_time_that_is_not_transitive_hides_no_conflict():
    """A file may claim anything: neighbours that are disjoint do not excuse the others."""
    buffers = (Buffer("a", 1, 0, 1), Buffer("b", 1, 1, 2), Buffer("c", 1, 2, 3))
    try:
        time = VectorTime.of(np.array([[0], [5], [1]]), np.array([[5], [1], [2]]))
        problem = Problem(buffers, vector_time=time)
    except ProblemError:
        return
    assert not is_valid(problem, (0, 0, 0))
    assert verdict(problem, (0, 0, 0)) is None


def test_an_arena_has_no_rules():
    rules = Rules(at_most=1)
    problem = Problem((Buffer("a", 8, 0, 2),), rules=rules)
    with pytest.raises(PlanError, match="rules"):
        verify_arena(problem, ArenaPlan((0,)))
