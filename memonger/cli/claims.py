"""What every plan file claims, whatever its form."""

from __future__ import annotations

from typing import Any

from memonger.certificate import CERTIFIED
from memonger.errors import PlanError
from memonger.instances.order_json import OrderFile
from memonger.instances.plan_json import PlanFile


def what_holds(claimed: PlanFile | OrderFile, cost: int, certified: int | None) -> dict[str, Any]:
    """Return what is said of a plan that was checked: its cost, and the bound that is certified."""
    return {
        "status": claimed.status,
        "objective": cost,
        "bound": claimed.bound,
        "proof": claimed.proof,
        "certificate": claimed.certificate is not None,
        "certified_bound": certified,
        "proven_optimal": certified == cost,
    }


def check_claims(claimed: PlanFile | OrderFile, cost: int) -> None:
    """Check what is claimed of a valid plan against its cost, and against itself.

    Raises
    ------
    PlanError
        If a claim does not hold.
    """
    if cost != claimed.objective:
        raise PlanError(f"the plan costs {cost} bytes, {claimed.objective} are claimed")
    if claimed.bound > cost:
        raise PlanError(f"the claimed bound {claimed.bound} is above the cost {cost}")
    if claimed.status not in ("optimal", "feasible"):
        raise PlanError(f"a plan cannot have the status {claimed.status!r}")
    if claimed.status == "optimal" and claimed.bound != cost:
        raise PlanError(f"'optimal' is claimed, but the bound {claimed.bound} is below {cost}")
    if claimed.certificate is not None:
        if claimed.proof != claimed.certificate.kind:
            raise PlanError(
                f"the proof {claimed.proof!r} is claimed, the certificate is of the kind "
                f"{claimed.certificate.kind!r}"
            )
    elif claimed.proof in CERTIFIED:
        raise PlanError(f"the proof {claimed.proof!r} is claimed without a certificate")
    elif claimed.proof is None and claimed.status == "optimal":
        raise PlanError("'optimal' is claimed without a proof")
