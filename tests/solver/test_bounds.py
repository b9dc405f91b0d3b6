import numpy as np
from hypothesis import given, settings

from memonger.graph.profile import Peak, load, peak, size_profile
from memonger.problem import Buffer, Problem
from memonger.solver.bounds import threshold_bound
from tests import oracles
from tests.strategies import problems


@settings(max_examples=150, deadline=None)
@given(problems())
def test_size_profile(problem):
    profile = size_profile(problem)
    assert profile.sizes.tolist() == sorted({s for s in problem.sizes.tolist() if s}, reverse=True)
    for size, count, time in zip(profile.sizes, profile.counts, profile.times, strict=True):
        depth = [
            sum(b.padded_size >= size and b.start <= t < b.end for b in problem.buffers)
            for t in range(10)
        ]
        assert count == max(depth)
        assert depth[time] == count
    assert profile.bound == oracles.threshold_bound(problem) == threshold_bound(problem)[0]


@settings(max_examples=100, deadline=None)
@given(problems())
def test_load_and_peak(problem):
    def live(time):
        return sum(b.padded_size for b in problem.buffers if b.start <= time < b.end)

    times, bytes_live = load(problem)
    for time, size in zip(times.tolist(), bytes_live.tolist(), strict=True):
        assert size == live(time)
    top = peak(problem)
    assert top.bytes == max([live(t) for t in range(10)], default=0)
    assert live(top.time) == top.bytes
    assert not any(live(time) == top.bytes for time in times.tolist() if time < top.time)
    assert top.bytes <= threshold_bound(problem)[0] <= problem.total


def test_nothing_to_plan():
    empty = Problem(())
    assert peak(empty) == Peak(0, 0)
    assert threshold_bound(empty)[0] == 0
    assert size_profile(empty).bound == 0
    times, live = load(empty)
    assert len(times) == len(live) == 0


def test_sums_stay_exact_below_the_limit():
    size = 2**58 + 1
    problem = Problem(tuple(Buffer(f"b{i}", size, 0, 1) for i in range(15)))
    assert threshold_bound(problem)[0] == 15 * size == peak(problem).bytes


def test_a_long_problem():
    """Ten thousand ranges and as many sizes: the tree against the sorted ends."""
    rng = np.random.default_rng(1)
    starts = rng.integers(0, 5000, 10_000)
    lengths = rng.integers(1, 50, 10_000)
    buffers = tuple(
        Buffer(f"b{i}", i + 1, int(s), int(s + length))
        for i, (s, length) in enumerate(zip(starts, lengths, strict=True))
    )
    profile = size_profile(Problem(buffers))
    assert len(profile.sizes) == 10_000
    assert (np.diff(profile.counts) >= 0).all()
    change = np.zeros(5100, dtype=np.int64)
    np.add.at(change, starts, 1)
    np.subtract.at(change, starts + lengths, 1)
    assert profile.counts[-1] == np.cumsum(change).max()
