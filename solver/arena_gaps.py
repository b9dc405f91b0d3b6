"""The exact algorithm for components of buffers with gaps: CP-SAT proves, searches help it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from memonger.graph.spans import Spans, spans_of
from memonger.heuristics.arena_boxes import pins_clash
from memonger.heuristics.arena_schedule import improve
from memonger.heuristics.canonical_gaps import canonical_with_gaps, noisy_orders
from memonger.result import Proof
from memonger.solver import placement_search
from memonger.solver.arena_incumbent import ArenaIncumbent, Part
from memonger.solver.arena_race import FIRST_WORK, KERNEL, Descent
from memonger.solver.no_overlap import decide, is_too_large
from memonger.solver.peeling import peel
from memonger.solver.placement_kernel import FITS, FULL, GAVE_UP

EFFORT = 0.02
"""CP-SAT's deterministic seconds, of which each may take a minute, for one question; they double
when there is no answer to any."""

RESTARTS, DESCENTS = 10, 4
"""Canonical greedies, and questions to the search for placements, for one to CP-SAT."""


def has_gaps(incumbent: ArenaIncumbent, part: Part) -> bool:
    """Return whether a buffer of a part has gaps."""
    gapped = set(incumbent.problem.gapped)
    indices = incumbent.sections.indices[part.members]
    return not gapped.isdisjoint(indices.tolist())


def close_part(incumbent: ArenaIncumbent, part: Part) -> bool:
    """Bring the bounds of a part together, as far as the time allows.

    Canonical greedies in random orders, the search for placements and CP-SAT take turns. The search
    takes a buffer for whole all its life, as do the dives and the peeling of what always fits: what
    it finds is valid, but what it refutes may fit with gaps. So CP-SAT alone proves.

    Returns
    -------
    bool
        ``False`` if nothing but greedies is left, and no time limit ends them.
    """
    restarts = _restarts(incumbent, part)
    others = [_whole(incumbent, part), _decisions(incumbent, part)]
    while not _is_over(incumbent, part):
        next(restarts)
        others = [steps for steps in others if next(steps, steps) is not steps]
        if not others and incumbent.run.deadline.seconds is None:
            return False
    return True


def _is_over(incumbent: ArenaIncumbent, part: Part) -> bool:
    """Return whether a part is closed, or no longer the one that matters."""
    if part.upper <= max(part.lower, incumbent.bound) or incumbent.closed:
        return True
    return incumbent.highest() is not part or incumbent.run.deadline.expired


def _restarts(incumbent: ArenaIncumbent, part: Part) -> Iterator[None]:
    """Try some random orders at each step, for ever."""
    run, sections = incumbent.run, incumbent.sections.subset(part.members)
    spans = spans_of(incumbent.problem, sections)
    orders = noisy_orders(sections, run.seed)
    while True:
        for order in itertools.islice(orders, RESTARTS):
            found = canonical_with_gaps(
                sections, spans, order, below=part.upper, deadline=run.deadline
            )
            if found is not None:
                incumbent.offer_part(part, found, "canonical with gaps")
            if _is_over(incumbent, part):
                break
        yield


def _whole(incumbent: ArenaIncumbent, part: Part) -> Iterator[None]:
    """Look for lower placements of a part without its gaps, until it is known that there are none.

    The search first, whether the load without gaps is met, or the capacity; then dives for large
    parts; then the search, further and further down.
    """
    run, sections = incumbent.run, incumbent.sections.subset(part.members)
    if pins_clash(sections):
        return  # they keep out of each other's way by gaps alone
    lower = max(int(sections.load.max(initial=0)), part.lower, incumbent.bound)
    peeled = peel(sections, lower)
    core = peeled.core
    if not len(core):
        incumbent.offer_part(part, peeled.whole(np.zeros(0, dtype=np.int64)), "search")
        return
    if placement_search.is_too_large(core):
        yield from _dives(incumbent, part)
        return
    parameters = run.parameters
    descent = Descent(core, run.seed, parameters.of(KERNEL, "step_nodes"))
    descent.search.offsets = incumbent.offsets[part.members][peeled.kept]
    goals = [lower]
    if run.capacity is not None:
        goals.append(run.capacity // sections.unit)
    for goal in goals:
        if lower <= goal < part.upper:
            nodes = min(parameters.of(KERNEL, "first_nodes"), FIRST_WORK // len(core))
            verdict = descent.search.fits(goal, run.deadline, nodes)
            if verdict == FITS and descent.search.offsets is not None:
                incumbent.offer_part(part, peeled.whole(descent.search.offsets), "search")
            lower = goal + 1 if verdict == FULL else lower
    yield from _dives(incumbent, part)
    for step in itertools.count(1):
        if lower >= part.upper:
            return
        known = incumbent.offsets[part.members][peeled.kept]
        found = descent.next(lower, part.upper, known, run.deadline)
        if found.offsets is not None:
            incumbent.offer_part(part, peeled.whole(found.offsets), "search")
        lower = max(lower, found.lower)  # without gaps: it proves nothing about the part
        if step % DESCENTS == 0 or _is_over(incumbent, part):
            yield


def _dives(incumbent: ArenaIncumbent, part: Part) -> Iterator[None]:
    """Let dives improve the placement of a large part, without its gaps."""
    run, sections = incumbent.run, incumbent.sections.subset(part.members)
    if len(sections) < run.parameters.of(KERNEL, "dive_from"):
        return
    dives = run.parameters.of(KERNEL, "dives")
    for offsets in improve(sections, run.deadline, run.seed, greedy=False, dives=dives):
        incumbent.offer_part(part, offsets, "dives")
        if _is_over(incumbent, part):
            return
    yield


def _decisions(incumbent: ArenaIncumbent, part: Part) -> Iterator[None]:
    """Ask CP-SAT one question after another, until they are too large for it.

    Whether the bound is met; then about the capacity, or else half way between the bounds, and
    where that takes too long nearer to them.
    """
    spans = spans_of(incumbent.problem, incumbent.sections.subset(part.members))
    unit, effort = incumbent.sections.unit, EFFORT
    questions = [max(part.lower, incumbent.bound)]
    while not is_too_large(spans, part.lower, incumbent.run.deadline):
        asked = answered = False
        for capacity in questions:
            if not max(part.lower, incumbent.bound) <= capacity < part.upper:
                continue  # it has been answered meanwhile
            asked = True
            answered = _ask(incumbent, part, spans, capacity, effort) != GAVE_UP
            yield
            if answered:
                break
        if not asked:
            yield
        elif not answered:
            effort *= 2
        questions = nearer_and_nearer(max(part.lower, incumbent.bound), part.upper)
        if incumbent.run.capacity is not None:
            questions = [incumbent.run.capacity // unit]


def _ask(incumbent: ArenaIncumbent, part: Part, spans: Spans, capacity: int, effort: float) -> int:
    """Ask CP-SAT whether a part fits in a capacity, in units; return its verdict."""
    run = incumbent.run
    found = decide(
        incumbent.sections.subset(part.members),
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
