import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memonger.errors import ProblemError
from memonger.gaps import Gap
from memonger.instances.problem_json import FORMAT, problem_from_json, problem_to_json
from memonger.problem import Buffer, Problem
from tests.strategies import gapped_problems, parallel_problems, problems, problems_of_devices


@settings(max_examples=150, deadline=None)
@given(st.one_of(problems(), problems_of_devices(), parallel_problems(), gapped_problems()))
def test_round_trip(problem):
    data = json.loads(json.dumps(problem_to_json(problem)))
    again = problem_from_json(data)
    assert again.buffers == problem.buffers
    assert again.name == problem.name
    if problem.vector_time is not None and len(problem):
        assert (again.vector_time.start == problem.vector_time.start).all()
        assert (again.vector_time.end == problem.vector_time.end).all()
    assert problem_to_json(again) == data


def test_the_format_itself():
    buffers = (Buffer("a", 5, 0, 2), Buffer("b", 6, 1, 4, alignment=4, device="cuda:1"))
    assert problem_to_json(Problem(buffers, "p")) == {
        "format": "memonger-problem/1",
        "name": "p",
        "horizon": 4,
        "buffers": [
            {"name": "a", "size": 5, "start": 0, "end": 2},
            {"name": "b", "size": 6, "start": 1, "end": 4, "alignment": 4, "device": "cuda:1"},
        ],
    }


def test_gaps_in_the_format():
    gaps = (Gap(1, 2), Gap(3, 4, 0, 2))
    entry = problem_to_json(Problem((Buffer("a", 5, 0, 4, gaps=gaps),)))["buffers"][0]
    assert entry == {"name": "a", "size": 5, "start": 0, "end": 4, "gaps": [[1, 2], [3, 4, 0, 2]]}


@pytest.mark.parametrize(
    ("gaps", "message"),
    [
        (3, "buffer 1 ('b'): 'gaps' must be a list"),
        (None, "buffer 1 ('b'): 'gaps' must be a list"),
        ([3], "buffer 1 ('b'): a gap must be [start, end] or [start, end, lower, upper]"),
        ([[0]], "a gap must be"),
        ([[0, 1, 2]], "a gap must be"),
        ([[0, True]], "a gap must be"),
        ([[0, 1.0]], "a gap must be"),
        ([[1, 3]], "buffer 'b' has the gap [1, 3) outside its live range [0, 2)"),
        ([[0, 1, 2, 5]], "buffer 'b' has the gap [0, 1) with the window 2:5, not within 0:4"),
        ([[0, 10**400]], "buffer 'b' has the gap"),
    ],
)
def test_bad_gaps(gaps, message):
    with pytest.raises(ProblemError) as error:
        problem_from_json(with_buffer(gaps=gaps), "p.json")
    assert str(error.value).startswith("p.json: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_parallel_problem_without_buffers_stays_parallel():
    """A net for `dag` whose blobs are all pinned: its plan must be checkable."""
    import numpy as np

    from memonger.problem import VectorTime

    empty = np.zeros((0, 1), dtype=np.int64)
    problem = Problem((), "p", VectorTime.of(empty, empty))
    again = problem_from_json(json.loads(json.dumps(problem_to_json(problem))))
    assert len(again) == 0


def with_buffer(**changes):
    entry = {"name": "b", "size": 4, "start": 0, "end": 2, **changes}
    entry = {key: value for key, value in entry.items() if value is not ...}
    return {"format": FORMAT, "buffers": [{"name": "a", "size": 1, "start": 0, "end": 1}, entry]}


def vector(**changes):
    return with_buffer(vector_start=[0], vector_end=[1], **changes)


ERRORS = [
    (None, "expected the format"),
    ([], "expected the format"),
    ({}, "expected the format"),
    ({"format": "memonger-problem/2"}, "expected the format"),
    ({"format": FORMAT}, "'buffers' must be a list"),
    ({"format": FORMAT, "buffers": {}}, "'buffers' must be a list"),
    ({"format": FORMAT, "buffers": [3]}, "buffer 0: expected an object"),
    ({"format": FORMAT, "buffers": [], "in_place": [["a", "b"]]}, "there is no buffer 'a'"),
    (with_buffer(offset=-3), "cannot be pinned to -3"),
    (with_buffer(name=3), "buffer 1: 'name' must be a string"),
    (with_buffer(name=...), "buffer 1: 'name' must be a string"),
    (with_buffer(name=""), "empty name"),
    (with_buffer(name="a"), "'a' stands twice"),
    (with_buffer(size=...), "buffer 1 ('b'): 'size' is missing"),
    (with_buffer(end=...), "buffer 1 ('b'): 'end' is missing"),
    (with_buffer(size=1.5), "'size' must be an integer, got 1.5"),
    (with_buffer(size="4"), "'size' must be an integer"),
    (with_buffer(size=True), "'size' must be an integer"),
    (with_buffer(size=None), "'size' must be an integer"),
    (with_buffer(size=-1), "'b' has the negative size -1"),
    (with_buffer(size=2**63), "buffer 1 ('b'): 'size' must be below 2^62, got 9223372036854775808"),
    (with_buffer(size=10**4000), "buffer 1 ('b'): 'size' must be below 2^62, got 1000"),
    (with_buffer(size=2**62 - 1), "2^62"),
    (with_buffer(alignment=2**62), "buffer 1 ('b'): 'alignment' must be below 2^62"),
    ({**with_buffer(), "horizon": 1}, "'horizon' is 1, but 'b' ends at 2"),
    ({**with_buffer(), "horizon": 2.5}, "'horizon' must be an integer >= 0, got 2.5"),
    ({**with_buffer(), "horizon": "2"}, "'horizon' must be an integer >= 0, got '2'"),
    ({**with_buffer(), "horizon": True}, "'horizon' must be an integer >= 0, got True"),
    ({**with_buffer(), "horizon": None}, "'horizon' must be an integer >= 0, got None"),
    ({"format": FORMAT, "buffers": [], "horizon": -1}, "'horizon' must be an integer >= 0"),
    ({**with_buffer(), "inplace": []}, "'inplace' is no field of memonger-problem/1"),
    ({**with_buffer(), "name": 3}, "'name' must be a string, got 3"),
    ({**with_buffer(), "in_place": {}}, "'in_place' must be a list of pairs"),
    ({**with_buffer(), "in_place": None}, "'in_place' must be a list of pairs"),
    ({**with_buffer(), "in_place": ["ab"]}, "'in_place' must be a list of pairs"),
    ({**with_buffer(), "in_place": [["a", 1]]}, "'in_place': there is no buffer 1"),
    ({**with_buffer(), "rules": []}, "'rules' must be an object"),
    ({**with_buffer(), "rules": {"at_most": True}}, "'at_most' must be an integer, got True"),
    ({**with_buffer(), "rules": {"apart": None}}, "'apart' must be a list of pairs"),
    (with_buffer(start=2), "'b' has the empty or negative live range [2, 2)"),
    (with_buffer(start=-1), "'b' has the empty or negative live range"),
    (with_buffer(end=1e9), "'end' must be an integer"),
    (with_buffer(alignment=0), "'b' has the alignment 0"),
    (with_buffer(alignment="4"), "'alignment' must be an integer"),
    (with_buffer(device=7), "device"),
    (with_buffer(device=None), "device"),
    (vector(), "vector times"),
    (with_buffer(vector_start=[0]), "vector times"),
]
ONE = {"name": "a", "size": 1, "start": 0, "end": 1}


@pytest.mark.parametrize(("data", "message"), ERRORS, ids=range(len(ERRORS)))
def test_errors(data, message):
    with pytest.raises(ProblemError) as error:
        problem_from_json(data, "file.json")
    assert message in str(error.value)
    assert str(error.value).startswith("file.json: ")
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 200


@pytest.mark.parametrize("horizon", [2, 3, 10**6])
def test_a_horizon_may_lie_beyond_the_last_end(horizon):
    assert len(problem_from_json({**with_buffer(), "horizon": horizon})) == 2


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ([0, 1], [2]),
        ([], []),
        ([1], [0]),
        ([1], [1]),
        ([0.5], [1.5]),
        (["0"], ["1"]),
        ([None], [1]),
        ([2**70], [2**70 + 1]),
        (0, 1),
        ([[0]], [[1]]),
        ([True], [2]),
        ("0", "1"),
        ({"0": 1}, {"0": 2}),
        ([float("nan")], [float("inf")]),
    ],
)
def test_vector_times_are_integers(start, end):
    data = {"format": FORMAT, "buffers": [{**ONE, "vector_start": start, "vector_end": end}]}
    with pytest.raises(ProblemError) as error:
        problem_from_json(data, "file.json")
    assert str(error.value).startswith("file.json: ")


def test_names_may_be_any_text():
    problem = Problem((Buffer("gpu_0/conv1_w \u00e4 '\"[/x]", 4, 0, 1),), "net\u2028")
    data = json.loads(json.dumps(problem_to_json(problem)))
    assert problem_from_json(data).buffers == problem.buffers
