"""Results: what a run found, and what it proved."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic

from memonger.certificate import AnyCertificate
from memonger.plan import AnyPlan, ArenaPlan, OrderPlan, SharingPlan


class Status(StrEnum):
    """How much is known of a result."""

    OPTIMAL = "optimal"
    """Proven: no plan is cheaper."""
    FEASIBLE = "feasible"
    """A valid plan; nothing says that it is the cheapest."""
    INFEASIBLE = "infeasible"
    """Proven: no plan exists."""
    UNKNOWN = "unknown"
    """Neither a plan nor a proof was found in the time."""


class Proof(StrEnum):
    """Which engine proved the bound."""

    THRESHOLD = "threshold"
    """Counting the buffers of at least each size at one time; certified."""
    LP_DUAL = "lp-dual"
    """Prices from a linear program, in exact integers; certified."""
    CLIQUE = "clique"
    """The buffers live at one time lie beside each other in the arena; certified."""
    CUT = "cut"
    """What must be live when one operator runs, by a minimum cut; certified."""
    KEPT = "kept"
    """What stays to the end; certified."""
    PROBE = "probe"
    """Operators that would each have to wait for the other, by minimum cuts; certified."""
    SEARCH = "search"
    """An exhaustive search, with exact keys; not certified."""
    CP_SAT = "cp-sat"
    """The search of CP-SAT; not certified."""


@dataclass(frozen=True)
class Result(Generic[AnyPlan]):
    """A plan, a bound, and how they came about.

    Parameters
    ----------
    status
        What is known.
    algorithm
        Name of the algorithm that ran.
    objective
        Cost of the plan in bytes, recomputed from it by the verifier; ``None`` without a plan.
    bound
        No plan costs less than this many bytes.
    plan
        The best plan found, verified.
    proof
        What proves the bound, whatever the status; on several devices the weakest of the proofs.
    certificate
        Evidence for the bound that needs no solver to check, or ``None``: then the bound stands
        on the word of a search.
    source
        Algorithm that found the plan (an exact run may return a heuristic's plan).
    build_seconds, solve_seconds
        Time spent on bounds, heuristics and model building, and in the solver.
    seed, workers
        As given; with one worker the plan depends on nothing else.
    versions
        Package -> version.
    """

    status: Status
    algorithm: str
    objective: int | None
    bound: int
    plan: AnyPlan | None
    proof: Proof | None = None
    certificate: AnyCertificate | None = None
    source: str = ""
    build_seconds: float = 0.0
    solve_seconds: float = 0.0
    seed: int = 0
    workers: int = 1
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def gap(self) -> float | None:
        """Return (objective - bound) / objective; ``None`` without a plan."""
        if self.objective is None:
            return None
        return (self.objective - self.bound) / self.objective if self.objective else 0.0

    @property
    def seconds(self) -> float:
        """Seconds of the whole run."""
        return self.build_seconds + self.solve_seconds


SharingResult = Result[SharingPlan]
ArenaResult = Result[ArenaPlan]
OrderResult = Result[OrderPlan]
