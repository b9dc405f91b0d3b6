"""The exact algorithm for components whose buffers have gaps: CP-SAT, capacity after capacity."""

from __future__ import annotations

from memonger.graph.spans import spans_of
from memonger.heuristics.arena_schedule import improve
from memonger.result import Proof
from memonger.solver.arena_incumbent import ArenaIncumbent, Part
from memonger.solver.arena_race import DIVE_FROM, DIVES
from memonger.solver.arena_refuter import EFFORT
from memonger.solver.no_overlap import decide, is_too_large
from memonger.solver.placement_kernel import FULL, GAVE_UP


def has_gaps(incumbent: ArenaIncumbent, part: Part) -> bool:
    """Return whether a buffer of a part has gaps."""
    gapped = set(incumbent.problem.gapped)
    indices = incumbent.sections.indices[part.members]
    return not gapped.isdisjoint(indices.tolist())


def close_part(incumbent: ArenaIncumbent, part: Part) -> bool:
    """Bring the bounds of a part together, as far as the time allows.

    The search for placements, its windows and the peeling of buffers that always fit take a buffer
    for whole all its life: what they refute may fit with gaps. So CP-SAT alone is asked here: first
    whether the bound is met, then about the capacity or else half way between the bounds, and where
    that takes too long nearer to them.

    Returns
    -------
    bool
        ``False`` if the part is too large for CP-SAT: no more can be found out.
    """
    run, sections = incumbent.run, incumbent.sections.subset(part.members)
    spans = spans_of(incumbent.problem, sections)

    def over() -> bool:
        met = part.upper <= max(part.lower, incumbent.bound)
        left = incumbent.highest() is not part
        return met or left or incumbent.closed or run.deadline.expired

    def ask(capacity: int) -> int:
        found = decide(
            sections,
            capacity,
            deadline=run.deadline,
            workers=run.workers,
            seed=run.seed,
            hint=incumbent.offsets[part.members],
            spans=spans,
            effort=effort,
        )
        incumbent.solve_seconds += found.seconds
        if found.offsets is not None:
            incumbent.offer_part(part, found.offsets, "cp-sat")
        if found.verdict == FULL:
            incumbent.prove(part, capacity + 1, Proof.CP_SAT)
        return found.verdict

    effort = EFFORT
    _dive(incumbent, part)
    first = True
    while not over():
        if is_too_large(spans, part.lower, run.deadline):
            return False
        if first:
            first = False
            ask(max(part.lower, incumbent.bound))
        elif all(ask(capacity) == GAVE_UP for capacity in _questions(incumbent, part)):
            effort *= 2
    return True


def _questions(incumbent: ArenaIncumbent, part: Part) -> list[int]:
    """Return the capacities to ask about, until there is an answer."""
    if incumbent.run.capacity is not None:
        return [incumbent.run.capacity // incumbent.sections.unit]
    return nearer_and_nearer(max(part.lower, incumbent.bound), part.upper)


def nearer_and_nearer(lower: int, upper: int) -> list[int]:
    """Return numbers from ``lower`` to below ``upper``: half way, then nearer to both ends.

    Examples
    --------
    >>> nearer_and_nearer(10, 20), nearer_and_nearer(3, 4)
    ([15, 12, 18, 11, 19, 10], [3])
    """
    found = {}
    distance = (upper - lower) // 2
    while distance:
        found[lower + distance] = found[upper - distance] = True
        distance //= 2
    return [*found, lower]


def _dive(incumbent: ArenaIncumbent, part: Part) -> None:
    """Let dives improve the placement of a large part; they know no gaps."""
    sections, run = incumbent.sections.subset(part.members), incumbent.run
    if len(sections) < DIVE_FROM:
        return
    for offsets in improve(sections, run.deadline, run.seed, greedy=False, dives=DIVES):
        incumbent.offer_part(part, offsets, "dives")
        if incumbent.closed:
            return
