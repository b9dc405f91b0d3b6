"""Buffers that always fit: they are left out of the search and put back in the end."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memonger.graph.sections import FREE, Sections
from memonger.heuristics.arena_boxes import boxes_of, overlaps_of
from memonger.heuristics.arena_orders import conflicts
from memonger.heuristics.first_fit_arena import Gap, place
from memonger.problem import IntArray


@dataclass(frozen=True)
class Peeled:
    """A component without the buffers that always fit.

    Parameters
    ----------
    sections
        The whole component.
    kept
        Buffers that are to be placed, ascending.
    removed
        The others, in the order in which they are put back.
    """

    sections: Sections
    kept: IntArray
    removed: IntArray

    @property
    def core(self) -> Sections:
        """The buffers that are to be placed, over their own sections."""
        return self.sections.subset(self.kept)

    def whole(self, offsets: IntArray) -> IntArray:
        """Return a placement of all buffers for one of those that were kept.

        It is no higher than that one and the capacity that was peeled for.
        """
        found = np.full(len(self.sections), FREE, dtype=np.int64)
        found[self.kept] = offsets
        placed = np.zeros(len(found), dtype=np.int8)
        placed[self.kept] = 1
        boxes, overlaps = boxes_of(self.sections), overlaps_of(self.sections)
        place(self.removed, 0, boxes, overlaps, found, placed, Gap.LOWEST)
        return found


def peel(sections: Sections, capacity: int) -> Peeled:
    """Leave out buffers that fit into this capacity and any larger one, wherever the others lie.

    The neighbours of buffer i in conflict, k of them with T units in all, split what they leave of
    the capacity C into at most k + 1 gaps; one of them has room for i, aligned to a_i, if

        C - T > (k + 1) (z_i + a_i - 2).

    What is left out makes room for others, so this is repeated.

    Parameters
    ----------
    sections
        A component.
    capacity
        Units; not below its load.

    Notes
    -----
    Buffers of one round count each other, so their order does not matter. O(n log n) a round.
    """
    kept = np.arange(len(sections))
    rounds: list[IntArray] = []
    while len(kept):
        part = sections.subset(kept)
        others = _size_of_conflicts(part)
        most = (capacity - others - 1) // (conflicts(part) + 1)
        fits = (part.size + part.alignment - 2 <= most) & (others < capacity)
        fits &= part.pinned == FREE
        if not fits.any():
            break
        rounds.append(kept[fits])
        kept = kept[~fits]
    removed = np.concatenate(rounds[::-1]) if rounds else kept[:0]
    return Peeled(sections, kept, removed)


def _size_of_conflicts(sections: Sections) -> IntArray:
    """Return the sizes of all that each buffer conflicts with, added up."""
    by_begin, by_end = np.argsort(sections.begin), np.argsort(sections.end)
    begun = np.append(0, np.cumsum(sections.size[by_begin]))
    ended = np.append(0, np.cumsum(sections.size[by_end]))
    before_end = np.searchsorted(sections.begin[by_begin], sections.end, side="left")
    over = np.searchsorted(sections.end[by_end], sections.begin, side="right")
    total: IntArray = begun[before_end] - ended[over] - sections.size
    return total
