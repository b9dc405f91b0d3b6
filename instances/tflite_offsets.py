"""Arena plans as the metadata ``OfflineMemoryAllocation`` of TensorFlow Lite for Microcontrollers.

The words are 32 bits, little-endian: the version of the format, the subgraph, the number of
tensors, and for each tensor its offset in the arena, -1 for what the runtime shall place. The
runtime refuses metadata for another number of tensors than the model has in all its subgraphs.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from memonger.errors import ProblemError
from memonger.plan import ArenaPlan
from memonger.problem import Problem
from memonger.verify import verify_arena

VERSION = 1
SUBGRAPH = 0
UNPLANNED = -1


def plan_to_words(problem: Problem, plan: ArenaPlan, tensors: Sequence[str] | None = None) -> bytes:
    """Return the buffer of the metadata for a plan.

    Parameters
    ----------
    problem, plan
        The buffers and where they lie.
    tensors
        The names of all tensors in the order of the model; those that are no buffers are left to
        the runtime. By default the tensors are the buffers, in their order.

    Raises
    ------
    ProblemError
        If there are several devices, a buffer is not among the tensors or stands there twice, or
        an offset is 2^31 or more.
    PlanError
        If the plan is not valid.
    """
    verify_arena(problem, plan)
    if len(problem.devices) > 1:
        raise ProblemError("OfflineMemoryAllocation has no room for several devices")
    offsets = {b.name: at for b, at in zip(problem.buffers, plan.offsets, strict=True)}
    for name, offset in offsets.items():
        if offset >= 2**31:
            raise ProblemError(f"buffer {name!r} lies at {offset}: offsets must be below 2^31")
    if tensors is None:
        tensors = list(offsets)
    seen: set[str] = set()
    for name in tensors:
        if name in offsets and name in seen:
            raise ProblemError(f"buffer {name!r} stands twice among the tensors")
        seen.add(name)
    missing = next((name for name in offsets if name not in seen), None)
    if missing is not None:
        raise ProblemError(f"buffer {missing!r} is not among the tensors")
    words = [VERSION, SUBGRAPH, len(tensors), *(offsets.get(n, UNPLANNED) for n in tensors)]
    return struct.pack(f"<{len(words)}i", *words)
