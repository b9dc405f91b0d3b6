"""Proofs by probing, as certificates: what they show, and that nothing else passes for one."""

import dataclasses
import importlib.util
import json
import random
from pathlib import Path

import pytest

from memonger.errors import PlanError
from memonger.instances.order_families import layered
from memonger.instances.order_json import order_to_json
from memonger.order_certificate import (
    ProbeCertificate,
    check_order_certificate,
    order_certificate_from_json,
)
from memonger.order_flow import Flow
from memonger.result import Proof
from memonger.solver import order_certify, order_contradiction
from memonger.solver.order import solve_order
from tests.order_oracles import least_peak

PATH = Path(__file__).parents[2] / "scripts" / "check_order_certificate.py"
SEEDS = (44, 87, 93, 98, 120, 145)  # of layered(9, 6, seed), where no cut is as high as the peak


@pytest.fixture(scope="module")
def alone():
    spec = importlib.util.spec_from_file_location("check_order_certificate", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("seed", SEEDS)
def test_a_proof_by_search_becomes_one_that_can_be_checked(seed, alone):
    problem = layered(9, 6, seed)
    result = solve_order(problem)
    assert result.proof is Proof.PROBE
    assert isinstance(result.certificate, ProbeCertificate)
    assert check_order_certificate(problem, result.certificate, result.bound) == least_peak(problem)
    data = json.loads(json.dumps(order_to_json(problem, result)))
    assert order_certificate_from_json(data["certificate"]) == result.certificate
    assert f"certified bound {result.bound}" in alone.check(data)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_changed_certificate_proves_no_more(seed, alone):
    """Steps left out or turned round, flows changed, a higher budget: both checkers agree."""
    problem, rng = layered(9, 6, seed), random.Random(seed)
    result = solve_order(problem)
    best, caught = least_peak(problem), 0
    for _ in range(150):
        changed = _changed(result.certificate, rng)
        data = order_to_json(problem, dataclasses.replace(result, certificate=changed))
        try:
            proven = changed.bound(problem)
        except PlanError:
            caught += 1
            with pytest.raises(alone.Refuted):
                alone.check(data)
        else:
            assert proven <= best
            if proven == best:
                assert f"certified bound {best}" in alone.check(data)
    assert caught > 50


def _changed(certificate, rng):
    """Return a certificate with one small change."""
    steps = list(certificate.steps)
    at = rng.randrange(len(steps))
    step = steps[at]
    kind = rng.choice(["budget", "drop", "turn", "flow", "other", "operator"])
    if kind == "budget":
        budget = certificate.budget + rng.choice([1, -1, 5])
        return dataclasses.replace(certificate, budget=budget)
    if kind == "drop":
        del steps[at]
    elif kind == "turn":
        steps[at] = dataclasses.replace(step, ran=not step.ran)
    elif kind == "flow":
        part = rng.choice(["reads", "waits", "ends"])
        rows = [list(row) for row in getattr(step.flow, part)] or [
            [0, 1, 1][: 3 - (part == "ends")]
        ]
        row = rng.choice(rows)
        row[rng.randrange(len(row))] += rng.choice([-1, 1, 7])
        flow = dataclasses.replace(step.flow, **{part: tuple(map(tuple, rows))})
        steps[at] = dataclasses.replace(step, flow=flow)
    elif kind == "other":
        steps[at] = dataclasses.replace(step, other=rng.choice([None, rng.randrange(9), 9]))
    else:
        steps[at] = dataclasses.replace(step, operator=rng.randrange(9))
    return dataclasses.replace(certificate, steps=tuple(steps))


def test_steps_without_a_contradiction_prove_nothing():
    problem = layered(9, 6, SEEDS[0])
    with pytest.raises(PlanError, match="no contradiction"):
        ProbeCertificate(1, ()).bound(problem)


def test_malformed_steps_are_refused(alone):
    data = {"format": "memonger-certificate/1", "kind": "probe", "budget": 3}
    step = {"operator": 0, "other": 1, "ran": True, **Flow().to_json()}
    fine = order_certificate_from_json({**data, "steps": [step]})
    assert isinstance(fine, ProbeCertificate)
    for bad in ({"ran": 1}, {"other": "1"}, {"operator": None}, {"reads": [[1]]}, {"ends": 3}):
        with pytest.raises(PlanError, match="malformed"):
            order_certificate_from_json({**data, "steps": [{**step, **bad}]})


def test_a_proof_too_long_to_be_written_down_stays_one_by_search(monkeypatch):
    problem = layered(9, 6, SEEDS[0])
    monkeypatch.setattr(order_contradiction, "EFFORT", 0)
    assert solve_order(problem).proof is Proof.SEARCH
    monkeypatch.undo()
    monkeypatch.setattr(order_certify, "EFFORT", 0)
    result = solve_order(problem)
    assert (result.proof, result.certificate) == (Proof.SEARCH, None)
    assert result.objective == result.bound


@pytest.mark.parametrize("proof", ["magic", "threshold", ["search"], 1])
def test_an_optimum_has_a_proof_that_exists(proof, alone):
    problem = layered(9, 6, 0)
    data = json.loads(json.dumps(order_to_json(problem, solve_order(problem))))
    data["certificate"] = None
    assert "not certified" in alone.check({**data, "proof": "search"})
    with pytest.raises(ValueError, match="no such proof"):
        alone.check({**data, "proof": proof})
