"""Does a capacity suffice? CP-SAT on one line of bytes a section: it refutes what search cannot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from ortools.sat.python import cp_model

from memonger.graph.sections import FREE, Sections
from memonger.graph.spans import Spans, whole_spans
from memonger.problem import IntArray
from memonger.result import Status
from memonger.solver.cpsat import affordable, run_cpsat
from memonger.solver.placement_kernel import FITS, FULL, GAVE_UP
from memonger.stop import Deadline

MAX_CAPACITY = 2**50  # units; CP-SAT adds up a few of them


@dataclass(frozen=True)
class Decision:
    """Whether buffers fit in a capacity.

    Parameters
    ----------
    verdict
        `FITS`, `FULL` (proven) or `GAVE_UP`.
    offsets
        A placement in units, where they fit.
    seconds
        Of the search.
    """

    verdict: int
    offsets: IntArray | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class NoOverlapModel:
    """The model and its variables: the offset of each buffer, or ``None`` where it is pinned."""

    model: Any
    offsets: tuple[Any, ...]


def build_no_overlap(
    sections: Sections, capacity: int, hint: IntArray | None = None, spans: Spans | None = None
) -> NoOverlapModel | None:
    """Return the decision model for a capacity, ``None`` if a buffer alone does not fit.

    With the offset x_i of buffer i, in units:

    (1) 0 <= x_i <= C - z_i, and x_i = a_i y_i where it is aligned to a_i
    (2) in each section the intervals [x_i, x_i + z_i) of what is live do not overlap

    Where there are gaps each span of buffer i has an interval of its own, [x_i + l, x_i + u), and
    (2) is for the sections of spans.

    There is no objective: CP-SAT decides quickly what it cannot minimise.

    Parameters
    ----------
    sections
        The buffers.
    capacity
        C, in units.
    hint
        Offsets to try first.
    spans
        What the buffers take; by default all of their sizes all their lives.

    Notes
    -----
    One disjunctive constraint a section is what CP-SAT makes of rectangles whose times are fixed.
    """
    model = cp_model.CpModel()
    spans = whole_spans(sections) if spans is None else spans
    offsets: list[Any] = []
    rows = zip(sections.size, sections.alignment, sections.pinned, strict=True)
    for i, (size, alignment, pinned) in enumerate(rows):
        room = capacity - int(size)
        if room < max(0, int(pinned)):
            return None
        if pinned != FREE:
            offsets.append(None)
            continue
        if alignment > 1:
            step = model.new_int_var(0, room // int(alignment), "")
            offset = int(alignment) * step
        else:
            step = offset = model.new_int_var(0, room, "")
        if hint is not None:
            model.add_hint(step, min(int(hint[i]), room) // int(alignment))
        offsets.append(offset)
    intervals = []
    columns = (spans.owner.tolist(), spans.lower.tolist(), spans.upper.tolist())
    for i, lower, upper in zip(*columns, strict=True):
        start = int(sections.pinned[i]) if offsets[i] is None else offsets[i]
        start = start + lower if lower else start
        intervals.append(model.new_fixed_size_interval_var(start, upper - lower, ""))
    order = np.argsort(spans.begin, kind="stable")
    for section in range(spans.num_sections):
        before = order[: np.searchsorted(spans.begin[order], section, side="right")]
        live = before[spans.end[before] > section]
        if len(live) > 1:
            model.add_no_overlap([intervals[k] for k in live.tolist()])
    return NoOverlapModel(model, tuple(offsets))


def is_too_large(spans: Spans, capacity: int, deadline: Deadline) -> bool:
    """Return whether a question is too large for CP-SAT, or for the time that is left."""
    entries = int((spans.end - spans.begin).sum())
    return capacity > MAX_CAPACITY or not affordable(4 * entries, deadline)


def decide(
    sections: Sections,
    capacity: int,
    *,
    deadline: Deadline,
    workers: int = 1,
    seed: int = 0,
    hint: IntArray | None = None,
    spans: Spans | None = None,
    effort: float | None = None,
    halted: Callable[[], bool] | None = None,
) -> Decision:
    """Decide by CP-SAT whether the buffers fit in a capacity.

    Parameters
    ----------
    sections, capacity, hint, spans
        As in `build_no_overlap`.
    deadline
        When to give up.
    workers, seed
        Of CP-SAT.
    effort
        Limit in CP-SAT's deterministic seconds; with one worker nothing else decides where the
        search ends.
    halted
        Asked now and then; ends the search.
    """
    spans = whole_spans(sections) if spans is None else spans
    if int(spans.load.max(initial=0)) > capacity:
        return Decision(FULL)
    if is_too_large(spans, capacity, deadline):
        return Decision(GAVE_UP)
    built = build_no_overlap(sections, capacity, hint, spans)
    if built is None:
        return Decision(FULL)
    solved = run_cpsat(
        built.model,
        seconds=deadline.remaining(),
        workers=workers,
        seed=seed,
        effort=effort,
        halted=halted,
    )
    if solved.status is Status.INFEASIBLE:
        return Decision(FULL, seconds=solved.seconds)
    if solved.status is Status.UNKNOWN:
        return Decision(GAVE_UP, seconds=solved.seconds)
    values = [
        int(pinned) if offset is None else int(solved.solver.value(offset))
        for offset, pinned in zip(built.offsets, sections.pinned, strict=True)
    ]
    return Decision(FITS, np.array(values, dtype=np.int64), solved.seconds)
