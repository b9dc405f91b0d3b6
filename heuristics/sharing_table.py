"""The heuristics of the sharing form, by name."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from memonger.heuristics.by_size import first_fit, greedy_by_size, tight_gap
from memonger.heuristics.caffe2_dp import caffe2_dp
from memonger.heuristics.caffe2_greedy import caffe2_greedy
from memonger.heuristics.class_load import class_load
from memonger.heuristics.lane_table import LaneRule, fill
from memonger.heuristics.pisarchyk_lee import greedy_by_breadth
from memonger.heuristics.sweep import best_fit_sweep, profile_sweep
from memonger.plan import SharingPlan
from memonger.problem import IntArray, Problem
from memonger.registry import SHARING, Algorithm, Outcome, Run


def no_sharing(problem: Problem) -> SharingPlan:
    """Return the plan in which every buffer has memory of its own."""
    return SharingPlan(tuple(range(len(problem))))


def _by_start(problem: Problem) -> IntArray:
    return np.argsort(problem.starts, kind="stable")


def _register(
    name: str,
    summary: str,
    plan: Callable[[Problem, Run], SharingPlan | None],
    *,
    vector_time: bool = False,
    in_place: bool = False,
) -> None:
    def run(problem: Problem, run: Run) -> Outcome:
        return Outcome(plan(problem, run), source=name)

    SHARING.add(Algorithm(name, summary, run, vector_time=vector_time, in_place=in_place))


_register("none", "no sharing at all", lambda p, _: no_sharing(p), vector_time=True)
_register(
    "caffe2-greedy",
    "Caffe2's greedy, sizes known",
    lambda p, run: caffe2_greedy(p, deadline=run.deadline),
)
_register(
    "caffe2-greedy-unsized",
    "Caffe2's greedy as it runs by default, without sizes",
    lambda p, run: caffe2_greedy(p, by_size=False, deadline=run.deadline),
)
_register(
    "caffe2-dp",
    "Caffe2's dynamic programming, sizes known; gives up where it grows too large",
    lambda p, run: caffe2_dp(p, run.deadline),
)
_register("sweep", "capacity-profile sweep in time", lambda p, _: profile_sweep(p), in_place=True)
_register(
    "sweep-reverse",
    "capacity-profile sweep against time",
    lambda p, _: profile_sweep(p, reverse=True),
    in_place=True,
)
_register(
    "best-fit",
    "sweep in time into the free shared buffer nearest in size",
    lambda p, run: best_fit_sweep(p, run.deadline),
    vector_time=True,
)
_register(
    "by-size",
    "largest buffer first, into the first shared buffer with room",
    lambda p, run: greedy_by_size(p, first_fit, run.deadline),
    vector_time=True,
)
_register(
    "by-size-tight",
    "largest buffer first, where it leaves the least idle time",
    lambda p, run: greedy_by_size(p, tight_gap, run.deadline),
    vector_time=True,
)
_register(
    "class-load",
    "largest first, into capacity classes by their load, many orders and rules",
    lambda p, run: class_load(p, run.deadline),
    in_place=True,
)
_register(
    "by-breadth",
    "what is live at the busiest time first, into what is large enough",
    lambda p, run: greedy_by_breadth(p, run.deadline),
)
_register(
    "in-order",
    "TFLite GPU's greedy: by start, into the free shared buffer nearest in size",
    lambda p, run: fill(p, _by_start(p), LaneRule.NEAREST, run.deadline),
)
_register(
    "equality",
    "TFLite GPU's equality rule: only buffers of equal size share",
    lambda p, run: fill(p, _by_start(p), LaneRule.EQUAL, run.deadline),
)
