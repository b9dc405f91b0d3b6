"""Solvers in threads of their own, so that Ctrl-C is heard while they run."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

_STEP = 0.2  # seconds; waits without end are deaf to Ctrl-C on some systems


class Background(Generic[T]):
    """A call in a thread of its own, begun at once.

    The thread does not keep the process from ending: who does not wait gives the call up.

    Parameters
    ----------
    work
        To be called.
    name
        Of the thread.

    Examples
    --------
    >>> sums = Background(lambda: sum(range(4)), "sums")
    >>> sums.wait(), sums.result()
    (True, 6)
    """

    def __init__(self, work: Callable[[], T], name: str) -> None:
        self._work = work
        self._answer: T
        self._error: BaseException | None = None
        # Not the thread's own `join`, which takes the thread for ended once it is interrupted.
        self._ended = threading.Event()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def _run(self) -> None:
        try:
            self._answer = self._work()
        except BaseException as error:  # raised by `result`, in the caller's thread
            self._error = error
        finally:
            self._ended.set()

    def wait(self, seconds: float = math.inf) -> bool:
        """Wait for the end of the call, at most so many seconds; return whether it has ended."""
        until = time.monotonic() + seconds
        while not self._ended.is_set() and (left := until - time.monotonic()) > 0:
            self._ended.wait(min(_STEP, left))
        return self._ended.is_set()

    def result(self) -> T:
        """Return what the call returned, once it has ended; what it raised is raised here."""
        if self._error is not None:
            raise self._error
        return self._answer
