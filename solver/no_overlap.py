"""Does a capacity suffice? CP-SAT on one line of bytes a section: it refutes what search cannot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from ortools.sat.python import cp_model

from memonger.graph.sections import FREE, Sections
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
    sections: Sections, capacity: int, hint: IntArray | None = None
) -> NoOverlapModel | None:
    """Return the decision model for a capacity, ``None`` if a buffer alone does not fit.

    With the offset x_i of buffer i, in units:

    (1) 0 <= x_i <= C - z_i, and x_i = a_i y_i where it is aligned to a_i
    (2) in each section the intervals [x_i, x_i + z_i) of what is live do not overlap

    There is no objective: CP-SAT decides quickly what it cannot minimise.

    Parameters
    ----------
    sections
        The buffers.
    capacity
        C, in units.
    hint
        Offsets to try first.

    Notes
    -----
    One disjunctive constraint a section is what CP-SAT makes of rectangles whose times are fixed.
    """
    model = cp_model.CpModel()
    offsets: list[Any] = []
    intervals = []
    rows = zip(sections.size, sections.alignment, sections.pinned, strict=True)
    for i, (size, alignment, pinned) in enumerate(rows):
        room = capacity - int(size)
        if room < max(0, int(pinned)):
            return None
        if pinned != FREE:
            offsets.append(None)
            intervals.append(model.new_fixed_size_interval_var(int(pinned), int(size), ""))
            continue
        if alignment > 1:
            step = model.new_int_var(0, room // int(alignment), "")
            offset = int(alignment) * step
        else:
            step = offset = model.new_int_var(0, room, "")
        if hint is not None:
            model.add_hint(step, min(int(hint[i]), room) // int(alignment))
        offsets.append(offset)
        intervals.append(model.new_fixed_size_interval_var(offset, int(size), ""))
    order = np.argsort(sections.begin, kind="stable")
    for section in range(sections.num_sections):
        before = order[: np.searchsorted(sections.begin[order], section, side="right")]
        live = before[sections.end[before] > section]
        if len(live) > 1:
            model.add_no_overlap([intervals[i] for i in live.tolist()])
    return NoOverlapModel(model, tuple(offsets))


def decide(
    sections: Sections,
    capacity: int,
    *,
    deadline: Deadline,
    workers: int = 1,
    seed: int = 0,
    hint: IntArray | None = None,
    effort: float | None = None,
    halted: Callable[[], bool] | None = None,
) -> Decision:
    """Decide by CP-SAT whether the buffers fit in a capacity.

    Parameters
    ----------
    sections, capacity, hint
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
    if int(sections.load.max(initial=0)) > capacity:
        return Decision(FULL)
    entries = int((sections.end - sections.begin).sum())
    if capacity > MAX_CAPACITY or not affordable(4 * entries, deadline):
        return Decision(GAVE_UP)
    built = build_no_overlap(sections, capacity, hint)
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
