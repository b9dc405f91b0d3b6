"""Large-neighbourhood search: some of the shared buffers are planned anew, almost exactly.

The buffers of some shared buffers of neighbouring capacities are a small problem of their own. The
relaxation and its rounding solve it well; the others stay where they are.
"""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np

from memonger.graph.profile import size_profile
from memonger.parameters import Parameter, declare
from memonger.plan import SharingPlan
from memonger.problem import Problem
from memonger.registry import SHARING, Algorithm, Outcome, Run, ignore
from memonger.solver.core import Core
from memonger.solver.incumbent import Incumbent, ends_early
from memonger.solver.stages import improve_by_relaxation, warm_start

LNS = declare(
    "lns",
    Parameter("buffers", 600, 60, 6_000, log=True),  # of a neighbourhood
    Parameter("failures", 30, 5, 300, log=True),  # in a row, then the search ends
)


def polish(incumbent: Incumbent) -> None:
    """Improve a plan until it meets the bound, the time is up, or many attempts in a row fail.

    Interval time only. Deterministic for a seed, where no time limit interferes.
    """
    problem, run = incumbent.problem, incumbent.run
    if problem.vector_time is not None:
        return
    rng = random.Random(run.seed)
    failures, most = 0, run.parameters.of(LNS, "failures")
    while failures < most and not incumbent.closed and not run.deadline.expired:
        indices = _neighbourhood(incumbent, rng)
        part = problem.subproblem(indices)
        hint = SharingPlan.of(incumbent.plan.shared[i] for i in indices)
        own = Incumbent(part, replace(run, hint=hint, report=ignore))
        warm_start(own)
        core = None if own.closed else Core.of(part)
        if core is not None:
            improve_by_relaxation(own, core)
        if own.source == "hint":
            failures += 1
            continue
        failures = 0
        labels = list(incumbent.plan.shared)
        for index, number in zip(indices, own.plan.shared, strict=True):
            labels[index] = -1 - number
        incumbent.offer(SharingPlan.of(labels), "neighbourhoods")


def _neighbourhood(incumbent: Incumbent, rng: random.Random) -> list[int]:
    """Return the buffers of some shared buffers next to each other in capacity.

    Around a size of which the plan has more shared buffers than the threshold bound asks for:
    only there something is to be gained.
    """
    problem, plan = incumbent.problem, incumbent.plan
    capacities = np.array(plan.capacities(problem), dtype=np.int64)
    order = np.argsort(-capacities, kind="stable")
    profile = size_profile(problem)
    at_least = np.searchsorted(-capacities[order], -profile.sizes, side="right")
    steps = profile.sizes - np.append(profile.sizes[1:], 0)
    excess = ((at_least - profile.counts) * steps).tolist()
    level = rng.choices(range(len(excess)), weights=excess)[0]
    low = high = int(at_least[level]) - 1  # positions in the order, inclusive
    members = plan.members()
    count = len(members[order[low]])
    most = incumbent.run.parameters.of(LNS, "buffers")
    wanted = rng.randint(most // 10, most)
    while count < wanted and (low > 0 or high + 1 < len(order)):
        down = high + 1 < len(order) and (low == 0 or rng.random() < 0.5)
        low, high = (low, high + 1) if down else (low - 1, high)
        count += len(members[order[high if down else low]])
    return sorted(i for number in order[low : high + 1].tolist() for i in members[number])


def _run(problem: Problem, run: Run) -> Outcome:
    incumbent = Incumbent(problem, run)
    with ends_early(run, lambda: incumbent.found):
        warm_start(incumbent)
        polish(incumbent)
    return incumbent.outcome()


SHARING.add(
    Algorithm(
        "neighbourhoods",
        "best heuristic, then large-neighbourhood search",
        _run,
        in_place=True,
        seeded=True,
    )
)
