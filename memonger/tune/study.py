"""A study: parameters are drawn, tried on a training split, and compared on another one."""

from __future__ import annotations

import json
import math
import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memonger.bench.instances import Instance
from memonger.bench.rows import Job, Row
from memonger.bench.runner import cluster_executor, local_executor, run_jobs
from memonger.bench.statistics import primal_integral
from memonger.errors import InputError, MissingExtraError
from memonger.parameters import DEFAULTS, SPACES, Parameters, Space, parameters_to_json

if TYPE_CHECKING:
    import optuna

FORM_OF = {"kernel": "arena", "relaxation": "sharing", "lns": "sharing", "cp-sat": "sharing"}
ALGORITHM_OF = {
    "kernel": "optimal",
    "relaxation": "optimal",
    "lns": "neighbourhoods",
    "cp-sat": "cp-sat",
}
TARGETS = (*FORM_OF, "portfolio")
"""What can be tuned: a solver, or ``portfolio``: all of them, in both forms."""


@dataclass(frozen=True)
class Plan:
    """What a study does.

    Parameters
    ----------
    target
        Of `TARGETS`.
    training, held_out
        The instances of the two splits.
    trials
        How many parameters are tried in all, the defaults among them.
    time_limit
        Seconds of a run.
    seed
        Of what is drawn.
    workers
        Runs at once.
    cluster
        Address of a Dask cluster that runs them instead.
    """

    target: str
    training: Sequence[Instance]
    held_out: Sequence[Instance]
    trials: int
    time_limit: float
    seed: int = 0
    workers: int = 1
    cluster: str | None = None

    @property
    def spaces(self) -> list[Space]:
        """The spaces that are searched."""
        return [SPACES[name] for name in FORM_OF if self.target in (name, "portfolio")]

    def jobs(self, parameters: Parameters, held_out: bool = False, seeds: int = 1) -> list[Job]:
        """Return the runs that try parameters on a split."""
        values = json.dumps(parameters_to_json(parameters, {})) if parameters.values else ""
        solvers = [(FORM_OF[s.target], ALGORITHM_OF[s.target]) for s in self.spaces]
        if self.target == "portfolio":
            solvers = [("sharing", "optimal"), ("arena", "optimal")]
        return [
            Job(instance, form, algorithm, seed, time_limit=self.time_limit, tuned=values)
            for instance in (self.held_out if held_out else self.training)
            for form, algorithm in solvers
            for seed in range(seeds)
        ]


def split(
    instances: Sequence[Instance], share: float, seed: int
) -> tuple[list[Instance], list[Instance]]:
    """Split instances in two, each family in the same proportion; the same for a seed.

    Raises
    ------
    InputError
        If one of the parts would be empty.
    """
    families: dict[str, list[Instance]] = defaultdict(list)
    for instance in sorted(instances, key=lambda each: each.name):
        families[instance.family].append(instance)
    rng, training, held_out = random.Random(seed), list[Instance](), list[Instance]()
    for _, members in sorted(families.items()):
        rng.shuffle(members)
        # A family of one goes where more is missing.
        wanted = share * (len(training) + len(held_out) + len(members)) - len(training)
        count = min(len(members), max(0, round(wanted)))
        training += members[:count]
        held_out += members[count:]
    if not training or not held_out:
        raise InputError(f"{len(instances)} instances cannot be split into training and held-out")
    return training, held_out


def cost_of(row: Row, best: float, limit: float) -> float:
    """Return what a run costs: primal integral and time to the proof, in shares of the limit.

    From 0, for what is proven at once, to 2, for a run that finds nothing.

    Parameters
    ----------
    row
        The run.
    best
        What gaps are measured from: the best cost, or the best proven bound.
    limit
        Time limit, seconds.
    """
    if row.objective is None:
        return 2.0
    until = limit if row.seconds_to_proof is None else min(limit, row.seconds_to_proof)
    history = [(at, cost, bound) for at, cost, bound in row.history if at <= limit]
    return primal_integral(history, best, limit) / limit + until / limit


Place = tuple[Executor, int]
"""An executor, and how many runs it is given at once."""


def place_of(plan: Plan) -> AbstractContextManager[Place]:
    """Return where the runs of a study are made, each in a process of its own."""
    if plan.cluster is None:
        return local_executor(plan.workers)
    return cluster_executor(plan.cluster)


def run_all(jobs: Sequence[Job], place: Place) -> list[Row]:
    """Run jobs; return their rows in the order of the jobs."""
    rows = {row.key: row for row in run_jobs(jobs, *place)}
    return [rows[job.key] for job in jobs]


def references_of(rows: Sequence[Row]) -> dict[str, int]:
    """Return the best proven bound of each instance and form: what gaps are measured from.

    Costs of later runs are never below it, however good they are: all trials are measured alike.
    """
    found: dict[str, int] = {}
    for row in rows:
        key = f"{row.form} {row.instance}"
        found[key] = max(found.get(key, 0), row.bound, row.known_bound)
    return found


def mean_cost(rows: Sequence[Row], references: Mapping[str, int], limit: float) -> float:
    """Return the mean of `cost_of` over runs."""
    costs = [cost_of(row, references[f"{row.form} {row.instance}"], limit) for row in rows]
    return math.fsum(costs) / len(costs)


def tune(
    plan: Plan,
    place: Place,
    storage: str,
    name: str,
    report: Callable[[int, float], None] = lambda _count, _best: None,
) -> Parameters:
    """Try parameters until there are as many trials as planned; return the best ones.

    The first trial is that of the defaults. A study of that name in the storage is gone on with.

    Parameters
    ----------
    plan
        What is to be done.
    place
        Where, see `place_of`.
    storage
        URL of the database that keeps the trials, for Optuna.
    name
        Of the study.
    report
        Called with the number of trials and the lowest cost so far.

    Raises
    ------
    InputError
        If the storage cannot be used, or the study there is another one.
    MissingExtraError
        If Optuna is not installed.
    """
    study = _study(storage, name, plan)
    _same(study, name, plan)

    def objective(trial: optuna.Trial) -> float:
        values = {
            f"{space.target}.{p.name}": (
                trial.suggest_int(f"{space.target}.{p.name}", int(p.low), int(p.high), log=p.log)
                if p.integer
                else trial.suggest_float(f"{space.target}.{p.name}", p.low, p.high, log=p.log)
            )
            for space in plan.spaces
            for p in space.parameters.values()
        }
        rows = run_all(plan.jobs(Parameters(values)), place)
        if "references" not in study.user_attrs:
            if all(row.objective is None for row in rows):
                raise InputError(f"no run has a plan; {rows[0].instance}: {rows[0].reason}")
            study.set_user_attr("references", references_of(rows))
        return mean_cost(rows, study.user_attrs["references"], plan.time_limit)

    every = [(s.target, p) for s in plan.spaces for p in s.parameters.values()]
    defaults = {f"{target}.{p.name}": p.default for target, p in every}
    complete = [trial.params for trial in study.trials if trial.state.name == "COMPLETE"]
    if defaults not in complete:
        study.enqueue_trial(defaults, skip_if_exists=False)
    for count in range(len(complete) + 1, plan.trials + 1):
        study.optimize(objective, n_trials=1)
        report(count, study.best_value)
    best = dict(study.best_params)
    return DEFAULTS if best == defaults else Parameters(best)


def _same(study: optuna.Study, name: str, plan: Plan) -> None:
    """Refuse to go on with a study whose trials cannot be compared with those to come."""
    about = {
        "target": plan.target,
        "training": [[instance.name, instance.digest] for instance in plan.training],
        "time_limit": plan.time_limit,
    }
    if "about" not in study.user_attrs and not study.trials:
        study.set_user_attr("about", about)
    before = study.user_attrs.get("about", {})
    for key, value in about.items():
        if before.get(key) != value:
            raise InputError(
                f"the study {name!r} is there already, with another {key.replace('_', ' ')}: "
                "give --study another name"
            )


def _study(storage: str, name: str, plan: Plan) -> optuna.Study:
    try:
        import optuna
    except ImportError:
        raise MissingExtraError("optuna", "tune") from None
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)  # Ctrl-C is no error to be shown
    try:
        study = optuna.create_study(
            storage=storage,
            study_name=name,
            direction="minimize",
            load_if_exists=True,
        )
        # A study that is gone on with must not draw again what it has drawn already.
        drawn = len(study.get_trials(deepcopy=False))
    except Exception as error:  # whatever its database says
        raise InputError(f"{storage}: {' '.join(str(error).split())[:200]}") from None
    study.sampler = optuna.samplers.TPESampler(seed=(plan.seed * 1_000_003 + drawn) % 2**32)
    return study
