"""Rows by case and algorithm: what each algorithm achieves against the best that is known."""

from __future__ import annotations

import math
import zlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from memonger.bench.rows import Key, Outcome, Row
from memonger.bench.statistics import (
    Comparison,
    compare,
    holm,
    primal_integral,
    shifted_geometric_mean,
)
from memonger.errors import InputError

PARAMETERS = ("time_limit", "memory_limit", "threads", "tuned")
"""In which runs of an algorithm may differ."""
TIME_SHIFT = 1.0
"""Seconds, of the shifted geometric mean."""
GAP_SHIFT = 1.0
"""Per cent, of the shifted geometric mean."""


@dataclass(frozen=True)
class Case:
    """One instance in one form and order, with everything that was run on it.

    Parameters
    ----------
    instance, family, n
        What was planned; ``n`` 0 where no run could read it.
    runs
        Algorithm -> its rows by seed.
    """

    instance: str
    family: str
    n: int
    runs: dict[str, dict[int, Row]]

    @cached_property
    def best(self) -> float:
        """The lowest cost that is known, bytes; ``inf`` where there is none."""
        rows = [row for runs in self.runs.values() for row in runs.values()]
        known = [cost for r in rows for cost in (r.objective, r.best_known) if cost is not None]
        return min(known, default=math.inf)

    @cached_property
    def bound(self) -> int:
        """The best bound that is proven, by these runs or before, bytes."""
        rows = (row for runs in self.runs.values() for row in runs.values())
        return max((max(row.bound, row.known_bound) for row in rows), default=0)

    @property
    def proven(self) -> bool:
        """Whether the optimum is known."""
        return self.bound == self.best

    @property
    def reference(self) -> float:
        """What gaps are measured from: the bound, or the best cost where there is no bound."""
        return self.bound or self.best

    def cost(self, algorithm: str) -> float:
        """Return the mean cost over the seeds; ``inf`` if a run has no plan."""
        costs = [self.cost_of(algorithm, seed) for seed in self.runs.get(algorithm, {})]
        return math.fsum(costs) / len(costs) if costs else math.inf

    def cost_of(self, algorithm: str, seed: int) -> float:
        """Return the cost with one seed, or with seed 0 where the algorithm has run once only."""
        runs = self.runs.get(algorithm, {})
        row = runs.get(seed) or (runs.get(0) if len(runs) == 1 else None)
        return math.inf if row is None or row.objective is None else float(row.objective)

    def gap(self, algorithm: str) -> float:
        """Return how far the mean cost lies above the reference, per cent; ``inf`` without plan."""
        cost = self.cost(algorithm)
        if cost == self.reference:
            return 0.0
        return 100 * (cost / self.reference - 1) if self.reference else math.inf


@dataclass(frozen=True)
class Score:
    """What an algorithm achieves over all cases of a form.

    Parameters
    ----------
    algorithm
        Its name.
    cases, solved
        Cases that it ran on and was not skipped on, and those with a plan from every seed.
    skipped
        Cases that it is not for, or gave up on.
    best, alone
        Cases on which nobody is cheaper, and on which everybody else is dearer.
    optimal
        Cases on which it reaches the proven optimum.
    gaps
        Per cent, one for each case that is solved.
    seconds
        Shifted geometric mean over its runs; a run that had to be ended counts its time limit.
    integral
        Mean primal integral over its runs, as a share of the time limit.
    smallest_miss
        The case of fewest buffers or operators on which it is not as good as the best.
    """

    algorithm: str
    cases: int
    solved: int
    skipped: int
    best: int
    alone: int
    optimal: int
    gaps: tuple[float, ...]
    seconds: float
    integral: float
    smallest_miss: Case | None

    @property
    def mean_gap(self) -> float:
        """Mean gap, per cent."""
        return math.fsum(self.gaps) / len(self.gaps) if self.gaps else math.nan

    @property
    def shifted_gap(self) -> float:
        """Shifted geometric mean of the gaps, per cent."""
        return shifted_geometric_mean(self.gaps, GAP_SHIFT)


def cases_of(rows: Sequence[Row]) -> dict[tuple[str, str], list[Case]]:
    """Return the cases by (form, order), sorted by name; of rows of one key the last counts.

    Where runs of an algorithm differ in more than the seed, each kind is an algorithm of its own.

    Raises
    ------
    InputError
        If a bound lies above the cost of a plan: then the rows are not of one problem.
    """
    last = list({row.key: row for row in rows}.values())
    labels = _labels(last)
    runs: dict[tuple[str, ...], dict[str, dict[int, Row]]] = defaultdict(lambda: defaultdict(dict))
    for row in last:
        problem = (row.form, row.order, row.instance, row.digest, row.planned)
        runs[problem][labels[row.key]][row.seed] = row
    found: dict[tuple[str, str], list[Case]] = defaultdict(list)
    for (form, order, instance, *_), by_algorithm in sorted(runs.items()):
        every = [row for by_seed in by_algorithm.values() for row in by_seed.values()]
        size = max((row.n or 0 for row in every), default=0)
        case = Case(instance, every[0].family, size, dict(by_algorithm))
        if case.bound > case.best:
            raise InputError(
                f"{instance}, form {form}: rows contradict each other, the bound {case.bound:,} "
                f"lies above the cost {case.best:,.0f}"
            )
        found[form, order].append(case)
    return dict(found)


def _labels(rows: Sequence[Row]) -> dict[Key, str]:
    """Return what the algorithm of each row is called: with the parameters in which rows differ."""
    values: dict[str, set[object]] = defaultdict(set)
    for row in rows:
        for name in PARAMETERS:
            values[name].add(row.parameters.get(name))
    varied = [name for name in PARAMETERS if len(values[name]) > 1]

    def label(row: Row) -> str:
        given = ((name, row.parameters.get(name)) for name in varied)
        parts = [
            f"tuned {zlib.crc32(str(value).encode()):08x}" if name == "tuned" else f"{name} {value}"
            for name, value in given
            if value is not None
        ]
        return f"{row.algorithm} ({', '.join(parts)})" if parts else row.algorithm

    return {row.key: label(row) for row in rows}


def solvable(cases: Sequence[Case]) -> list[Case]:
    """Return the cases for which a plan is known."""
    return [case for case in cases if case.best < math.inf]


def algorithms_of(cases: Sequence[Case]) -> list[str]:
    """Return the algorithms that ran on any of the cases, in the order of their first rows."""
    return list(dict.fromkeys(name for case in cases for name in case.runs))


def scores_of(cases: Sequence[Case]) -> list[Score]:
    """Return the score of every algorithm, the best first: by cases solved, then by gap."""
    scores = [_score(name, solvable(cases)) for name in algorithms_of(cases)]

    def rank(score: Score) -> tuple[float, float, str]:
        gap = score.shifted_gap if score.gaps else math.inf
        return -score.solved, gap, score.algorithm

    return sorted(scores, key=rank)


def _score(name: str, cases: Sequence[Case]) -> Score:
    ran = [case for case in cases if case.runs.get(name)]
    tried = [case for case in ran if not _is_skipped(case, name)]
    solved = [case for case in tried if case.cost(name) < math.inf]
    winners = [case for case in solved if case.cost(name) == _least(case)]
    alone = [c for c in winners if all(c.cost(o) > c.cost(name) for o in c.runs if o != name)]
    missed = [case for case in tried if case.cost(name) > case.best]
    rows = [(case, row) for case in tried for row in case.runs[name].values()]
    return Score(
        algorithm=name,
        cases=len(tried),
        solved=len(solved),
        skipped=len(ran) - len(tried),
        best=len(winners),
        alone=len(alone),
        optimal=sum(case.proven and case.cost(name) == case.best for case in solved),
        gaps=tuple(case.gap(name) for case in solved),
        seconds=shifted_geometric_mean([_seconds(row) for _, row in rows], TIME_SHIFT),
        integral=_mean([_integral(case, row) for case, row in rows]),
        smallest_miss=min(missed, key=lambda case: (case.n, case.instance), default=None),
    )


def _is_skipped(case: Case, name: str) -> bool:
    return all(row.status == Outcome.SKIPPED for row in case.runs[name].values())


def _least(case: Case) -> float:
    return min(case.cost(name) for name in case.runs)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan


def _limit(row: Row) -> float:
    return float(row.parameters.get("time_limit") or 0.0)


def _seconds(row: Row) -> float:
    return _limit(row) if row.seconds is None else row.seconds


def _integral(case: Case, row: Row) -> float:
    """Return the primal integral of a run as a share of its time limit, 0 to 1."""
    limit = _limit(row)
    return primal_integral(row.history, case.best, limit) / limit if limit else math.nan


@dataclass(frozen=True)
class PairedTest:
    """The comparison of an algorithm with the first in rank; ``p`` is corrected."""

    algorithm: str
    against: str
    comparison: Comparison
    p: float


def paired_tests(cases: Sequence[Case], scores: Sequence[Score]) -> list[PairedTest]:
    """Compare every algorithm with the first, over all cases and seeds that both have solved.

    Differences are of costs, in per cent of the case's reference.
    """
    if not scores:
        return []
    first, *others = [score.algorithm for score in scores]
    found = [(name, compare(_differences(cases, name, first))) for name in others]
    corrected = holm([comparison.p for _, comparison in found])
    return [PairedTest(name, first, c, p) for (name, c), p in zip(found, corrected, strict=True)]


def _differences(cases: Sequence[Case], name: str, other: str) -> list[float]:
    found = []
    for case in solvable(cases):
        for seed in sorted({*case.runs.get(name, {}), *case.runs.get(other, {})}):
            one, two = case.cost_of(name, seed), case.cost_of(other, seed)
            if one < math.inf and two < math.inf and case.reference:
                found.append(100 * (one - two) / case.reference)
    return found
