"""Exact integer prices from the float duals of the class relaxation, and what they rule out.

With prices y, rents theta and the limits of gap fixing, every plan within the limits satisfies,
all numbers scaled to integers,

    cost = bound + sum_k |coefficient_k| (distance of M_k from its cheaper limit)
                 + sum_c (theta_c - Y_c) N_c            Y_c = sum_q y[c, q]
                 + sum_{c,q} y[c, q] (N_c - load_c(q))
                 + sum_{g,c} (value(g, c) - min value(g)) x[g, c]

with no negative term: whatever term would exceed ``target - bound`` is impossible in a plan that
costs at most ``target`` (reduced-cost fixing), and where y[c, q] itself exceeds it the class is
full at q.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from memonger.graph.cliques import Groups
from memonger.lp_dual import LpDualCertificate
from memonger.problem import IntArray
from memonger.solver.class_lp import ClassLp
from memonger.solver.linear import FloatArray
from memonger.solver.presolve import Limits, Pairs, Reduction

MAX_SCALE_BITS = 20
MAX_BITS = 61


@dataclass(frozen=True)
class Prices:
    """Integer prices and rents, in units of the gcd of the sizes / scale.

    Parameters
    ----------
    scale
        Their denominator.
    cliques, values
        For each class, the cliques that have a price, ascending, and the prices.
    rents
        theta_c, at least the sum of the prices of class c, shape (classes,).
    limits
        The gap fixing that they hold under.
    """

    scale: int
    cliques: tuple[IntArray, ...]
    values: tuple[IntArray, ...]
    rents: IntArray
    limits: Limits

    def certificate(self, groups: Groups, below: int) -> LpDualCertificate:
        """Return the certificate; ``below``: the limits hold for all plans of fewer bytes."""
        unit = groups.gcd
        prices: list[tuple[int, int, int]] = []
        rents: list[tuple[int, int]] = []
        for c, size in enumerate(groups.sizes.tolist()):
            times = groups.times[self.cliques[c]].tolist()
            values = self.values[c].tolist()
            prices += [(size, time, v * unit) for time, v in zip(times, values, strict=True)]
            rents.append((size, int(self.rents[c]) * unit))
        common = math.gcd(self.scale, *(row[-1] for row in (*prices, *rents)))
        return LpDualCertificate(
            self.scale // common,
            tuple((size, time, price // common) for size, time, price in prices),
            below,
            tuple((size, rent // common) for size, rent in rents),
        )

    @property
    def sums(self) -> IntArray:
        """Y_c, the sum of the prices of each class."""
        return np.array([int(values.sum()) for values in self.values], dtype=np.int64)

    def coefficients(self, groups: Groups) -> list[int]:
        """Return the coefficient of each M_k."""
        following = np.append(self.rents[1:], 0)
        steps = self.scale * (groups.steps // groups.gcd)
        return [int(c) for c in steps - self.rents + following]

    def value(self, groups: Groups, pairs: Pairs) -> IntArray:
        """Return what a member of each pair's group pays in the pair's class."""
        result = np.zeros(len(pairs), dtype=np.int64)
        edges = np.searchsorted(pairs.kind, np.arange(len(groups.sizes) + 1))
        for c, (cliques, values) in enumerate(zip(self.cliques, self.values, strict=True)):
            own = slice(edges[c], edges[c + 1])
            group = pairs.group[own]
            paid = np.concatenate([[0], np.cumsum(values)])
            first = np.searchsorted(cliques, groups.first[group])
            last = np.searchsorted(cliques, groups.last[group], side="right")
            result[own] = paid[last] - paid[first]
        return result

    def bound(self, groups: Groups, least: IntArray) -> int:
        """Return the scaled bound, given what each group pays at least."""
        total = sum(
            m * v for m, v in zip(groups.multiplicity.tolist(), least.tolist(), strict=True)
        )
        limits = zip(self.limits.low.tolist(), self.limits.high.tolist(), strict=True)
        for coefficient, (low, high) in zip(self.coefficients(groups), limits, strict=True):
            total += coefficient * (low if coefficient >= 0 else high)
        return int(total)


def exact_prices(groups: Groups, limits: Limits, lp: ClassLp, duals: FloatArray) -> Prices | None:
    """Return the duals of a solved relaxation as integers.

    The price of a clique is the step of the chain's duals there. Rounding is to the nearest: any
    prices give a bound, these give one within less than a unit as a rule. ``None`` for duals that
    are no numbers, or out of all proportion.
    """
    most = int(groups.steps @ np.maximum(limits.high, 1)) // groups.gcd + 1
    scale = 1 << max(0, min(MAX_SCALE_BITS, MAX_BITS - most.bit_length()))
    ladder = np.abs(duals[len(duals) - len(groups.sizes) :]) * scale
    if not np.isfinite(duals).all() or ladder.max(initial=0.0) >= 2.0**MAX_BITS:
        return None
    num_classes = len(groups.sizes)
    cliques = [np.zeros(0, dtype=np.int64)] * num_classes
    values = [np.zeros(0, dtype=np.int64)] * num_classes
    sums = np.zeros(num_classes, dtype=np.int64)
    for chain in lp.chains:
        own = duals[chain.row : chain.row + len(chain.cliques)]
        steps = np.maximum(0.0, np.append(own[1:], 0.0) - own) * scale
        if steps.sum() >= 2.0**MAX_BITS:
            return None
        price = np.rint(steps).astype(np.int64)
        kept = price > 0
        for c in range(chain.top, chain.kind + 1):
            cliques[c], values[c] = chain.cliques[kept], price[kept]
            sums[c] = int(price[kept].sum())
    rents = np.maximum(sums, np.rint(ladder).astype(np.int64))
    return Prices(scale, tuple(cliques), tuple(values), rents, limits)


def reduce_by_prices(
    groups: Groups, prices: Prices, pairs: Pairs, limits: Limits, target: int
) -> Reduction | None:
    """Return what prices leave of the class model for plans that cost at most a target.

    Parameters
    ----------
    groups, prices
        The problem and its prices; the target is a cost that their limits hold for.
    pairs
        All pairs that the limits of the prices allow.
    limits
        Gap fixing for the target.
    target
        Cost in bytes.

    Returns
    -------
    Reduction or None
        ``None`` if nothing remains: there is no such plan.
    """
    value = prices.value(groups, pairs)
    least = np.full(len(groups), np.iinfo(np.int64).max)
    np.minimum.at(least, pairs.group, value)
    slack = target // groups.gcd * prices.scale - prices.bound(groups, least)
    if slack < 0:
        return None
    low, high = limits.low.copy(), limits.high.copy()
    for k, coefficient in enumerate(prices.coefficients(groups)):
        if coefficient > 0:
            high[k] = min(high[k], int(prices.limits.low[k]) + slack // coefficient)
        elif coefficient < 0:
            low[k] = max(low[k], int(prices.limits.high[k]) - slack // -coefficient)
    low = np.maximum.accumulate(low)
    high = np.minimum.accumulate(high[::-1])[::-1]
    if (low > high).any():
        return None
    most = np.maximum(0, high - np.concatenate([[0], low[:-1]]))
    idle = prices.rents - prices.sums
    most[idle > 0] = np.minimum(most[idle > 0], slack // idle[idle > 0])
    kept = value - least[pairs.group] <= slack
    kept &= (most[pairs.kind] > 0) & (pairs.kind >= limits.smallest[pairs.group])
    left = Pairs(pairs.group[kept], pairs.kind[kept])
    if len(np.unique(left.group)) < len(groups):
        return None
    full = {
        c: cliques[values > slack]
        for c, (cliques, values) in enumerate(zip(prices.cliques, prices.values, strict=True))
        if (values > slack).any()
    }
    return Reduction(Limits(low, high, limits.smallest), left, most, full)
