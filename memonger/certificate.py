"""Lower-bound certificates: evidence that anyone can add up."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from memonger.errors import PlanError
from memonger.lp_dual import LpDualCertificate
from memonger.order_certificate import OrderCertificate
from memonger.problem import IntArray, Problem, VectorTime

FORMAT = "memonger-certificate/1"

# The kinds of proof that come with a certificate.
CERTIFIED = ("clique", "threshold", "lp-dual", "kept", "cut", "probe")


@dataclass(frozen=True)
class ThresholdCertificate:
    """One time point per size: so many buffers of at least that size are live there.

    Buffers that are live at one time need as many shared buffers, each at least as large as the
    smallest of them. With the sizes w_1 > w_2 > ... > w_D, w_(D+1) = 0, and n_k buffers of at
    least w_k live at time t_k, every plan has n_k shared buffers of at least w_k, so that

        cost >= sum_k (w_k - w_(k+1)) n_k        (Abel summation)

    Parameters
    ----------
    witness
        Pairs (size, time), sizes in bytes, descending; sizes may be left out.
    """

    witness: tuple[tuple[int, int], ...]
    kind: ClassVar[str] = "threshold"

    def bound(self, problem: Problem) -> int:
        """Return the lower bound in bytes that the witness proves for a problem.

        Raises
        ------
        PlanError
            If the sizes do not descend, or one is not positive; or if, in vector time, buffers
            that are live together in program order do not conflict.
        """
        sizes = [size for size, _ in self.witness]
        steps = [one - other for one, other in zip(sizes, [*sizes[1:], 0], strict=False)]
        if any(step <= 0 for step in steps):
            raise PlanError("the certificate is not valid: its sizes do not descend")
        by_time: dict[int, list[int]] = {}
        for k, (_, time) in enumerate(self.witness):
            by_time.setdefault(time, []).append(k)
        total = 0
        for time, levels in by_time.items():
            live = np.flatnonzero((problem.starts <= time) & (time < problem.freed))
            for k in levels:
                total += steps[k] * int((problem.sizes[live] >= sizes[k]).sum())
            largest = live[problem.sizes[live] >= min(sizes[k] for k in levels)]
            if problem.vector_time is not None:
                _require_conflicts(problem, problem.vector_time, largest)
        return total

    def to_json(self) -> dict[str, Any]:
        """Return the certificate as JSON data, without its format."""
        return {"kind": self.kind, "witness": [[size, time] for size, time in self.witness]}


def _require_conflicts(problem: Problem, time: VectorTime, together: IntArray) -> None:
    """Check that buffers live at one time in program order conflict in vector time too."""
    for index in together.tolist():
        over = time.over_before_all(index, together)
        if over.size:
            one = problem.buffers[index].name
            other = problem.buffers[int(over[0])].name
            raise PlanError(
                f"{one!r} and {other!r} are live together in program order, but not in vector time"
            )


@dataclass(frozen=True)
class CliqueCertificate:
    """One time point: the buffers that are live there do not overlap in an arena.

    Where all of them are aligned to multiples of a, each but the topmost takes its size rounded up
    to a multiple of a. Of buffers that have a gap then the windows count, if there are any; a must
    divide where these begin, too.

    Parameters
    ----------
    time
        The time point.
    """

    time: int
    kind: ClassVar[str] = "clique"

    def bound(self, problem: Problem) -> int:
        """Return the lower bound in bytes that the time point proves for an arena.

        Raises
        ------
        PlanError
            If the problem is in vector time, or on several devices, of which each has a topmost
            buffer: nothing is proven then.
        """
        if problem.vector_time is not None:
            raise PlanError("a time point proves nothing for the arena in vector time")
        if len(problem.devices) > 1:
            raise PlanError("a time point proves a bound for the arena of one device alone")
        live = [
            (buffer.alignment, span)
            for buffer in problem.buffers
            if buffer.start <= self.time < buffer.end
            for span in buffer.spans
            if span.start <= self.time < span.end
        ]
        step = math.gcd(*(math.gcd(alignment, span.lower) for alignment, span in live)) or 1
        sizes = [span.upper - span.lower for _, span in live]
        waste = [-size % step for size in sizes]
        return sum(sizes) + sum(waste) - max(waste, default=0)

    def to_json(self) -> dict[str, Any]:
        """Return the certificate as JSON data, without its format."""
        return {"kind": self.kind, "time": self.time}


SimpleCertificate = ThresholdCertificate | LpDualCertificate | CliqueCertificate


@dataclass(frozen=True)
class DeviceCertificate:
    """A certificate for each device: the bounds add up, as devices never share.

    Parameters
    ----------
    parts
        Device -> certificate for the buffers of that device.
    """

    parts: Mapping[str, SimpleCertificate]

    @property
    def kind(self) -> str:
        """The weakest kind of its parts."""
        return max(
            (part.kind for part in self.parts.values()), key=CERTIFIED.index, default="threshold"
        )

    def bound(self, problem: Problem) -> int:
        """Return the lower bound in bytes for a problem; errors as for the parts."""
        return sum(
            part.bound(
                problem.subproblem([i for i, b in enumerate(problem.buffers) if b.device == device])
            )
            for device, part in self.parts.items()
        )

    def to_json(self) -> dict[str, Any]:
        """Return the certificate as JSON data, without its format."""
        return {
            "kind": "by-device",
            "devices": {device: certificate_to_json(p) for device, p in self.parts.items()},
        }


Certificate = SimpleCertificate | DeviceCertificate
"""What proves a bound on the memory of buffers, whatever the form."""

AnyCertificate = Certificate | OrderCertificate
"""What proves a bound of any kind."""


def check_certificate(
    problem: Problem, certificate: AnyCertificate, claimed: int, kinds: Sequence[str]
) -> int:
    """Check that a certificate proves the claimed bound; return the bound that it proves.

    ``kinds`` are those that prove something for the form of the plan.

    Raises
    ------
    PlanError
        If it proves less than is claimed.
    """
    parts: Sequence[AnyCertificate] = (certificate,)
    if isinstance(certificate, DeviceCertificate):  # whose kind is that of one of them
        parts = tuple(certificate.parts.values())
    for part in parts:
        if part.kind not in kinds:
            raise PlanError(f"a certificate of the kind {part.kind!r} proves nothing here")
    assert not isinstance(certificate, OrderCertificate)  # no form of buffers has their kinds
    proven = certificate.bound(problem)
    if proven < claimed:
        raise PlanError(f"the certificate proves {proven} bytes, {claimed} are claimed")
    return proven


def certificate_to_json(certificate: AnyCertificate) -> dict[str, Any]:
    """Return a certificate as JSON data (``memonger-certificate/1``)."""
    return {"format": FORMAT, **certificate.to_json()}


def certificate_from_json(data: object) -> Certificate:
    """Return the certificate that JSON data describe.

    Raises
    ------
    PlanError
        If they describe none that this version can check.
    """
    try:
        if not isinstance(data, dict):
            raise PlanError("the certificate is malformed")
        if data["format"] != FORMAT:
            raise PlanError(f"unknown certificate format {data['format']!r}")
        if data["kind"] == "by-device":
            return DeviceCertificate(
                {str(d): _simple_from_json(p) for d, p in data["devices"].items()}
            )
        return _simple_from_json(data)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise PlanError("the certificate is malformed") from None


def _simple_from_json(data: Mapping[str, Any]) -> SimpleCertificate:
    if data["kind"] == "threshold":
        return _threshold_from_json(data)
    if data["kind"] == "clique":
        if type(data["time"]) is not int:
            raise PlanError("the certificate is malformed: the time is an integer")
        return CliqueCertificate(data["time"])
    if data["kind"] == "lp-dual":
        return LpDualCertificate.from_json(data)
    raise PlanError(f"unknown kind of certificate {data['kind']!r}")


def _threshold_from_json(data: Mapping[str, Any]) -> ThresholdCertificate:
    witness = []
    for size, time in data["witness"]:
        if type(size) is not int or type(time) is not int:
            raise PlanError("the certificate is malformed: sizes and times are integers")
        witness.append((size, time))
    return ThresholdCertificate(tuple(witness))
