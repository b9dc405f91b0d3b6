"""What a set of runs amounts to: means, profiles, integrals and tests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

LEVEL = 0.05
"""Of significance, after Holm's correction."""


def shifted_geometric_mean(values: Sequence[float], shift: float) -> float:
    """Return exp(mean(log(value + shift))) - shift; ``nan`` of nothing.

    The shift keeps what is nearly 0 from deciding everything.

    Examples
    --------
    >>> round(shifted_geometric_mean([0, 3], 1.0), 6)
    1.0
    """
    if not values:
        return math.nan
    return math.exp(math.fsum(math.log(v + shift) for v in values) / len(values)) - shift


def performance_profile(
    costs: dict[str, list[float]],
) -> dict[str, tuple[list[float], list[float]]]:
    """Return the performance profile of each algorithm, after Dolan and More (2002).

    Parameters
    ----------
    costs
        Algorithm -> its cost on every case, ``inf`` where it has none.

    Returns
    -------
    dict
        Algorithm -> (ratios to the best cost of a case, ascending; share of the cases on which the
        algorithm is within that ratio). Cases that nobody solves count for nobody.

    Examples
    --------
    >>> performance_profile({"a": [2, 2], "b": [4, 2]})["b"]
    ([1.0, 2.0], [0.5, 1.0])
    """
    best = [min(column) for column in zip(*costs.values(), strict=True)]
    found = {}
    for name, values in costs.items():
        ratios = sorted(
            _ratio(value, least)
            for value, least in zip(values, best, strict=True)
            if value < math.inf
        )
        steps: dict[float, float] = {}
        for number, ratio in enumerate(ratios, 1):
            steps[ratio] = number / len(values)
        found[name] = (list(steps), list(steps.values()))
    return found


def _ratio(value: float, least: float) -> float:
    if value == least:
        return 1.0
    return value / least if least > 0 else math.inf


def primal_integral(
    history: Sequence[tuple[float, int | None, int]], best: float, until: float
) -> float:
    """Return the integral of the primal gap over time, after Berthold (2013), seconds.

    The gap is 1 before the first plan, then (cost - best) / cost: a run that has the best plan at
    once gets 0, one that finds none gets ``until``.

    Parameters
    ----------
    history
        (seconds, cost, bound) at each improvement.
    best
        The lowest cost that is known.
    until
        The time limit, seconds.

    Examples
    --------
    >>> primal_integral([(1.0, 20, 0), (3.0, 10, 0)], 10, 5.0)
    2.0
    """
    total, last, gap = 0.0, 0.0, 1.0
    for seconds, cost, _ in history:
        if cost is None or seconds >= until:
            continue
        total += gap * (seconds - last)
        last, gap = seconds, (cost - best) / cost if cost else 0.0
    return total + gap * (until - last)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A paired comparison of two algorithms.

    Parameters
    ----------
    pairs, better, worse
        Number of pairs, and of those in which the first is better or worse.
    mean
        Mean difference, first - second.
    p
        Two-sided p value of Wilcoxon's signed-rank test; 1 where no pair differs.
    effect
        Matched-pairs rank-biserial correlation, -1 (the first is always lower) to 1.
    """

    pairs: int
    better: int
    worse: int
    mean: float
    p: float
    effect: float


def compare(differences: Sequence[float]) -> Comparison:
    """Compare two algorithms by the differences of what they cost in each pair.

    Examples
    --------
    >>> found = compare([-1, -2, -3, -4, -5, -6, 0])
    >>> found.better, found.effect, found.p
    (6, -1.0, 0.03125)
    """
    values = np.array(differences, dtype=np.float64)
    unequal = values[values != 0]
    p, effect = 1.0, 0.0
    if len(unequal):
        ranks = stats.rankdata(np.abs(unequal))
        effect = float((ranks * np.sign(unequal)).sum() / ranks.sum())
        ties = len(np.unique(np.abs(unequal))) < len(unequal)
        exact = len(unequal) <= 50 and not ties
        p = float(stats.wilcoxon(unequal, method="exact" if exact else "approx").pvalue)
    mean = float(values.mean()) if len(values) else 0.0
    return Comparison(
        len(values), int((values < 0).sum()), int((values > 0).sum()), mean, p, effect
    )


def holm(values: Sequence[float]) -> list[float]:
    """Return p values corrected for their number, after Holm (1979), in the order given.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    corrected = [0.0] * len(values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        highest = max(highest, min(1.0, (len(values) - rank) * values[index]))
        corrected[index] = highest
    return corrected
