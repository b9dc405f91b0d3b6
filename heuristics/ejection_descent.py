"""Lower and lower peaks: what is above a capacity comes out and is put back below it."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator

import numpy as np

from memonger.graph.sections import FREE, Sections
from memonger.heuristics.arena_boxes import boxes_of, overlaps_of
from memonger.heuristics.ejection import Ejection
from memonger.problem import IntArray
from memonger.stop import Deadline

MANY = 500
"""Buffers from which on it is worth the time; fewer are searched."""
FAR = 0.1
"""How far above the load a plan ends where it is, as a part of the load; else other searches are
better at the last per cent."""
FIRST_STEP = 0.02
"""First step down, as a part of the load; it is halved where it is too far."""
TRIES = 2
"""Tries, of other seeds, at the smallest step before the descent ends."""
LEAST_STEP = 0.001
"""Smallest step, as a part of the load."""
PATIENCE = 0.25
"""Steps a buffer without fewer buffers left over after which a try ends, at first: where it goes
on it goes on soon, and where it does not the time is better spent elsewhere for a while."""


def ejections(
    sections: Sections,
    offsets: IntArray,
    goal: int,
    deadline: Deadline,
    seed: int = 0,
    best: Callable[[], int | None] = lambda: None,
    patience: float = PATIENCE,
) -> Generator[IntArray, None, float]:
    """Yield what `descend` finds where many buffers end far above the load.

    It is tried more and more patiently, as long as that pays. Return how patient it should be the
    next time.
    """
    load = int(sections.load.max(initial=0))
    while len(sections) >= MANY and not deadline.expired:
        before = _peak(sections, offsets)
        if before <= (1 + FAR) * load:
            break
        for found in descend(sections, offsets, goal, deadline, seed, best, patience):
            offsets = found
            yield found
        patience *= 2
        if before - _peak(sections, offsets) < FIRST_STEP * load:
            break
    return patience


def descend(
    sections: Sections,
    offsets: IntArray,
    goal: int,
    deadline: Deadline,
    seed: int = 0,
    best: Callable[[], int | None] = lambda: None,
    patience: float = PATIENCE,
) -> Iterator[IntArray]:
    """Yield offsets of lower and lower peaks.

    Parameters
    ----------
    sections
        The buffers.
    offsets
        A valid plan to begin with, units.
    goal
        Units: a peak that is good enough.
    deadline
        When to give up.
    seed
        Of the random choices.
    best
        Returns the lowest peak that is known elsewhere, in units: steps go down from there.
    patience
        Steps a buffer without fewer buffers left over after which a try ends.

    Yields
    ------
    IntArray
        Offset of each buffer in units.

    Notes
    -----
    Wherever buffers come and go at one load all the time this is better than one-way searches: a
    plan is mended where it is too high, and what is good about it stays.
    """
    boxes, overlaps = boxes_of(sections), overlaps_of(sections)
    pinned = sections.pinned != FREE
    lowest = int((offsets[pinned] + sections.size[pinned]).max(initial=goal))
    load = int(sections.load.max(initial=0))
    step, least = max(1, int(load * FIRST_STEP)), max(1, int(load * LEAST_STEP))
    tries = 0
    while tries < TRIES and not deadline.expired:
        peak = _peak(sections, offsets)
        known = best()
        peak = peak if known is None else min(peak, known)
        if peak <= lowest:
            return
        capacity = max(lowest, peak - step)
        below = (offsets + sections.size <= capacity) | pinned
        state = Ejection(
            sections, boxes, overlaps, np.where(below, offsets, 0), below.astype(np.int8), seed
        )
        seed += 1
        if state.fill(capacity, deadline, math.ceil(patience * len(sections))):
            offsets = state.offsets.copy()
            yield offsets
        elif step > least:
            step //= 2
        else:
            tries += 1


def _peak(sections: Sections, offsets: IntArray) -> int:
    return int((offsets + sections.size).max(initial=0))
