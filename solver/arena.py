"""The exact algorithm of the arena form: greedy orders, search from above, bounds from below."""

from __future__ import annotations

from memonger.graph.sections import sections_of
from memonger.heuristics.arena_boxes import pins_clash
from memonger.heuristics.arena_orders import order
from memonger.heuristics.canonical import canonical_greedy
from memonger.heuristics.ejection_descent import ejections
from memonger.heuristics.first_fit_gaps import greedy_with_gaps, pins_contradict
from memonger.problem import Problem
from memonger.registry import ARENA, ArenaAlgorithm, ArenaOutcome, ArenaRun
from memonger.solver.arena_dives import dive_into
from memonger.solver.arena_gaps import close_part, has_gaps
from memonger.solver.arena_incumbent import ArenaIncumbent
from memonger.solver.arena_race import Race
from memonger.solver.peeling import peel
from memonger.solver.placement_search import is_too_large

FIRST_ORDERS = ("A", "Zl", "TWA", "TC", "B", "U")
MANY = 20_000
"""From so many buffers on only the first two orders are tried: dives are worth more."""


def solve_arena(problem: Problem, run: ArenaRun) -> ArenaOutcome:
    """Find a lowest arena and prove it, in the time there is.

    The load bound comes first: where a greedy order meets it, that is the proof. What is above it
    is searched component by component, always the one that the peak is in: whether it fits in the
    bound, then from the known placement down, while windows and CP-SAT refute from the bound up.
    Components of more buffers than the search takes are left to the dives, those of buffers with
    gaps to CP-SAT: see `memonger.solver.arena_gaps`. Ctrl-C ends the run early, with the best plan
    and bound so far.
    """
    sections = sections_of(problem)
    if pins_contradict(problem) if problem.gapped else pins_clash(sections):
        return ArenaOutcome(None, infeasible=True)
    incumbent = ArenaIncumbent(problem, sections, run)
    if run.hint is not None:
        incumbent.offer_plan(run.hint)
    try:
        _greedy(incumbent)
        _eject(incumbent)
        while not (incumbent.closed or run.deadline.expired):
            part = incumbent.highest()
            if has_gaps(incumbent, part):
                if not close_part(incumbent, part):
                    break
                continue
            lower = max(part.lower, incumbent.bound)
            peeled = peel(sections.subset(part.members), lower)
            if is_too_large(peeled.core):
                dive_into(incumbent, part)
                if incumbent.highest() is part:
                    break
                continue
            Race(incumbent, part, peeled).run()
    except KeyboardInterrupt:
        run.deadline.stop()
    return incumbent.outcome()


def _greedy(incumbent: ArenaIncumbent) -> None:
    """Try the canonical greedy in a few orders, and what makes use of gaps if there are any."""
    deadline = incumbent.run.deadline
    codes = FIRST_ORDERS if len(incumbent.sections) < MANY else FIRST_ORDERS[:2]
    for code in codes:
        if incumbent.closed or deadline.expired:
            return
        found = canonical_greedy(
            incumbent.sections, order(incumbent.sections, code), deadline=deadline
        )
        incumbent.offer(found, f"canonical {code}")
    if incumbent.problem.gapped:
        for name, fitted in greedy_with_gaps(incumbent.problem, incumbent.sections, deadline):
            incumbent.offer(fitted, name)
            if incumbent.closed:
                return


def _eject(incumbent: ArenaIncumbent) -> None:
    """Lower all parts at once by ejections, where the greedy ends far above the load."""
    sections, run = incumbent.sections, incumbent.run
    if incumbent.problem.gapped or incumbent.closed:
        return
    for offsets in ejections(sections, incumbent.offsets, incumbent.bound, run.deadline, run.seed):
        incumbent.offer(offsets, "ejections")


ARENA.add(
    ArenaAlgorithm(
        "optimal",
        "greedy orders, then a search for placements against refutations until proven",
        solve_arena,
        proves=True,
        seeded=True,
    )
)
