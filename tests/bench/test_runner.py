import json
from concurrent.futures import Future

import pytest

import memonger.bench.isolation as isolation
from memonger.bench.instances import Instance, resolve
from memonger.bench.rows import Job
from memonger.bench.runner import jobs_of, local_executor, run_jobs
from memonger.bench.warm import buffers
from memonger.errors import InputError
from memonger.instances.problem_json import problem_to_json
from memonger.registry import ARENA, ORDER, SHARING


def test_algorithms_without_a_seed_run_once(easy):
    jobs = jobs_of([easy], ["arena", "sharing", "order"], ["all"], seeds=3)
    for form, registry in (("arena", ARENA), ("sharing", SHARING), ("order", ORDER)):
        for algorithm in registry:
            seeds = [j.seed for j in jobs if (j.form, j.algorithm) == (form, algorithm.name)]
            assert seeds == ([0, 1, 2] if algorithm.seeded else [0])
    assert len({job.key for job in jobs}) == len(jobs)


def test_what_proves_depends_on_the_seed():
    """It searches; and what is said to ignore the seed is cheap enough to be run once."""
    assert all(a.seeded for registry in (SHARING, ARENA, ORDER) for a in registry if a.proves)


def test_names_go_with_the_forms_that_have_them(easy):
    jobs = jobs_of([easy], ["sharing", "arena"], ["by-size", "dives"], orders=["program", "change"])
    assert [(j.form, j.order, j.algorithm) for j in jobs] == [
        ("sharing", "program", "by-size"),
        ("sharing", "change", "by-size"),
        ("arena", "program", "dives"),
        ("arena", "change", "dives"),
    ]
    with pytest.raises(InputError, match="unknown form 'areas'"):
        jobs_of([easy], ["areas"], ["all"])
    with pytest.raises(InputError, match="no algorithm 'dives' in the forms sharing"):
        jobs_of([easy], ["sharing"], ["dives"])
    with pytest.raises(InputError, match="unknown order 'best'"):
        jobs_of([easy], ["sharing"], ["all"], orders=["best"])


def test_runs_of_this_machine(instances):
    found = resolve([str(instances), "mlp"])
    jobs = jobs_of(
        found, ["sharing", "order"], ["none", "optimal"], orders=["optimal"], time_limit=20
    )
    # In program order for what has no operators.
    jobs += jobs_of(found, ["sharing"], ["none", "optimal"], time_limit=20)
    gone = Instance("x/gone", "x", str(instances / "gone.json"))
    jobs.append(Job(gone, "arena", "optimal"))
    with local_executor(2) as (executor, window):
        rows = {row.key: row for row in run_jobs(jobs, executor, window)}
    assert rows.keys() == {job.key for job in jobs}
    assert not isolation._servers
    status = {(r.instance, r.form, r.order, r.algorithm): r for r in rows.values()}
    best = status["small/loose.json", "sharing", "program", "optimal"]
    alone = status["small/loose.json", "sharing", "program", "none"]
    assert (alone.status, alone.objective) == ("feasible", 24)
    assert (best.status, best.objective, best.gap) == ("optimal", best.bound, 0.0)
    assert alone.objective > best.objective
    assert 0 <= best.seconds_to_first <= best.seconds_to_best <= best.seconds_to_proof
    assert best.history[-1][1:] == (best.objective, best.bound)
    assert best.environment["processors"] >= 1
    assert best.peak_memory > 0
    assert status["small/easy.json", "order", "", "optimal"].status == "skipped"
    assert "no operators" in status["small/easy.json", "sharing", "optimal", "optimal"].reason
    assert status["built-in/mlp", "order", "", "optimal"].status == "optimal"
    assert status["built-in/mlp", "sharing", "optimal", "optimal"].status == "optimal"
    assert status["x/gone", "arena", "program", "optimal"].status == "skipped"


def test_a_server_that_dies_costs_one_row(easy, tmp_path):
    path = tmp_path / "hard.json"
    path.write_text(json.dumps(problem_to_json(buffers(60))))
    long = Job(resolve([str(path)])[0], "sharing", "neighbourhoods", time_limit=600)
    jobs = [long, *(Job(easy, "sharing", "by-size", seed) for seed in range(3))]
    noticed = []

    def notice(running):
        noticed.append(running)
        if len(noticed) == 3:
            (server,) = isolation._servers
            server._process.kill()

    with local_executor(1) as (executor, _):
        rows = list(run_jobs(jobs, executor, 1, notice))
    assert [(row.algorithm, row.status) for row in rows] == [
        ("neighbourhoods", "crashed"),
        *[("by-size", "optimal")] * 3,
    ]


def test_a_server_that_died_in_between_is_replaced(easy):
    try:
        for seed in range(2):
            assert isolation.run_isolated(Job(easy, "sharing", "by-size", seed)).objective == 12
            (server,) = isolation._servers
            server._process.kill()
            server._process.wait()
    finally:
        isolation.stop_servers()


class Failing:
    """An executor that has lost its workers."""

    def __init__(self, error):
        self.error = error

    def submit(self, function, job):
        future = Future()
        future.set_exception(self.error)
        return future


def test_a_job_that_kills_its_workers_costs_one_row(easy):
    (row,) = run_jobs([Job(easy, "arena", "dives")], Failing(RuntimeError("worker killed")), 1)
    assert (row.status, row.reason) == ("crashed", "RuntimeError: worker killed")


def test_workers_without_memonger_are_an_error(easy):
    with pytest.raises(InputError, match="cannot import memonger"):
        list(run_jobs([Job(easy, "arena", "dives")], Failing(ImportError("no memonger")), 1))
