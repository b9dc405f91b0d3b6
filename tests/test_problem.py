import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings

from memonger.errors import MemongerError, ProblemError
from memonger.problem import MAX_TOTAL_BYTES, Buffer, Problem, VectorTime
from tests.oracles import may_share, padded
from tests.strategies import parallel_problems, problems


@pytest.mark.parametrize(
    ("size", "alignment", "expected"),
    [(0, 64, 0), (1, 64, 64), (64, 64, 64), (65, 64, 128), (7, 1, 7), (7, 3, 9), (2**50, 3, None)],
)
def test_padded_size(size, alignment, expected):
    buffer = Buffer("b", size, 0, 1, alignment)
    assert buffer.padded_size == (padded(size, alignment) if expected is None else expected)


@pytest.mark.parametrize(
    ("buffer", "message"),
    [
        (Buffer("", 1, 0, 1), "empty name"),
        (Buffer("b", -1, 0, 1), "'b' has the negative size -1"),
        (Buffer("b", 1, 0, 0), "'b' has the empty or negative live range [0, 0)"),
        (Buffer("b", 1, 3, 2), "[3, 2)"),
        (Buffer("b", 1, -1, 2), "[-1, 2)"),
        (Buffer("b", 1, 0, 2**62), "'b'"),
        (Buffer("b", 1, 0, 1, 0), "'b' has the alignment 0"),
        (Buffer("b", 1, 0, 1, -8), "'b' has the alignment -8"),
        (Buffer("b", 0, 0, 1, 2**62), "'b' has the alignment 4611686018427387904; the limit"),
        (Buffer("b", MAX_TOTAL_BYTES, 0, 1), "2^62"),
    ],
)
def test_buffers_are_checked(buffer, message):
    with pytest.raises(ProblemError) as error:
        Problem((buffer,))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_boundary_values_are_accepted():
    problem = Problem((Buffer("b", MAX_TOTAL_BYTES - 1, 0, 2**62 - 1),))
    assert problem.total == MAX_TOTAL_BYTES - 1


def test_sum_of_sizes_is_limited():
    half = MAX_TOTAL_BYTES // 2
    Problem((Buffer("a", half, 0, 1), Buffer("b", half - 1, 0, 1)))
    with pytest.raises(ProblemError, match="add up"):
        Problem((Buffer("a", half, 0, 1), Buffer("b", half, 0, 1)))


def test_names_are_unique():
    with pytest.raises(ProblemError, match="'a' stands twice"):
        Problem((Buffer("a", 1, 0, 1), Buffer("b", 1, 0, 1), Buffer("a", 2, 0, 1)))


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (np.zeros((1, 2)), np.zeros((1, 2))),
        (np.zeros((3, 2)), np.zeros((3, 2))),
        (np.zeros((2, 2)), np.zeros((1, 2))),
        (np.zeros((2, 2)), np.zeros((2, 1))),
        (np.zeros((2,)), np.zeros((2,))),
    ],
    ids=["few", "many", "few ends", "other number of chains", "one dimension"],
)
def test_vector_time_must_have_a_row_a_buffer_on_both_sides(start, end):
    def build():
        time = VectorTime.of(start.astype(np.int64), end.astype(np.int64))
        return Problem((Buffer("a", 1, 0, 1), Buffer("b", 1, 1, 2)), vector_time=time)

    with pytest.raises(ProblemError):
        build()


def test_problem_is_frozen():
    problem = Problem((Buffer("a", 1, 0, 1),))
    with pytest.raises(dataclasses.FrozenInstanceError):
        problem.name = "other"
    with pytest.raises(dataclasses.FrozenInstanceError):
        problem.buffers[0].size = 3
    with pytest.raises(ValueError, match="read-only"):
        problem.sizes[0] = 3


@settings(max_examples=100, deadline=None)
@given(problems(devices=("", "gpu")))
def test_arrays_repeat_the_buffers(problem):
    assert problem.sizes.tolist() == [padded(b.size, b.alignment) for b in problem.buffers]
    assert problem.starts.tolist() == [b.start for b in problem.buffers]
    assert problem.ends.tolist() == [b.end for b in problem.buffers]
    assert problem.total == sum(problem.sizes.tolist())
    assert list(problem.devices) == sorted({b.device for b in problem.buffers})
    assert len(problem) == len(problem.buffers)


@settings(max_examples=100, deadline=None)
@given(problems())
def test_conflict_is_having_a_time_in_common(problem):
    for i in range(len(problem)):
        for j in range(len(problem)):
            if i != j:
                assert problem.conflict(i, j) == (not may_share(problem, i, j))


@settings(max_examples=100, deadline=None)
@given(parallel_problems())
def test_conflict_in_vector_time_includes_that_of_program_order(problem):
    for i in range(len(problem)):
        for j in range(i):
            one, other = problem.buffers[i], problem.buffers[j]
            assert problem.conflict(i, j) == problem.conflict(j, i)
            assert problem.conflict(i, j) == (not may_share(problem, i, j))
            if one.start < other.end and other.start < one.end:
                assert problem.conflict(i, j)


@settings(max_examples=50, deadline=None)
@given(parallel_problems())
def test_subproblem_keeps_conflicts(problem):
    indices = list(range(len(problem)))[::-2]
    part = problem.subproblem(indices)
    assert [b.name for b in part.buffers] == [problem.buffers[i].name for i in indices]
    for one, i in enumerate(indices):
        for other, j in enumerate(indices):
            if i != j:
                assert part.conflict(one, other) == problem.conflict(i, j)


def test_errors_are_of_the_tree():
    assert issubclass(ProblemError, MemongerError)
    assert ProblemError.exit_code == 2
