"""What does not change the optimum, or changes it one way only, on problems past brute force."""

import random
from collections import Counter

import pytest

from memonger.problem import Buffer, Problem
from memonger.result import Proof, Status
from memonger.solver.solve import solve
from tests import oracles


def random_rows(rng):
    """Return (size, start, end) of 9 to 22 buffers of few sizes or many."""
    count = rng.randint(9, 22)
    kinds = rng.choice((3, 4, 6, count))
    sizes = [rng.choice((rng.randint(1, 9), rng.randint(1, 99))) for _ in range(kinds)]
    horizon = rng.choice((count // 2, count, 2 * count))
    longest = max(2, horizon // 3)
    starts = [rng.randrange(horizon) for _ in range(count)]
    return [(rng.choice(sizes), start, start + rng.randint(1, longest)) for start in starts]


def threshold_of(rows):
    return oracles.threshold_bound(problem_of(rows))


def problem_of(rows, device=""):
    return Problem(tuple(Buffer(f"b{i}", *row, device=device) for i, row in enumerate(rows)))


def optimum(rows, device=""):
    problem = problem_of(rows, device)
    result = solve(problem, workers=1)
    assert result.status is Status.OPTIMAL
    assert oracles.is_valid(problem, result.plan.shared)
    assert result.objective == oracles.cost_of(problem, result.plan.shared)
    return result


@pytest.fixture(scope="module")
def cases():
    """Return rows with their optimum: most of them such that the threshold bound is below it."""
    rng = random.Random(2)
    found, proofs = [], Counter()
    while len(found) < 24:
        rows = random_rows(rng)
        result = optimum(rows)
        if result.proof is not Proof.THRESHOLD or len(found) % 4 == 0:
            found.append((rows, result.objective))
            proofs[result.proof] += 1
    assert proofs[Proof.LP_DUAL] > 10
    return found


def shuffled(rng, rows):
    return rng.sample(rows, len(rows))


def later(rng, rows):
    by = rng.randint(1, 2**40)
    return [(size, start + by, end + by) for size, start, end in rows]


def slower(rng, rows):
    by = rng.randint(2, 2**40)
    return [(size, start * by, end * by) for size, start, end in rows]


def unevenly(rng, rows):
    """Time goes by in steps of any length; its order stays."""
    times = [0]
    for _ in range(max(end for _, _, end in rows)):
        times.append(times[-1] + rng.randint(1, 9))
    return [(size, times[start], times[end]) for size, start, end in rows]


def backwards(_, rows):
    last = max(end for _, _, end in rows)
    return [(size, last - end, last - start) for size, start, end in rows]


def with_empty_buffers(rng, rows):
    last = max(end for _, _, end in rows)
    starts = [rng.randrange(last) for _ in range(4)]
    return shuffled(rng, [*rows, *((0, start, start + 3) for start in starts)])


def with_one_that_always_fits(rng, rows):
    """A byte where nothing else is live: after the end."""
    last = max(end for _, _, end in rows)
    return shuffled(rng, [*rows, (1, last, last + 2)])


@pytest.mark.parametrize(
    "change",
    [
        shuffled, later, slower, unevenly, backwards, with_empty_buffers,
        with_one_that_always_fits,
    ],
    ids=lambda change: change.__name__,
)  # fmt: skip
def test_the_optimum_stays(cases, change):
    rng = random.Random(change.__name__)
    for rows, best in cases:
        assert optimum(change(rng, rows)).objective == best


def test_the_optimum_grows_with_the_sizes(cases):
    rng = random.Random(3)
    for rows, best in cases:
        by = rng.choice((2, 1000, 10**9 + 7, 2**30))
        assert optimum([(size * by, *live) for size, *live in rows]).objective == best * by


def test_a_device_is_a_name(cases):
    for rows, best in cases[:6]:
        assert optimum(rows, "cuda:0").objective == best


def test_devices_add_up(cases):
    for (one, best), (other, second) in zip(cases[::4], cases[1::4], strict=True):
        buffers = [Buffer(f"a{i}", *row, device="x") for i, row in enumerate(one)]
        buffers += [Buffer(f"b{i}", *row, device="y") for i, row in enumerate(other)]
        assert solve(Problem(tuple(buffers)), workers=1).objective == best + second


def test_one_after_the_other_costs_no_less_than_each(cases):
    """And no more than both: shared buffers of one are free for the other."""
    for (one, best), (other, second) in zip(cases[::3], cases[1::3], strict=True):
        last = max(end for _, _, end in one)
        joined = [*one, *((size, start + last, end + last) for size, start, end in other)]
        assert max(best, second) <= optimum(joined).objective <= best + second


def test_the_same_twice_at_once_costs_twice_as_much_at_most(cases):
    for rows, best in cases[::3]:
        both = optimum([*rows, *rows]).objective
        assert max(best, 2 * threshold_of(rows)) <= both <= 2 * best


def test_less_to_hold_never_costs_more(cases):
    """A buffer less, a shorter life, a smaller size."""
    rng = random.Random(5)
    for rows, best in cases:
        index = rng.randrange(len(rows))
        size, start, end = rows[index]
        changed = [
            [*rows[:index], *rows[index + 1 :]],
            [*rows[:index], (size, start, rng.randint(start + 1, end)), *rows[index + 1 :]],
            [*rows[:index], (rng.randint(0, size), start, end), *rows[index + 1 :]],
        ]
        for less in changed:
            found = optimum(less).objective
            assert best - size <= found <= best
