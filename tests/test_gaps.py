"""Gaps of buffers: what they mean, which there can be, what the verifier and certificates say."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memonger.certificate import CliqueCertificate
from memonger.errors import InputError, PlanError, ProblemError
from memonger.gaps import Gap
from memonger.graph.profile import load
from memonger.plan import ArenaPlan, SharingPlan
from memonger.problem import Buffer, Problem, VectorTime
from memonger.registry import SHARING
from memonger.solver.solve import solve
from memonger.verify import verify_arena, verify_sharing
from tests.oracles import smallest_peak_with_gaps, taken_bytes
from tests.strategies import gapped_problems

GONE = Buffer("a", 8, 0, 6, gaps=(Gap(2, 4),))
HALF = Buffer("a", 8, 0, 6, gaps=(Gap(2, 4, 4, 8),))
MEANWHILE = Buffer("b", 8, 2, 4)


@given(gapped_problems())
def test_spans_are_what_is_taken(problem):
    for index, buffer in enumerate(problem.buffers):
        for time in range(8):
            taken = [
                range(span.lower, span.upper)
                for span in buffer.spans
                if span.start <= time < span.end
            ]
            assert (taken or [range(0)]) == [taken_bytes(problem, index, time) or range(0)]


@pytest.mark.parametrize(
    ("gaps", "message"),
    [
        ((Gap(3, 3),), "the gap [3, 3), which is empty"),
        ((Gap(4, 3),), "the gap [4, 3), which is empty"),
        ((Gap(0, 2),), "the gap [0, 2) outside its live range [1, 7)"),
        ((Gap(6, 8),), "the gap [6, 8) outside its live range [1, 7)"),
        ((Gap(-3, 8),), "the gap [-3, 8) outside"),
        ((Gap(4, 5), Gap(2, 3)), "the gap [2, 3) before the end of another"),
        ((Gap(2, 5), Gap(4, 6)), "the gap [4, 6) before the end of another"),
        ((Gap(2, 5, 0, 9),), "the window 0:9, not within 0:8"),
        ((Gap(2, 5, -1, 4),), "the window -1:4, not within 0:8"),
        ((Gap(2, 5, 5, 4),), "the window 5:4, not within 0:8"),
        ((Gap(2, 5, 4, 4),), "the window 4:4, not within 0:8"),
    ],
)
def test_gaps_that_cannot_be(gaps, message):
    with pytest.raises(ProblemError) as error:
        Problem((Buffer("a", 8, 1, 7, gaps=gaps),))
    assert str(error.value).startswith("buffer 'a' has the gap [")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_gaps_that_can_be():
    gaps = (Gap(1, 2), Gap(2, 3, 0, 8), Gap(3, 5, 7, 8), Gap(6, 7))
    problem = Problem((Buffer("a", 8, 1, 7, gaps=gaps), Buffer("b", 0, 0, 2, gaps=(Gap(0, 2),))))
    assert problem.gapped == (0, 1)
    assert problem.subproblem([1]).buffers[0].gaps == (Gap(0, 2),)


def test_no_gaps_in_vector_time():
    time = VectorTime.of(np.array([[0]]), np.array([[6]]))
    with pytest.raises(ProblemError, match="gaps of nets that run in parallel"):
        Problem((GONE,), vector_time=time)


@pytest.mark.parametrize("name", ["optimal", "by-size"])
def test_the_sharing_form_refuses_gaps(name):
    problem = Problem((MEANWHILE, GONE))
    assert name in SHARING.names()
    with pytest.raises(InputError, match=r"buffer 'a' has gaps, .*use --form arena"):
        solve(problem, name)
    with pytest.raises(PlanError, match="buffer 'a' has gaps"):
        verify_sharing(problem, SharingPlan((0, 1)))


@pytest.mark.parametrize(
    ("first", "offsets", "valid"),
    [
        (GONE, (0, 0), True),
        (GONE, (3, 0), True),
        (HALF, (0, 0), False),
        (HALF, (4, 0), True),
        (HALF, (3, 0), False),
        (HALF, (0, 8), True),
        (HALF, (0, 7), False),
        (Buffer("a", 8, 0, 6), (0, 4), False),
    ],
)
def test_the_verifier_knows_gaps(first, offsets, valid):
    problem, plan = Problem((first, MEANWHILE)), ArenaPlan(offsets)
    if valid:
        assert verify_arena(problem, plan) == max(offsets) + 8
        return
    with pytest.raises(PlanError, match="are live at the same time and overlap"):
        verify_arena(problem, plan)


def test_a_buffer_meets_itself_at_the_ends_of_its_gaps():
    problem = Problem((Buffer("a", 4, 0, 9, gaps=(Gap(2, 4, 1, 3), Gap(4, 6, 0, 4))),))
    assert verify_arena(problem, ArenaPlan((0,))) == 4


def overlap(problem, offsets):
    """Return whether a byte is taken twice at a time."""
    cells = [
        (time, problem.buffers[i].device, offsets[i] + byte)
        for i in range(len(problem))
        for time in range(8)
        for byte in taken_bytes(problem, i, time)
    ]
    return len(set(cells)) < len(cells)


@settings(max_examples=200)
@given(gapped_problems(pins=False, devices=("", "x")), st.data())
def test_the_verifier_by_the_definition(problem, data):
    offsets = tuple(b.alignment * data.draw(st.integers(0, 9)) for b in problem.buffers)
    try:
        verify_arena(problem, ArenaPlan(offsets))
        valid = True
    except PlanError:
        valid = False
    assert valid != overlap(problem, offsets)


@given(gapped_problems(max_size=5, largest=5, pins=False), st.integers(0, 6))
def test_the_clique_bound_is_one(problem, time):
    bound = CliqueCertificate(time).bound(problem)
    taken = sum(len(taken_bytes(problem, i, time)) for i in range(len(problem)))
    assert taken <= bound <= smallest_peak_with_gaps(problem)


def test_the_clique_bound_rounds_where_windows_begin_at_multiples():
    window = Buffer("a", 9, 0, 2, 4, gaps=(Gap(0, 1, 4, 9),))
    other = Buffer("b", 5, 0, 2, 8)
    assert CliqueCertificate(0).bound(Problem((window, other))) == 13  # 5 + 3 for the lower, + 5
    odd = Buffer("a", 9, 0, 2, 4, gaps=(Gap(0, 1, 3, 8),))
    assert CliqueCertificate(0).bound(Problem((odd, other))) == 10  # what is on top may begin at 7
    assert CliqueCertificate(1).bound(Problem((odd, other))) == 12 + 5


@given(gapped_problems())
def test_the_load_is_what_is_taken(problem):
    if any(b.alignment > 1 for b in problem.buffers) or not len(problem):
        return
    times, live = load(problem)
    for time, after in itertools.pairwise([*times.tolist(), 9]):
        for moment in range(time, after):
            taken = sum(len(taken_bytes(problem, i, moment)) for i in range(len(problem)))
            assert taken == live[times.tolist().index(time)]
