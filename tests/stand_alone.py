"""The stand-alone checker, loaded as a module, and what it and memonger say of the same JSON."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from memonger.certificate import certificate_from_json
from memonger.cli.check import _for as plan_for
from memonger.cli.check import _same_buffers as same_buffers
from memonger.cli.check import check_plan
from memonger.errors import MemongerError, PlanError
from memonger.instances.plan_json import plan_from_json

SCRIPTS = Path(__file__).parents[1] / "scripts"


def _load(name):
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CHECKER = _load("check_certificate")
ORDER_CHECKER = _load("check_order_certificate")
PATH = SCRIPTS / "check_certificate.py"


def stand_alone_verdict(plan, problem):
    """Return whether the stand-alone checker accepts a plan for a problem, both JSON data."""
    try:
        CHECKER.check(plan, problem)
    except Exception:  # its command line refuses whatever goes wrong
        return False
    return True


def own_verdict(plan, problem):
    """Return whether memonger accepts a plan, JSON data, for a problem."""
    try:
        claimed = plan_from_json(plan)
        same_buffers(claimed.form.name, problem, claimed.problem)
        claimed = plan_for(problem, claimed)
        check_plan(claimed)
    except MemongerError:
        return False
    return True


def stand_alone_bound(certificate, problem):
    """Return the bound that a certificate, JSON data, proves to the checker; ``None``: refused."""
    taken, time = {p for p, _ in problem.in_place}, problem.vector_time
    buffers = [
        CHECKER.Buffer(
            b.name,
            b.padded_size,
            b.start,
            b.end - (i in taken),
            b.device,
            None if time is None else [time.start[i].tolist(), time.end[i].tolist()],
        )
        for i, b in enumerate(problem.buffers)
    ]
    try:
        return CHECKER.certified_bound(certificate, buffers, "sharing")
    except Exception:  # its command line refuses whatever goes wrong
        return None


def own_bound(certificate, problem):
    """Return the bound that a certificate, JSON data, proves to memonger; ``None``: refused."""
    try:
        return certificate_from_json(certificate).bound(problem)
    except PlanError:
        return None
