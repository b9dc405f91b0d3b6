"""What a run may do to its process; each in a fork of a process of one thread."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import json, os, signal, sys, time
from dataclasses import asdict
import numpy as np
import memonger.bench.server as server
from memonger.bench.instances import resolve
from memonger.bench.rows import Job, Row
from memonger.errors import PlanError

server.SLACK_SECONDS = 0.5
(instance,) = resolve([sys.argv[1]])

def hog(job, loaded):
    loaded()
    kept = []
    while True:
        kept.append(np.ones(1 << 21))

def reserve(job, loaded):
    return np.ones(1 << 40)

def sleep(job, loaded):
    loaded()
    time.sleep(60)

def crash(job, loaded):
    loaded()
    os.kill(os.getpid(), signal.SIGSEGV)

def leave(job, loaded):
    os._exit(7)

def fail(job, loaded):
    raise ZeroDivisionError("a mistake")

def finish(job, loaded):
    loaded()
    print("solvers may print")
    return Row.of(job, "feasible", objective=7, history=((0.1, 7, 7),) * 20000)

for run in (hog, reserve, sleep, crash, leave, fail, finish):
    server.run_trial = run
    limit = 0.2 if run is sleep else 20.0
    job = Job(instance, "arena", run.__name__, time_limit=limit, memory_limit=400 << 20)
    row = server.supervised(job)
    data = asdict(row)
    data["history"] = len(row.history)
    sys.stderr.write(json.dumps(data) + "\\n")
"""


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("set")
    buffers = [{"name": "a", "size": 8, "start": 0, "end": 2}]
    path = folder / "one.json"
    path.write_text(json.dumps({"format": "memonger-problem/1", "buffers": buffers}))
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert run.returncode == 0, run.stderr
    found = [json.loads(line) for line in run.stderr.splitlines()]
    return {row["algorithm"]: row for row in found}


@pytest.mark.parametrize(
    ("name", "status", "reason"),
    [
        ("hog", "out of memory", "it used"),
        ("reserve", "out of memory", "an allocation failed"),
        ("sleep", "timed out", "did not heed"),
        ("crash", "crashed", "signal SIGSEGV"),
        ("leave", "crashed", "exit code 7"),
        ("fail", "crashed", "ZeroDivisionError: a mistake"),
        ("finish", "feasible", ""),
    ],
)
def test_whatever_happens_there_is_a_row(rows, name, status, reason):
    row = rows[name]
    assert row["status"] == status
    assert reason in row["reason"]
    assert row["instance"].endswith("/one.json")
    assert row["peak_memory"] > 10 << 20


def test_a_long_row_comes_through(rows):
    assert rows["finish"]["objective"] == 7
    assert rows["finish"]["history"] == 20000


def test_memory_is_what_was_used(rows):
    assert 400 << 20 < rows["hog"]["peak_memory"] < 600 << 20
    assert rows["finish"]["peak_memory"] < 400 << 20
