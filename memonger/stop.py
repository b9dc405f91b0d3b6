"""When a run must end."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from memonger.errors import InputError


@dataclass(frozen=True, slots=True)
class Deadline:
    """A point in time, set when the run starts, never when a criterion is configured.

    It comes at once where the run is interrupted.

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
    >>> deadline = Deadline(60.0)
    >>> deadline.stop()
    >>> deadline.expired
    True
    """

    seconds: float | None = None
    started: float = field(default_factory=time.monotonic)
    _stop: threading.Event = field(
        default_factory=threading.Event, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        if self.seconds is not None and not self.seconds >= 0:
            raise InputError(f"time limit must be at least 0 seconds, got {self.seconds}")

    def elapsed(self) -> float:
        """Return the seconds since the start."""
        return time.monotonic() - self.started

    def remaining(self) -> float:
        """Return the seconds left, at least 0; ``inf`` without a limit."""
        if self.stopped:
            return 0.0
        if self.seconds is None:
            return float("inf")
        return max(0.0, self.seconds - self.elapsed())

    def stop(self) -> None:
        """Let no time be left: the run is interrupted."""
        self._stop.set()

    @property
    def stopped(self) -> bool:
        """Whether the run was interrupted."""
        return self._stop.is_set()

    @property
    def expired(self) -> bool:
        """Whether no time is left."""
        return self.remaining() == 0.0
