"""Bounds above the load: a stretch of time that does not fit by itself refutes a capacity."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from memonger.graph.sections import Sections


def clip(sections: Sections, left: int, right: int) -> Sections:
    """Return the buffers live in sections [left, right), with no more of their live ranges.

    Every placement of all buffers holds one of these: what does not fit here does not fit.
    """
    members = np.flatnonzero((sections.begin < right) & (sections.end > left))
    clipped = Sections(
        begin=np.maximum(sections.begin[members], left) - left,
        end=np.minimum(sections.end[members], right) - left,
        size=sections.size[members],
        alignment=sections.alignment[members],
        pinned=sections.pinned[members],
        duration=sections.duration[members],
        times=sections.times[left:right],
        unit=sections.unit,
        indices=sections.indices[members],
    )
    return clipped.subset(np.arange(len(members)))


def windows(sections: Sections, width: int) -> Iterator[Sections]:
    """Yield windows of so many sections that overlap by half, those of the largest load first."""
    if width >= sections.num_sections:
        return
    step = max(1, width // 2)
    lefts = np.arange(0, sections.num_sections - width + step, step)
    sums = np.append(0, np.cumsum(sections.load))
    rights = np.minimum(lefts + width, sections.num_sections)
    means = (sums[rights] - sums[lefts]) / (rights - lefts)
    for k in np.argsort(-means, kind="stable").tolist():
        yield clip(sections, int(lefts[k]), int(rights[k]))
