"""Register a heuristic of one's own, and compare it with the optimum.

It places the buffers by their live ranges, the longest first, each into the first shared buffer
where it fits.
"""

import memonger
from memonger.instances.loading import load
from memonger.plan import SharingPlan
from memonger.problem import Problem
from memonger.registry import SHARING, Algorithm, Outcome, Run


def longest_first(problem: Problem, run: Run) -> Outcome:
    """Return a plan; O(n k) for k shared buffers."""
    shared = [-1] * len(problem)
    members: list[list[int]] = []
    order = sorted(range(len(problem)), key=lambda i: problem.starts[i] - problem.ends[i])
    for index in order:
        free = (
            number
            for number, others in enumerate(members)
            if not any(problem.conflict(index, other) for other in others)
        )
        number = next(free, len(members))
        if number == len(members):
            members.append([])
        members[number].append(index)
        shared[index] = number
    return Outcome(SharingPlan(tuple(shared)))


SHARING.add(Algorithm("longest-first", "longest live range first, first fit", longest_first))

for name in ("mobilenet_v2_b1", "unet_resnet34_256_b1", "swin_t_b1"):
    problem = load(name)
    assert isinstance(problem, Problem)
    own = memonger.solve(problem, "longest-first")
    best = memonger.solve(problem)
    over = 100 * (own.objective / best.objective - 1)
    print(f"{name}: {own.objective:,} bytes, {over:.1f} % above the optimum {best.objective:,}")
