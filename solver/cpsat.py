"""The one place that runs CP-SAT."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ortools.sat.python import cp_model

from memonger.parameters import DEFAULTS, Parameter, Parameters, declare
from memonger.result import Status
from memonger.solver.background import Background
from memonger.stop import Deadline

# Above these, a model would take longer to build than it is worth: coefficients in all, and per
# second that is left.
MAX_ENTRIES = 6_000_000
ENTRIES_PER_SECOND = 500_000

_POLL = 0.05  # seconds between two looks whether the search is to end

_STATUS = {
    cp_model.OPTIMAL: Status.OPTIMAL,
    cp_model.FEASIBLE: Status.FEASIBLE,
    cp_model.INFEASIBLE: Status.INFEASIBLE,
    cp_model.UNKNOWN: Status.UNKNOWN,
}


@dataclass(frozen=True)
class Solved:
    """What CP-SAT answered.

    Parameters
    ----------
    status
        A time-out is ``unknown`` or ``feasible``, never ``infeasible``.
    bound
        Proven lower bound of the objective.
    solver
        Gives the values of variables where there is a solution.
    seconds
        Wall time of the search.
    effort
        CP-SAT's deterministic seconds.
    log
        The solver's own log, if it was asked for.
    """

    status: Status
    bound: int
    solver: Any
    seconds: float
    effort: float
    log: str


CP_SAT = declare(
    "cp-sat",
    Parameter("linearization_level", 1, 0, 2),
    Parameter("symmetry_level", 2, 0, 4),
    Parameter("cp_model_probing_level", 2, 0, 3),
    Parameter("max_presolve_iterations", 3, 1, 6),
)
"""Parameters of CP-SAT under its own names; the defaults are its own."""


def affordable(entries: int, deadline: Deadline) -> bool:
    """Return whether a model of so many coefficients is worth to be built in the time left."""
    return entries <= min(MAX_ENTRIES, ENTRIES_PER_SECOND * deadline.remaining())


def run_cpsat(
    model: Any,  # noqa: ANN401  (ortools has no types)
    *,
    seconds: float,
    workers: int,
    seed: int,
    on_bound: Callable[[int], None] | None = None,
    on_objective: Callable[[int], None] | None = None,
    on_interrupt: Callable[[], None] | None = None,
    effort: float | None = None,
    halted: Callable[[], bool] | None = None,
    keep_log: bool = False,
    tuned: Parameters = DEFAULTS,
) -> Solved:
    """Run CP-SAT on a model.

    Parameters
    ----------
    model
        A ``cp_model.CpModel`` with an integer objective below 2^53 (bounds come as floats).
    seconds
        Time limit; ``inf`` for none.
    workers
        Threads; with 1 the run is deterministic for a seed.
    seed
        Seed of the search.
    on_bound, on_objective
        Called with every better bound and objective, in a thread of the solver.
    on_interrupt
        Called on Ctrl-C, which then only ends the search.
    effort
        Limit in CP-SAT's deterministic seconds, which do not depend on the machine.
    halted
        Asked several times a second; ends the search where it says so.
    keep_log
        Whether to return the solver's log.
    tuned
        Parameters of the solver.

    Raises
    ------
    RuntimeError
        If CP-SAT calls the model invalid, which is a mistake of the model's author.
    KeyboardInterrupt
        On Ctrl-C without ``on_interrupt``, and on another one before the search has ended.

    Notes
    -----
    CP-SAT must not take Ctrl-C for itself: when its search ends it leaves the signal to the
    system, and the next Ctrl-C would kill the process.
    """
    solver = cp_model.CpSolver()
    parameters = solver.parameters
    if seconds != float("inf"):
        parameters.max_time_in_seconds = max(0.0, seconds)
    if effort is not None:
        parameters.max_deterministic_time = effort
    parameters.catch_sigint_signal = False
    parameters.num_workers = workers
    parameters.random_seed = seed % 2**31
    for name in CP_SAT.parameters:
        setattr(parameters, name, tuned.of(CP_SAT, name))
    lines: list[str] = []
    if keep_log:
        parameters.log_search_progress = True
        parameters.log_to_stdout = False
        solver.log_callback = lines.append
    if on_bound is not None:
        solver.best_bound_callback = lambda bound: on_bound(math.ceil(bound - 1e-6))
    callback = _Watch(on_objective) if on_objective is not None else None
    code = _solve(solver, model, callback, on_interrupt, halted)
    if code == cp_model.MODEL_INVALID:
        raise RuntimeError(f"CP-SAT calls the model invalid: {model.validate()}")
    known = code != cp_model.INFEASIBLE and math.isfinite(solver.best_objective_bound)
    bound = math.ceil(solver.best_objective_bound - 1e-6) if known else 0
    effort = solver.response_proto.deterministic_time
    return Solved(_STATUS[code], bound, solver, solver.wall_time, effort, "\n".join(lines))


def _solve(
    solver: Any,  # noqa: ANN401
    model: Any,  # noqa: ANN401
    callback: Any,  # noqa: ANN401
    on_interrupt: Callable[[], None] | None,
    halted: Callable[[], bool] | None,
) -> Any:  # noqa: ANN401
    """Run the search; Ctrl-C ends it, wherever it is."""
    search = Background(lambda: solver.solve(model, callback), "cp-sat")
    try:
        while not search.wait(math.inf if halted is None else _POLL):
            if halted is not None and halted():
                solver.stop_search()
    except KeyboardInterrupt:
        solver.stop_search()
        while not search.wait(0.1):  # it may not have begun, and then has not heard it
            solver.stop_search()
        if on_interrupt is None:
            raise
        on_interrupt()
    return search.result()


class _Watch(cp_model.CpSolverSolutionCallback):
    """Passes the objective of every solution on."""

    def __init__(self, on_objective: Callable[[int], None]) -> None:
        super().__init__()
        self._on_objective = on_objective

    def on_solution_callback(self) -> None:
        """Report the objective of the solution just found."""
        self._on_objective(round(self.objective_value))
