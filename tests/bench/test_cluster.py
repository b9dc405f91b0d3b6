"""The runner on a Dask cluster of two processes, one of which is lost."""

import os
import signal

import pytest

from memonger.bench.instances import resolve
from memonger.bench.row_file import RowFile, read_rows
from memonger.bench.rows import unfinished
from memonger.bench.runner import cluster_executor, jobs_of, run_jobs
from memonger.errors import InputError

distributed = pytest.importorskip("dask.distributed")


@pytest.mark.filterwarnings("ignore")
def test_a_lost_worker_loses_no_row_and_doubles_none(instances, tmp_path):
    found = resolve([str(instances), "mlp"])
    jobs = jobs_of(found, ["sharing", "arena"], ["all"], seeds=2, time_limit=1)
    file = RowFile(tmp_path / "runs.jsonl")
    killed = []
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, processes=True
        ) as cluster,
        cluster_executor(cluster.scheduler_address) as (executor, window),
    ):
        assert window == 4
        for row in run_jobs(jobs, executor, window):
            file.append(row)
            if len(file.rows) == 8:
                worker = next(iter(cluster.workers.values()))
                killed.append(worker.process.process.pid)
                os.kill(killed[0], signal.SIGKILL)
    file.close()
    rows = read_rows(tmp_path / "runs.jsonl")
    assert killed
    assert sorted(row.key for row in rows) == sorted(job.key for job in jobs)
    assert unfinished(jobs, {row.key for row in rows}) == []
    assert {row.status for row in rows} <= {"optimal", "feasible", "skipped"}


@pytest.mark.filterwarnings("ignore")
def test_no_cluster():
    with (
        pytest.raises(InputError, match="no cluster"),
        cluster_executor("no-such-scheme://nowhere:1"),
    ):
        pass
