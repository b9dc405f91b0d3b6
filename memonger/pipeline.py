"""The main job: a net in, a provably optimal and verified net out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from memonger.errors import NetError
from memonger.graph.live_ranges import PlannedNet, live_ranges
from memonger.graph.storage import storages
from memonger.heuristics.lanes import over_before
from memonger.net.defuse import DefUse, analyse, outputs_of
from memonger.net.foreign import as_netdef, like
from memonger.net.netdef_pb2 import NetDef
from memonger.net.sizes import Sizes, version_sizes
from memonger.net.tensors import TensorType
from memonger.net.type_files import parse_sizes, parse_types, read_sizes, read_types
from memonger.plan import SharingPlan
from memonger.problem import Problem
from memonger.registry import Progress, ignore
from memonger.result import SharingResult, Status
from memonger.rewrite.apply_sharing import apply_sharing
from memonger.rewrite.equivalence import verify_equivalence
from memonger.solver.solve import solve
from memonger.stop import Deadline

PathLike = str | os.PathLike[str]
CAFFE2_GREEDY = "caffe2-greedy-unsized"


@dataclass(frozen=True)
class NetAnalysis:
    """A net, ready to be planned.

    Parameters
    ----------
    net
        The net, as our message.
    def_use, sizes
        Its def-use and the sizes of its versions.
    outputs
        Blobs whose final contents must survive.
    planned
        The problem and its storages.
    """

    net: NetDef
    def_use: DefUse
    sizes: Sizes
    outputs: tuple[str, ...]
    planned: PlannedNet

    @property
    def problem(self) -> Problem:
        """The planning problem."""
        return self.planned.problem

    def as_named(self) -> SharingPlan:
        """Return the plan that the net itself stands for: storages of one blob share.

        Not where a plan may not: on two devices, or where an operator of a net that runs in
        parallel still waits for the older one by its name.
        """
        over = over_before(self.problem)
        lanes: dict[str, list[list[int]]] = {}
        labels = [0] * len(self.problem)
        opened = 0
        for index, buffer in enumerate(self.problem.buffers):  # ascending by their starts
            blob = self.planned.storages[self.planned.planned[index]].blob
            for lane in lanes.setdefault(blob, []):
                if self.problem.buffers[lane[1]].device == buffer.device and over(lane[1], index):
                    labels[index], lane[1] = lane[0], index
                    break
            else:
                lanes[blob].append([opened, index])
                labels[index] = opened
                opened += 1
        return SharingPlan.of(labels)

    def kept_bytes(self) -> int:
        """Return the bytes of the blobs that operators write and no plan may touch."""
        largest: dict[str, int] = {}
        for storage in self.planned.storages:
            if storage.pinned and storage.pinned != "external input":
                largest[storage.blob] = max(largest.get(storage.blob, 0), storage.size or 0)
        return sum(largest.values())


@dataclass(frozen=True)
class Optimized:
    """A rewritten net and the result behind it.

    Parameters
    ----------
    net
        The rewritten net, of the class that was given; shown to be equivalent.
    result
        The plan and its proof.
    analysis
        The original net and its problem.
    baseline
        Bytes of the planned blobs as the original net names them.
    caffe2_greedy
        Bytes of the plan of Caffe2's greedy; ``None`` for a net that runs in parallel, or if it
        did not end in the time.
    blobs_before, blobs_after
        Number of blobs that the operators touch.
    """

    net: Any
    result: SharingResult
    analysis: NetAnalysis
    baseline: int
    caffe2_greedy: int | None
    blobs_before: int
    blobs_after: int

    @property
    def status(self) -> Status:
        """What is known of the plan."""
        return self.result.status

    @property
    def objective(self) -> int:
        """Bytes of the shared buffers."""
        assert self.result.objective is not None
        return self.result.objective

    @property
    def bound(self) -> int:
        """No plan needs fewer bytes."""
        return self.result.bound


def analyse_net(
    net: object,
    *,
    shapes: PathLike | Mapping[str, Any] | None = None,
    sizes: PathLike | Mapping[str, int] | None = None,
    static: Iterable[str] = (),
    alignment: int = 1,
) -> NetAnalysis:
    """Return what is to be planned in a net: its storages, their sizes and live ranges.

    Parameters are those of `optimize`.
    """
    message = as_netdef(net)
    def_use = analyse(message)
    outputs = outputs_of(message, def_use)
    known: dict[str, TensorType] = {}
    if shapes is not None:
        known = parse_types(shapes) if isinstance(shapes, Mapping) else read_types(shapes)
    given = None
    if sizes is not None:
        given = parse_sizes(sizes) if isinstance(sizes, Mapping) else read_sizes(sizes)
    for blob in (static := tuple(static)):
        if blob not in def_use.last:
            raise NetError(f"the net has no blob {blob!r}, which is to be static")
    found = version_sizes(message, def_use, known, given)
    stored = storages(message, def_use, found.versions, outputs, static)
    planned = live_ranges(message, def_use, stored, alignment)
    return NetAnalysis(message, def_use, found, outputs, planned)


def optimize(
    net: object,
    *,
    shapes: PathLike | Mapping[str, Any] | None = None,
    sizes: PathLike | Mapping[str, int] | None = None,
    static: Iterable[str] = (),
    algorithm: str = "optimal",
    alignment: int = 1,
    time_limit: float | None = None,
    workers: int | None = None,
    seed: int = 0,
    report: Callable[[Progress], None] = ignore,
) -> Optimized:
    """Plan the memory of a net, rewrite the net, and show that it computes the same.

    Parameters
    ----------
    net
        A NetDef: ours, one of another package, or an object with ``Proto()``.
    shapes
        Shapes of the external inputs, parameters included, and of any other blob that is known:
        a mapping or a file as `memonger.net.type_files.read_types` reads it. The rest is
        inferred; a blob whose size stays unknown is left alone and listed.
    sizes
        Bytes of blobs, a mapping or a JSON file; they win over shapes.
    static
        Blobs to be left alone, beside the external inputs and outputs.
    algorithm
        A name in the registry of the sharing form.
    alignment
        Sizes are rounded up to a multiple of it, bytes.
    time_limit
        Seconds for analysis and planning; rewriting and verification come on top.
    workers, seed, report
        As in `memonger.solve`.

    Returns
    -------
    Optimized
        The net, never one that needs more memory than the original.

    Raises
    ------
    NetError, ShapeError, InputError
        If the net or the shapes cannot be used; one line, names the operator or the blob.
    EquivalenceError
        If the rewritten net could not be shown to be equivalent: a mistake in memonger.
    """
    deadline = Deadline(time_limit)
    analysis = analyse_net(net, shapes=shapes, sizes=sizes, static=static, alignment=alignment)
    problem, as_named = analysis.problem, analysis.as_named()
    result = solve(
        problem,
        algorithm,
        time_limit=None if time_limit is None else deadline.remaining(),
        workers=workers,
        seed=seed,
        hint=as_named,
        report=report,
    )
    assert result.plan is not None  # there is a hint
    rewritten = apply_sharing(analysis.net, analysis.def_use, analysis.planned, result.plan)
    verify_equivalence(
        analysis.net,
        rewritten,
        analysis.outputs,
        def_use=analysis.def_use,
        clocks=analysis.planned.clocks,
    )
    return Optimized(
        net=like(rewritten, net),
        result=result,
        analysis=analysis,
        baseline=as_named.cost(problem),
        caffe2_greedy=_caffe2_greedy(problem, time_limit),
        blobs_before=count_blobs(analysis.net),
        blobs_after=count_blobs(rewritten),
    )


def _caffe2_greedy(problem: Problem, time_limit: float | None) -> int | None:
    """Return what Caffe2's greedy needs; ``None`` in parallel, or beyond a second or the limit."""
    if problem.vector_time is not None:
        return None
    limit = None if time_limit is None else min(1.0, time_limit)
    return solve(problem, CAFFE2_GREEDY, time_limit=limit).objective


def count_blobs(net: NetDef) -> int:
    """Return the number of blobs that the operators of a net read or write."""
    return len({name for op in net.op for name in (*op.input, *op.output)})
