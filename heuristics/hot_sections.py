"""Arena plans that begin with the fullest sections: the others have room to spare.

Where sizes and times are random, only a small part of the time is nearly as full as the fullest
section. The buffers that are live there are placed as if nothing else were, by dives; all others
are then put where there is room, and few must make way for them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from memonger.graph.sections import FREE, Sections, components
from memonger.heuristics.arena_boxes import Flags, boxes_of, overlaps_of
from memonger.heuristics.ejection import Ejection
from memonger.problem import IntArray
from memonger.stop import Deadline

HEAT = (0.95, 0.9, 0.85, 0.8, 0.7, 0.6)
"""Parts of the load from which on sections are hot, in the order in which they are tried."""
MOST_HOT = 0.8
"""Part of the buffers from which on being live in a hot section is nothing special."""
SLACK = (0.0, 0.001, 0.003, 0.01)
"""How far above what the hot sections need the others may go, in parts, while they do not fit."""


def from_hot_sections(
    sections: Sections,
    heat: float,
    place: Callable[[Sections, int], IntArray | None],
    deadline: Deadline,
    seed: int = 0,
    best: Callable[[], int | None] = lambda: None,
) -> IntArray | None:
    """Place what is live in hot sections, then all the rest.

    Parameters
    ----------
    sections
        The buffers; pinned ones do not overlap.
    heat
        Part of the load from which on sections are hot.
    place
        Places buffers; told what peak is good enough, in units.
    deadline
        When to give up.
    seed
        Of the random choices.
    best
        Returns the lowest known peak in units: others are of no use.

    Returns
    -------
    IntArray or None
        Offset of each buffer in units; ``None`` where nothing better than ``best`` was found, or
        where almost all buffers are hot.
    """
    hot = np.flatnonzero(sections.load >= heat * int(sections.load.max(initial=0)))
    begin, end = np.searchsorted(hot, sections.begin), np.searchsorted(hot, sections.end)
    members = np.flatnonzero(begin < end)
    if len(members) > MOST_HOT * len(sections):
        return None
    placed: Flags = np.where(sections.pinned != FREE, 1, 0).astype(np.int8)
    offsets = sections.pinned.astype(np.int64)
    pins = np.flatnonzero(placed)
    goal = max(
        int(sections.load.max(initial=0)),
        int((offsets[pins] + sections.size[pins]).max(initial=0)),
    )
    core = sections.subset(members)
    parts = components(core)
    parts.sort(key=lambda part: -int(core.subset(part).load.max()))
    for part in parts:
        found = place(core.subset(part), goal)
        if found is None or deadline.expired:
            return None
        offsets[members[part]] = found
        goal = max(goal, int((found + core.size[part]).max()))
    placed[members] = 1
    return _fill_up(sections, offsets, placed, goal, deadline, seed, best)


def _fill_up(
    sections: Sections,
    offsets: IntArray,
    placed: Flags,
    goal: int,
    deadline: Deadline,
    seed: int,
    best: Callable[[], int | None],
) -> IntArray | None:
    """Place what is not placed yet, higher and higher up until it fits."""
    ejection = Ejection(sections, boxes_of(sections), overlaps_of(sections), offsets, placed, seed)
    for slack in SLACK:
        capacity = goal + int(goal * slack)
        known = best()
        if known is not None and capacity >= known:
            return None
        if ejection.fill(capacity, deadline):
            return ejection.offsets
        if deadline.expired:
            return None
    return None
