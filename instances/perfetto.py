"""Arena plans as traces for Chrome and Perfetto: time is the operator index, in microseconds."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Any

from memonger.gaps import Span
from memonger.plan import ArenaPlan
from memonger.problem import Buffer, Problem
from memonger.verify import verify_arena


def plan_to_trace(problem: Problem, plan: ArenaPlan) -> dict[str, Any]:
    """Return a plan as the JSON data of a trace.

    Each device is a process, with a counter of the bytes in use and a slice for each buffer that
    has its size and offset as arguments. A buffer with gaps has a slice for each stretch of time in
    which it takes memory, with the part that it takes where that is not all. Slices of one track do
    not overlap: a buffer takes the first track that is free. O(n log n).

    Raises
    ------
    PlanError
        If the plan is not valid.
    """
    verify_arena(problem, plan)
    events: list[dict[str, Any]] = []
    for pid, device in enumerate(problem.devices, start=1):
        own = [i for i, buffer in enumerate(problem.buffers) if buffer.device == device]
        name = f"arena {device}".strip()
        events.append({"ph": "M", "name": "process_name", "pid": pid, "args": {"name": name}})
        events += _counters(problem, own, pid)
        for index, track in _tracks(problem, own):
            events += _slices(problem.buffers[index], plan.offsets[index], pid, track)
    return {
        "displayTimeUnit": "ms",
        "otherData": {"instance": problem.name, "arena_bytes": plan.cost(problem)},
        "traceEvents": events,
    }


def _slices(buffer: Buffer, offset: int, pid: int, track: int) -> Iterator[dict[str, Any]]:
    """Yield the slices of a buffer; one without bytes has one all the same."""
    whole = Span(buffer.start, buffer.end, 0, buffer.size)
    for span in buffer.spans if buffer.gaps else (whole,):
        arguments = {"size": buffer.size, "offset": offset}
        if (span.lower, span.upper) != (0, buffer.size):
            arguments |= {"lower": span.lower, "upper": span.upper}
        yield {
            "ph": "X",
            "name": buffer.name,
            "cat": "buffer",
            "pid": pid,
            "tid": track,
            "ts": span.start,
            "dur": span.end - span.start,
            "args": arguments,
        }


def _counters(problem: Problem, own: list[int], pid: int) -> list[dict[str, Any]]:
    """Return the bytes in use from each time on at which they change."""
    change: dict[int, int] = {}
    for index in own:
        buffer = problem.buffers[index]
        change |= {time: change.get(time, 0) for time in (buffer.start, buffer.end)}
        for start, end, lower, upper in buffer.spans:
            change[start] = change.get(start, 0) + upper - lower
            change[end] = change.get(end, 0) - upper + lower
    events, used = [], 0
    for time in sorted(change):
        used += change[time]
        events.append(
            {"ph": "C", "name": "bytes in use", "pid": pid, "ts": time, "args": {"bytes": used}}
        )
    return events


def _tracks(problem: Problem, own: list[int]) -> list[tuple[int, int]]:
    """Return the buffers by their starts, each with the first track, from 1, that is free then."""
    found = []
    busy: list[tuple[int, int]] = []  # heap of (end, track)
    free: list[int] = []
    for index in sorted(own, key=lambda i: (problem.buffers[i].start, i)):
        buffer = problem.buffers[index]
        while busy and busy[0][0] <= buffer.start:
            heapq.heappush(free, heapq.heappop(busy)[1])
        track = heapq.heappop(free) if free else len(busy) + 1
        heapq.heappush(busy, (buffer.end, track))
        found.append((index, track))
    return found
