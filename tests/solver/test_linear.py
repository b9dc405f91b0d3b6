"""The linear programming solver behind its one door."""

import threading
import time

import numpy as np
import pytest
from scipy import sparse

from memonger.solver import linear
from memonger.solver.linear import LpStatus, run_lp

INF = float("inf")


def solved(cost, rows, right, low=None, high=None, seconds=INF):
    count = len(cost)
    return run_lp(
        np.array(cost, dtype=float),
        sparse.csr_matrix(np.array(rows, dtype=float)),
        np.array(right, dtype=float),
        np.zeros(count) if low is None else np.array(low, dtype=float),
        np.full(count, np.inf) if high is None else np.array(high, dtype=float),
        seconds,
    )


def test_solved():
    """x + y = 4, y - z = 1: as little as possible of the expensive x and z."""
    found = solved([3, 1, 2], [[1, 1, 0], [0, 1, -1]], [4, 1], high=[INF, 3, INF])
    assert found.status is LpStatus.SOLVED
    assert found.values == pytest.approx([3, 1, 0])


def test_bounds_on_both_sides():
    found = solved([1, 1], [[1, -1]], [2], low=[0, 1.5], high=[9, 9])
    assert found.status is LpStatus.SOLVED
    assert found.values == pytest.approx([3.5, 1.5])


def test_duals_are_what_the_objective_gains():
    """Where a right-hand side gains one; on vertices that do not change."""
    cost, rows, right = [3.0, 1.0, 2.0, 0.5], [[1, 1, 0, 0], [0, 1, -1, 1]], [4.0, 1.0]
    high = [INF, 2.5, INF, 0.25]
    found = solved(cost, rows, right, high=high)
    before = np.dot(cost, found.values)
    assert len(found.duals) == 2
    for row in range(2):
        more = list(right)
        more[row] += 0.125
        after = np.dot(cost, solved(cost, rows, more, high=high).values)
        assert (after - before) / 0.125 == pytest.approx(found.duals[row])


def test_infeasible():
    found = solved([1, 1], [[1, 1], [1, 1]], [2, 3])
    assert found.status is LpStatus.INFEASIBLE
    assert len(found.values) == len(found.duals) == 0
    assert solved([1], [[1]], [5], high=[4]).status is LpStatus.INFEASIBLE


def test_no_least_value_is_unknown():
    found = solved([-1, 0], [[1, -1]], [0])
    assert found.status is LpStatus.UNKNOWN
    assert len(found.values) == len(found.duals) == 0


@pytest.mark.parametrize(
    ("seconds", "options"), [(INF, {}), (5.0, {"time_limit": 5.0}), (0.0, {"time_limit": 0.1})]
)
def test_the_solver_is_told_the_time_limit(monkeypatch, seconds, options):
    told = []

    def record(*_, **given):
        told.append(given["options"])
        raise ZeroDivisionError

    monkeypatch.setattr(linear, "linprog", record)
    with pytest.raises(ZeroDivisionError):  # raised in the caller's thread
        solved([1], [[1]], [1], seconds=seconds)
    assert told == [options]


def test_a_run_past_its_limit_is_given_up(monkeypatch):
    """HiGHS does that where the limit comes before its crossover begins."""
    end = threading.Event()
    monkeypatch.setattr(linear, "linprog", lambda *_, **__: end.wait(60.0))
    monkeypatch.setattr(linear, "GRACE", 0.0)
    found = solved([1], [[1]], [1], seconds=0.1)
    assert not end.is_set()
    end.set()
    assert found.status is LpStatus.UNKNOWN
    assert len(found.values) == len(found.duals) == 0


def test_without_a_limit_it_is_waited_for(monkeypatch):
    real = linear.linprog

    def slow(*given, **options):
        time.sleep(0.5)
        return real(*given, **options)

    monkeypatch.setattr(linear, "linprog", slow)
    monkeypatch.setattr(linear, "GRACE", 0.0)
    assert solved([1], [[1]], [1]).status is LpStatus.SOLVED
    assert solved([1], [[1]], [1], seconds=30.0).status is LpStatus.SOLVED
