"""The exact algorithm of the sharing form: heuristics, threshold bound, class model."""

from __future__ import annotations

import memonger.heuristics.sharing_table  # noqa: F401  (registers the warm starts)
from memonger.certificate import ThresholdCertificate
from memonger.heuristics.classes import plan_from_classes
from memonger.plan import SharingPlan
from memonger.problem import Problem
from memonger.registry import SHARING, Algorithm, Outcome, Progress, Run
from memonger.result import Proof, Status
from memonger.solver.bounds import threshold_bound
from memonger.solver.class_model import ClassModel, num_entries
from memonger.solver.cpsat import run_cpsat
from memonger.solver.presolve import compress, gap_fixing

# Cheap ones first; each is run unless a plan meets the bound already.
WARM_STARTS = ("sweep", "sweep-reverse", "by-size", "by-size-tight", "best-fit", "caffe2-greedy")

# Above these, the class model would take longer to build than it is worth (two cores, 60 s):
# table entries of the presolve (sizes x cliques), and coefficients of the model.
MAX_TABLE = 20_000_000
MAX_ENTRIES = 6_000_000
ENTRIES_PER_SECOND = 500_000

# CP-SAT reports bounds as floats: exact below 2^53.
MAX_UNITS = 2**52


def warm_start(problem: Problem, run: Run, bound: int) -> tuple[SharingPlan, str]:
    """Return the best plan of the hint and the heuristics, and what found it.

    Stops as soon as a plan costs no more than ``bound``. On equal cost the earlier one stays, so
    that a net whose blobs share optimally already is left as it is.
    """
    best = SharingPlan(tuple(range(len(problem)))) if run.hint is None else run.hint
    source, cost = "none" if run.hint is None else "hint", best.cost(problem)
    for name in WARM_STARTS:
        # The first one takes next to no time, so that there is always something better than
        # nothing, however late it is.
        if cost <= bound or (run.deadline.expired and name != WARM_STARTS[0]):
            break
        algorithm = SHARING.get(name)
        if problem.vector_time is not None and not algorithm.vector_time:
            continue
        plan = algorithm.run(problem, run).plan
        if plan is not None and plan.cost(problem) < cost:
            best, source, cost = plan, name, plan.cost(problem)
            run.report(Progress(cost, bound, run.deadline.elapsed()))
    return best, source


def solve_optimal(problem: Problem, run: Run) -> Outcome:
    """Find a cheapest plan and prove it, in the time there is.

    The threshold bound comes first: where a heuristic meets it, that is the proof, with a
    certificate. Otherwise CP-SAT improves and refutes on the class model, with the best plan so
    far as hint and as upper bound. Vector time is exact only where the bound is met.
    """
    bound, certificate = threshold_bound(problem)
    plan, source = warm_start(problem, run, bound)
    cost = plan.cost(problem)
    run.report(Progress(cost, bound, run.deadline.elapsed()))
    outcome = Outcome(plan, bound, Proof.THRESHOLD, certificate, source)
    if cost <= bound or problem.vector_time is not None or run.deadline.expired:
        return outcome
    return _class_model(problem, run, outcome, certificate)


def _class_model(
    problem: Problem, run: Run, known: Outcome, certificate: ThresholdCertificate
) -> Outcome:
    """Improve on a known plan and bound by the class model."""
    assert known.plan is not None
    positive = [i for i in range(len(problem)) if problem.sizes[i] > 0]
    core = problem.subproblem(positive)
    groups = compress(core)
    cost = known.plan.cost(problem)
    if len(groups.sizes) * groups.num_cliques > MAX_TABLE or cost // groups.gcd > MAX_UNITS:
        return known
    limits = gap_fixing(groups, cost)
    entries = num_entries(groups, limits)
    if entries > min(MAX_ENTRIES, ENTRIES_PER_SECOND * run.deadline.remaining()):
        return known
    model = ClassModel(groups, limits)
    model.require_cost(known.bound, cost)
    model.add_hint(
        _classes_of(core, [known.plan.shared[i] for i in positive], groups.sizes.tolist())
    )
    best = {"objective": cost, "bound": known.bound}

    def report(key: str, value: int) -> None:
        best[key] = value
        run.report(Progress(best["objective"], best["bound"], run.deadline.elapsed()))

    solved = run_cpsat(
        model.model,
        seconds=run.deadline.remaining(),
        workers=run.workers,
        seed=run.seed,
        on_bound=lambda value: report("bound", max(known.bound, value * groups.gcd)),
        on_objective=lambda value: report("objective", value * groups.gcd),
    )
    bound = max(known.bound, solved.bound * groups.gcd)
    plan, source = known.plan, known.source
    if solved.status in (Status.OPTIMAL, Status.FEASIBLE):
        found = plan_from_classes(core, model.classes(solved.solver.value))
        labels = [-1 - index for index in range(len(problem))]  # empty buffers stay alone
        for index, label in zip(positive, found.shared, strict=True):
            labels[index] = label
        candidate = SharingPlan.of(labels)
        if candidate.cost(problem) < cost:
            plan, source = candidate, "cp-sat"
    if bound > known.bound:
        return Outcome(plan, bound, Proof.CP_SAT, None, source, solved.seconds)
    return Outcome(plan, bound, Proof.THRESHOLD, certificate, source, solved.seconds)


def _classes_of(problem: Problem, shared: list[int], sizes: list[int]) -> list[int]:
    """Return buffer index -> class: the rank of the largest size in its shared buffer."""
    rank = {size: k for k, size in enumerate(sizes)}
    largest: dict[int, int] = {}
    for index, number in enumerate(shared):
        largest[number] = max(largest.get(number, 0), int(problem.sizes[index]))
    return [rank[largest[number]] for number in shared]


SHARING.add(
    Algorithm(
        "optimal",
        "best heuristic, then CP-SAT on the class model until proven",
        solve_optimal,
        proves=True,
        vector_time=True,
    )
)
