"""Gaps: times at which a buffer of an arena takes only a part of its space, or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch of its live range in which a buffer takes less than its size.

    Parameters
    ----------
    start, end
        Operator indices, **half-open** ``[start, end)``.
    lower, upper
        The *window*: of the space of a buffer at offset x only the bytes ``[x + lower, x + upper)``
        are taken meanwhile. Both 0: there is no window, and nothing is taken.
    """

    start: int
    end: int
    lower: int = 0
    upper: int = 0


class Span(NamedTuple):
    """While ``[start, end)``, a buffer at offset x takes the bytes ``[x + lower, x + upper)``."""

    start: int
    end: int
    lower: int
    upper: int


def spans_between(start: int, end: int, size: int, gaps: Sequence[Gap]) -> tuple[Span, ...]:
    """Return what a buffer takes over time: its whole size between its gaps, windows in them.

    Examples
    --------
    >>> spans_between(0, 9, 8, (Gap(2, 4), Gap(7, 9, 0, 2)))
    (Span(start=0, end=2, lower=0, upper=8), Span(start=4, end=7, lower=0, upper=8), \
Span(start=7, end=9, lower=0, upper=2))
    """
    spans = []
    time = start
    for gap in gaps:
        spans.append(Span(time, gap.start, 0, size))
        spans.append(Span(gap.start, gap.end, gap.lower, gap.upper))
        time = gap.end
    spans.append(Span(time, end, 0, size))
    return tuple(span for span in spans if span.start < span.end and span.lower < span.upper)


def fault_of(start: int, end: int, size: int, gaps: Sequence[Gap]) -> str | None:
    """Return what is wrong with the gaps of a buffer, in words; ``None`` if nothing is."""
    time = start
    for gap in gaps:
        where = f"the gap [{gap.start}, {gap.end})"
        if gap.start >= gap.end:
            return f"has {where}, which is empty"
        if not start <= gap.start < gap.end <= end:
            return f"has {where} outside its live range [{start}, {end})"
        if gap.start < time:
            return f"has {where} before the end of another: gaps are sorted and disjoint"
        if not (0 <= gap.lower < gap.upper <= size or gap.lower == gap.upper == 0):
            return f"has {where} with the window {gap.lower}:{gap.upper}, not within 0:{size}"
        time = gap.end
    return None
