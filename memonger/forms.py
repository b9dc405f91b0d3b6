"""The forms of planning: what a plan is, who makes it, what checks it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic

from memonger.plan import ArenaPlan, P, SharingPlan
from memonger.problem import Problem
from memonger.registry import ARENA, SHARING, AlgorithmOf, RegistryOf
from memonger.verify import verify_arena, verify_sharing


@dataclass(frozen=True)
class Form(Generic[P]):
    """A form of planning.

    Parameters
    ----------
    name
        As on the command line and in plan files.
    plan
        The class of its plans.
    registry
        Its algorithms.
    verify
        The independent verifier: returns the cost of a valid plan, bytes.
    certificates
        The kinds of certificates that prove a bound for it.
    """

    name: str
    plan: type[P]
    registry: RegistryOf[AlgorithmOf[P]]
    verify: Callable[[Problem, P], int]
    certificates: tuple[str, ...]


SHARING_FORM = Form(
    "sharing", SharingPlan, SHARING, verify_sharing, certificates=("threshold", "lp-dual")
)
ARENA_FORM = Form("arena", ArenaPlan, ARENA, verify_arena, certificates=("clique",))

FORMS: dict[str, Form[Any]] = {form.name: form for form in (SHARING_FORM, ARENA_FORM)}
"""The forms by their names."""
