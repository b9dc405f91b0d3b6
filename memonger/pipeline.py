"""The main job: a net in, a provably optimal and verified net out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from memonger.analysis import NetAnalysis, PathLike, analyse_net
from memonger.errors import InputError
from memonger.graph.operator_order import order_problem_of_net, reordered
from memonger.net.foreign import like
from memonger.net.netdef_pb2 import NetDef
from memonger.net.schema import is_sequential
from memonger.parameters import DEFAULTS, Parameters
from memonger.problem import Problem
from memonger.registry import Progress, ignore
from memonger.result import SharingResult, Status
from memonger.rewrite.apply_sharing import apply_sharing
from memonger.rewrite.equivalence import verify_equivalence
from memonger.solver.order_choice import SEARCHED, Choice, Order, cheapest_plan, choose_order
from memonger.solver.solve import solve
from memonger.stop import Deadline

CAFFE2_GREEDY = "caffe2-greedy-unsized"


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
        The original net, its operators in the order of the new one, and the problem of that.
    baseline
        Bytes of the planned blobs as the original net names them.
    caffe2_greedy
        Bytes of the plan of Caffe2's greedy; ``None`` for a net that runs in parallel, or if it
        did not end in the time.
    blobs_before, blobs_after
        Number of blobs that the operators touch.
    choice
        The order that was chosen, where one was asked for; operator ``i`` of the new net was
        ``choice.order[i]``.
    """

    net: Any
    result: SharingResult
    analysis: NetAnalysis
    baseline: int
    caffe2_greedy: int | None
    blobs_before: int
    blobs_after: int
    choice: Choice | None = None

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
        """No plan needs fewer bytes, in the order of the new net."""
        return self.result.bound


def optimize(
    net: object,
    *,
    shapes: PathLike | Mapping[str, Any] | None = None,
    sizes: PathLike | Mapping[str, int] | None = None,
    static: Iterable[str] = (),
    order: str = "program",
    algorithm: str = "optimal",
    alignment: int = 1,
    time_limit: float | None = None,
    workers: int | None = None,
    seed: int = 0,
    parameters: Parameters = DEFAULTS,
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
    order
        A name in the registry of the order form. ``min-memory`` and ``optimal`` reorder the
        operators where that saves memory, and never lose any against program order; the others
        take that order. Only for nets that run their operators in order.
    algorithm
        A name in the registry of the sharing form.
    alignment
        Sizes are rounded up to a multiple of it, bytes.
    time_limit
        Seconds for analysis and planning; rewriting and verification come on top.
    workers, seed, parameters, report
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

    def analysed(message: object) -> NetAnalysis:
        return analyse_net(message, shapes=shapes, sizes=sizes, static=static, alignment=alignment)

    def planned(number: int, limit: float | None) -> SharingResult:
        return solve(
            candidates[number][1].problem,
            algorithm,
            time_limit=limit,
            workers=workers,
            seed=seed,
            hint=candidates[number][1].as_named(),
            parameters=parameters,
            report=report,
        )

    original, choice = analysed(net), None
    candidates = [(tuple(range(len(original.net.op))), original)]
    if order != "program":
        choice, other = _in_best_order(original, analysed, order, deadline, seed)
        candidates = _worth_trying(candidates[0], (choice.order, other), order)
    best, result = cheapest_plan([a.problem for _, a in candidates], "sharing", deadline, planned)
    order_of, analysis = candidates[best]
    rewritten = _rewritten(original, analysis, result, None if choice is None else order_of)
    return Optimized(
        net=like(rewritten, net),
        result=result,
        analysis=analysis,
        baseline=original.as_named().cost(original.problem),
        caffe2_greedy=_caffe2_greedy(original.problem, time_limit),
        blobs_before=count_blobs(original.net),
        blobs_after=count_blobs(rewritten),
        choice=None if choice is None else replace(choice, order=order_of),
    )


def _rewritten(
    original: NetAnalysis, analysis: NetAnalysis, result: SharingResult, order: Order | None
) -> NetDef:
    """Return the net that a plan makes of the original, in another order, once it is verified."""
    assert result.plan is not None  # there was a hint
    rewritten = apply_sharing(analysis.net, analysis.def_use, analysis.planned, result.plan)
    verify_equivalence(
        original.net,
        rewritten,
        original.outputs,
        order,
        def_use=original.def_use,
        clocks=original.planned.clocks,
    )
    return rewritten


Ordered = tuple[Order, NetAnalysis]


def _in_best_order(
    original: NetAnalysis,
    analysed: Callable[[object], NetAnalysis],
    name: str,
    deadline: Deadline,
    seed: int,
) -> tuple[Choice, NetAnalysis]:
    """Return the order to plan in, and the analysis of the net in that order."""
    net = original.net
    if not is_sequential(net.type):
        raise InputError(
            f"a net of the type {net.type!r} runs in parallel: its executor decides the order"
        )
    choice = choose_order(
        order_problem_of_net(net, original.def_use, original.planned),
        lambda order: analysed(reordered(net, order)).problem,
        name,
        "sharing",
        time_limit=None if deadline.seconds is None else deadline.remaining(),
        seed=seed,
    )
    return choice, analysed(reordered(net, choice.order))


def _worth_trying(program: Ordered, chosen: Ordered, name: str) -> list[Ordered]:
    """Return what is to be planned: the chosen order, and program order lest that be better."""
    if chosen[0] == program[0]:
        return [program]
    return [chosen, program] if name in SEARCHED else [chosen]


def _caffe2_greedy(problem: Problem, time_limit: float | None) -> int | None:
    """Return what Caffe2's greedy needs; ``None`` in parallel, or beyond a second or the limit."""
    if problem.vector_time is not None:
        return None
    limit = None if time_limit is None else min(1.0, time_limit)
    return solve(problem, CAFFE2_GREEDY, time_limit=limit).objective


def count_blobs(net: NetDef) -> int:
    """Return the number of blobs that the operators of a net read or write."""
    return len({name for op in net.op for name in (*op.input, *op.output)})
