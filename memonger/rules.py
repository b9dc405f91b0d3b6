"""Rules that a plan must keep besides: what shares, what does not, how many shared buffers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memonger.errors import PlanError, ProblemError

if TYPE_CHECKING:
    from memonger.problem import Buffer

Pairs = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Rules:
    """Rules for the plans of a problem.

    Parameters
    ----------
    at_most
        Largest number of shared buffers that hold a byte or more, on each device; ``None`` for
        any number.
    together
        Pairs of buffers that must share memory.
    apart
        Pairs of buffers that must not.

    Examples
    --------
    >>> bool(Rules()), bool(Rules(at_most=3))
    (False, True)
    """

    at_most: int | None = None
    together: Pairs = ()
    apart: Pairs = ()

    def __bool__(self) -> bool:
        return self.at_most is not None or bool(self.together or self.apart)

    def of(self, indices: Sequence[int]) -> Rules:
        """Return the rules for some of the buffers, by their positions."""
        new = {old: position for position, old in enumerate(indices)}

        def kept(pairs: Pairs) -> Pairs:
            return tuple((new[i], new[j]) for i, j in pairs if i in new and j in new)

        return Rules(self.at_most, kept(self.together), kept(self.apart))

    def check_buffers(self, buffers: Sequence[Buffer]) -> None:
        """Check that the rules can be for these buffers.

        Raises
        ------
        ProblemError
            If the number is negative, or a rule speaks of buffers that are none, are empty, or are
            on two devices.
        """
        if self.at_most is not None and self.at_most < 0:
            raise ProblemError(f"at most {self.at_most} shared buffers: the number is negative")
        for pair in (*self.together, *self.apart):
            if not all(0 <= i < len(buffers) for i in pair):
                raise ProblemError(f"rule for {pair}: there is no such buffer")
            one, other = (buffers[i] for i in pair)
            if one is other or not one.size or not other.size or one.device != other.device:
                raise ProblemError(
                    f"no rule can be made for {one.name!r} and {other.name!r}: they must be two "
                    "buffers of one device that are not empty"
                )

    def check(
        self, shared: Sequence[int], name: Callable[[int], str], capacities: Mapping[int, int]
    ) -> None:
        """Check a plan of one device.

        Parameters
        ----------
        shared
            Buffer index -> number of its shared buffer.
        name
            Buffer index -> its name, for messages.
        capacities
            Number of each shared buffer -> bytes.

        Raises
        ------
        PlanError
            If a rule is broken; names the buffers.
        """
        for one, other in self.together:
            if shared[one] != shared[other]:
                raise PlanError(f"buffers {name(one)!r} and {name(other)!r} must share memory")
        for one, other in self.apart:
            if shared[one] == shared[other]:
                raise PlanError(f"buffers {name(one)!r} and {name(other)!r} must not share memory")
        used = sum(1 for capacity in capacities.values() if capacity)
        if self.at_most is not None and used > self.at_most:
            raise PlanError(
                f"the plan has {used} shared buffers, at most {self.at_most} are allowed"
            )


NO_RULES = Rules()
