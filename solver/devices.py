"""Devices never share memory: solve them one after the other and put the outcomes together."""

from __future__ import annotations

from dataclasses import replace

from memonger.certificate import DeviceCertificate, SimpleCertificate
from memonger.forms import Form
from memonger.plan import P
from memonger.problem import Problem
from memonger.registry import AlgorithmOf, OutcomeOf, Progress, RunOf
from memonger.result import Proof
from memonger.solver.arena_bounds import load_bound
from memonger.solver.bounds import threshold_bound
from memonger.stop import Deadline

_STRENGTH = (Proof.THRESHOLD, Proof.CLIQUE, Proof.LP_DUAL, Proof.SEARCH, Proof.CP_SAT)


def run_by_device(
    form: Form[P], problem: Problem, algorithm: AlgorithmOf[P], run: RunOf[P]
) -> OutcomeOf[P]:
    """Run an algorithm on the buffers of each device.

    The outcome has the threshold bound where the algorithm proves none, and the hint where the
    algorithm finds nothing better.

    Raises
    ------
    KeyboardInterrupt
        If the run was interrupted before there was a plan.
    """
    outcome = _run_all(form, problem, algorithm, run)
    if run.deadline.stopped and outcome.plan is None and not outcome.infeasible:
        raise KeyboardInterrupt
    return outcome


def _run_all(
    form: Form[P], problem: Problem, algorithm: AlgorithmOf[P], run: RunOf[P]
) -> OutcomeOf[P]:
    if len(problem.devices) <= 1:
        return _run(form, problem, algorithm, run)
    groups = [
        [i for i, b in enumerate(problem.buffers) if b.device == device]
        for device in problem.devices
    ]
    parts = [problem.subproblem(indices) for indices in groups]
    progress = [Progress(part.total, _bound(form, part)[0], 0.0) for part in parts]
    outcomes: list[OutcomeOf[P]] = []
    for number, (part, indices) in enumerate(zip(parts, groups, strict=True)):
        hint = None if run.hint is None else run.hint.part(indices)

        def report(state: Progress, number: int = number) -> None:  # type: ignore[has-type]
            progress[number] = state
            known = [p.objective for p in progress if p.objective is not None]
            objective = sum(known) if len(known) == len(progress) else None
            run.report(Progress(objective, sum(p.bound for p in progress), state.seconds))

        left = None  # what is left of the time is shared out evenly; after Ctrl-C nothing
        if run.deadline.seconds is not None or run.deadline.stopped:
            left = run.deadline.remaining() / (len(parts) - number)
        own = replace(run, deadline=Deadline(left), hint=hint, report=report, capacity=None)
        outcomes.append(_run(form, part, algorithm, own))
        if own.deadline.stopped:
            run.deadline.stop()
    return _together(form, problem, groups, outcomes)


def _run(form: Form[P], problem: Problem, algorithm: AlgorithmOf[P], run: RunOf[P]) -> OutcomeOf[P]:
    outcome = algorithm.run(problem, run)
    if outcome.proof is None:
        bound, proof, certificate = _bound(form, problem)
        outcome = replace(outcome, bound=bound, proof=proof, certificate=certificate)
    plan, hint = outcome.plan, run.hint
    if (
        hint is not None
        and not outcome.infeasible
        and (plan is None or hint.cost(problem) < plan.cost(problem))
    ):
        outcome = replace(outcome, plan=hint, source="hint")
    return outcome


def _bound(form: Form[P], problem: Problem) -> tuple[int, Proof, SimpleCertificate]:
    """Return the certified bound that takes no search."""
    if form.name == "sharing":
        threshold, witness = threshold_bound(problem)
        return threshold, Proof.THRESHOLD, witness
    load, time = load_bound(problem)
    return load, Proof.CLIQUE, time


def _together(
    form: Form[P], problem: Problem, groups: list[list[int]], outcomes: list[OutcomeOf[P]]
) -> OutcomeOf[P]:
    """Put the outcomes of the devices together: bounds add up, plans stand side by side."""
    plans = [outcome.plan for outcome in outcomes if outcome.plan is not None]
    plan = form.plan.join(groups, plans) if len(plans) == len(outcomes) else None
    certificates = {
        device: outcome.certificate
        for device, outcome in zip(problem.devices, outcomes, strict=True)
        if isinstance(outcome.certificate, SimpleCertificate)
    }
    weakest = max((outcome.proof for outcome in outcomes if outcome.proof), key=_STRENGTH.index)
    return OutcomeOf(
        plan,
        sum(outcome.bound for outcome in outcomes),
        weakest,
        DeviceCertificate(certificates) if len(certificates) == len(outcomes) else None,
        ", ".join(dict.fromkeys(outcome.source for outcome in outcomes)),
        sum(outcome.solve_seconds for outcome in outcomes),
        any(outcome.infeasible for outcome in outcomes),
    )
