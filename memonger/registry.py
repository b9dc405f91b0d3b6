"""Algorithms by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from memonger.certificate import AnyCertificate
from memonger.errors import InputError
from memonger.order_problem import OrderProblem
from memonger.parameters import DEFAULTS, Parameters
from memonger.plan import AnyPlan, ArenaPlan, OrderPlan, P, SharingPlan
from memonger.problem import Problem
from memonger.result import Proof
from memonger.stop import Deadline


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come: the best objective and bound so far, in bytes."""

    objective: int | None
    bound: int
    seconds: float


def ignore(_: Progress) -> None:
    """Take no notice of progress."""


@dataclass(frozen=True)
class RunOf(Generic[AnyPlan]):
    """What an algorithm is given beside the problem.

    Parameters
    ----------
    deadline
        When it must end.
    workers
        Threads it may use.
    seed
        Of its random choices.
    hint
        A valid plan to start from.
    report
        To be called with progress.
    capacity
        Bytes: it is enough to know whether a plan fits in them. ``None`` asks for the best plan.
    parameters
        Of the solvers.
    """

    deadline: Deadline
    workers: int = 1
    seed: int = 0
    hint: AnyPlan | None = None
    report: Callable[[Progress], None] = ignore
    capacity: int | None = None
    parameters: Parameters = DEFAULTS


@dataclass(frozen=True)
class OutcomeOf(Generic[AnyPlan]):
    """What an algorithm returns: a plan, and a bound if it proves one.

    ``infeasible``: it is proven that no plan exists.
    """

    plan: AnyPlan | None
    bound: int = 0
    proof: Proof | None = None
    certificate: AnyCertificate | None = None
    source: str = ""
    solve_seconds: float = 0.0
    infeasible: bool = False


@dataclass(frozen=True)
class AlgorithmOf(Generic[P]):
    """An algorithm and what it can do.

    Parameters
    ----------
    name
        As on the command line.
    summary
        One line.
    run
        The algorithm. It gets buffers of one device only.
    proves
        Whether it proves bounds.
    vector_time
        Whether it handles live ranges of nets whose operators run in parallel.
    rules
        Whether it handles rules.
    in_place
        Whether it lets buffers take over others in place. The plans of those that do not are
        valid for problems with such pairs, too.
    seeded
        Whether the seed may make a difference.
    """

    name: str
    summary: str
    run: Callable[[Problem, RunOf[P]], OutcomeOf[P]]
    proves: bool = False
    vector_time: bool = False
    rules: bool = False
    in_place: bool = False
    seeded: bool = False


@dataclass(frozen=True)
class OrderAlgorithm:
    """An algorithm of the form ``order``.

    Parameters
    ----------
    name, summary, proves, seeded
        As for `AlgorithmOf`.
    run
        The algorithm.
    """

    name: str
    summary: str
    run: Callable[[OrderProblem, RunOf[OrderPlan]], OutcomeOf[OrderPlan]]
    proves: bool = False
    seeded: bool = False


class _Named(Protocol):
    @property
    def name(self) -> str: ...


A = TypeVar("A", bound=_Named)


class RegistryOf(Generic[A]):
    """Algorithms by name; names are unique.

    Parameters
    ----------
    what
        What they are called in errors.

    Examples
    --------
    >>> registry = RegistryOf()
    >>> nothing = AlgorithmOf("nothing", "does nothing", lambda problem, run: OutcomeOf(None))
    >>> _ = registry.add(nothing)
    >>> registry.names()
    ['nothing']
    """

    def __init__(self, what: str = "algorithm") -> None:
        self._what = what
        self._algorithms: dict[str, A] = {}

    def add(self, algorithm: A) -> A:
        """Add an algorithm; a name that is taken is an error."""
        if algorithm.name in self._algorithms:
            raise ValueError(f"algorithm {algorithm.name!r} is registered already")
        self._algorithms[algorithm.name] = algorithm
        return algorithm

    def get(self, name: str) -> A:
        """Return an algorithm; ``InputError`` lists the names where there is none of that name."""
        if name not in self._algorithms:
            raise InputError(f"unknown {self._what} {name!r}; known: {', '.join(self.names())}")
        return self._algorithms[name]

    def names(self) -> list[str]:
        """Return the names, in the order of registration."""
        return list(self._algorithms)

    def __iter__(self) -> Iterator[A]:
        return iter(self._algorithms.values())


Run = RunOf[SharingPlan]
Outcome = OutcomeOf[SharingPlan]
Algorithm = AlgorithmOf[SharingPlan]
Registry = RegistryOf[Algorithm]
ArenaRun = RunOf[ArenaPlan]
ArenaOutcome = OutcomeOf[ArenaPlan]
ArenaAlgorithm = AlgorithmOf[ArenaPlan]
ArenaRegistry = RegistryOf[ArenaAlgorithm]
OrderRun = RunOf[OrderPlan]
OrderOutcome = OutcomeOf[OrderPlan]
OrderRegistry = RegistryOf[OrderAlgorithm]

SHARING = Registry()
"""Algorithms for the sharing form; `memonger.heuristics` and `memonger.solver` fill it."""

ARENA = ArenaRegistry()
"""Algorithms for the arena form."""

ORDER = OrderRegistry("order")
"""Algorithms for the order form."""
