"""The best plan and the best bound of a run, as they improve."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from memonger.certificate import Certificate
from memonger.plan import SharingPlan
from memonger.problem import Problem
from memonger.registry import Outcome, Progress, Run
from memonger.result import Proof


class Incumbent:
    """What an exact run knows so far.

    Parameters
    ----------
    problem
        The problem; its plans are compared by their cost.
    run
        The run; it is told of every improvement.

    Attributes
    ----------
    plan, source, cost
        The best plan, what found it, and its cost in bytes.
    bound, proof, certificate
        The best bound in bytes, and what proves it.
    solve_seconds
        Time spent in solvers.
    """

    def __init__(self, problem: Problem, run: Run) -> None:
        self.problem = problem
        self.run = run
        hint = run.hint
        self.plan = SharingPlan(tuple(range(len(problem)))) if hint is None else hint
        self.source = "none" if hint is None else "hint"
        self.cost = self.plan.cost(problem)
        self.bound = 0
        self.proof: Proof | None = None
        self.certificate: Certificate | None = None
        self.solve_seconds = 0.0

    @property
    def found(self) -> bool:
        """Whether there is a plan that someone has made."""
        return self.source != "none"

    @property
    def closed(self) -> bool:
        """Whether the plan costs no more than the bound."""
        return self.cost <= self.bound

    def offer(self, plan: SharingPlan | None, source: str) -> None:
        """Take a plan if it is cheaper; on equal cost the earlier one stays.

        So a net whose blobs share optimally already is left as it is.
        """
        if plan is None:
            return
        cost = plan.cost(self.problem)
        if cost < self.cost:
            self.plan, self.source, self.cost = plan, source, cost
            self.tell()

    def prove(self, bound: int, proof: Proof, certificate: Certificate | None = None) -> None:
        """Take a bound if it is better."""
        if bound > self.bound:
            self.bound, self.proof, self.certificate = bound, proof, certificate
            self.tell()

    def tell(self, objective: int | None = None, bound: int | None = None) -> None:
        """Report progress: the known plan and bound, or better ones of a search under way."""
        run = self.run
        run.report(
            Progress(
                self.cost if objective is None else min(objective, self.cost),
                self.bound if bound is None else max(bound, self.bound),
                run.deadline.elapsed(),
            )
        )

    def outcome(self) -> Outcome:
        """Return what is known."""
        return Outcome(
            self.plan, self.bound, self.proof, self.certificate, self.source, self.solve_seconds
        )


@contextmanager
def ends_early(run: Run, found: Callable[[], bool]) -> Iterator[None]:
    """Let Ctrl-C end a run early: no time is left, and what is known is the answer.

    Parameters
    ----------
    run
        The run.
    found
        Whether a plan is known. Where none is, an interruption is one.
    """
    try:
        yield
    except KeyboardInterrupt:
        if not found():
            raise
        run.deadline.stop()
