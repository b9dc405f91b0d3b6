"""The relaxation of the class model, solved by partial pricing.

A large relaxation is solved over some of its columns first. Its duals price all columns, which
gives a bound (any prices do) and the columns that are missing; its values, rounded, give plans. A
few rounds reach the value of the whole relaxation with a quarter of the columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memonger.graph.cliques import Groups
from memonger.lp_dual import LpDualCertificate
from memonger.parameters import DEFAULTS, Parameter, Parameters, declare
from memonger.problem import IntArray
from memonger.solver.class_lp import build_class_lp
from memonger.solver.linear import FloatArray, LpStatus, run_lp
from memonger.solver.presolve import BoolArray, Limits, Pairs, allowed_pairs
from memonger.solver.prices import Prices, exact_prices

RELAXATION = declare(
    "relaxation",
    # A relaxation of at most so many columns x is solved as a whole. As the last few missing
    # columns cost many rounds: of more of them, for each second of the time limit.
    Parameter("whole", 40_000, 2_000, 160_000, log=True),
    Parameter("whole_per_second", 2_500, 250, 25_000, log=True),
    # Else: all columns of the largest sizes, so many in all, and the nearest classes of the others.
    Parameter("largest", 10_000, 1_000, 100_000, log=True),
    Parameter("nearest", 4, 1, 40, log=True),
    # Added after a round: what is missing, and this share of all besides, by its reduced cost; so
    # many times as much after each round in which next to nothing was missing.
    Parameter("growth", 0.05, 0.01, 1.0, log=True),
    Parameter("faster", 4.0, 1.0, 30.0, log=True),
)
"""The relaxation of the class model."""
# No more columns are ever solved as a whole.
MOST_WHOLE = 160_000
# A share of the columns that is next to nothing.
FEW = 0.01
# The solver's tolerances are absolute: costs are scaled to about 2^6.
COST_BITS = 6


@dataclass(frozen=True)
class Relaxation:
    """A relaxation solved over some of its columns.

    Parameters
    ----------
    groups
        The groups that took part.
    pairs, placed
        The columns x that took part, and their values.
    at_least
        Values of M_k.
    prices
        Exact prices from the duals.
    certificate
        What they prove for the whole relaxation.
    missing
        Keys of the columns that the prices ask for (see `keys`): none, and it is solved.
    nearly
        Keys of the columns to add with them.
    """

    groups: Groups
    pairs: Pairs
    placed: FloatArray
    at_least: FloatArray
    prices: Prices
    certificate: LpDualCertificate
    missing: IntArray
    nearly: IntArray

    @property
    def solved(self) -> bool:
        """Whether no column is missing."""
        return not len(self.missing)

    @property
    def nearly_solved(self) -> bool:
        """Whether few columns are missing."""
        return len(self.missing) <= FEW * len(self.pairs)


def keys(groups: Groups, pairs: Pairs) -> IntArray:
    """Return a number for each pair that depends on nothing but its group and class."""
    return pairs.group * len(groups.sizes) + pairs.kind


def solved_whole(seconds: float | None, parameters: Parameters = DEFAULTS) -> int:
    """Return the most columns of a relaxation that is solved as a whole, for a time limit."""
    if seconds is None:
        return MOST_WHOLE
    least: int = parameters.of(RELAXATION, "whole")
    timely = parameters.of(RELAXATION, "whole_per_second") * seconds
    return max(least, int(min(MOST_WHOLE, timely)))


def first_columns(
    groups: Groups, pairs: Pairs, whole: int, parameters: Parameters = DEFAULTS
) -> IntArray:
    """Return the keys of the columns to begin with: up to ``whole`` columns, all of them."""
    own = keys(groups, pairs)
    if len(pairs) <= whole:
        return own
    level = groups.level[pairs.group]
    up_to = np.cumsum(np.bincount(level, minlength=len(groups.sizes)))
    largest: int = parameters.of(RELAXATION, "largest")
    large = level < np.searchsorted(up_to, largest)
    _, rank = np.unique(pairs.kind, return_inverse=True)  # of the class among those in use
    top = np.zeros(len(groups), dtype=np.int64)
    np.maximum.at(top, pairs.group, rank)
    nearest: int = parameters.of(RELAXATION, "nearest")
    near = top[pairs.group] - rank < nearest
    return own[large | near]


def relax(
    groups: Groups,
    limits: Limits,
    columns: IntArray,
    below: int,
    seconds: float,
    growth: float = 0.0,
) -> Relaxation | None:
    """Solve the relaxation over some of its columns.

    Parameters
    ----------
    groups, limits
        The problem, and what all plans that cost less than ``below`` satisfy.
    columns
        Keys of the columns x to take part; with them a plan must be possible.
    below
        Bytes.
    seconds
        Time limit.
    growth
        Columns that are to be added besides those that are missing, as a share of all.

    Returns
    -------
    Relaxation or None
        ``None`` if the solver did not end.
    """
    pairs = allowed_pairs(groups, limits)
    taken = np.isin(keys(groups, pairs), columns)
    lp = build_class_lp(groups, limits, Pairs(pairs.group[taken], pairs.kind[taken]))
    # The solver's tolerances are absolute: costs near 1 (a power of two loses no digit), and none
    # for M_k that gap fixing leaves no choice, however large: they would drown the others.
    cost = np.where(lp.low < lp.high, lp.cost, 0.0)
    scale = 2.0 ** (COST_BITS - int(cost.max()).bit_length())
    solution = run_lp(cost * scale, lp.matrix, lp.right, lp.low, lp.high, seconds)
    if solution.status is not LpStatus.SOLVED:
        return None
    prices = exact_prices(groups, limits, lp, solution.duals / scale)
    if prices is None:
        return None
    first = len(lp.pairs) + len(groups.sizes)
    missing, nearly = _price(groups, prices, pairs, taken, growth)
    return Relaxation(
        groups,
        lp.pairs,
        solution.values[: len(lp.pairs)],
        solution.values[first : first + len(groups.sizes)],
        prices,
        prices.certificate(groups, below),
        missing,
        nearly,
    )


def _price(
    groups: Groups, prices: Prices, pairs: Pairs, taken: BoolArray, growth: float
) -> tuple[IntArray, IntArray]:
    """Return the keys of the columns that would lower the value, and of those that nearly do."""
    value = prices.value(groups, pairs)
    known = np.full(len(groups), np.iinfo(np.int64).max)
    np.minimum.at(known, pairs.group[taken], value[taken])
    reduced = np.where(taken, np.iinfo(np.int64).max, value - known[pairs.group])
    own = keys(groups, pairs)
    missing = reduced < 0
    num_nearly = int(missing.sum()) + int(growth * taken.sum())
    nearest = np.argsort(reduced, kind="stable")[: min(num_nearly, int((~taken).sum()))]
    return own[missing], own[nearest]
