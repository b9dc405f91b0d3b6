"""Buffers over the maximal sections of time, in units: what arena planners work on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from memonger.graph.cliques import clique_times
from memonger.problem import IntArray, Problem

FREE = -1


@dataclass(frozen=True, eq=False)
class Sections:
    """Buffers of one device over compressed time.

    A section is a time of a maximal clique: a set of buffers live together that no other such set
    contains. Two buffers conflict iff their ranges of sections intersect.

    Parameters
    ----------
    begin, end
        Live range of each buffer in section indices, half-open, shape (buffers,).
    size
        Sizes in units, positive, shape (buffers,).
    alignment
        Offsets must be multiples of it, in units; 1 for any.
    pinned
        Offset in units that a buffer is pinned to, or `FREE`.
    duration
        Length of each live range in the time of the problem, shape (buffers,).
    times
        A time of each section, ascending, shape (sections,).
    unit
        Bytes: all sizes, pins and ends of windows are multiples of it, and all offsets of some
        best plan.
    indices
        Index of each buffer in the problem, shape (buffers,).
    """

    begin: IntArray
    end: IntArray
    size: IntArray
    alignment: IntArray
    pinned: IntArray
    duration: IntArray
    times: IntArray
    unit: int
    indices: IntArray

    def __len__(self) -> int:
        return len(self.size)

    @property
    def num_sections(self) -> int:
        """Number of sections."""
        return len(self.times)

    @cached_property
    def load(self) -> IntArray:
        """Units live in each section, shape (sections,)."""
        return load_over(self.num_sections, self.begin, self.end, self.size)

    def subset(self, members: IntArray) -> Sections:
        """Return some of the buffers over their own sections."""
        begin, end = self.begin[members], self.end[members]
        kept = clique_times(begin, end)
        return Sections(
            np.searchsorted(kept, begin),
            np.searchsorted(kept, end),
            self.size[members],
            self.alignment[members],
            self.pinned[members],
            self.duration[members],
            self.times[kept],
            self.unit,
            self.indices[members],
        )


def sections_of(problem: Problem) -> Sections:
    """Return the buffers of a problem that have a size, over the maximal sections of time.

    Parameters
    ----------
    problem
        Buffers of one device, in interval time.

    Notes
    -----
    Push every buffer of a plan down as far as it goes: each then lies at 0, at the pin or on top
    of another one, rounded up to its alignment. So all offsets are multiples of the unit: the
    greatest common divisor of the sizes, the pins, the ends of windows, and the alignments that do
    not divide it anyway. (Rounding all offsets of a plan down to multiples of it keeps every
    difference that such numbers ask for, whatever the gaps.) The sections are those of whole lives;
    `memonger.graph.spans` knows of gaps. O(n log n).
    """
    indices = np.flatnonzero(problem.raw_sizes)
    starts, ends = problem.starts[indices], problem.ends[indices]
    buffers = [problem.buffers[index] for index in indices.tolist()]
    pins = [buffer.offset for buffer in buffers if buffer.offset is not None]
    windows = (end for b in buffers for gap in b.gaps for end in (gap.lower, gap.upper))
    unit = math.gcd(*(buffer.size for buffer in buffers), *pins, *windows) or 1
    alignments = sorted({buffer.alignment for buffer in buffers})
    while rough := [a for a in alignments if unit % a and a % unit]:
        unit = math.gcd(unit, rough[0])
    aligned = [b.alignment // unit if b.alignment % unit == 0 else 1 for b in buffers]
    times = clique_times(starts, ends)
    return Sections(
        begin=np.searchsorted(times, starts),
        end=np.searchsorted(times, ends),
        size=problem.raw_sizes[indices] // unit,
        alignment=np.array(aligned, dtype=np.int64),
        pinned=np.array(
            [FREE if b.offset is None else b.offset // unit for b in buffers], dtype=np.int64
        ),
        duration=ends - starts,
        times=times,
        unit=unit,
        indices=indices,
    )


def components(sections: Sections) -> list[IntArray]:
    """Return the buffers of each part of time that no buffer connects to the next one."""
    crossing = np.zeros(sections.num_sections + 1, dtype=np.int64)
    np.add.at(crossing, sections.begin + 1, 1)
    np.add.at(crossing, sections.end, -1)
    # crossing[s]: buffers live in both section s - 1 and s
    part = np.cumsum(np.cumsum(crossing)[:-1] == 0)[sections.begin]
    order = np.argsort(part, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(part[order])) + 1) if len(order) else []


def load_over(num_sections: int, begin: IntArray, end: IntArray, amount: IntArray) -> IntArray:
    """Return how much there is in each section of what is in sections ``[begin, end)``."""
    change = np.zeros(num_sections + 1, dtype=np.int64)
    np.add.at(change, begin, amount)
    np.add.at(change, end, -amount)
    load: IntArray = np.cumsum(change)[:-1]
    return load
