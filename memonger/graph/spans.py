"""What buffers with gaps take over time, in units, over the maximal sections of time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from memonger.graph.cliques import clique_times
from memonger.graph.sections import Sections, load_over
from memonger.problem import IntArray, Problem


@dataclass(frozen=True, eq=False)
class Spans:
    """Which part of its space each buffer of `Sections` takes when.

    Time is cut anew: a section is a set of spans at one time that no other such set contains. Two
    spans are at one time iff their ranges of sections intersect; those of one buffer never are.

    Parameters
    ----------
    owner
        The buffer of each span, ascending, shape (spans,).
    begin, end
        Section indices, half-open, shape (spans,).
    lower, upper
        Units of the space of the buffer: at offset x it takes [x + lower, x + upper).
    times
        A time of each section, ascending, shape (sections,).
    """

    owner: IntArray
    begin: IntArray
    end: IntArray
    lower: IntArray
    upper: IntArray
    times: IntArray

    def __len__(self) -> int:
        return len(self.owner)

    @property
    def num_sections(self) -> int:
        """Number of sections."""
        return len(self.times)

    @cached_property
    def load(self) -> IntArray:
        """Units taken in each section, shape (sections,)."""
        return load_over(self.num_sections, self.begin, self.end, self.upper - self.lower)


def whole_spans(sections: Sections) -> Spans:
    """Return the spans of buffers without gaps: one a buffer, of its whole size and life."""
    return Spans(
        owner=np.arange(len(sections)),
        begin=sections.begin,
        end=sections.end,
        lower=np.zeros(len(sections), dtype=np.int64),
        upper=sections.size,
        times=sections.times,
    )


def spans_of(problem: Problem, sections: Sections) -> Spans:
    """Return what the buffers of sections of a problem take; O(k log k) for k spans."""
    if not problem.gapped:
        return whole_spans(sections)
    rows = [
        (owner, *span)
        for owner, index in enumerate(sections.indices.tolist())
        for span in problem.buffers[index].spans
    ]
    owner, starts, ends, lower, upper = np.array(rows, dtype=np.int64).reshape(-1, 5).T
    times = clique_times(starts, ends)
    return Spans(
        owner=np.ascontiguousarray(owner),
        begin=np.searchsorted(times, starts),
        end=np.searchsorted(times, ends),
        lower=lower // sections.unit,
        upper=upper // sections.unit,
        times=times,
    )
