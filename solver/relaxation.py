"""Bounds and plans from the relaxation, for more and more of the sizes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memonger.graph.cliques import Groups
from memonger.lp_dual import LpDualCertificate
from memonger.solver.class_lp import build_class_lp
from memonger.solver.linear import FloatArray, LpStatus, run_lp
from memonger.solver.presolve import Limits, Pairs, allowed_pairs
from memonger.solver.prices import Prices, exact_prices

# A relaxation of the largest sizes alone comes first where the whole one has more pairs.
SMALL_PAIRS = 20_000
GROWTH = 2.5
COST_BITS = 6


@dataclass(frozen=True)
class Relaxation:
    """A solved relaxation of the largest sizes.

    Parameters
    ----------
    groups
        The groups of these sizes.
    pairs, placed, at_least
        Its columns x with their values, and the values of M_k.
    prices
        Exact prices from its duals.
    certificate
        What they prove.
    """

    groups: Groups
    pairs: Pairs
    placed: FloatArray
    at_least: FloatArray
    prices: Prices
    certificate: LpDualCertificate


def depths(groups: Groups, limits: Limits) -> list[int]:
    """Return for how many of the largest sizes to solve relaxations, ascending; all at last."""
    pairs = allowed_pairs(groups, limits)
    level = groups.level[pairs.group]
    num_pairs = np.cumsum(np.bincount(level, minlength=len(groups.sizes)))
    wanted = float(SMALL_PAIRS)
    found: list[int] = []
    while wanted < num_pairs[-1] / 1.5:
        depth = int(np.searchsorted(num_pairs, wanted)) + 1
        if depth < len(groups.sizes) and (not found or depth > found[-1]):
            found.append(depth)
        wanted *= GROWTH
    return [*found, len(groups.sizes)]


def relax(
    groups: Groups, limits: Limits, depth: int, below: int, seconds: float
) -> Relaxation | None:
    """Solve the relaxation of the largest sizes.

    Parameters
    ----------
    groups, limits
        The whole problem, and what all plans that cost less than ``below`` satisfy.
    depth
        Number of sizes. The others count as the threshold bound counts them.
    below
        Bytes.
    seconds
        Time limit.

    Returns
    -------
    Relaxation or None
        ``None`` if the solver did not end.
    """
    part, own = groups, limits
    if depth < len(groups.sizes):
        part, own = groups.truncate(depth), limits.truncate(groups, depth)
    lp = build_class_lp(part, own)
    # The solver's tolerances are absolute: costs near 1 (a power of two loses no digit), and none
    # for M_k that gap fixing leaves no choice, however large: they would drown the others.
    cost = np.where(lp.low < lp.high, lp.cost, 0.0)
    scale = 2.0 ** (COST_BITS - int(cost.max()).bit_length())
    solution = run_lp(cost * scale, lp.matrix, lp.right, lp.low, lp.high, seconds)
    if solution.status is not LpStatus.SOLVED:
        return None
    prices = exact_prices(part, own, lp, solution.duals / scale)
    first = len(lp.pairs) + len(part.sizes)
    return Relaxation(
        part,
        lp.pairs,
        solution.values[: len(lp.pairs)],
        solution.values[first : first + len(part.sizes)],
        prices,
        prices.certificate(part, below),
    )
