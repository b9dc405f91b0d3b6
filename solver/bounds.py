"""Lower bounds of the sharing form, with certificates."""

from __future__ import annotations

from memonger.certificate import ThresholdCertificate
from memonger.graph.profile import size_profile
from memonger.problem import Problem


def threshold_bound(problem: Problem) -> tuple[int, ThresholdCertificate]:
    """Return the threshold bound of a problem of one device, and its certificate.

    For each distinct size, as many shared buffers of at least that size are needed as buffers of
    at least that size are ever live at once. Holds in vector time too, whose conflicts include
    those of program order. O(n log n).

    Examples
    --------
    >>> from memonger.problem import Buffer
    >>> problem = Problem((Buffer("a", 8, 0, 2), Buffer("b", 4, 1, 3), Buffer("c", 8, 2, 4)))
    >>> threshold_bound(problem)[0]
    12
    """
    profile = size_profile(problem)
    witness = zip(profile.sizes.tolist(), profile.times.tolist(), strict=True)
    return profile.bound, ThresholdCertificate(tuple(witness))
