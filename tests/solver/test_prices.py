"""Exact prices against all plans of tiny problems: the identity, and what it rules out."""

import itertools
import random
from dataclasses import dataclass

import numpy as np
import pytest

from memonger.graph.cliques import compress
from memonger.lp_dual import LpDualCertificate
from memonger.problem import Buffer, Problem
from memonger.solver.class_lp import build_class_lp
from memonger.solver.linear import run_lp
from memonger.solver.presolve import allowed_pairs, gap_fixing
from memonger.solver.prices import Prices, exact_prices, reduce_by_prices
from tests import oracles
from tests.solver.test_presolve import classes_of
from tests.strategies import random_problem


@dataclass(frozen=True)
class Case:
    """A tiny problem with all its plans, by cost: buffer -> class, and M_k."""

    problem: Problem
    plans: list
    best: int

    @property
    def groups(self):
        return compress(self.problem)


def case_of(problem):
    sizes = compress(problem).sizes.tolist()
    plans = sorted(
        (oracles.cost_of(problem, shared), *classes_of(problem, shared, sizes))
        for shared in oracles.valid_plans(problem)
    )
    return Case(problem, plans, plans[0][0])


def cases(seed, wanted, count=6, *, loose=False):
    """Return random cases; ``loose``: whose threshold bound is below the optimum."""
    rng = random.Random(seed)
    found = []
    while len(found) < wanted:
        factor = rng.choice((1, 1, 4, 1000))
        problem = random_problem(rng, count, horizon=rng.choice((5, 8)), largest=6)
        if loose and oracles.threshold_bound(problem) == oracles.optimum(problem):
            continue
        scaled = tuple(Buffer(b.name, b.size * factor, b.start, b.end) for b in problem.buffers)
        found.append(case_of(Problem(scaled)))
    return found


def prices_of(groups, limits):
    """Return prices from the relaxation."""
    lp = build_class_lp(groups, limits)
    solution = run_lp(lp.cost, lp.matrix, lp.right, lp.low, lp.high, 60.0)
    return exact_prices(groups, limits, lp, solution.duals)


def random_prices(rng, groups, limits):
    """Return prices without any reason."""
    scale = rng.choice((1, 4, 2**20))
    cliques, values, rents = [], [], []
    for size in (groups.sizes // groups.gcd).tolist():
        own = sorted(rng.sample(range(groups.num_cliques), rng.randint(0, groups.num_cliques)))
        price = [rng.randint(1, max(1, scale * size // 2)) for _ in own]
        cliques.append(np.array(own, dtype=np.int64))
        values.append(np.array(price, dtype=np.int64))
        rents.append(sum(price) + rng.choice((0, rng.randint(0, scale * size))))
    rent = np.array(rents, dtype=np.int64)
    return Prices(scale, tuple(cliques), tuple(values), rent, limits)


def least_values(groups, prices):
    """Return what the pairs pay, and each group in its cheapest class, clique by clique."""
    pairs = allowed_pairs(groups, prices.limits)
    paid = {}
    for g, c in zip(pairs.group.tolist(), pairs.kind.tolist(), strict=True):
        entries = zip(prices.cliques[c].tolist(), prices.values[c].tolist(), strict=True)
        paid[g, c] = sum(v for q, v in entries if groups.first[g] <= q <= groups.last[g])
    least = [min(v for (g, _), v in paid.items() if g == own) for own in range(len(groups))]
    return pairs, paid, least


def terms(groups, prices, classes, at_least):
    """Return the terms of the identity for a plan, as lists of integers."""
    _, paid, least = least_values(groups, prices)
    group_of = {i: g for g, members in enumerate(groups.members) for i in members}
    number = np.diff(at_least, prepend=0).tolist()
    distance = []
    limits = zip(prices.limits.low.tolist(), prices.limits.high.tolist(), at_least, strict=True)
    for coefficient, (low, high, m) in zip(prices.coefficients(groups), limits, strict=True):
        distance.append(coefficient * (m - low) if coefficient >= 0 else -coefficient * (high - m))
    idle = [
        int(rent - total) * n
        for rent, total, n in zip(prices.rents, prices.sums, number, strict=True)
    ]
    room = []
    for c, (cliques, values) in enumerate(zip(prices.cliques, prices.values, strict=True)):
        for q, value in zip(cliques.tolist(), values.tolist(), strict=True):
            load = sum(
                kind == c and groups.first[group_of[i]] <= q <= groups.last[group_of[i]]
                for i, kind in enumerate(classes)
            )
            room.append(value * (number[c] - load))
    reduced = [paid[group_of[i], c] - least[group_of[i]] for i, c in enumerate(classes)]
    return distance, idle, room, reduced


def within(limits, plan):
    _, _, at_least = plan
    return (limits.low <= at_least).all() and (at_least <= limits.high).all()


@pytest.mark.parametrize("reasonable", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_identity(seed, reasonable):
    """Exact in integers for every plan within the limits; no term is negative."""
    rng = random.Random(seed)
    for case in cases(seed, 8, loose=seed == 2):
        groups = case.groups
        limits = gap_fixing(groups, case.best + rng.choice((0, 2, 6)) * groups.gcd)
        make = prices_of if reasonable else lambda g, limits: random_prices(rng, g, limits)
        prices = make(groups, limits)
        _, _, least = least_values(groups, prices)
        bound = prices.bound(groups, np.array(least))
        checked = 0
        for plan in case.plans:
            cost, classes, at_least = plan
            groups_classes = zip(range(len(classes)), classes, strict=True)
            group_of = {i: g for g, members in enumerate(groups.members) for i in members}
            if not within(limits, plan) or any(
                limits.smallest[group_of[i]] > c for i, c in groups_classes
            ):
                continue
            checked += 1
            parts = terms(groups, prices, classes, at_least)
            assert all(term >= 0 for part in parts for term in part)
            total = sum(term for part in parts for term in part)
            assert cost // groups.gcd * prices.scale == bound + total
        assert checked
        if reasonable:  # from a relaxation: within a unit of its value
            assert bound > (oracles.threshold_bound(case.problem) // groups.gcd - 1) * prices.scale


@pytest.mark.parametrize("seed", range(3))
def test_what_pairs_pay(seed):
    rng = random.Random(seed)
    for case in cases(seed, 10):
        groups = case.groups
        prices = random_prices(rng, groups, gap_fixing(groups, case.problem.total))
        pairs, paid, _ = least_values(groups, prices)
        keys = zip(pairs.group.tolist(), pairs.kind.tolist(), strict=True)
        assert prices.value(groups, pairs).tolist() == [paid[key] for key in keys]
        assert prices.sums.tolist() == [int(values.sum()) for values in prices.values]


@pytest.mark.parametrize("seed", range(3))
def test_the_certificate_proves_the_bound(seed):
    """It is for all plans below ``below``, in bytes and over the buffers themselves."""
    rng = random.Random(seed)
    for case in cases(seed, 10, loose=True):
        groups = case.groups
        cost = case.best + rng.choice((0, 3)) * groups.gcd
        limits = gap_fixing(groups, cost)
        for prices in (prices_of(groups, limits), random_prices(rng, groups, limits)):
            certificate = prices.certificate(groups, cost + 1)
            assert isinstance(certificate, LpDualCertificate)
            assert certificate.below == cost + 1
            unit = groups.gcd / prices.scale
            assert [price / certificate.scale for *_, price in certificate.prices] == [
                value * unit for values in prices.values for value in values.tolist()
            ]
            assert dict(certificate.rents).keys() == set(groups.sizes.tolist())
            assert [rent / certificate.scale for _, rent in certificate.rents] == [
                rent * unit for rent in prices.rents.tolist()
            ]
            bound = prices.bound(groups, np.array(least_values(groups, prices)[2]))
            expected = max(0, -(-bound // prices.scale) * groups.gcd)
            assert certificate.bound(case.problem) == min(expected, cost + 1)
            assert expected <= case.best


def reduction_of(case, cost, target, prices):
    groups = case.groups
    pairs = allowed_pairs(groups, prices.limits)
    return reduce_by_prices(groups, prices, pairs, gap_fixing(groups, target), target)


@pytest.mark.parametrize("reasonable", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_reduction_cuts_no_plan_off(seed, reasonable):
    """Against all plans: those that cost at most the target keep to everything that is left."""
    rng = random.Random(seed)
    cut = full = impossible = 0
    for case in cases(10 + seed, 10, loose=seed % 2 == 0):
        groups, unit = case.groups, case.groups.gcd
        cost = case.best + rng.choice((0, 2, 5)) * unit
        limits = gap_fixing(groups, cost)
        prices = prices_of(groups, limits) if reasonable else random_prices(rng, groups, limits)
        before = len(allowed_pairs(groups, limits))
        group_of = {i: g for g, members in enumerate(groups.members) for i in members}
        lowest = oracles.threshold_bound(case.problem)
        for target in range(lowest, cost + 1, unit):
            left = reduction_of(case, cost, target, prices)
            plans = list(itertools.takewhile(lambda p, t=target: p[0] <= t, case.plans))
            if left is None:
                assert not plans
                impossible += 1
                continue
            found = set(zip(left.pairs.group.tolist(), left.pairs.kind.tolist(), strict=True))
            assert left.pairs.kind.tolist() == sorted(left.pairs.kind.tolist())
            assert len(found) == len(left.pairs)
            cut += len(found) < before
            full += bool(left.full)
            for plan in plans:
                _, classes, at_least = plan
                number = np.diff(at_least, prepend=0)
                assert within(left.limits, plan)
                assert (number <= left.most).all()
                assert {(group_of[i], c) for i, c in enumerate(classes)} <= found
                for c, cliques in left.full.items():
                    for q in cliques.tolist():
                        load = sum(
                            kind == c and groups.first[group_of[i]] <= q <= groups.last[group_of[i]]
                            for i, kind in enumerate(classes)
                        )
                        assert load == number[c]
    assert cut > 5
    if reasonable:
        assert full > 5
    if reasonable and seed % 2 == 0:
        assert impossible > 5


def test_targets_below_the_bound_leave_nothing():
    for case in cases(20, 10, loose=True):
        groups = case.groups
        prices = prices_of(groups, gap_fixing(groups, case.best))
        bound = prices.certificate(groups, case.best + 1).bound(case.problem)
        assert reduction_of(case, case.best, bound - groups.gcd, prices) is None
        assert reduction_of(case, case.best, case.best, prices) is not None


def test_scale_leaves_room_for_sums():
    """The larger the costs in units of the gcd, the fewer digits the prices have."""
    scales = []
    for factor in (1, 2**20, 2**45, 2**55):
        case = cases(21, 1, loose=True)[0]
        unit = case.groups.gcd
        sizes = [b.size // unit * factor + (b.size // unit) % 2 for b in case.problem.buffers]
        problem = Problem(
            tuple(
                Buffer(b.name, size, b.start, b.end)
                for b, size in zip(case.problem.buffers, sizes, strict=True)
            )
        )
        groups = compress(problem)
        limits = gap_fixing(groups, problem.total)
        prices = prices_of(groups, limits)
        scales.append(prices.scale)
        assert prices.scale * (problem.total // groups.gcd) < 2**62
        assert prices.certificate(groups, problem.total + 1).bound(problem) <= oracles.optimum(
            problem
        )
    assert scales[0] == 2**20
    assert scales == sorted(scales, reverse=True)
    assert scales[-1] < 2**10


def test_duals_of_any_kind_give_valid_prices():
    """Rounded, negative ones dropped, rents raised to the sums: never a wrong bound."""
    rng = random.Random(3)
    for case in cases(22, 15, loose=True):
        groups = case.groups
        limits = gap_fixing(groups, case.best + 2 * groups.gcd)
        lp = build_class_lp(groups, limits)
        top = float(groups.sizes[0] // groups.gcd)
        for _ in range(10):
            duals = np.array([rng.uniform(-top, top) for _ in range(len(lp.right))])
            prices = exact_prices(groups, limits, lp, duals)
            assert (prices.rents >= prices.sums).all()
            assert all((values > 0).all() for values in prices.values)
            below = case.best + 2 * groups.gcd + 1
            assert prices.certificate(groups, below).bound(case.problem) <= case.best


def test_classes_that_nothing_may_use_have_no_price():
    empty = 0
    for case in cases(23, 10, loose=True):
        groups = case.groups
        limits = gap_fixing(groups, case.best)
        used = set(allowed_pairs(groups, limits).kind.tolist())
        prices = prices_of(groups, limits)
        for c in set(range(len(groups.sizes))) - used:
            empty += 1
            assert len(prices.cliques[c]) == len(prices.values[c]) == 0
    assert empty


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, -1e30])
def test_duals_out_of_proportion_are_no_prices(value):
    """Wherever they stand, unless they would be dropped: falling duals are negative prices."""
    case = cases(24, 1, loose=True)[0]
    groups = case.groups
    limits = gap_fixing(groups, case.best)
    lp = build_class_lp(groups, limits)
    assert exact_prices(groups, limits, lp, np.zeros(len(lp.right))) is not None
    for row in (lp.chains[0].row, len(lp.right) - 1):
        duals = np.zeros(len(lp.right))
        duals[row] = value
        found = exact_prices(groups, limits, lp, duals)
        if value == 1e30 and row == lp.chains[0].row:
            assert found.sums.tolist() == [0] * len(groups.sizes)
        else:
            assert found is None
