import copy
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import memonger
from memonger.cli.check import check_plan
from memonger.errors import MemongerError, PlanError
from memonger.instances.plan_json import FORMAT, plan_from_json, plan_to_json
from memonger.problem import Buffer, Problem
from memonger.result import Result, Status
from memonger.solver.solve import solve
from tests.strategies import parallel_problems, problems, problems_of_devices

PROBLEM = Problem((Buffer("a", 8, 0, 2), Buffer("b", 4, 1, 3), Buffer("c", 8, 2, 4)), "three")
PLAN = json.loads(json.dumps(plan_to_json(PROBLEM, solve(PROBLEM, workers=1, seed=3))))


@settings(max_examples=120, deadline=None)
@given(st.one_of(problems(max_size=6), problems_of_devices(max_size=6), parallel_problems()))
def test_round_trip(problem):
    result = solve(problem, workers=1)
    claimed = plan_from_json(json.loads(json.dumps(plan_to_json(problem, result))))
    assert claimed.plan == result.plan
    assert claimed.certificate == result.certificate
    assert (claimed.status, claimed.objective, claimed.bound, claimed.proof) == (
        result.status.value,
        result.objective,
        result.bound,
        result.proof.value,
    )
    assert claimed.problem.name == problem.name
    for one, other in zip(claimed.problem.buffers, problem.buffers, strict=True):
        assert (one.name, one.padded_size, one.start, one.end) == (
            other.name,
            other.padded_size,
            other.start,
            other.end,
        )
    for i in range(len(problem)):
        for j in range(i):
            assert claimed.problem.conflict(i, j) == problem.conflict(i, j)
            same = problem.buffers[i].device == problem.buffers[j].device
            assert (claimed.problem.buffers[i].device == claimed.problem.buffers[j].device) == same
    report = check_plan(claimed)
    assert report["objective"] == result.objective


def test_a_single_device_keeps_its_name():
    problem = Problem((Buffer("a", 8, 0, 2, device="cuda:0"),))
    claimed = plan_from_json(plan_to_json(problem, solve(problem)))
    assert claimed.problem.buffers == problem.buffers


def test_the_format_itself():
    assert {
        "format": "memonger-plan/1",
        "form": "sharing",
        "instance": "three",
        "status": "optimal",
        "objective": 12,
        "bound": 12,
        "proof": "threshold",
        "order": None,
        "buffers": {"a": [8, 0, 2], "b": [4, 1, 3], "c": [8, 2, 4]},
        "sharing": {"a": 0, "b": 1, "c": 0},
        "certificate": PLAN["certificate"],
        "made_by": {
            "version": memonger.__version__,
            "algorithm": "optimal",
            "seed": 3,
            "workers": 1,
        },
    } == PLAN


def test_sizes_are_padded():
    problem = Problem((Buffer("a", 5, 0, 2, alignment=4),))
    assert plan_to_json(problem, solve(problem))["buffers"] == {"a": [8, 0, 2]}


def test_nothing_to_write():
    with pytest.raises(PlanError, match="no plan to write"):
        plan_to_json(PROBLEM, Result(Status.UNKNOWN, "optimal", None, 0, None))


def changed(*path, value):
    """Return the plan with one value changed, or dropped if it is ``...``."""
    data = copy.deepcopy(PLAN)
    at = data
    for key in path[:-1]:
        at = at[key]
    if value is ...:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return data


MALFORMED = [
    None,
    [],
    3,
    {},
    {"format": FORMAT},
    {"format": FORMAT, "form": "sharing"},
    changed("format", value="memonger-plan/2"),
    changed("form", value="arena"),
    *(changed(key, value=...) for key in ("buffers", "sharing", "objective", "bound", "status")),
    changed("buffers", value=[]),
    changed("buffers", value={}),
    changed("buffers", "a", value=...),
    changed("buffers", "a", value=[8, 0]),
    changed("buffers", "a", value=[8, 0, 2, 1]),
    changed("buffers", "a", value=8),
    changed("buffers", "a", value=[8.0, 0, 2]),
    changed("buffers", "a", value=[-8, 0, 2]),
    changed("buffers", "a", value=[8, 2, 2]),
    changed("sharing", value=[0, 1, 0]),
    changed("sharing", value=None),
    changed("sharing", "a", value=...),
    changed("sharing", "a", value=None),
    changed("sharing", "a", value="0"),
    changed("sharing", "a", value=0.0),
    changed("sharing", "a", value=True),
    changed("sharing", "a", value=-1),
    changed("sharing", "d", value=2),
    changed("objective", value=None),
    changed("objective", value="12"),
    changed("objective", value=12.0),
    changed("bound", value=None),
    changed("bound", value=True),
    changed("certificate", value=3),
    changed("certificate", value={}),
    changed("certificate", "witness", value=None),
    changed("devices", value=3),
    changed("devices", value=["a"]),
    {**PLAN, "vector_time": {"a": 3}},
    {**PLAN, "vector_time": {"a": [[0], [1]]}},
    {**PLAN, "vector_time": 3},
]


@pytest.mark.parametrize("data", MALFORMED, ids=range(len(MALFORMED)))
def test_malformed(data):
    """Bad input, in words of the format: none of Python's."""
    with pytest.raises(MemongerError) as error:
        plan_from_json(data, "plan.json")
    assert "\n" not in str(error.value)
    assert str(error.value).startswith("plan.json: ")
    assert not re.search(
        r"Error|object is not|unpack|subscript|attribute|NoneType", str(error.value)
    )
    assert error.value.exit_code == 2


@pytest.mark.parametrize(
    ("data", "message"),
    [
        *(
            (changed(key, value=...), f"'{key}' is missing")
            for key in ("buffers", "sharing", "objective", "bound", "status")
        ),
        (changed("buffers", value=[]), "'buffers' must be an object"),
        (changed("buffers", "a", value=[8, 0]), "buffer 'a' must be [size, start, end]"),
        (changed("buffers", "a", value=[8.5, 0, 2]), "('a'): 'size' must be an integer, got 8.5"),
        (changed("buffers", "a", value=...), "'sharing' places 'a', which is no buffer"),
        (changed("sharing", "a", value=...), "'sharing' does not place 'a'"),
        (changed("sharing", "a", value="0"), "'sharing' of 'a' must be a number"),
        (changed("sharing", value=None), "'sharing' must be an object"),
        (changed("objective", value="12"), "'objective' must be an integer, got '12'"),
        (changed("status", value=None), "'status' must be a string, got None"),
        (changed("certificate", value=3), "'certificate': the certificate is malformed"),
        ({**PLAN, "devices": 3}, "'devices' must be an object"),
        ({**PLAN, "devices": {"x": "cpu"}}, "'devices' speaks of 'x', which is no buffer"),
        ({**PLAN, "devices": {"a": 3}}, "('a'): 'device' must be a string, got 3"),
        ({**PLAN, "vector_time": {"a": 3}}, "'vector_time' of 'a' must be [start, end]"),
        ({**PLAN, "instance": 3}, "'name' must be a string, got 3"),
    ],
)
def test_malformed_plans_name_the_field(data, message):
    with pytest.raises(MemongerError) as error:
        plan_from_json(data, "plan.json")
    assert message in str(error.value)


UNTRUE = [
    (changed("objective", value=11), "costs 12 bytes, 11 are claimed"),
    (changed("objective", value=20), "costs 12 bytes, 20 are claimed"),
    (changed("bound", value=13), "above the cost"),
    (changed("bound", value=11), "'optimal' is claimed"),
    (changed("status", value="proven"), "cannot have the status"),
    (changed("status", value="infeasible"), "cannot have the status"),
    (changed("sharing", "b", value=0), "live at the same time"),
    (changed("sharing", "c", value=2), "costs 20 bytes"),
    (changed("buffers", "b", value=[4, 0, 3]), ""),
    (changed("certificate", "witness", value=[]), "certificate proves 0 bytes"),
    (changed("certificate", "witness", value=[[8, 9], [4, 1]]), "certificate proves 8 bytes"),
    (changed("certificate", "witness", value=[[4, 1], [8, 0]]), "do not descend"),
    (changed("certificate", "witness", value=[[9, 0], [4, 1]]), "certificate proves"),
]


@pytest.mark.parametrize(("data", "message"), UNTRUE, ids=range(len(UNTRUE)))
def test_untrue_claims(data, message):
    claimed = plan_from_json(data)
    if not message:
        assert check_plan(claimed)["certified_bound"] == 12
        return
    with pytest.raises(PlanError, match=message):
        check_plan(claimed)


def test_a_plan_without_certificate_is_valid_and_says_so():
    report = check_plan(plan_from_json({**PLAN, "certificate": None, "proof": "cp-sat"}))
    assert report["certificate"] is False
    assert report["certified_bound"] is None
