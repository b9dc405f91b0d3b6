"""Dives for a component that the search for placements is too slow for."""

from __future__ import annotations

import functools
import queue

from memonger.heuristics.arena_schedule import improve
from memonger.heuristics.hot_sections import HEAT
from memonger.problem import IntArray
from memonger.solver.arena_incumbent import ArenaIncumbent, Part
from memonger.solver.background import Background
from memonger.stop import Deadline

STEP = 0.2  # seconds; waits without end are deaf to Ctrl-C on some systems


def dive_into(incumbent: ArenaIncumbent, part: Part) -> None:
    """Let the schedule of dives improve a part, as far as the time allows.

    One worker dives in this thread, and nothing but the seed decides what is found. Of several each
    has a thread, a seed and an order of the hot sections of its own, and all know the best peak.
    """
    sections = incumbent.sections.subset(part.members)
    run, start = incumbent.run, incumbent.offsets[part.members]
    if run.workers == 1:
        for offsets in improve(sections, run.deadline, run.seed, greedy=False, start=start):
            incumbent.offer_part(part, offsets, "dives")
            if _over(incumbent, part):
                return
        return
    deadline = Deadline(None if run.deadline.seconds is None else run.deadline.remaining())
    found: queue.SimpleQueue[IntArray] = queue.SimpleQueue()

    def dive(number: int) -> None:
        turn = 2 * number % len(HEAT)
        for offsets in improve(
            sections, deadline, run.seed + number, greedy=False, goal=incumbent.bound,
            known=lambda: part.upper, hot=HEAT[turn:] + HEAT[:turn], start=start,
        ):  # fmt: skip
            found.put(offsets)

    threads = [
        Background(functools.partial(dive, number), f"dives {number}")
        for number in range(run.workers)
    ]
    try:
        while not (_over(incumbent, part) or all(thread.wait(0) for thread in threads)):
            try:
                offsets = found.get(timeout=STEP)
            except queue.Empty:
                continue
            incumbent.offer_part(part, offsets, "dives")
    finally:
        deadline.stop()
        for thread in threads:
            thread.wait()
        while not found.empty():
            incumbent.offer_part(part, found.get(), "dives")
    for thread in threads:
        thread.result()


def _over(incumbent: ArenaIncumbent, part: Part) -> bool:
    return incumbent.closed or incumbent.highest() is not part or incumbent.run.deadline.expired
