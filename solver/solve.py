"""The one public way to solve a problem: check, run, verify."""

from __future__ import annotations

import importlib.metadata
import os
import time
from collections.abc import Callable
from typing import Any, Literal, overload

import memonger.solver.arena
import memonger.solver.formulations
import memonger.solver.sharing  # noqa: F401
from memonger.certificate import check_certificate
from memonger.errors import InputError, PlanError
from memonger.forms import ARENA_FORM, FORMS, Form
from memonger.parameters import DEFAULTS, Parameters
from memonger.plan import ArenaPlan, P, SharingPlan
from memonger.problem import Problem
from memonger.registry import AlgorithmOf, OutcomeOf, Progress, RunOf, ignore
from memonger.result import ArenaResult, Result, SharingResult, Status
from memonger.solver.devices import run_by_device
from memonger.stop import Deadline

MAX_WORKERS = 1024


@overload
def solve(
    problem: Problem,
    algorithm: str = "optimal",
    *,
    form: Literal["sharing"] = "sharing",
    time_limit: float | None = None,
    workers: int | None = None,
    seed: int = 0,
    hint: SharingPlan | None = None,
    report: Callable[[Progress], None] = ignore,
    capacity: int | None = None,
    parameters: Parameters = DEFAULTS,
) -> SharingResult: ...


@overload
def solve(
    problem: Problem,
    algorithm: str = "optimal",
    *,
    form: Literal["arena"],
    time_limit: float | None = None,
    workers: int | None = None,
    seed: int = 0,
    hint: ArenaPlan | None = None,
    report: Callable[[Progress], None] = ignore,
    capacity: int | None = None,
    parameters: Parameters = DEFAULTS,
) -> ArenaResult: ...


@overload
def solve(
    problem: Problem,
    algorithm: str = "optimal",
    *,
    form: str,
    time_limit: float | None = None,
    workers: int | None = None,
    seed: int = 0,
    hint: SharingPlan | ArenaPlan | None = None,
    report: Callable[[Progress], None] = ignore,
    capacity: int | None = None,
    parameters: Parameters = DEFAULTS,
) -> SharingResult | ArenaResult: ...


def solve(
    problem: Problem,
    algorithm: str = "optimal",
    *,
    form: str = "sharing",
    time_limit: float | None = None,
    workers: int | None = None,
    seed: int = 0,
    hint: Any = None,
    report: Callable[[Progress], None] = ignore,
    capacity: int | None = None,
    parameters: Parameters = DEFAULTS,
) -> Any:
    """Solve a problem with an algorithm of the registry.

    Devices are solved one after the other, as they never share. Whatever the algorithm claims is
    checked: the plan by the independent verifier, the cost recomputed, the certificate added up.

    Parameters
    ----------
    problem
        The buffers.
    algorithm
        A name in `memonger.registry.SHARING`, or `memonger.registry.ARENA`.
    form
        ``sharing``: which buffers share memory; ``arena``: where each lies in one arena.
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
    capacity
        Bytes: it is enough to know whether a plan fits in them.
    parameters
        Of the solvers; they change how long it takes, and not what is proven.

    Returns
    -------
    Result or ArenaResult
        Status ``optimal`` iff the plan costs exactly the proven bound; ``infeasible`` only where
        rules or pins allow no plan.

    Raises
    ------
    InputError
        If the form or the algorithm is unknown or cannot handle what the problem asks for, or a
        number is out of range.
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
    >>> solve(problem, form="arena").objective
    12
    """
    started = time.monotonic()
    if form not in FORMS:
        raise InputError(f"unknown form {form!r}; known: {', '.join(FORMS)}")
    kind = FORMS[form]
    chosen = kind.registry.get(algorithm)
    _check_able(kind, problem, chosen)
    if workers is None:
        workers = min(8, os.cpu_count() or 1)
    if not 1 <= workers <= MAX_WORKERS:
        raise InputError(f"workers must be between 1 and {MAX_WORKERS}, got {workers}")
    if hint is not None:
        if not isinstance(hint, kind.plan):
            raise InputError(f"the hint is no plan of the form {form!r}")
        kind.verify(problem, hint)
    run = RunOf(Deadline(time_limit), workers, seed, hint, report, capacity, parameters)
    outcome = run_by_device(kind, problem, chosen, run)
    return _checked(kind, problem, chosen, run, outcome, time.monotonic() - started)


def _check_able(form: Form[P], problem: Problem, algorithm: AlgorithmOf[P]) -> None:
    """Refuse what an algorithm would not heed."""
    if problem.vector_time is not None and not algorithm.vector_time:
        able = ", ".join(a.name for a in form.registry if a.vector_time)
        raise InputError(
            f"algorithm {algorithm.name!r} cannot plan nets that run in parallel; these can: "
            f"{able or 'none of this form'}"
        )
    if problem.rules and not algorithm.rules:
        able = ", ".join(a.name for a in form.registry if a.rules)
        raise InputError(
            f"algorithm {algorithm.name!r} cannot keep rules; these can: "
            f"{able or 'none of this form'}"
        )
    if problem.gapped and form is not ARENA_FORM:
        name = problem.buffers[problem.gapped[0]].name
        raise InputError(
            f"buffer {name!r} has gaps, which the form {form.name!r} cannot plan: there buffers "
            "are whole; use --form arena"
        )
    if problem.in_place and form is ARENA_FORM:
        raise InputError(
            "arena plans put no buffer into the place of another; plan without the pairs in place "
            "(--no-in-place)"
        )


def _checked(
    form: Form[P],
    problem: Problem,
    algorithm: AlgorithmOf[P],
    run: RunOf[P],
    outcome: OutcomeOf[P],
    seconds: float,
) -> Result[P]:
    """Verify an outcome and make it a result."""
    objective, status = None, Status.UNKNOWN
    if outcome.certificate is not None:
        check_certificate(problem, outcome.certificate, outcome.bound, form.certificates)
    if outcome.infeasible and run.hint is not None:
        raise PlanError(
            f"algorithm {algorithm.name!r} claims that there is no plan, but was given one: this "
            "is a mistake in memonger"
        )
    if outcome.infeasible:
        status = Status.INFEASIBLE
    elif outcome.plan is not None:
        objective = form.verify(problem, outcome.plan)
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
