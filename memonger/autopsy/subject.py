"""What an autopsy is made of: an algorithm of any form, its small problems, its optimum."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from random import Random
from types import ModuleType
from typing import Any

from memonger.autopsy import small_buffers, small_graphs
from memonger.errors import InputError
from memonger.forms import FORMS
from memonger.graph.profile import peak, size_profile
from memonger.instances.order_json import FORM as ORDER_FORM
from memonger.order_problem import OrderProblem
from memonger.problem import Problem
from memonger.registry import ORDER, RunOf
from memonger.result import Result
from memonger.solver.order import solve_order
from memonger.solver.solve import solve
from memonger.verify import verify_order


@dataclasses.dataclass(frozen=True)
class Subject:
    """An algorithm, and what is needed to find out where it fails.

    Parameters
    ----------
    algorithm, form
        Its name, and the form of planning.
    run
        Runs it: problem, run -> plan, or ``None`` where it gives up.
    verify
        Returns the cost of a valid plan, bytes.
    bound
        Returns a bound of a problem that costs next to nothing, bytes.
    solve
        Problem, seconds -> the result of the exact algorithm.
    problems
        A module of small problems: ``all_problems``, ``drawn_problems``, ``smaller_problems``.
    """

    algorithm: str
    form: str
    run: Callable[[Any, RunOf[Any]], Any]
    verify: Callable[[Any, Any], int]
    bound: Callable[[Any], int]
    solve: Callable[[Any, float], Result[Any]]
    problems: ModuleType

    @property
    def noun(self) -> str:
        """What problems are counted in."""
        return str(self.problems.NOUN)

    def all_problems(self, count: int) -> Iterator[Any]:
        """Yield all small problems of so many buffers or operators."""
        return self.problems.all_problems(count)  # type: ignore[no-any-return]

    def drawn_problems(self, seed: int) -> Iterator[Any]:
        """Yield problems without end."""
        return self.problems.drawn_problems(Random(seed))  # type: ignore[no-any-return]

    def smaller_problems(self, problem: Any) -> Iterator[Any]:  # noqa: ANN401
        """Yield the problems that are one step smaller."""
        return self.problems.smaller_problems(problem)  # type: ignore[no-any-return]


def subject(algorithm: str, form: str) -> Subject:
    """Return an algorithm of the registry of a form.

    Raises
    ------
    InputError
        If there is no such form or algorithm.
    """
    if form == ORDER_FORM:
        chosen = ORDER.get(algorithm)
        return Subject(
            algorithm,
            form,
            lambda problem, run: chosen.run(problem, run).plan,
            verify_order,
            _least_step,
            lambda problem, limit: solve_order(problem, time_limit=limit),
            small_graphs,
        )
    if form not in FORMS:
        raise InputError(f"unknown form {form!r}; known: {', '.join((*FORMS, ORDER_FORM))}")
    planner = FORMS[form].registry.get(algorithm)

    def bound(problem: Problem) -> int:
        return size_profile(problem).bound if form == "sharing" else peak(problem).bytes

    return Subject(
        algorithm,
        form,
        lambda problem, run: planner.run(problem, run).plan,
        FORMS[form].verify,
        bound,
        lambda problem, limit: solve(problem, form=form, time_limit=limit, workers=1),
        small_buffers,
    )


def _least_step(problem: OrderProblem) -> int:
    """Return the most bytes that one operator reads and allocates: they are live in any order."""
    loads = [0] * len(problem)
    for held in problem.allocations:
        for operator in (held.producer, *held.readers):
            loads[operator] += held.size
    return max(loads, default=0)
