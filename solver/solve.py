"""The one public way to solve a problem: check, run, verify."""

from __future__ import annotations

import importlib.metadata
import os
import time
from collections.abc import Callable

import memonger.solver.formulations
import memonger.solver.sharing  # noqa: F401
from memonger.certificate import check_certificate
from memonger.errors import InputError, PlanError
from memonger.plan import SharingPlan
from memonger.problem import Problem
from memonger.registry import SHARING, Algorithm, Outcome, Progress, Run, ignore
from memonger.result import Result, Status
from memonger.solver.devices import run_by_device
from memonger.stop import Deadline
from memonger.verify import verify_sharing

MAX_WORKERS = 1024


def solve(
    problem: Problem,
    algorithm: str = "optimal",
    *,
    time_limit: float | None = None,
    workers: int | None = None,
    seed: int = 0,
    hint: SharingPlan | None = None,
    report: Callable[[Progress], None] = ignore,
) -> Result:
    """Solve the sharing form of a problem with an algorithm of the registry.

    Devices are solved one after the other, as they never share. Whatever the algorithm claims is
    checked: the plan by the independent verifier, the cost recomputed, the certificate added up.

    Parameters
    ----------
    problem
        The buffers.
    algorithm
        A name in `memonger.registry.SHARING`.
    time_limit
        Seconds for everything, model building included; ``None`` for no limit.
    workers
        Threads; by default as many as there are processors, at most 8.
    seed
        With one worker, the same seed gives the same plan, unless a time limit is met: see
        `memonger.solver.linear.run_lp`.
    hint
        A valid plan to start from; the result is never worse.
    report
        Called with progress, from the thread of a solver at times.

    Returns
    -------
    Result
        Status ``optimal`` iff the plan costs exactly the proven bound; ``infeasible`` only where
        rules allow no plan.

    Raises
    ------
    InputError
        If the algorithm is unknown or cannot handle vector time, or a number is out of range.
    PlanError
        If the hint is not valid for the problem.
    KeyboardInterrupt
        On Ctrl-C before there is a plan; later it ends the run early, with the best plan so far.

    Examples
    --------
    >>> from memonger.problem import Buffer
    >>> problem = Problem((Buffer("a", 8, 0, 2), Buffer("b", 4, 1, 3), Buffer("c", 8, 2, 4)))
    >>> result = solve(problem)
    >>> result.status.value, result.objective, result.proof.value
    ('optimal', 12, 'threshold')
    """
    started = time.monotonic()
    chosen = SHARING.get(algorithm)
    if problem.vector_time is not None and not chosen.vector_time:
        able = ", ".join(a.name for a in SHARING if a.vector_time)
        raise InputError(
            f"algorithm {algorithm!r} cannot plan nets that run in parallel; these can: {able}"
        )
    if problem.rules and not chosen.rules:
        able = ", ".join(a.name for a in SHARING if a.rules)
        raise InputError(f"algorithm {algorithm!r} cannot keep rules; these can: {able}")
    if workers is None:
        workers = min(8, os.cpu_count() or 1)
    if not 1 <= workers <= MAX_WORKERS:
        raise InputError(f"workers must be between 1 and {MAX_WORKERS}, got {workers}")
    if hint is not None:
        verify_sharing(problem, hint)
    run = Run(Deadline(time_limit), workers, seed, hint, report)
    outcome = run_by_device(problem, chosen, run)
    return _checked(problem, chosen, run, outcome, time.monotonic() - started)


def _checked(
    problem: Problem, algorithm: Algorithm, run: Run, outcome: Outcome, seconds: float
) -> Result:
    """Verify an outcome and make it a result."""
    objective, status = None, Status.UNKNOWN
    if outcome.certificate is not None:
        check_certificate(problem, outcome.certificate, outcome.bound)
    if outcome.infeasible and run.hint is not None:
        raise PlanError(
            f"algorithm {algorithm.name!r} claims that there is no plan, but was given one: this "
            "is a mistake in memonger"
        )
    if outcome.infeasible:
        status = Status.INFEASIBLE
    elif outcome.plan is not None:
        objective = verify_sharing(problem, outcome.plan)
        if objective < outcome.bound:
            raise PlanError(
                f"algorithm {algorithm.name!r} claims the bound {outcome.bound} above the cost "
                f"{objective} of its own plan: this is a mistake in memonger"
            )
        status = Status.OPTIMAL if objective == outcome.bound else Status.FEASIBLE
    return Result(
        status=status,
        algorithm=algorithm.name,
        objective=objective,
        bound=outcome.bound,
        plan=outcome.plan,
        proof=outcome.proof,
        certificate=outcome.certificate,
        source=outcome.source,
        build_seconds=max(0.0, seconds - outcome.solve_seconds),
        solve_seconds=outcome.solve_seconds,
        seed=run.seed,
        workers=run.workers,
        versions={
            package: importlib.metadata.version(package) for package in ("memonger", "ortools")
        },
    )
