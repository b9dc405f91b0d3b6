from hypothesis import given
from hypothesis import strategies as st

from memonger.graph.profile import Peak, load, peak, size_profile
from memonger.problem import Buffer, Problem


@st.composite
def problems(draw):
    count = draw(st.integers(0, 12))
    buffers = []
    for index in range(count):
        start = draw(st.integers(0, 12))
        end = start + draw(st.integers(1, 8))
        size = draw(st.sampled_from([0, 1, 3, 3, 8, 10, 100, 2**40]))
        alignment = draw(st.sampled_from([1, 1, 1, 8]))
        buffers.append(Buffer(f"b{index}", size, start, end, alignment))
    return Problem(tuple(buffers))


def live(problem, time, at_least=1):
    return [b for b in problem.buffers if b.start <= time < b.end and b.padded_size >= at_least]


def moments(problem):
    return range(max((b.end for b in problem.buffers), default=0) + 1)


@given(problems())
def test_the_load_is_the_sum_of_what_is_live(problem):
    times, bytes_live = load(problem)
    change = dict(zip(times.tolist(), bytes_live.tolist(), strict=True))
    current = 0
    for time in moments(problem):
        current = change.get(time, current)
        assert current == sum(b.padded_size for b in live(problem, time))
    assert current == 0


@given(problems())
def test_the_peak_is_the_first_largest_load(problem):
    found = peak(problem)
    loads = [sum(b.padded_size for b in live(problem, time)) for time in moments(problem)]
    assert found.bytes == max(loads)
    if len(problem):
        first = min(b.start for b in problem.buffers)
        assert found.time == max(first, loads.index(max(loads)))


@given(problems())
def test_the_size_profile_counts_what_is_live_of_each_size(problem):
    found = size_profile(problem)
    sizes = sorted({b.padded_size for b in problem.buffers} - {0}, reverse=True)
    assert found.sizes.tolist() == sizes
    counts = [max(len(live(problem, t, size)) for t in moments(problem)) for size in sizes]
    assert found.counts.tolist() == counts
    for size, count, time in zip(sizes, counts, found.times.tolist(), strict=True):
        assert len(live(problem, time, size)) == count


@given(problems())
def test_the_threshold_bound_is_between_the_peak_and_the_total(problem):
    assert peak(problem).bytes <= size_profile(problem).bound <= problem.total


def test_a_problem_without_buffers_needs_nothing():
    assert peak(Problem(())) == Peak(0, 0)
    assert size_profile(Problem(())).bound == 0


def test_live_ranges_are_half_open():
    problem = Problem((Buffer("a", 8, 0, 2), Buffer("b", 4, 2, 3)))
    assert peak(problem) == Peak(8, 0)
    assert size_profile(problem).counts.tolist() == [1, 1]
