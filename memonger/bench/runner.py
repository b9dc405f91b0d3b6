"""Which runs a benchmark consists of, and running them, here or on a cluster."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    CancelledError,
    Executor,
    Future,
    ThreadPoolExecutor,
    wait,
)
from contextlib import contextmanager
from typing import Any

from memonger.bench.instances import Instance
from memonger.bench.isolation import BrokenServerError, run_isolated, stop_servers
from memonger.bench.rows import Job, Outcome, Row
from memonger.bench.trial import REGISTRIES
from memonger.errors import InputError, MissingExtraError
from memonger.registry import ORDER

POLL_SECONDS = 0.25


def jobs_of(
    instances: Sequence[Instance],
    forms: Sequence[str],
    algorithms: Sequence[str],
    *,
    orders: Sequence[str] = ("program",),
    seeds: int = 1,
    time_limit: float = 10.0,
    memory_limit: int | None = None,
    threads: int = 1,
    known: str | None = None,
    tuned: str = "",
) -> list[Job]:
    """Return every run: algorithms in which the seed makes no difference run with seed 0 only.

    Parameters
    ----------
    instances, forms
        What is planned.
    algorithms
        Names; each is run in the forms that have it. ``all`` is every algorithm of the forms.
    orders
        Algorithms of the order form, in whose orders sharing and arena are planned.
    seeds
        How many, from 0 on.
    time_limit, memory_limit, threads, known, tuned
        Of each run, see `Job`.

    Raises
    ------
    InputError
        If a form or an algorithm is unknown.
    """
    for form in forms:
        if form not in REGISTRIES:
            raise InputError(f"unknown form {form!r}; known: {', '.join(REGISTRIES)}")
    for order in orders:
        ORDER.get(order)
    existing = {name for form in forms for name in REGISTRIES[form].names()}
    for name in algorithms:
        if name != "all" and name not in existing:
            raise InputError(f"no algorithm {name!r} in the forms {', '.join(forms)}")
    return [
        Job(
            instance,
            form,
            chosen.name,
            seed,
            order,
            time_limit,
            memory_limit,
            threads,
            known,
            tuned,
        )
        for instance in instances
        for form in forms
        for order in (("",) if form == "order" else orders)
        for chosen in REGISTRIES[form]
        if chosen.name in algorithms or "all" in algorithms
        for seed in range(seeds if chosen.seeded else 1)
    ]


def run_jobs(
    jobs: Sequence[Job],
    executor: Executor,
    window: int,
    notice: Callable[[list[Job]], None] = lambda _: None,
) -> Iterator[Row]:
    """Yield the row of every job as it ends.

    Parameters
    ----------
    jobs
        What is to be run.
    executor
        Runs `run_isolated`, in threads of this process or elsewhere. One that loses a worker must
        run its jobs again, or let their futures fail: then there is a row that says so.
    window
        How many jobs it is given at once.
    notice
        Called with the jobs that the executor has, whenever they change.

    Raises
    ------
    InputError
        If the executor has gone.
    """
    waiting, running = iter(jobs), dict[Future[Row], Job]()
    try:
        while True:
            while len(running) < window and (job := next(waiting, None)) is not None:
                running[executor.submit(run_isolated, job)] = job
            if not running:
                return
            notice(list(running.values()))
            done, _ = wait(running, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
            for future in [future for future in running if future in done]:
                yield _row_of(running.pop(future), future)
    finally:
        for future in running:
            future.cancel()


def _row_of(job: Job, future: Future[Row]) -> Row:
    try:
        return future.result()
    except CancelledError:
        raise InputError("the cluster has gone; what is finished is kept") from None
    except BrokenServerError as error:
        raise InputError(str(error)) from None
    except ImportError as error:
        raise InputError(f"a worker of the cluster cannot import memonger: {error}") from None
    except Exception as error:
        return Row.of(job, Outcome.CRASHED, reason=f"{type(error).__name__}: {error}")


@contextmanager
def local_executor(workers: int) -> Iterator[tuple[Executor, int]]:
    """Yield an executor of this machine, and how many jobs it runs at once.

    Leaving it ends what still runs.
    """
    executor = ThreadPoolExecutor(workers, thread_name_prefix="bench")
    try:
        yield executor, workers
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
        stop_servers()
        executor.shutdown()


@contextmanager
def cluster_executor(address: str) -> Iterator[tuple[Executor, int]]:
    """Yield the executor of a Dask cluster, and how many jobs to give it at once.

    The machines of the cluster must see the files of the instances under the same names; a file
    that differs there is refused. A worker that is lost has its jobs run again on another.

    Raises
    ------
    MissingExtraError
        If Dask is not installed.
    InputError
        If there is no cluster, or it has no workers.
    """
    try:
        distributed: Any = importlib.import_module("dask.distributed")
    except ImportError:
        raise MissingExtraError("distributed", "cluster") from None
    try:
        client = distributed.Client(address, timeout=10, set_as_default=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{address}: no cluster: {' '.join(str(error).split())}") from None
    try:
        threads = sum(client.nthreads().values())
        if not threads:
            raise InputError(f"{address}: the cluster has no workers")
        # Results are of one run each: never of another run of the same function.
        executor = client.get_executor(pure=False)
        yield executor, 2 * threads
    finally:
        client.close()
