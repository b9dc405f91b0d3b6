"""Where the bytes go: from no sharing to the bound over all orders, step by step."""

from __future__ import annotations

from dataclasses import dataclass, replace

from memonger.errors import InputError
from memonger.order_problem import OrderProblem
from memonger.peaks import (
    BusyOperator,
    LiveBlob,
    Remedy,
    busy_operators,
    peak_blobs,
    remedies,
)
from memonger.problem import Problem
from memonger.result import OrderResult, Status
from memonger.solver.order import solve_order
from memonger.solver.order_choice import lower_bound
from memonger.solver.solve import solve
from memonger.stop import Deadline

DP_SECONDS = 10.0
"""For Caffe2's dynamic programming, at most."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step on the way down.

    Parameters
    ----------
    name
        What the bytes are of.
    bytes
        ``None`` where there is no such plan; the note says why.
    cause
        What makes the difference to the step before.
    note
        ``optimal``, ``feasible`` or another status; or why there are no bytes.
    bound
        No plan of the kind needs fewer bytes, so much is proven.
    """

    name: str
    bytes: int | None
    cause: str
    note: str = ""
    bound: int = 0


@dataclass(frozen=True)
class Budget:
    """Whether a problem fits in a budget.

    Parameters
    ----------
    bytes
        The budget.
    fits
        ``None`` where that is not known.
    reason
        The plan that fits, or what proves that none does.
    blobs
        Those that are live together and do not fit.
    """

    bytes: int
    fits: bool | None
    reason: str
    blobs: tuple[LiveBlob, ...] = ()


@dataclass(frozen=True)
class Explanation:
    """Where the bytes of a problem go.

    Parameters
    ----------
    steps
        From no sharing down to the bound.
    alignment
        Bytes of the load at its peak that are there for alignment.
    blobs
        What is live at the peak in program order, the largest first.
    operators
        Where the most is live.
    remedies
        What would lower the peak most.
    lowest
        The order of the lowest peak; ``None`` where no order can be chosen.
    budget
        Whether it fits, if that was asked.
    """

    steps: tuple[Step, ...]
    alignment: int
    blobs: tuple[LiveBlob, ...]
    operators: tuple[BusyOperator, ...]
    remedies: tuple[Remedy, ...]
    lowest: OrderResult | None
    budget: Budget | None = None


def explain(
    problem: Problem,
    operators: OrderProblem | None = None,
    *,
    budget: int | None = None,
    time_limit: float | None = None,
    workers: int | None = None,
    seed: int = 0,
) -> Explanation:
    """Explain where the bytes of a problem go.

    Parameters
    ----------
    problem
        The buffers in program order.
    operators
        The same as operators, if they can be reordered and are of one device.
    budget
        Bytes that are to be enough.
    time_limit
        Seconds for all of it, of which every step gets a part; ``None`` ends with the proofs.
    workers, seed
        As in `memonger.solve`.

    Examples
    --------
    >>> from memonger.problem import Buffer
    >>> problem = Problem((Buffer("a", 8, 0, 2), Buffer("b", 4, 1, 3), Buffer("c", 8, 2, 4)))
    >>> for step in explain(problem, budget=12).steps[:5]:
    ...     print(step.name, step.bytes)
    no sharing 20
    Caffe2's greedy 12
    Caffe2's dynamic programming 12
    optimal sharing 12
    optimal arena 12
    """
    deadline = Deadline(time_limit)
    if len(problem.devices) > 1:
        operators = None  # peaks of several devices do not add up
    run = _Steps(deadline, workers, seed)
    steps = [
        Step("no sharing", problem.total, "every blob has memory of its own"),
        run.plan("Caffe2's greedy", problem, "caffe2-greedy-unsized", "sharing", "sharing", 0.1),
        run.plan("Caffe2's dynamic programming", problem, "caffe2-dp", "sharing", "sharing", 0.1),
        run.plan("optimal sharing", problem, "optimal", "sharing", "what heuristics miss", 0.4),
    ]
    plain = replace(problem, in_place=())
    whole = "fragmentation: shared buffers are as large as their largest blob"
    steps.append(run.plan("optimal arena", plain, "optimal", "arena", whole, 0.5))
    bound = lower_bound(plain, "arena")
    steps.append(Step("load bound", bound, "fragmentation of the arena"))
    lowest = None
    if operators is not None:
        lowest = solve_order(operators, time_limit=run.part(0.7), seed=seed)
        steps.append(Step("best order", lowest.objective, "order", lowest.status.value))
        steps.append(Step("bound over all orders", lowest.bound, "not known, or not possible"))
    best = None if lowest is None else lowest.objective
    found = Explanation(
        tuple(steps),
        bound - lower_bound(_unaligned(plain), "arena"),
        tuple(peak_blobs(plain, operators)),
        tuple(busy_operators(plain, operators)),
        tuple(remedies(plain, operators, best)),
        lowest,
    )
    if budget is None:
        return found
    return replace(found, budget=_budget(problem, operators, found, run, budget))


@dataclass(frozen=True)
class _Steps:
    """Runs the steps, each with a part of the time that is left."""

    deadline: Deadline
    workers: int | None
    seed: int

    def part(self, share: float) -> float | None:
        """Return a share of the time that is left, seconds."""
        return None if self.deadline.seconds is None else share * self.deadline.remaining()

    def plan(
        self, name: str, problem: Problem, algorithm: str, form: str, cause: str, share: float
    ) -> Step:
        """Return the step of one algorithm; without bytes where it cannot plan the problem."""
        limit = self.part(share)
        if algorithm == "caffe2-dp":
            limit = DP_SECONDS if limit is None else min(limit, DP_SECONDS)
        try:
            result = solve(
                problem,
                algorithm,
                form=form,
                time_limit=limit,
                workers=self.workers,
                seed=self.seed,
            )
        except InputError as error:
            return Step(name, None, cause, str(error))
        note = result.status.value
        if result.status is Status.UNKNOWN:
            note = "too large, or not enough time"
        return Step(name, result.objective, cause, note, result.bound)


def _unaligned(problem: Problem) -> Problem:
    """Return the problem with sizes as they are given."""
    return replace(problem, buffers=tuple(replace(b, alignment=1) for b in problem.buffers))


def _budget(
    problem: Problem,
    operators: OrderProblem | None,
    found: Explanation,
    run: _Steps,
    budget: int,
) -> Budget:
    """Return the plan that fits, the simplest first, or the proof that none does."""
    for step in found.steps[:5]:
        if step.bytes is not None and step.bytes <= budget:
            return Budget(budget, True, f"{step.name}, {step.bytes:,} bytes, in program order")
    unknown = Budget(budget, None, "no plan was found that fits, and no proof that there is none")
    if problem.in_place:  # shared buffers may do with less than the load
        _, _, _, sharing, arena, load = found.steps[:6]
        bound = min(sharing.bound, max(arena.bound, load.bytes or 0))
        if bound > budget and operators is None:
            reason = f"shared buffers and arenas need {bound:,} bytes at least, in program order"
            return Budget(budget, False, reason)
        return unknown
    if operators is None or found.lowest is None:
        bound = lower_bound(problem, "arena")
        if bound <= budget:
            return unknown
        if len(problem.devices) > 1:
            reason = f"{bound:,} bytes are the peaks of all devices together, in program order"
            return Budget(budget, False, reason)
        reason = f"{bound:,} bytes are live at once, in an order that is given:"
        return Budget(budget, False, reason, found.blobs)
    order = found.lowest.plan
    assert order is not None  # there is always program order
    ordered = operators.in_order(order.order)
    if found.lowest.bound > budget:
        proof = "" if found.lowest.proof is None else f" (proof: {found.lowest.proof.value})"
        reason = f"every order needs {found.lowest.bound:,} bytes at least{proof}"
        reason += "; at the peak of the best:"
        return Budget(budget, False, reason, tuple(peak_blobs(ordered, None)))
    result = solve(
        ordered,
        form="arena",
        time_limit=run.part(1.0),
        workers=run.workers,
        seed=run.seed,
        capacity=budget,
    )
    if result.objective is not None and result.objective <= budget:
        reason = f"an arena of {result.objective:,} bytes, with the operators in another order"
        return Budget(budget, True, reason)
    return unknown
