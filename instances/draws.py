"""Random numbers that are the same on every platform and with every version of Python."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Draws:
    """A stream of random numbers.

    Only ``random()`` of the Mersenne Twister is used, the one method whose values Python promises
    not to change, and of arithmetic only what IEEE 754 rounds exactly: no logarithms, no powers.

    Parameters
    ----------
    key
        Equal keys give equal streams.

    Examples
    --------
    >>> draws = Draws("an example")
    >>> [draws.between(1, 6) for _ in range(5)]
    [3, 4, 1, 3, 4]
    """

    def __init__(self, key: str) -> None:
        self._random = random.Random(key).random

    def between(self, low: int, high: int) -> int:
        """Return an integer of ``low`` to ``high``, both included, each as likely."""
        return low + int(self._random() * (high - low + 1))

    def pick(self, choices: Sequence[T]) -> T:
        """Return one of the choices, each as likely."""
        return choices[int(self._random() * len(choices))]

    def chance(self, probability: float) -> bool:
        """Return whether something of this probability happens."""
        return self._random() < probability

    def heavy(self, scale: int, most: int) -> int:
        """Return an integer of a heavy tail: at least ``x`` with probability ``scale / x``.

        Nothing below ``scale``, nothing above ``most``.
        """
        return min(most, int(scale / (1.0 - self._random())))
