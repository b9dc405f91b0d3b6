"""Certificates of prices: sound whatever the prices, and the same to an independent checker."""

import json
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memonger.certificate import (
    FORMAT,
    DeviceCertificate,
    certificate_from_json,
    certificate_to_json,
)
from memonger.errors import PlanError
from memonger.graph.cliques import compress
from memonger.lp_dual import LpDualCertificate
from memonger.problem import Buffer, Problem
from memonger.solver.bounds import threshold_bound
from memonger.solver.presolve import allowed_pairs, gap_fixing
from memonger.solver.relaxation import keys, relax
from tests import oracles
from tests.solver.test_in_place import random_in_place
from tests.stand_alone import own_bound, stand_alone_bound
from tests.strategies import parallel_problems, problems, problems_of_devices, random_problem

# b is live with a and with c: 12 bytes, by the threshold bound too.
TINY = Problem((Buffer("a", 8, 0, 2), Buffer("b", 4, 1, 3), Buffer("c", 8, 2, 4)))


def bounds(certificate, problem):
    """Return the bound that memonger and the stand-alone checker agree on; ``None``: refused."""
    data = json.loads(json.dumps(certificate))
    own, other = own_bound(data, problem), stand_alone_bound(data, problem)
    assert own == other, (data, problem)
    return own


def as_json(scale, prices, below=None, rents=()):
    return certificate_to_json(LpDualCertificate(scale, tuple(prices), below, tuple(rents)))


def positive_sizes(problem):
    return sorted({size for size in problem.sizes.tolist() if size}, reverse=True)


def random_certificate(rng, problem, best):
    """Return a certificate with random prices, valid as a rule, far from tight as a rule."""
    sizes = positive_sizes(problem)
    scale = rng.choice((1, 2, 3, 10, 64))
    horizon = int(problem.ends.max())
    prices, sums = [], Counter()
    for _ in range(rng.randint(0, 12) if sizes else 0):
        size = rng.choice(sizes)
        # At times where something starts, mostly: there a price is of use.
        time = rng.choice([*problem.starts.tolist(), rng.randrange(horizon + 2)])
        room = scale * size - sums[size]
        price = rng.randint(1, max(1, rng.choice((room, room // 2, scale * size))))
        prices.append((size, time, price))
        sums[size] += price
    if rng.random() < 0.3:
        return as_json(scale, prices)
    below = rng.randint(min(oracles.threshold_bound(problem), best) - 1, best + 6)
    rents = [
        (size, sums[size] + rng.choice((0, 0, rng.randint(-1, scale * size))))
        for size in sizes
        if rng.random() < 0.6
    ]
    return as_json(scale, prices, below, rents)


def relaxed(problem, cost, nearest=99):
    """Return the certificate of the relaxation for plans that cost at most ``cost``, and its bound.

    Over the columns of the ``nearest`` classes of each buffer. The bound is worked out by memonger
    and by the checker.
    """
    core = problem.subproblem([i for i, b in enumerate(problem.buffers) if b.size > 0])
    groups = compress(core)
    limits = gap_fixing(groups, cost)
    pairs = allowed_pairs(groups, limits)
    columns = keys(groups, pairs)[groups.level[pairs.group] - pairs.kind < nearest]
    part = relax(groups, limits, columns, cost + 1, 60.0)
    if part is None:  # the columns leave no plan
        return None, None
    data = certificate_to_json(part.certificate)
    return data, bounds(data, problem)


@pytest.mark.parametrize("seed", range(4))
def test_no_random_prices_prove_more_than_the_optimum(seed):
    rng = random.Random(seed)
    seen = Counter()
    for _ in range(250):
        problem = random_problem(rng, rng.randint(1, 7), horizon=rng.choice((4, 8)), largest=6)
        best = oracles.optimum(problem)
        for _ in range(6):
            bound = bounds(random_certificate(rng, problem, best), problem)
            seen["refused" if bound is None else "tight" if bound == best else "loose"] += 1
            assert bound is None or bound <= best
    assert min(seen.values()) > 50  # all that can become of a certificate has


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_no_drawn_prices_prove_more_than_the_optimum(data):
    problem = data.draw(st.one_of(problems(max_size=6), problems(max_size=6, sizes=st.just(3))))
    sizes = st.sampled_from([*positive_sizes(problem), 0, 7])
    numbers = st.one_of(st.integers(-2, 40), st.integers(0, 2**70))
    prices = data.draw(st.lists(st.tuples(sizes, st.integers(-1, 9), numbers), max_size=8))
    rents = data.draw(st.lists(st.tuples(sizes, numbers), max_size=4))
    below = data.draw(st.one_of(st.none(), st.integers(-3, problem.total + 3), numbers))
    scale = data.draw(st.one_of(st.integers(-1, 4), st.just(2**20)))
    bound = bounds(as_json(scale, prices, below, rents), problem)
    assert bound is None or bound <= oracles.optimum(problem)


def loose_problems(seed, wanted):
    """Return random problems whose threshold bound is below the optimum, with it."""
    rng = random.Random(seed)
    found = []
    while len(found) < wanted:
        problem = random_problem(rng, 8, largest=rng.choice((4, 12)))
        best = oracles.optimum(problem)
        if oracles.threshold_bound(problem) < best:
            found.append((problem, best))
    return found


@pytest.mark.parametrize("seed", range(3))
def test_prices_of_the_relaxation(seed):
    """Where the threshold bound is loose they prove the optimum of nearly all tiny problems."""
    tight = 0
    for problem, best in loose_problems(seed, 12):
        for cost in (best, best + 1, best + 5, problem.total):
            bound = relaxed(problem, cost)[1]
            assert bound <= best
            tight += bound == best
    assert tight > 40


def changes(rng, data):
    """Return a certificate with one change somewhere; it may prove as much, less, or nothing."""
    data = json.loads(json.dumps(data))
    rows = data["y"] if rng.random() < 0.6 or not data["rents"] else data["rents"]
    if rows and rng.random() < 0.8:
        row = rng.choice(rows)
        column = rng.randrange(len(row))
        row[column] += rng.choice((-1, 1, -4, 5, row[column], -row[column], data["scale"]))
    else:
        key = rng.choice(("scale", "below"))
        data[key] += rng.choice((-1, 1, -3, 4, data[key], -data[key]))
    return data


@pytest.mark.parametrize("seed", range(6))
def test_changed_prices_of_the_relaxation_never_prove_more_than_the_optimum(seed):
    """From a bound that is tight each change could prove too much."""
    rng = random.Random(seed)
    seen = Counter()
    for problem, best in loose_problems(seed, 8):
        start = relaxed(problem, best + rng.choice((0, 1, 4)))[0]
        for _ in range(60):
            data = changes(rng, start)
            if rng.random() < 0.3:
                data = changes(rng, data)
            bound = bounds(data, problem)
            seen["refused" if bound is None else "tight" if bound == best else "loose"] += 1
            assert bound is None or bound <= best
    assert min(seen.values()) > 20
    assert len(seen) == 3


@pytest.mark.parametrize(("seed", "below"), [(0, 0), (1, 1), (2, 3)])
def test_limits_are_for_plans_that_cost_less_than_below(seed, below):
    """A certificate with ``below`` says nothing of plans that cost as much."""
    for problem, best in loose_problems(seed, 10):
        data = relaxed(problem, best + below)[0]
        for lower in (best, best - 1, 0):
            bound = bounds({**data, "below": lower}, problem)
            assert bound <= lower
        threshold = oracles.threshold_bound(problem)
        assert bounds({**data, "below": threshold}, problem) == threshold


def test_bound_by_hand():
    """Price 8 of the large class where a and b are live, 4 of the small one: b pays at least 4."""
    assert bounds(as_json(1, []), TINY) == 0
    assert bounds(as_json(1, [(8, 1, 8), (4, 1, 4)]), TINY) == 12
    assert bounds(as_json(2, [(8, 1, 8), (4, 1, 8)]), TINY) == 8  # in halves of a byte
    assert bounds(as_json(2, [(8, 1, 16), (4, 1, 8)]), TINY) == 12
    assert bounds(as_json(2, [(8, 1, 16), (4, 1, 1)]), TINY) == 12  # 17 / 2, to a multiple of 4
    assert bounds(as_json(1, [(8, 1, 4), (8, 1, 4), (4, 1, 4)]), TINY) == 12  # a time twice
    assert bounds(as_json(1, [(8, 1, 9)]), TINY) is None  # more than the size
    # With limits it may be more: (8 - 4 - 9) M_1 + 4 M_2 >= -5 * 2 + 4 * 2, and a pays 9.
    assert bounds(as_json(1, [(8, 1, 9)], 99), TINY) == 8
    assert bounds(as_json(1, [(8, 9, 8)]), TINY) == 0  # a time at which nothing is live
    for size in (0, 5, 16, -8):
        assert bounds(as_json(1, [(size, 1, 1)]), TINY) is None


def test_bound_with_rents_by_hand():
    """Without prices it is that of the threshold; rents count M_k at the cheaper of its limits."""
    assert bounds(as_json(1, [], 13), TINY) == 12
    assert bounds(as_json(1, [], 12), TINY) == 12
    assert bounds(as_json(1, [], 11), TINY) == 11
    # At most 16 bytes: 1 <= M_1 <= 2, 2 <= M_2 <= 3. A rent of 8 for 8 bytes, of 5 for 4:
    # (8 - 4 - 8 + 5) M_1 + (4 - 5) M_2 >= 1 - 3.
    assert bounds(as_json(1, [], 17, [(8, 8), (4, 5)]), TINY) == 0
    assert bounds(as_json(1, [(8, 1, 8), (4, 1, 4)], 17, [(8, 8), (4, 4)]), TINY) == 12
    assert bounds(as_json(1, [(8, 1, 8), (4, 1, 4)], 17, [(8, 7)]), TINY) is None
    assert bounds(as_json(1, [(8, 1, 8), (4, 1, 4)], 17, [(4, 3)]), TINY) is None
    assert bounds(as_json(1, [], 17, [(5, 9)]), TINY) is None
    assert bounds(as_json(1, [], 12, [(4, -1)]), TINY) is None  # needed or not


@pytest.mark.parametrize("problem", [Problem(()), Problem((Buffer("a", 0, 0, 3),))])
def test_nothing_to_plan(problem):
    assert bounds(as_json(1, []), problem) == 0
    assert bounds(as_json(1, [], 5), problem) == 0
    assert bounds(as_json(1, [], 0), problem) == 0
    assert bounds(as_json(1, [(4, 0, 1)]), problem) is None
    assert bounds(as_json(1, [], 5, [(4, 1)]), problem) is None


def test_sizes_are_those_after_alignment():
    problem = Problem((Buffer("a", 3, 0, 2, alignment=4), Buffer("b", 8, 1, 3)))
    assert bounds(as_json(1, [(8, 1, 8), (4, 1, 4)]), problem) == 12
    assert bounds(as_json(1, [(3, 1, 3)]), problem) is None


def test_identical_buffers_pay_each():
    problem = Problem(tuple(Buffer(f"b{i}", 4, 0, 2) for i in range(5)))
    assert bounds(as_json(1, [(4, 1, 4)]), problem) == 20
    assert bounds(as_json(3, [(4, 1, 7)]), problem) == 12  # 35 / 3, to a multiple of 4


def test_numbers_beyond_those_of_a_machine():
    """Sums and prices beyond 2^63 are exact, times are below 2^62."""
    size = 2**59 + 1
    problem = Problem((Buffer("a", size, 0, 2), Buffer("b", size, 1, 2**61)))
    assert bounds(as_json(1, [(size, 1, size)]), problem) == 2 * size
    scale = 2**80
    assert bounds(as_json(scale, [(size, 1, scale * size)]), problem) == 2 * size
    assert bounds(as_json(scale, [(size, 1, scale * size)], 2**90), problem) == 2 * size
    assert bounds(as_json(scale, [(size, 1, scale * size)], -(2**90)), problem) <= 0
    assert bounds(as_json(scale, [(size, 1, scale * size + 1)]), problem) is None
    assert bounds(as_json(1, [(size, 2**70, 1)]), problem) is None
    assert bounds(as_json(1, [(2**70, 1, 1)]), problem) is None
    assert bounds(as_json(1, [(size, 1, 1)], 2**90, [(size, 2**90)]), problem) == 0


NOT_INTEGERS = (True, False, 1.0, 0.5, "1", None, [1], {}, float("nan"), float("inf"), 1e300)


@pytest.mark.parametrize("value", NOT_INTEGERS, ids=repr)
def test_only_integers(value):
    good = as_json(1, [(8, 1, 8), (4, 1, 4)], 17, [(8, 8), (4, 4)])
    assert bounds(good, TINY) == 12
    for key, row, column in [
        ("y", 0, 0),
        ("y", 1, 1),
        ("y", 0, 2),
        ("rents", 0, 0),
        ("rents", 1, 1),
    ]:
        bad = json.loads(json.dumps(good))
        bad[key][row][column] = value
        assert bounds(bad, TINY) is None
    assert bounds({**good, "scale": value}, TINY) is None
    if value is not None:  # without it there is no such limit
        assert bounds({**good, "below": value}, TINY) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"scale": 0},
        {"scale": -1},
        {"y": None},
        {"y": 3},
        {"y": "abc"},
        {"y": ["841"]},
        {"y": {"abc": 1}},
        {"y": [[8, 1]]},
        {"y": [[8, 1, 1, 1]]},
        {"y": [8, 1, 1]},
        {"y": [[8, 1, 0]]},
        {"y": [[8, 1, -1]]},
        {"y": [[8, -1, 1]]},
        {"rents": None},
        {"rents": 3},
        {"rents": ["81"]},
        {"rents": [[8]]},
        {"rents": [[8, 8, 8]]},
        {"rents": [8, 8]},
        {"rents": {"ab": 1}},
        {"format": "memonger-certificate/2"},
        {"kind": "lp"},
        {"kind": None},
        {"kind": ["lp-dual"]},
    ],
    ids=repr,
)
def test_malformed(changed):
    good = as_json(1, [(8, 1, 8), (4, 1, 4)], 17, [(8, 8), (4, 4)])
    assert bounds({**good, **changed}, TINY) is None


@pytest.mark.parametrize("key", ["format", "kind", "scale", "y"])
def test_missing_keys(key):
    data = as_json(1, [(8, 1, 8), (4, 1, 4)], 17, [(8, 8), (4, 4)])
    del data[key]
    assert bounds(data, TINY) is None


def test_rents_that_are_missing_are_the_sums_of_the_prices():
    data = as_json(1, [(8, 1, 8), (4, 1, 4)], 17, [(8, 8), (4, 4)])
    del data["rents"]
    assert bounds(data, TINY) == 12


@settings(max_examples=100, deadline=None)
@given(parallel_problems())
def test_vector_time_is_refused(problem):
    """Buffers that are over in program order may be live in another schedule: N_c may be larger."""
    assert LpDualCertificate(1, ()).bound(Problem(problem.buffers)) == 0
    with pytest.raises(PlanError, match="vector time"):
        LpDualCertificate(1, ()).bound(problem)
    if len(problem):
        assert bounds(as_json(1, []), problem) is None


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_json_round_trip(data):
    numbers = st.integers(-(2**70), 2**70)
    below = data.draw(st.one_of(st.none(), numbers))
    rents = data.draw(st.lists(st.tuples(numbers, numbers), max_size=3))
    certificate = LpDualCertificate(
        data.draw(numbers),
        tuple(data.draw(st.lists(st.tuples(numbers, numbers, numbers), max_size=4))),
        below,
        () if below is None else tuple(rents),
    )
    text = json.dumps(certificate_to_json(certificate))
    assert json.loads(text)["format"] == FORMAT
    assert certificate_from_json(json.loads(text)) == certificate


@settings(max_examples=60, deadline=None)
@given(problems_of_devices(max_size=6), st.randoms(use_true_random=False))
def test_bounds_of_devices_add_up(problem, random):
    """Prices for one device, the threshold or prices for the others."""
    total, parts = 0, {}
    for device in problem.devices:
        own = problem.subproblem([i for i, b in enumerate(problem.buffers) if b.device == device])
        bound, parts[device] = threshold_bound(own)
        if random.random() < 0.7:
            data = random_certificate(random, own, oracles.optimum(own))
            certificate = certificate_from_json(data)
            if own_bound(data, own) is not None:
                bound, parts[device] = certificate.bound(own), certificate
        total += bound
    data = certificate_to_json(DeviceCertificate(parts))
    assert bounds(data, problem) == total <= oracles.optimum(problem)
    assert certificate_from_json(json.loads(json.dumps(data))) == DeviceCertificate(parts)


@pytest.mark.parametrize("seed", range(2))
def test_buffers_that_may_be_taken_over_pay_for_an_operator_less(seed):
    """Random prices for problems with in-place pairs, and those of the relaxation."""
    rng = random.Random(seed)
    tight = 0
    for _ in range(60):
        problem = random_in_place(rng, rng.randint(3, 7))
        best = oracles.optimum(problem)
        if not positive_sizes(problem):
            continue
        for _ in range(4):
            bound = bounds(random_certificate(rng, problem, best), problem)
            assert bound is None or bound <= best
        bound = relaxed(problem, best + rng.choice((0, 2)))[1]
        assert bound <= best
        tight += bound == best
    assert tight > 20
    pair = Problem((Buffer("p", 8, 0, 3), Buffer("o", 8, 2, 4)), in_place=((0, 1),))
    assert bounds(as_json(1, [(8, 2, 8)]), pair) == 8
    assert bounds(as_json(1, [(8, 2, 8)]), Problem(pair.buffers)) == 16


@settings(max_examples=60, deadline=None)
@given(problems_of_devices(max_size=6), st.randoms(use_true_random=False))
def test_prices_over_all_devices_at_once(problem, random):
    """Buffers of two devices share even less than they might."""
    if len(problem):
        best = oracles.optimum(problem)
        bound = bounds(random_certificate(random, problem, best), problem)
        assert bound is None or bound <= best


@pytest.mark.parametrize("seed", range(3))
def test_prices_of_some_of_the_columns(seed):
    """The value of such a relaxation may be above the optimum, the bound never is."""
    seen = 0
    for problem, best in loose_problems(seed, 10):
        for nearest in range(1, len(positive_sizes(problem)) + 1):
            bound = relaxed(problem, problem.total, nearest)[1]
            if bound is not None:
                assert bound <= best
                seen += bound > 0
    assert seen > 10
