import pytest
from ortools.sat.python import cp_model

from memonger.result import Status
from memonger.solver.cpsat import run_cpsat


def knapsack(count=12):
    """Return a model that takes some search: numbers that must not add up to much less."""
    model = cp_model.CpModel()
    flags = [model.new_bool_var(f"x{i}") for i in range(count)]
    weights = [37 + 13 * i % 29 + i for i in range(count)]
    model.add(sum(w * x for w, x in zip(weights, flags, strict=True)) >= sum(weights) // 2)
    model.minimize(
        sum((w + i % 3) * x for i, (w, x) in enumerate(zip(weights, flags, strict=True)))
    )
    return model


def test_optimal():
    model = cp_model.CpModel()
    x = model.new_int_var(0, 10, "x")
    model.add(2 * x >= 7)
    model.minimize(3 * x)
    answer = run_cpsat(model, seconds=10.0, workers=1, seed=0)
    assert answer.status is Status.OPTIMAL
    assert answer.bound == 12
    assert answer.solver.value(x) == 4
    assert answer.seconds >= 0
    assert answer.log == ""


def test_infeasible():
    model = cp_model.CpModel()
    x = model.new_int_var(0, 10, "x")
    model.add(x >= 11)
    model.minimize(x)
    answer = run_cpsat(model, seconds=10.0, workers=1, seed=0)
    assert answer.status is Status.INFEASIBLE
    assert answer.bound == 0


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_no_time_is_unknown_not_infeasible(seconds):
    answer = run_cpsat(knapsack(), seconds=seconds, workers=1, seed=0)
    assert answer.status in (Status.UNKNOWN, Status.FEASIBLE)
    assert isinstance(answer.bound, int)
    best = run_cpsat(knapsack(), seconds=float("inf"), workers=1, seed=0)
    assert answer.bound <= best.bound


def test_no_time_for_an_infeasible_model():
    model = cp_model.CpModel()
    x = model.new_int_var(0, 10, "x")
    model.add(x >= 11)
    model.minimize(x)
    answer = run_cpsat(model, seconds=0.0, workers=1, seed=0)
    assert answer.status in (Status.UNKNOWN, Status.INFEASIBLE)


def test_invalid_models_are_a_mistake():
    model = cp_model.CpModel()
    x = model.new_int_var(0, 2**62, "x")
    y = model.new_int_var(0, 2**62, "y")
    model.add(2**40 * x + 2**40 * y >= 1)
    with pytest.raises(RuntimeError, match="invalid"):
        run_cpsat(model, seconds=1.0, workers=1, seed=0)


def test_callbacks_report_bounds_and_objectives():
    bounds, objectives = [], []
    answer = run_cpsat(
        knapsack(40),
        seconds=20.0,
        workers=1,
        seed=0,
        on_bound=bounds.append,
        on_objective=objectives.append,
    )
    assert objectives == sorted(objectives, reverse=True)
    assert bounds == sorted(bounds)
    assert objectives
    assert bounds
    assert all(type(value) is int for value in (*bounds, *objectives))
    assert bounds[-1] <= answer.bound <= objectives[-1]


@pytest.mark.parametrize("seed", [0, 1, 2**31, 2**63])
def test_one_worker_is_deterministic(seed):
    runs = []
    for _ in range(2):
        model = knapsack(20)
        answer = run_cpsat(model, seconds=20.0, workers=1, seed=seed)
        runs.append([answer.solver.value(model.get_int_var_from_proto_index(i)) for i in range(20)])
    assert runs[0] == runs[1]


def test_log_on_request(capfd):
    answer = run_cpsat(knapsack(), seconds=10.0, workers=1, seed=0, keep_log=True)
    assert "CpSolverResponse" in answer.log
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""
