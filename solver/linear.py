"""The one place that runs a linear programming solver: HiGHS, through scipy."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import linprog

from memonger.solver.background import Background

FloatArray = npt.NDArray[np.float64]

# Seconds beyond the limit after which a run is given up.
GRACE = 0.75


class LpStatus(Enum):
    """What became of a linear program; a float verdict, never a proof."""

    SOLVED = "solved"
    INFEASIBLE = "infeasible"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class LpSolution:
    """The answer of the solver.

    Parameters
    ----------
    status
        Only ``SOLVED`` comes with values.
    values
        Value of each column.
    duals
        Price of each row: what the objective gains where its right-hand side gains one.
    """

    status: LpStatus
    values: FloatArray
    duals: FloatArray


def run_lp(
    cost: FloatArray,
    matrix: Any,  # noqa: ANN401  (a sparse matrix; scipy has no types)
    right: FloatArray,
    low: FloatArray,
    high: FloatArray,
    seconds: float,
) -> LpSolution:
    """Solve ``min cost x, matrix x = right, low <= x <= high``.

    The interior point method with crossover: on the class model several times faster than the
    simplex methods, and its vertices are nearly integral.

    Notes
    -----
    HiGHS runs in a thread of its own, so that Ctrl-C is heard at once, and as it may run past a
    short limit by minutes (where the limit comes before the crossover begins). A run that is
    given up, or interrupted, goes on in the background until it ends or the process does: scipy
    has no way to stop it. Its answer is never looked at, but it takes a processor from what runs
    next, which may get less done before a time limit. So where a time limit is met, a run with
    one worker and the same seed may end with another plan: times differ from run to run. Without
    a time limit nothing is ever given up.
    """
    limit = max(0.1, seconds)

    def run() -> Any:  # noqa: ANN401
        options: Any = {} if seconds == float("inf") else {"time_limit": limit}
        bounds: Any = np.stack([low, high], axis=1)
        return linprog(
            cost, A_eq=matrix, b_eq=right, bounds=bounds, method="highs-ipm", options=options
        )

    nothing = np.zeros(0)
    highs = Background(run, "highs")
    if not highs.wait(limit + GRACE):
        return LpSolution(LpStatus.UNKNOWN, nothing, nothing)
    found = highs.result()
    if found.status == 2:
        return LpSolution(LpStatus.INFEASIBLE, nothing, nothing)
    if found.status != 0:
        return LpSolution(LpStatus.UNKNOWN, nothing, nothing)
    return LpSolution(LpStatus.SOLVED, found.x, found.eqlin.marginals)
