"""Runs and their rows: what is to be run, what came of it, and the file that holds it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any

from memonger.bench.instances import Instance

Key = tuple[str | int | None, ...]


class Outcome(StrEnum):
    """How a run ended: one of the values of `memonger.result.Status`, or without a result."""

    OPTIMAL = "optimal"
    FEASIBLE = "feasible"
    INFEASIBLE = "infeasible"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"
    """The algorithm is not for this instance, or gave up early; the reason says why."""
    TIMED_OUT = "timed out"
    """It did not heed the time limit and was ended."""
    OUT_OF_MEMORY = "out of memory"
    CRASHED = "crashed"
    INVALID = "invalid"
    """Its plan or its bound did not pass the verifier."""


@dataclass(frozen=True)
class Job:
    """One run: an algorithm on an instance.

    Parameters
    ----------
    instance, form, algorithm, seed
        What is run.
    order
        An algorithm of the order form, whose order the live ranges are of.
    time_limit
        Seconds for the algorithm.
    memory_limit
        Bytes of the process, interpreter and libraries included; ``None`` for no limit.
    threads
        Of the algorithm.
    tuned
        JSON of the parameters of the solvers, `memonger.parameters`; empty: the defaults.
    known
        Folder of best known values that a better plan is offered to, if any.
    """

    instance: Instance
    form: str
    algorithm: str
    seed: int = 0
    order: str = "program"
    time_limit: float = 10.0
    memory_limit: int | None = None
    threads: int = 1
    known: str | None = None
    tuned: str = ""

    @property
    def parameters(self) -> dict[str, Any]:
        """What the run may use."""
        return {
            "time_limit": self.time_limit,
            "memory_limit": self.memory_limit,
            "threads": self.threads,
            **({"tuned": self.tuned} if self.tuned else {}),
        }

    @property
    def key(self) -> Key:
        """What makes two runs the same."""
        instance = (self.instance.name, self.instance.digest)
        return (*instance, *_run_key(self.form, self.order, self.algorithm, self.seed, self))

    def to_json(self) -> str:
        """Return the job in a line of JSON."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(line: str) -> Job:
        """Return the job of a line of JSON."""
        data = json.loads(line)
        known = tuple(map(tuple, data["instance"].pop("best_known")))
        return Job(**{**data, "instance": Instance(**data["instance"], best_known=known)})


@dataclass(frozen=True)
class Row:
    """What came of a run.

    Parameters
    ----------
    instance, family, digest, form, order, algorithm, parameters, seed
        What was run: see `Job` and `memonger.bench.instances.Instance`.
    status
        A value of `Outcome`.
    reason
        Why there is no result; empty where there is one.
    n
        Buffers, or operators in the form ``order``.
    objective
        Cost of the plan, verified, bytes.
    bound
        Proven lower bound, bytes; 0 where there is none.
    best_known, known_bound
        The lowest cost and the best proven bound that were known before, bytes; 0: no bound.
    gap
        (objective - bound) / objective, of this run alone.
    proof
        Engine of the proof.
    planned
        Digest of the order that was planned in, where that is not program order: an order that is
        searched for may be another one the next time, and another problem.
    seconds
        Of the algorithm, verification included; reading the instance comes before.
    seconds_to_first, seconds_to_best, seconds_to_proof
        Until the first plan, the plan returned, the proof that it is optimal.
    peak_memory
        Bytes of the process at most, interpreter and libraries included.
    history
        (seconds, objective or ``None``, bound) at each improvement that was reported.
    environment
        Machine and packages.
    version
        Of memonger.
    """

    instance: str
    family: str
    digest: str
    form: str
    order: str
    algorithm: str
    parameters: dict[str, Any]
    seed: int
    status: str
    reason: str = ""
    n: int | None = None
    objective: int | None = None
    bound: int = 0
    best_known: int | None = None
    known_bound: int = 0
    gap: float | None = None
    proof: str | None = None
    planned: str = ""
    seconds: float | None = None
    seconds_to_first: float | None = None
    seconds_to_best: float | None = None
    seconds_to_proof: float | None = None
    peak_memory: int | None = None
    history: tuple[tuple[float, int | None, int], ...] = ()
    environment: dict[str, Any] = field(default_factory=dict)
    version: str = ""

    @property
    def key(self) -> Key:
        """The key of its job."""
        limits = self.parameters
        return (
            *(self.instance, self.digest, self.form, self.order, self.algorithm, self.seed),
            *(limits.get(name) for name in ("time_limit", "memory_limit", "threads")),
            *([limits["tuned"]] if "tuned" in limits else []),
        )

    @staticmethod
    def of(job: Job, status: str, **values: Any) -> Row:  # noqa: ANN401
        """Return the row of a job."""
        where = job.instance
        # What is known is known of program order; in another one it is another problem.
        known = where.best_known if job.order in ("", "program") else ()
        cost, bound = {form: each for form, *each in known}.get(job.form, (None, 0))
        return Row(
            *(where.name, where.family, where.digest, job.form, job.order, job.algorithm),
            parameters=job.parameters,
            seed=job.seed,
            status=status,
            best_known=cost,
            known_bound=bound,
            **values,
        )

    @staticmethod
    def from_data(data: dict[str, Any]) -> Row:
        """Return a row of its JSON object; what is not known of it is left out."""
        known = {each.name for each in fields(Row)}
        values = {name: value for name, value in data.items() if name in known}
        history = tuple((t, o, b) for t, o, b in values.pop("history", ()))
        row = Row(**values, history=history)
        if not all(isinstance(getattr(row, name), kinds) for name, kinds in _KINDS.items()):
            raise TypeError("a field of another type")
        return row


_KINDS = {
    **dict.fromkeys(("instance", "family", "digest", "form", "order", "algorithm"), str),
    **dict.fromkeys(("status", "reason", "planned"), str),
    **dict.fromkeys(("parameters", "environment"), dict),
    **dict.fromkeys(("seed", "bound", "known_bound"), int),
    **dict.fromkeys(("n", "objective", "best_known"), int | None),
    **dict.fromkeys(("seconds", "seconds_to_proof"), int | float | None),
}
"""Types of fields; a file may hold anything."""


def _run_key(form: str, order: str, algorithm: str, seed: int, job: Job) -> Key:
    return (form, order, algorithm, seed, *job.parameters.values())


def unfinished(jobs: Iterable[Job], done: set[Key]) -> list[Job]:
    """Return the jobs that are not done, each once, in their order."""
    return list({job.key: job for job in jobs if job.key not in done}.values())
