"""Devices never share memory: solve them one after the other and put the outcomes together."""

from __future__ import annotations

from dataclasses import replace

from memonger.certificate import DeviceCertificate
from memonger.plan import SharingPlan
from memonger.problem import Problem
from memonger.registry import Algorithm, Outcome, Progress, Run
from memonger.result import Proof
from memonger.solver.bounds import threshold_bound
from memonger.stop import Deadline

_STRENGTH = (Proof.THRESHOLD, Proof.LP_DUAL, Proof.CP_SAT)


def run_by_device(problem: Problem, algorithm: Algorithm, run: Run) -> Outcome:
    """Run an algorithm on the buffers of each device.

    The outcome has the threshold bound where the algorithm proves none, and the hint where the
    algorithm finds nothing better.

    Raises
    ------
    KeyboardInterrupt
        If the run was interrupted before there was a plan.
    """
    outcome = _run_all(problem, algorithm, run)
    if run.deadline.stopped and outcome.plan is None and not outcome.infeasible:
        raise KeyboardInterrupt
    return outcome


def _run_all(problem: Problem, algorithm: Algorithm, run: Run) -> Outcome:
    if len(problem.devices) <= 1:
        return _run(problem, algorithm, run)
    groups = [
        [i for i, b in enumerate(problem.buffers) if b.device == device]
        for device in problem.devices
    ]
    parts = [problem.subproblem(indices) for indices in groups]
    progress = [Progress(part.total, threshold_bound(part)[0], 0.0) for part in parts]
    outcomes = []
    for number, (part, indices) in enumerate(zip(parts, groups, strict=True)):
        hint = None if run.hint is None else SharingPlan.of(run.hint.shared[i] for i in indices)

        def report(state: Progress, number: int = number) -> None:
            progress[number] = state
            known = [p.objective for p in progress if p.objective is not None]
            objective = sum(known) if len(known) == len(progress) else None
            run.report(Progress(objective, sum(p.bound for p in progress), state.seconds))

        left = None  # what is left of the time is shared out evenly; after Ctrl-C nothing
        if run.deadline.seconds is not None or run.deadline.stopped:
            left = run.deadline.remaining() / (len(parts) - number)
        own = replace(run, deadline=Deadline(left), hint=hint, report=report)
        outcomes.append(_run(part, algorithm, own))
        if own.deadline.stopped:
            run.deadline.stop()
    return _together(problem, groups, outcomes)


def _run(problem: Problem, algorithm: Algorithm, run: Run) -> Outcome:
    outcome = algorithm.run(problem, run)
    if outcome.proof is None:
        bound, certificate = threshold_bound(problem)
        outcome = replace(outcome, bound=bound, proof=Proof.THRESHOLD, certificate=certificate)
    plan, hint = outcome.plan, run.hint
    if (
        hint is not None
        and not outcome.infeasible
        and (plan is None or hint.cost(problem) < plan.cost(problem))
    ):
        outcome = replace(outcome, plan=hint, source="hint")
    return outcome


def _together(problem: Problem, groups: list[list[int]], outcomes: list[Outcome]) -> Outcome:
    """Put the outcomes of the devices together: bounds add up, plans stand side by side."""
    plan = None
    plans = [outcome.plan for outcome in outcomes if outcome.plan is not None]
    if len(plans) == len(outcomes):
        labels = [0] * len(problem)
        offset = 0
        for indices, part in zip(groups, plans, strict=True):
            for index, number in zip(indices, part.shared, strict=True):
                labels[index] = offset + number
            offset += part.num_shared
        plan = SharingPlan.of(labels)
    certificates = {
        device: outcome.certificate
        for device, outcome in zip(problem.devices, outcomes, strict=True)
        if outcome.certificate is not None
        and not isinstance(outcome.certificate, DeviceCertificate)
    }
    weakest = max((outcome.proof for outcome in outcomes if outcome.proof), key=_STRENGTH.index)
    return Outcome(
        plan,
        sum(outcome.bound for outcome in outcomes),
        weakest,
        DeviceCertificate(certificates) if len(certificates) == len(outcomes) else None,
        ", ".join(dict.fromkeys(outcome.source for outcome in outcomes)),
        sum(outcome.solve_seconds for outcome in outcomes),
        any(outcome.infeasible for outcome in outcomes),
    )
