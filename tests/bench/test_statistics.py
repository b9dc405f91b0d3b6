import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from memonger.bench.statistics import (
    compare,
    holm,
    performance_profile,
    primal_integral,
    shifted_geometric_mean,
)


def test_the_shifted_geometric_mean():
    assert shifted_geometric_mean([1, 3, 9], 0.0) == pytest.approx(3.0)
    assert shifted_geometric_mean([7], 10.0) == pytest.approx(7.0)
    assert math.isnan(shifted_geometric_mean([], 1.0))


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_the_mean_lies_between(values):
    mean = shifted_geometric_mean(values, 1.0)
    assert min(values) - 1e-6 * (1 + max(values)) <= mean <= max(values) * (1 + 1e-9) + 1e-6


def test_a_profile_counts_what_is_not_solved():
    profile = performance_profile({"a": [1, math.inf, 0, math.inf], "b": [3, 4, 0, math.inf]})
    assert profile == {"a": ([1.0], [0.5]), "b": ([1.0, 3.0], [0.5, 0.75])}


def test_the_integral_of_a_run_by_pieces():
    # 1 until 2 s, then (40 - 10) / 40 until 4 s, then nothing is missing.
    history = [(1.0, None, 5), (2.0, 40, 5), (4.0, 10, 5), (9.0, 5, 5)]
    assert primal_integral(history, 10, 8.0) == pytest.approx(2 + 2 * 0.75)
    assert primal_integral([], 10, 8.0) == 8.0
    assert primal_integral([(0.0, 0, 0)], 0, 8.0) == 0.0


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=30))
def test_a_comparison_is_that_of_scipy_and_antisymmetric(values):
    found, mirrored = compare(values), compare([-value for value in values])
    assert (found.better, found.worse) == (mirrored.worse, mirrored.better)
    assert found.effect == pytest.approx(-mirrored.effect)
    assert -1 <= found.effect <= 1
    assert 0 < found.p <= 1
    unequal = [value for value in values if value]
    if unequal and len({abs(value) for value in unequal}) == len(unequal):
        assert found.p == pytest.approx(stats.wilcoxon(unequal, method="exact").pvalue)


def test_nothing_differs():
    found = compare([0.0, 0.0])
    assert (found.pairs, found.better, found.worse, found.p, found.effect) == (2, 0, 0, 1.0, 0.0)
    assert compare([]).p == 1.0


def test_holm_never_exceeds_one_and_keeps_the_order():
    assert holm([]) == []
    assert holm([0.9, 0.8, 0.001]) == pytest.approx([1.0, 1.0, 0.003])
