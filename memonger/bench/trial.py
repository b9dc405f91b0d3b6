"""One run, in the process that is there for it."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import memonger
from memonger.bench.instances import read_buffers, read_operators
from memonger.bench.rows import Job, Outcome, Row
from memonger.errors import InputError, PlanError
from memonger.instances.known import offer
from memonger.instances.order_json import order_to_json
from memonger.instances.plan_json import plan_to_json
from memonger.parameters import DEFAULTS, parameters_from_json
from memonger.plan import AnyPlan
from memonger.registry import ARENA, ORDER, SHARING, Progress, RegistryOf
from memonger.result import Result, Status
from memonger.solver.order import solve_order
from memonger.solver.solve import solve

Report = Callable[[Progress], None]
REGISTRIES: dict[str, RegistryOf[Any]] = {"sharing": SHARING, "arena": ARENA, "order": ORDER}
"""The algorithms of each form."""
MAX_HISTORY = 200
"""Improvements of a run that its row keeps; the last one is always kept."""


class History:
    """What a run has reported, on the clock of this process; any thread may report."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.points: list[tuple[float, int | None, int]] = []
        self._lock = threading.Lock()

    def report(self, state: Progress) -> None:
        """Keep an improvement of the objective or the bound; forget the rest."""
        with self._lock:
            last = self.points[-1] if self.points else (0.0, None, 0)
            objective, bound = last[1], max(last[2], state.bound)
            if state.objective is not None:
                known = state.objective if objective is None else objective
                objective = min(known, state.objective)
            if (objective, bound) != last[1:]:
                seconds = round(time.monotonic() - self.started, 4)
                self.points.append((seconds, objective, bound))

    def thinned(self) -> tuple[tuple[float, int | None, int], ...]:
        """Return the points, at most `MAX_HISTORY` of them, the first and the last among them."""
        step = -(-len(self.points) // MAX_HISTORY) or 1
        last = len(self.points) - 1
        return tuple(p for i, p in enumerate(self.points) if i % step == 0 or i == last)


def run_trial(job: Job, loaded: Callable[[], None]) -> Row:
    """Run a job here, and return its row.

    Parameters
    ----------
    job
        What is to be run.
    loaded
        Called when the instance is read and the clock starts.
    """
    try:
        work, written, size, planned = _prepared(job)
    except InputError as error:
        return row_of(job, Outcome.SKIPPED, str(error))
    loaded()
    history = History()
    try:
        result = work(history.report)
    except InputError as error:  # what the algorithm cannot handle
        return row_of(job, Outcome.SKIPPED, str(error), n=size)
    except PlanError as error:
        return row_of(job, Outcome.INVALID, str(error), n=size)
    except MemoryError:
        return row_of(job, Outcome.OUT_OF_MEMORY, "an allocation failed", n=size)
    seconds = time.monotonic() - history.started
    row = replace(_finished(job, size, result, history, seconds), planned=planned)
    if job.known is not None and job.order in ("", "program") and result.plan is not None:
        try:
            offer(Path(job.known), job.instance.name, job.instance.digest, written(result))
        except InputError as error:  # the run itself is as good as any
            row = replace(row, reason=f"the plan was not kept: {error}")
    return row


def _prepared(
    job: Job,
) -> tuple[Callable[[Report], Result[Any]], Callable[[Result[Any]], dict[str, Any]], int, str]:
    """Read the instance.

    Return what runs the algorithm, what writes the plan, the size, and the digest of an order that
    is not that of the program.
    """
    limit, seed = job.time_limit, job.seed
    parameters = parameters_from_json(json.loads(job.tuned)) if job.tuned else DEFAULTS
    if job.form == "order":
        operators = read_operators(job.instance)

        def schedule(report: Report) -> Result[Any]:
            return solve_order(operators, job.algorithm, time_limit=limit, seed=seed, report=report)

        return schedule, lambda result: order_to_json(operators, result), len(operators), ""
    planned = ""
    if job.order == "program":
        problem = read_buffers(job.instance, job.form)
    else:
        operators = read_operators(job.instance)
        ordered = solve_order(operators, job.order, time_limit=limit, seed=seed).plan
        assert ordered is not None
        problem = operators.in_order(ordered.order)
        planned = hashlib.sha256(json.dumps(ordered.order).encode()).hexdigest()[:16]

    def plan(report: Report) -> Result[Any]:
        return solve(
            problem,
            job.algorithm,
            form=job.form,
            time_limit=limit,
            workers=job.threads,
            seed=seed,
            report=report,
            parameters=parameters,
        )

    return plan, lambda result: plan_to_json(problem, result), len(problem), planned


def _finished(
    job: Job, size: int, result: Result[AnyPlan], history: History, seconds: float
) -> Row:
    """Return the row of a result."""
    if result.plan is None and result.status is Status.UNKNOWN and seconds < job.time_limit:
        return row_of(job, Outcome.SKIPPED, "gave up before the time was over", n=size)
    history.report(Progress(result.objective, result.bound, seconds))
    plans = [(at, cost) for at, cost, _ in history.points if cost is not None]
    best = [at for at, cost in plans if cost == result.objective]
    proven = result.status is Status.OPTIMAL
    proofs = [at for at, cost, bound in history.points if cost is not None and bound >= cost]
    return row_of(
        job,
        result.status.value,
        n=size,
        objective=result.objective,
        bound=result.bound,
        gap=result.gap,
        proof=None if result.proof is None else result.proof.value,
        seconds=round(seconds, 4),
        seconds_to_first=plans[0][0] if plans else None,
        seconds_to_best=best[0] if best else None,
        seconds_to_proof=proofs[0] if proven and proofs else None,
        history=history.thinned(),
    )


def row_of(job: Job, status: str, reason: str = "", **values: Any) -> Row:  # noqa: ANN401
    """Return the row of a run, with the machine and the version that it ran on."""
    return Row.of(
        job,
        status,
        reason=reason,
        environment=environment(),
        version=memonger.__version__,
        **values,
    )


@lru_cache(maxsize=1)
def environment() -> dict[str, Any]:
    """Return what the machine is, and the packages that decide how fast a run is."""
    packages = ("numba", "numpy", "ortools", "scipy")
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        **{package: importlib.metadata.version(package) for package in packages},
    }
