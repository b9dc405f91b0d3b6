import hashlib

import numpy as np
import pytest

from memonger.errors import InputError
from memonger.graph.sections import sections_of
from memonger.heuristics.arena_schedule import improve
from memonger.instances.arena_families import ARENA_FAMILIES, CHURN_LOAD, MAX_BUFFERS, TILING_SIDE
from memonger.stop import Deadline

DIGESTS = {
    "uniform": "43e88a2b86e0c038",
    "log-uniform": "ccc0182b343eb3f8",
    "zipf": "a617825dd293290b",
    "bimodal": "68f20c0f42c22ab4",
    "guillotine": "31707dab660cd18b",
    "pinwheel": "699e846f2737bc14",
    "churn": "1fb256280e8fbe64",
}


def digest(problem):
    rows = [(b.size, b.start, b.end) for b in problem.buffers]
    return hashlib.sha256(repr(rows).encode()).hexdigest()[:16]


@pytest.mark.parametrize("name", ARENA_FAMILIES)
def test_problems_never_change(name):
    """Recorded: benchmarks speak of these problems on every platform and Python."""
    problem = ARENA_FAMILIES[name](60, 3)
    assert problem.name == f"{name}-60-3"
    assert digest(problem) == DIGESTS[name]
    assert len({digest(ARENA_FAMILIES[name](300, seed)) for seed in range(5)}) == 5


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6, 31, 1000])
@pytest.mark.parametrize("name", ARENA_FAMILIES)
def test_number_of_buffers_is_exact(name, n):
    problem = ARENA_FAMILIES[name](n, 1)
    assert len(problem) == n
    assert all(b.size > 0 for b in problem.buffers)


@pytest.mark.parametrize("n", [1, 7, 40, 500])
@pytest.mark.parametrize("name", ["guillotine", "pinwheel", "churn"])
def test_the_load_is_constant(name, n):
    problem = ARENA_FAMILIES[name](n, 2)
    load = sections_of(problem).load * sections_of(problem).unit
    assert set(load.tolist()) == {CHURN_LOAD if name == "churn" else TILING_SIDE}


def test_small_tilings_are_solved():
    for seed in range(5):
        sections = sections_of(ARENA_FAMILIES["pinwheel"](5, seed))
        *_, offsets = improve(sections, Deadline(5.0))
        assert int((offsets + sections.size).max()) == int(sections.load.max())


def test_sizes_have_the_shapes_that_they_are_named_for():
    sizes = {name: np.sort(ARENA_FAMILIES[name](4000, 0).sizes) for name in ARENA_FAMILIES}
    assert 0.45e6 < sizes["uniform"].mean() < 0.55e6
    assert 2**9 < np.median(sizes["log-uniform"]) < 2**11
    assert 0.08 < (sizes["zipf"] == 64).mean() < 0.15
    assert 0.07 < (sizes["bimodal"] > 100_000).mean() < 0.13


@pytest.mark.parametrize("n", [0, -1, MAX_BUFFERS + 1])
def test_numbers_out_of_range_are_refused(n):
    with pytest.raises(InputError, match=f"1 to 1000000 buffers, not {n}"):
        ARENA_FAMILIES["uniform"](n, 0)
