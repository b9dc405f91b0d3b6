"""The best arena plan and bound of a run, part of time by part of time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memonger.certificate import CliqueCertificate
from memonger.graph.sections import Sections, components
from memonger.graph.spans import spans_of
from memonger.heuristics.arena_table import arena_plan
from memonger.plan import ArenaPlan
from memonger.problem import MAX_TOTAL_BYTES, IntArray, Problem
from memonger.registry import ArenaOutcome, ArenaRun, Progress
from memonger.result import Proof
from memonger.solver.arena_bounds import clique_bound


@dataclass(eq=False)
class Part:
    """A part of time that no buffer connects to the others.

    Parameters
    ----------
    members
        Its buffers, as indices of the whole `Sections`.
    lower, upper
        No placement is lower; the best one known is as high. Units.
    proof
        What proves ``lower`` where it is above the bound of the whole.
    """

    members: IntArray
    lower: int
    upper: int
    proof: Proof | None = None


class ArenaIncumbent:
    """What an exact run knows so far.

    Parameters
    ----------
    problem, sections
        The problem, and its buffers over sections.
    run
        The run; it is told of every improvement.

    Attributes
    ----------
    parts
        The components.
    offsets
        The best placement, part by part, units; shape (buffers with a size,).
    source
        What found it.
    clique
        Certified bound, bytes, and its certificate.
    solve_seconds
        Time spent in CP-SAT.
    """

    def __init__(self, problem: Problem, sections: Sections, run: ArenaRun) -> None:
        self.problem = problem
        self.sections = sections
        self.run = run
        self.source = "stacked"
        self.solve_seconds = 0.0
        self.clique: tuple[int, CliqueCertificate] = clique_bound(problem, sections)
        self.offsets = stacked(sections)
        tops = self.offsets + sections.size
        self.parts = [
            Part(members, 0, int(tops[members].max())) for members in components(sections)
        ]
        self._part_of = np.zeros(len(sections), dtype=np.int64)
        for number, part in enumerate(self.parts):
            self._part_of[part.members] = number
        spans = spans_of(problem, sections)  # loads with gaps are those of what is really taken
        loads = np.zeros(len(self.parts), dtype=np.int64)
        np.maximum.at(loads, self._part_of[spans.owner], spans.load[spans.begin])
        for part, load in zip(self.parts, loads.tolist(), strict=True):
            part.lower = load

    @property
    def peak(self) -> int:
        """Units of the best placement."""
        return max((part.upper for part in self.parts), default=0)

    @property
    def bound(self) -> int:
        """Units that no placement is below."""
        lower = max((part.lower for part in self.parts), default=0)
        return max(lower, -(-self.clique[0] // self.sections.unit))

    @property
    def closed(self) -> bool:
        """Whether nothing is left to be found out: proven, or the capacity asked for is decided."""
        capacity = self.run.capacity
        if self.peak <= self.bound:
            return True
        if capacity is None:
            return False
        unit = self.sections.unit
        return self.peak * unit <= capacity or self.bound * unit > capacity

    def highest(self) -> Part:
        """Return the part that the peak is in: the others do not matter."""
        return max(self.parts, key=lambda part: part.upper)

    def offer(self, offsets: IntArray | None, source: str) -> None:
        """Take a placement of all buffers, in the parts where it is better."""
        if offsets is None or not self.parts:
            return
        tops = np.zeros(len(self.parts), dtype=np.int64)
        np.maximum.at(tops, self._part_of, offsets + self.sections.size)
        for number in np.flatnonzero(tops < [part.upper for part in self.parts]).tolist():
            part = self.parts[number]
            self.offer_part(part, offsets[part.members], source)

    def offer_plan(self, plan: ArenaPlan) -> None:
        """Take a plan of the problem, which was checked."""
        if max(plan.offsets, default=0) >= MAX_TOTAL_BYTES:
            return  # no number for compiled code, and of no use
        offsets = np.array(plan.offsets, dtype=np.int64)[self.sections.indices]
        if (offsets % self.sections.unit == 0).all():  # else `solve` keeps it
            self.offer(offsets // self.sections.unit, "hint")

    def offer_part(self, part: Part, offsets: IntArray, source: str) -> None:
        """Take a placement of a part if it is better."""
        top = int((offsets + self.sections.size[part.members]).max())
        if top < part.upper:
            before = self.peak
            self.offsets[part.members] = offsets
            part.upper = top
            if self.peak < before:
                self.source = source
                self.tell()

    def prove(self, part: Part, lower: int, proof: Proof) -> None:
        """Take a bound of a part if it is better."""
        if lower > part.lower:
            before = self.bound
            part.lower, part.proof = lower, proof
            if self.bound > before:
                self.tell()

    def tell(self) -> None:
        """Report progress."""
        unit = self.sections.unit
        bound = max(self.clique[0], self.bound * unit)
        self.run.report(Progress(self.peak * unit, bound, self.run.deadline.elapsed()))

    def outcome(self) -> ArenaOutcome:
        """Return what is known."""
        unit = self.sections.unit
        plan = arena_plan(self.problem, self.sections, self.offsets)
        bound, certificate = self.clique
        proof: Proof | None = Proof.CLIQUE
        best = max(self.parts, key=lambda part: part.lower, default=None)
        if best is not None and best.proof is not None and best.lower * unit > bound:
            return ArenaOutcome(
                plan, best.lower * unit, best.proof, None, self.source, self.solve_seconds
            )
        return ArenaOutcome(plan, bound, proof, certificate, self.source, self.solve_seconds)


def stacked(sections: Sections) -> IntArray:
    """Return a placement that is always valid: on top of all pins, one buffer above the other."""
    offsets = sections.pinned.copy()
    free = np.flatnonzero(offsets < 0)
    pinned = np.flatnonzero(offsets >= 0)
    top = int((offsets[pinned] + sections.size[pinned]).max(initial=0))
    if (sections.alignment[free] == 1).all():
        offsets[free] = top + np.cumsum(sections.size[free]) - sections.size[free]
        return offsets
    for i in free.tolist():
        offsets[i] = top + -top % int(sections.alignment[i])
        top = int(offsets[i] + sections.size[i])
    return offsets
