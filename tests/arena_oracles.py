"""Plain restatements of arena planners, and problems with pinned buffers to run them on."""

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from memonger.graph.sections import FREE
from memonger.plan import ArenaPlan
from memonger.problem import Problem
from memonger.verify import verify_arena
from tests.strategies import problems


@st.composite
def pinned_problems(draw, max_size=9, horizon=10):
    """Draw a problem in which some buffers are pinned; it may have no plan."""
    problem = draw(problems(max_size=max_size, horizon=horizon))
    chosen = draw(st.sets(st.integers(0, max(0, len(problem) - 1)), max_size=3))
    pins = st.one_of(st.integers(0, 30), st.sampled_from([2**50, 2**49]))
    return Problem(
        tuple(
            replace(buffer, offset=draw(pins) * buffer.alignment) if i in chosen else buffer
            for i, buffer in enumerate(problem.buffers)
        ),
        "pinned",
    )


def drawn_problems(max_size=9, horizon=10):
    """Draw problems with and without pinned buffers."""
    return st.one_of(problems(max_size=max_size, horizon=horizon), pinned_problems())


def conflict(sections, i, j):
    """Whether two buffers are live together."""
    return bool(sections.begin[i] < sections.end[j] and sections.begin[j] < sections.end[i])


def pins_overlap(sections):
    """Whether no plan keeps the pins."""
    pinned = [i for i in range(len(sections)) if sections.pinned[i] != FREE]
    return any(
        conflict(sections, i, j)
        and sections.pinned[i] < sections.pinned[j] + sections.size[j]
        and sections.pinned[j] < sections.pinned[i] + sections.size[i]
        for i in pinned
        for j in pinned
        if i < j
    )


def peak_of(sections, offsets):
    """Return the highest top of a buffer in units."""
    return int((offsets + sections.size).max(initial=0))


def check(problem, sections, offsets):
    """Verify offsets as a plan of the problem; return the peak in units."""
    assert offsets.shape == (len(sections),)
    assert offsets.dtype == np.int64
    plan = [0 if b.offset is None else b.offset for b in problem.buffers]
    for i, offset in zip(sections.indices.tolist(), offsets.tolist(), strict=True):
        plan[i] = offset * sections.unit
    verify_arena(problem, ArenaPlan(tuple(plan)))
    peak = peak_of(sections, offsets)
    assert peak >= int(sections.load.max(initial=0))
    return peak


def clear_from(sections, i, floor, others):
    """Return the lowest aligned offset from a floor on where i overlaps none of the others.

    ``others`` is a list of (offset, buffer), all of which conflict with i.
    """
    step = int(sections.alignment[i])
    size = int(sections.size[i])
    tops = [offset + int(sections.size[j]) for offset, j in others]
    for start in sorted({floor, *(top for top in tops if top > floor)}):
        low = -(-start // step) * step
        if all(
            low + size <= offset or top <= low
            for (offset, _), top in zip(others, tops, strict=True)
        ):
            return low
    raise AssertionError("above everything is always room")
