"""What makes the peak of a problem, and what would lower it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from memonger.graph.profile import load, peak
from memonger.order_problem import OrderProblem
from memonger.problem import Buffer, IntArray, Problem

SHOWN = 10
"""Blobs and operators that are told of."""


@dataclass(frozen=True, slots=True)
class LiveBlob:
    """A buffer that is live at the peak; ``idle``: no operator touches it there.

    ``producer`` and ``last_reader`` are operator indices.
    """

    name: str
    bytes: int
    producer: int
    last_reader: int
    idle: bool


@dataclass(frozen=True, slots=True)
class BusyOperator:
    """An operator, the bytes that are live while it runs, and those that it allocates."""

    index: int
    name: str
    live: int
    allocates: int


@dataclass(frozen=True, slots=True)
class Remedy:
    """Something that would lower the peak.

    Parameters
    ----------
    kind
        ``in-place``: an operator writes its output over an input that nobody reads later;
        ``evict``: a buffer is moved away, or computed again, while no operator touches it;
        ``reorder``: the operators run in another order.
    what
        In words.
    saves
        Bytes by which the peak falls.
    """

    kind: str
    what: str
    saves: int


def peak_blobs(problem: Problem, operators: OrderProblem | None) -> list[LiveBlob]:
    """Return all buffers that are live at the first time of the peak, the largest first."""
    time = peak(problem).time
    touched = _accesses(operators)
    found = [
        LiveBlob(b.name, b.padded_size, b.start, b.end - 1, time not in touched.get(b.name, {time}))
        for b in problem.buffers
        if b.start <= time < b.end and b.padded_size
    ]
    return sorted(found, key=lambda blob: (-blob.bytes, blob.name))


def busy_operators(problem: Problem, operators: OrderProblem | None) -> list[BusyOperator]:
    """Return the operators with the most bytes live, at most `SHOWN`; O(buffers + operators)."""
    if not len(problem):
        return []
    live = _by_operator(problem)
    allocated = np.zeros(len(live), dtype=np.int64)
    np.add.at(allocated, problem.starts, problem.sizes)
    names = () if operators is None else operators.operators
    order = np.lexsort((np.arange(len(live)), -live))[:SHOWN]
    return [
        BusyOperator(i, names[i] if i < len(names) else "", int(live[i]), int(allocated[i]))
        for i in order.tolist()
        if live[i]
    ]


def remedies(
    problem: Problem, operators: OrderProblem | None, best_order: int | None
) -> list[Remedy]:
    """Return what would lower the peak, most first, at most `SHOWN`.

    Each is taken alone, and counted by the load: whether an operator can write in place, or a
    buffer is worth computing again, is for others to say.

    Parameters
    ----------
    problem
        The buffers.
    operators
        Who reads what, if that is known.
    best_order
        The lowest peak of any order that is known, bytes.
    """
    if not len(problem):
        return []
    live = _by_operator(problem)
    top = int(live.max())
    found = [*_in_place(problem, live, top), *_evictions(problem, operators, live, top)]
    if best_order is not None and best_order < top:
        found.append(Remedy("reorder", "run the operators in another order", top - best_order))
    return sorted(found, key=lambda remedy: (-remedy.saves, remedy.kind, remedy.what))[:SHOWN]


def _by_operator(problem: Problem) -> IntArray:
    """Return the bytes live at each time up to the last."""
    times, live = load(problem)
    every: IntArray = np.zeros(int(problem.ends.max()), dtype=np.int64)
    for start, end, value in zip(times[:-1], times[1:], live[:-1], strict=True):
        every[start:end] = value
    return every


def _in_place(problem: Problem, live: IntArray, top: int) -> Iterator[Remedy]:
    """Yield the best pair of the operator at the peak, and what a pair at every operator saves.

    Takes, at each operator, the largest output on a device and the largest input that ends there.
    """
    pairs = _pairs(problem)
    lowered = live.copy()
    for time, (given, made) in pairs.items():
        lowered[time] -= min(given.padded_size, made.padded_size)
    at_peak = [time for time in np.flatnonzero(live == top).tolist() if time in pairs]
    if len(at_peak) == 1 == int((live == top).sum()):
        (time,) = at_peak
        given, made = pairs[time]
        alone = max(int(lowered[time]), int(np.delete(live, time).max(initial=0)))
        what = f"operator {time} writes {made.name!r} over {given.name!r}"
        yield Remedy("in-place", what, top - alone)
    needed = int((live > int(lowered.max())).sum())
    if needed > 1 and (saves := top - int(lowered.max())):
        yield Remedy("in-place", f"{needed} operators write over one of their inputs", saves)


def _pairs(problem: Problem) -> dict[int, tuple[Buffer, Buffer]]:
    """Return operator -> the pair (input that ends there, output) that saves most in place."""
    inputs: dict[tuple[int, str], Buffer] = {}
    outputs: dict[tuple[int, str], Buffer] = {}
    for buffer in problem.buffers:
        for found, time in ((inputs, buffer.end - 1), (outputs, buffer.start)):
            if found is inputs and time == buffer.start:
                continue  # nobody reads it later
            other = found.setdefault((time, buffer.device), buffer)
            if other.padded_size < buffer.padded_size:
                found[time, buffer.device] = buffer
    pairs: dict[int, tuple[Buffer, Buffer]] = {}
    for (time, device), made in outputs.items():
        given = inputs.get((time, device))
        if given is None:
            continue
        saves = min(given.padded_size, made.padded_size)
        if saves > min((b.padded_size for b in pairs.get(time, ())), default=0):
            pairs[time] = given, made
    return pairs


def _evictions(
    problem: Problem, operators: OrderProblem | None, live: IntArray, top: int
) -> Iterator[Remedy]:
    """Yield the buffers that nobody touches for a while in which all peaks lie."""
    if operators is None:
        return
    touched = _accesses(operators)
    peaks = np.flatnonzero(live == top)
    first, last = int(peaks[0]), int(peaks[-1])
    for buffer in problem.buffers:
        if not buffer.start <= first <= last < buffer.end or not buffer.padded_size:
            continue
        accesses = touched.get(buffer.name, set())
        before = max((time for time in accesses if time < first), default=None)
        after = min((time for time in accesses if time >= first), default=buffer.end)
        if before is None or after <= last:
            continue
        outside = max(live[: before + 1].max(initial=0), live[after:].max(initial=0))
        inside = live[before + 1 : after].max(initial=0) - buffer.padded_size
        saves = top - int(max(outside, inside))
        if saves > 0:
            what = f"{buffer.name!r} is not touched between operators {before} and {after}"
            yield Remedy("evict", what, saves)


def _accesses(operators: OrderProblem | None) -> dict[str, set[int]]:
    """Return buffer -> the operators that touch it, in program order."""
    if operators is None:
        return {}
    return {held.name: {held.producer, *held.readers} for held in operators.allocations}
