"""The order form, exactly: the order of least peak, and a proof."""

from __future__ import annotations

import importlib.metadata
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from memonger.errors import PlanError
from memonger.graph.operator_dag import OperatorDag
from memonger.graph.order_reduction import reduce_operators
from memonger.heuristics.order_table import SCHEDULES
from memonger.order_certificate import KeptCertificate, check_order_certificate
from memonger.order_problem import OrderProblem
from memonger.plan import OrderPlan
from memonger.registry import ORDER, OrderAlgorithm, OrderOutcome, OrderRun, Progress, ignore
from memonger.result import OrderResult, Proof, Status
from memonger.solver.background import Background
from memonger.solver.order_bounds import CutBound
from memonger.solver.order_certify import certificate_of
from memonger.solver.order_contradiction import contradict
from memonger.solver.order_incumbent import OrderIncumbent
from memonger.solver.order_search import search_between
from memonger.stop import Deadline
from memonger.verify import verify_order


def solve_order(
    problem: OrderProblem,
    algorithm: str = "optimal",
    *,
    time_limit: float | None = None,
    seed: int = 0,
    hint: OrderPlan | None = None,
    report: Callable[[Progress], None] = ignore,
) -> OrderResult:
    """Return an order of the operators, by an algorithm of the registry.

    Parameters
    ----------
    problem
        The operators.
    algorithm
        A name in `memonger.registry.ORDER`.
    time_limit
        Seconds for everything; ``None`` for no limit: then `optimal` ends when it has a proof.
    seed
        One seed gives one order, unless a time limit is met.
    hint
        A valid order to start from; the result of `optimal` is never worse.
    report
        Called with progress.

    Returns
    -------
    Result
        Verified; status ``optimal`` iff no order has a lower peak.

    Raises
    ------
    InputError
        If the algorithm is unknown or the time limit negative.
    PlanError
        If the hint is not valid.

    Examples
    --------
    Two branches: each holds 9 bytes for a moment, and 1 byte until the end.

    >>> from memonger.order_problem import Allocation
    >>> branches = [Allocation(f"{k}", 9, k, (k + 2,)) for k in (0, 1)]
    >>> results = [Allocation(f"{k}", 1, k, (4,)) for k in (2, 3)]
    >>> names = ("load a", "load b", "sum a", "sum b", "add")
    >>> problem = OrderProblem(names, (), (*branches, *results))
    >>> result = solve_order(problem)
    >>> problem.peak(range(5)), result.objective, result.status.value, result.plan.order
    (19, 11, 'optimal', (0, 2, 1, 3, 4))
    """
    started = time.monotonic()
    chosen = ORDER.get(algorithm)
    if hint is not None:
        verify_order(problem, hint)
    run = OrderRun(Deadline(time_limit), 1, seed, hint, report)
    outcome = chosen.run(problem, run)
    assert outcome.plan is not None  # there is always program order
    objective = verify_order(problem, outcome.plan)
    if outcome.certificate is not None:
        check_order_certificate(problem, outcome.certificate, outcome.bound)
    if objective < outcome.bound:
        raise PlanError(
            f"algorithm {algorithm!r} claims the bound {outcome.bound} above the cost {objective} "
            "of its own order: this is a mistake in memonger"
        )
    if objective == 0:  # nothing is ever live: so much is certain whoever made the order
        outcome = replace(outcome, proof=Proof.KEPT, certificate=KeptCertificate())
    return OrderResult(
        status=Status.OPTIMAL if objective == outcome.bound else Status.FEASIBLE,
        algorithm=algorithm,
        objective=objective,
        bound=outcome.bound,
        plan=outcome.plan,
        proof=outcome.proof,
        certificate=outcome.certificate,
        source=outcome.source,
        build_seconds=time.monotonic() - started - outcome.solve_seconds,
        solve_seconds=outcome.solve_seconds,
        seed=seed,
        versions={name: importlib.metadata.version(name) for name in ("memonger", "ortools")},
    )


def _optimal(problem: OrderProblem, run: OrderRun) -> OrderOutcome:
    """Prove the order of least peak: schedules and cuts, then the search between them."""
    reduction = reduce_operators(OperatorDag.of(problem))
    incumbent = OrderIncumbent(problem, reduction, run)
    if run.hint is not None:
        incumbent.offer_order(list(run.hint.order), "hint")
    searched = time.monotonic()
    work = Background(lambda: _close(incumbent), "order search")
    try:
        work.wait()
    except KeyboardInterrupt:
        run.deadline.stop()
        work.wait()
    work.result()  # raises what the search has raised, if anything
    certificate = certificate_of(incumbent)
    proof = incumbent.proof
    if proof is Proof.PROBE and certificate is None:  # too long to be written down
        proof = Proof.SEARCH
    return OrderOutcome(
        incumbent.plan,
        incumbent.bound,
        proof,
        certificate,
        incumbent.source,
        time.monotonic() - searched,
    )


def _close(incumbent: OrderIncumbent) -> None:
    """Raise the bound and lower the peak until they meet or the time is up."""
    dag, run = incumbent.dag, incumbent.run
    cuts = CutBound(incumbent)
    incumbent.offer(np.arange(dag.count), "program")
    cuts.improve()
    for name, _, rule in SCHEDULES:
        if incumbent.closed or run.deadline.expired:
            break
        incumbent.offer(rule(dag), name)
        cuts.improve()
    search_between(incumbent, run.seed)
    contradict(incumbent)


ORDER.add(
    OrderAlgorithm(
        "optimal",
        "the order of least peak, proven by cuts and search",
        _optimal,
        proves=True,
        seeded=True,
    )
)
