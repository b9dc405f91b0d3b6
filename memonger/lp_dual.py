"""Lower bounds of the sharing form from prices: the dual of the class model's relaxation.

A plan has M_k shared buffers of at least w_k bytes, w_1 > w_2 > ... > w_D, and N_k = M_k - M_(k-1)
of exactly w_k, the *class* k; each of its buffers is in a class of at least the buffer's size. Let
y[c, q] >= 0 be a price for every byte-unit of class c at time q. As at most N_c buffers of class c
are live at q,

    cost >= sum_c (w_c - sum_q y[c, q]) N_c + sum_i sum_{q in range(i)} y[class(i), q],

and the cheapest class of each buffer gives a bound: integers alone, no solver.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from memonger.errors import PlanError
from memonger.problem import IntArray, Problem

MAX_INT64 = 2**62


@dataclass(frozen=True)
class LpDualCertificate:
    """Prices for each size at each time, and what they prove.

    Without ``below``: the prices of a size may add up to ``scale`` times that size at most, so
    that the first sum above is not negative.

    With ``below`` = U the certificate proves that no plan costs less than min(U, its bound):
    suppose one does. Then it has at most

        high_k = low_k + (U - 1 - sum_j step_j low_j) // step_k,     step_k = w_k - w_(k+1),

    shared buffers of at least w_k, where low_k is the largest number of such buffers that are
    ever live at once; where high_k are live, smaller ones have no room in the classes up to k;
    class k is empty if high_k <= low_(k-1); and the M_k in the first sum are bounded on both
    sides. The sum is then taken with rents theta_c >= sum_q y[c, q] in place of the sums of the
    prices (as N_c >= 0):

        sum_k (step_k - theta_k + theta_(k+1)) M_k,      low_k <= M_k <= high_k.

    Parameters
    ----------
    scale
        Prices and rents are multiples of a byte / scale.
    prices
        Triples (size, time, price), prices positive integers.
    below
        U in bytes, or ``None``.
    rents
        Pairs (size, rent), only with ``below``; a size without one pays the sum of its prices.
    """

    scale: int
    prices: tuple[tuple[int, int, int], ...]
    below: int | None = None
    rents: tuple[tuple[int, int], ...] = ()
    kind: ClassVar[str] = "lp-dual"

    def bound(self, problem: Problem) -> int:
        """Return the lower bound in bytes that the prices prove for a problem.

        Raises
        ------
        PlanError
            If a number is out of range, a size is not one of the problem, or a rent is below
            the sum of the prices; or if the problem is in vector time, where the certificate
            does not apply.

        Notes
        -----
        O(n D) for n buffers of D distinct sizes, and O(n D) again with ``below``.
        """
        if problem.vector_time is not None:
            raise PlanError("a certificate of prices does not hold in vector time")
        core = _Core.of(problem)
        by_size = self._prices_by_size(core)
        sums = [sum(price for _, price in by_size.get(size, ())) for size in core.sizes.tolist()]
        smallest = np.zeros(len(core.level), dtype=np.int64)
        empty: set[int] = set()
        if self.below is None:
            for size, total in zip(core.sizes.tolist(), sums, strict=True):
                if total > self.scale * size:
                    raise PlanError(f"the prices of size {size} add up to more than the size")
            free = 0
        else:
            rents = self._all_rents(core, sums)
            limits = _Limits.of(core, self.below)
            if limits is None:
                return self.below  # there is no plan below it
            smallest, empty = limits.smallest, limits.empty
            free = self._free_part(core, limits, rents)
        values = self._values(core, by_size, smallest, empty, max(sums, default=0) + 1)
        if self.below is not None and max(values, default=0) > max(sums, default=0):
            return self.below  # there is a buffer that has no class left
        total = free + sum(values)
        unit = math.gcd(*core.sizes.tolist()) or 1
        proven = max(0, -(-total // (self.scale * unit)) * unit)
        return proven if self.below is None else min(proven, self.below)

    def _prices_by_size(self, core: _Core) -> dict[int, list[tuple[int, int]]]:
        """Return size -> (time, price), by time."""
        known = set(core.sizes.tolist())
        if self.scale <= 0:
            raise PlanError("the certificate is not valid: its scale is not positive")
        found: dict[int, list[tuple[int, int]]] = {}
        for size, time, price in self.prices:
            if size not in known or price <= 0 or not 0 <= time < MAX_INT64:
                raise PlanError(f"the certificate is not valid: price {price} for size {size}")
            found.setdefault(size, []).append((time, price))
        for pairs in found.values():
            pairs.sort()
        return found

    def _all_rents(self, core: _Core, sums: list[int]) -> list[int]:
        """Return the rent of each size."""
        least = dict(zip(core.sizes.tolist(), sums, strict=True))
        rents = least | dict(self.rents)
        if rents.keys() != least.keys():
            raise PlanError("the certificate is not valid: a rent for a size that no buffer has")
        if any(rents[size] < total for size, total in least.items()):
            raise PlanError("the certificate is not valid: a rent below the sum of the prices")
        return list(rents.values())

    def _free_part(self, core: _Core, limits: _Limits, rents: list[int]) -> int:
        """Return the least value of the sum over M_k."""
        steps = core.steps.tolist()
        total = 0
        for k, (low, high) in enumerate(zip(limits.low, limits.high, strict=True)):
            following = rents[k + 1] if k + 1 < len(rents) else 0
            coefficient = self.scale * steps[k] - rents[k] + following
            total += coefficient * (low if coefficient >= 0 else high)
        return total

    @staticmethod
    def _values(
        core: _Core,
        by_size: dict[int, list[tuple[int, int]]],
        smallest: IntArray,
        empty: Collection[int],
        too_much: int,
    ) -> list[int]:
        """Return what each buffer pays in its cheapest class; ``too_much`` if it has none."""
        kind: Any = np.int64 if too_much < MAX_INT64 else object  # Python's integers, slow
        best = np.full(len(core.level), too_much, dtype=kind)
        for c, size in enumerate(core.sizes.tolist()):
            if c in empty:
                continue
            pairs = by_size.get(size, [])
            times = np.array([time for time, _ in pairs], dtype=np.int64)
            paid = np.cumsum(np.array([0, *(price for _, price in pairs)], dtype=kind))
            may = np.flatnonzero((core.level >= c) & (smallest <= c))
            first = np.searchsorted(times, core.starts[may])
            last = np.searchsorted(times, core.ends[may])
            best[may] = np.minimum(best[may], paid[last] - paid[first])
        values: list[int] = best.tolist()
        return values

    def to_json(self) -> dict[str, Any]:
        """Return the certificate as JSON data, without its format."""
        data: dict[str, Any] = {
            "kind": self.kind,
            "scale": self.scale,
            "y": [list(entry) for entry in self.prices],
        }
        if self.below is not None:
            data["below"] = self.below
            data["rents"] = [list(entry) for entry in self.rents]
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> LpDualCertificate:
        """Return the certificate that JSON data describe; errors are those of malformed data."""
        below = data.get("below")
        rents = tuple((size, rent) for size, rent in data.get("rents", ()))
        prices = tuple((size, time, price) for size, time, price in data["y"])
        numbers = [data["scale"], *(n for entry in (*prices, *rents) for n in entry)]
        if any(type(n) is not int for n in (*numbers, 0 if below is None else below)):
            raise TypeError("a certificate holds integers")
        return cls(data["scale"], prices, below, rents)


@dataclass(frozen=True)
class _Core:
    """The buffers of positive size: live ranges, levels, and the distinct sizes, descending."""

    starts: IntArray
    ends: IntArray
    level: IntArray
    sizes: IntArray

    @classmethod
    def of(cls, problem: Problem) -> _Core:
        positive = problem.sizes > 0
        sizes = np.unique(problem.sizes[positive])[::-1].copy()
        level = np.searchsorted(-sizes, -problem.sizes[positive])
        return cls(problem.starts[positive], problem.freed[positive], level, sizes)

    @property
    def steps(self) -> IntArray:
        steps: IntArray = self.sizes - np.append(self.sizes[1:], 0)
        return steps

    def loads(self) -> Iterator[tuple[IntArray, IntArray, IntArray]]:
        """Yield for each level the live buffers of at least its size at every start.

        With it the indices into the starts, first and last (exclusive), of all buffers.
        """
        times = np.unique(self.starts)
        first, last = np.searchsorted(times, self.starts), np.searchsorted(times, self.ends)
        live = np.zeros(len(times), dtype=np.int64)
        for k in range(len(self.sizes)):
            members = self.level == k
            change = np.zeros(len(times) + 1, dtype=np.int64)
            np.add.at(change, first[members], 1)
            np.subtract.at(change, last[members], 1)
            live = live + np.cumsum(change)[:-1]
            yield live, first, last


@dataclass(frozen=True)
class _Limits:
    """What every plan that costs less than a number of bytes satisfies."""

    low: list[int]
    high: list[int]
    smallest: IntArray

    @property
    def empty(self) -> set[int]:
        """Classes that no buffer can be in."""
        return {k for k in range(1, len(self.low)) if self.high[k] <= self.low[k - 1]}

    @classmethod
    def of(cls, core: _Core, below: int) -> _Limits | None:
        """Return the limits; ``None`` if the threshold bound leaves no such plan."""
        low = [int(live.max()) for live, _, _ in core.loads()]
        steps = core.steps.tolist()
        slack = below - 1 - sum(step * count for step, count in zip(steps, low, strict=True))
        if slack < 0:
            return None
        at_most = np.cumsum(np.bincount(core.level, minlength=len(low))).tolist()
        high = [
            min(count + slack // step, most)
            for count, step, most in zip(low, steps, at_most, strict=True)
        ]
        for k in range(len(high) - 2, -1, -1):
            high[k] = min(high[k], high[k + 1])
        smallest = np.zeros(len(core.level), dtype=np.int64)
        for k, (live, first, last) in enumerate(core.loads()):
            full = np.concatenate([[0], np.cumsum(live >= high[k])])
            meets = full[last] > full[first]
            smallest = np.where(meets & (core.level > k), k + 1, smallest)
        return cls(low, high, smallest)
