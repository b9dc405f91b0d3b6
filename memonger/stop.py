"""When a run must end."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from memonger.errors import InputError


@dataclass(frozen=True, slots=True)
class Deadline:
    """A point in time, set when the run starts, never when a criterion is configured.

    Parameters
    ----------
    seconds
        Time from now, on the monotonic clock; ``None`` never ends.

    Raises
    ------
    InputError
        If the limit is negative or not a number.

    Examples
    --------
    >>> Deadline(0.0).expired
    True
    >>> Deadline(None).remaining()
    inf
    """

    seconds: float | None = None
    started: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        if self.seconds is not None and not self.seconds >= 0:
            raise InputError(f"time limit must be at least 0 seconds, got {self.seconds}")

    def elapsed(self) -> float:
        """Return the seconds since the start."""
        return time.monotonic() - self.started

    def remaining(self) -> float:
        """Return the seconds left, at least 0; ``inf`` without a limit."""
        if self.seconds is None:
            return float("inf")
        return max(0.0, self.seconds - self.elapsed())

    @property
    def expired(self) -> bool:
        """Whether no time is left."""
        return self.remaining() == 0.0
