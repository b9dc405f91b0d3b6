"""Planning the memory of a graph or net in another order of its operators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from memonger.cli import options, reading
from memonger.cli.order import Source, read_order_problem
from memonger.errors import InputError
from memonger.plan import OrderPlan
from memonger.problem import Problem
from memonger.verify import verify_order


@dataclass(frozen=True)
class Ordered:
    """A problem, and the order of operators that its live ranges are of.

    Parameters
    ----------
    problem
        The buffers.
    order
        Operator indices; ``None`` is program order.
    """

    problem: Problem
    order: tuple[int, ...] | None = None


def program_order(source: Source) -> Problem:
    """Return the problem of an input as it stands."""
    return reading.problem_of(
        source.file, source.shapes, source.sizes, source.static, source.alignment, source.reading
    )


def problem_in_order(source: Source, order: Sequence[int]) -> Problem:
    """Return the problem of a graph or net whose operators run in another order.

    Raises
    ------
    InputError
        If it has no operators, or runs them in parallel.
    PlanError
        If the order is not valid for them.
    """
    verify_order(read_order_problem(source), OrderPlan(tuple(order)))
    if source.reading.holds_graph(source.file):
        whole = read_order_problem(source.with_alignment(1))
        return reading.aligned(whole.in_order(order), source.alignment)
    from memonger.analysis import analyse_net
    from memonger.graph.operator_order import reordered

    net, known = reading.read_net(source.file, source.shapes, source.sizes, source.reading)
    assert not isinstance(net, Problem)  # it has operators
    with options.naming(source.file):
        return analyse_net(
            reordered(net, order), **known, static=source.static or (), alignment=source.alignment
        ).problem


def candidates(
    source: Source, name: str, form: str, time_limit: float | None, seed: int
) -> list[Ordered]:
    """Return the orders to plan in, the most promising first; of several the best plan counts.

    Parameters
    ----------
    source
        The input.
    name
        An algorithm of the order form.
    form
        What will be planned.
    time_limit, seed
        For choosing an order.
    """
    if name == "program":
        return [Ordered(program_order(source))]
    from memonger.solver.order_choice import SEARCHED, choose_order

    problem = read_order_problem(source)
    program = program_order(source)
    if program.vector_time is not None:
        raise InputError(f"{source.file}: a net that runs in parallel has no order to choose")
    choice = choose_order(problem, problem.in_order, name, form, time_limit=time_limit, seed=seed)
    if choice.order == tuple(range(len(problem))):
        return [Ordered(program)]
    chosen = Ordered(problem_in_order(source, choice.order), choice.order)
    return [chosen, Ordered(program)] if name in SEARCHED else [chosen]
