"""Bounds of one component from below: windows and CP-SAT, question by question."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from memonger.graph.sections import Sections
from memonger.problem import IntArray
from memonger.result import Proof
from memonger.solver.no_overlap import decide
from memonger.solver.placement_kernel import FITS, FULL
from memonger.solver.placement_search import PlacementSearch
from memonger.solver.windows import windows
from memonger.stop import Deadline

WINDOW_NODES = 5_000
WINDOW_WIDTHS = (10, 20, 40, 80)
EFFORT = 0.05
"""CP-SAT's deterministic seconds for one question, of which each may take a minute; they double
when nothing is refuted."""


@dataclass(frozen=True)
class Found:
    """What was found out: a bound in units, or a placement, or nothing but how long it took.

    ``proof``: what found it, the search or CP-SAT.
    """

    proof: Proof
    lower: int = 0
    offsets: IntArray | None = None
    seconds: float = 0.0


class Refuter:
    """Raises the lower bound of a component by windows and CP-SAT, question by question.

    Parameters
    ----------
    sections
        The component.
    lower, upper
        Units; they may be changed from outside while it runs.
    """

    def __init__(self, sections: Sections, lower: int, upper: int, seed: int) -> None:
        self.sections = sections
        self.lower = lower
        self.upper = upper
        self._seed = seed

    def findings(self, deadline: Deadline, halted: Callable[[], bool]) -> Iterator[Found]:
        """Yield what is found, or nothing new, now and then, until the bounds meet."""
        effort = EFFORT
        while self.lower < self.upper:
            for width in WINDOW_WIDTHS:
                yield from self._by_windows(width, effort / 2, deadline, halted)
            yield from self._by_all(effort, deadline, halted)
            effort *= 2

    def _by_windows(
        self, width: int, effort: float, deadline: Deadline, halted: Callable[[], bool]
    ) -> Iterator[Found]:
        for window in windows(self.sections, width):
            search = PlacementSearch(window, self._seed, table_bits=16)
            verdict = FULL
            while verdict == FULL and self.lower < self.upper:
                capacity = self.lower  # it may rise meanwhile: what was asked is what is proven
                verdict = search.fits(capacity, deadline, WINDOW_NODES)
                proof, seconds = Proof.SEARCH, 0.0
                if verdict not in (FITS, FULL):
                    found = decide(
                        window,
                        capacity,
                        deadline=deadline,
                        seed=self._seed,
                        effort=effort,
                        halted=halted,
                    )
                    proof, verdict, seconds = Proof.CP_SAT, found.verdict, found.seconds
                lower = capacity + 1 if verdict == FULL else 0
                self.lower = max(self.lower, lower)
                yield Found(proof, lower, seconds=seconds)

    def _by_all(
        self, effort: float, deadline: Deadline, halted: Callable[[], bool]
    ) -> Iterator[Found]:
        """Ask about the whole component, in growing steps up."""
        step = 1
        while self.lower < self.upper:
            capacity = min(self.lower + step, self.upper) - 1
            found = decide(
                self.sections,
                capacity,
                deadline=deadline,
                seed=self._seed,
                effort=effort,
                halted=halted,
            )
            if found.verdict == FULL:
                self.lower = max(self.lower, capacity + 1)
                step *= 2
                yield Found(Proof.CP_SAT, capacity + 1, seconds=found.seconds)
            elif found.verdict == FITS:
                step = 1
                yield Found(Proof.CP_SAT, offsets=found.offsets, seconds=found.seconds)
            else:
                yield Found(Proof.CP_SAT, seconds=found.seconds)
                if step == 1:
                    return
                step = 1
