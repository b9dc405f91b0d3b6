import json
import random

import pytest
from ortools.sat.python import cp_model

from memonger.errors import InputError
from memonger.instances.generators import generated
from memonger.parameters import (
    DEFAULTS,
    SPACES,
    Parameters,
    declare,
    parameters_from_json,
    parameters_to_json,
)
from memonger.plan import SharingPlan
from memonger.problem import Buffer, Problem
from memonger.registry import SHARING, Algorithm, Outcome
from memonger.result import Status
from memonger.solver.cpsat import run_cpsat
from memonger.solver.solve import solve


def drawn(rng):
    """Return values of all parameters, anywhere in their ranges."""
    return Parameters(
        {
            f"{space.target}.{p.name}": rng.randint(p.low, p.high)
            if p.integer
            else rng.uniform(p.low, p.high)
            for space in SPACES.values()
            for p in space.parameters.values()
        }
    )


def test_defaults_lie_in_their_ranges():
    assert set(SPACES) == {"kernel", "relaxation", "lns", "cp-sat"}
    for space in SPACES.values():
        for parameter in space.parameters.values():
            assert parameter.low <= parameter.default <= parameter.high
            assert not parameter.log or parameter.low > 0
    with pytest.raises(ValueError, match="declared already"):
        declare("kernel")


@pytest.mark.parametrize("seed", range(6))
def test_files(seed):
    parameters = drawn(random.Random(seed))
    data = json.loads(json.dumps(parameters_to_json(parameters, {"why": "a test"})))
    assert parameters_from_json(data) == parameters
    assert parameters_from_json(parameters_to_json(DEFAULTS, {})) == DEFAULTS


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "expected the format"),
        ({"format": "memonger-parameters/1"}, "'values' must be an object"),
        ({"kernel.dive": 3}, "no parameter 'kernel.dive'; known: "),
        ({"kernel.dives": 2.5}, "'kernel.dives' must be an integer, got 2.5"),
        ({"kernel.dives": True}, "must be an integer"),
        ({"kernel.dives": 0}, "must be from 1 to 24, got 0"),
        ({"kernel.patience": "much"}, "must be a number"),
        ({"kernel.patience": float("nan")}, "must be from"),
    ],
)
def test_what_is_none(data, message):
    if isinstance(data, dict) and "format" not in data:
        data = {"format": "memonger-parameters/1", "values": data}
    with pytest.raises(InputError) as error:
        parameters_from_json(data, "p.json")
    assert message in str(error.value)
    assert str(error.value).startswith("p.json: ")


def test_they_reach_algorithms_and_cp_sat():
    seen = []

    def run(problem, run):
        seen.append(run.parameters)
        return Outcome(SharingPlan(tuple(range(len(problem)))))

    SHARING.add(Algorithm("mine", "for a test", run))
    try:
        given = drawn(random.Random(3))
        devices = tuple(Buffer(d, 4, 0, 1, device=d) for d in "xy")
        solve(Problem(devices), "mine", parameters=given)
    finally:
        del SHARING._algorithms["mine"]
    assert seen == [given, given]
    tuned = Parameters({"cp-sat.linearization_level": 2, "cp-sat.symmetry_level": 0})
    model = cp_model.CpModel()
    model.minimize(model.new_int_var(1, 3, "x"))
    solved = run_cpsat(model, seconds=10, workers=1, seed=0, tuned=tuned)
    set_to = solved.solver.parameters
    assert (set_to.linearization_level, set_to.symmetry_level) == (2, 0)
    assert set_to.cp_model_probing_level == SPACES["cp-sat"]["cp_model_probing_level"].default


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("name", "form"),
    [("pinwheel-30", "arena"), ("churn-40", "arena"), ("heavy-60", "sharing"),
     ("random-60", "sharing")],
)  # fmt: skip
def test_they_do_not_change_what_is_proven(name, form, seed):
    problem = generated(name)
    expected = solve(problem, form=form, workers=1, time_limit=60)
    actual = solve(
        problem, form=form, workers=1, time_limit=60, parameters=drawn(random.Random(seed))
    )
    assert expected.status is actual.status is Status.OPTIMAL
    assert expected.objective == actual.objective
