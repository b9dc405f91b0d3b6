import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from memonger.bench.row_file import read_rows
from memonger.cli.bench import size
from memonger.instances.arena_families import churn
from memonger.instances.problem_json import problem_to_json

ROOT = Path(__file__).parents[2]


def test_rows_are_added_once(memonger, problem):
    arguments = ("bench", problem, "--forms", "sharing", "--algorithms", "by-size,optimal")
    first = memonger(*arguments, "-o", "runs.jsonl", "--json").data
    assert first == {
        "output": "runs.jsonl",
        "runs": 2,
        "done_before": 0,
        "done_now": 2,
        "interrupted": False,
        "statuses": {"optimal": 2},
    }
    again = memonger(*arguments, "--seeds", 2, "-o", "runs.jsonl", "--json").data
    assert (again["runs"], again["done_before"], again["done_now"]) == (3, 2, 1)
    rows = read_rows("runs.jsonl")
    assert [(row.algorithm, row.seed) for row in rows] == [
        ("by-size", 0),
        ("optimal", 0),
        ("optimal", 1),
    ]
    assert {row.objective for row in rows} == {12}


def test_what_is_skipped_says_why(memonger, problem):
    answer = memonger("bench", problem, "--forms", "order", "--algorithms", "program", "-o", "r")
    assert answer.code == 0
    assert "skipped" in answer.out
    (row,) = read_rows("r")
    assert "no operators" in row.reason


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere", "-o", "r"), "no such file"),
        (("mlp", "-o", "r", "--forms", "areas"), "unknown form"),
        (("mlp", "-o", "r", "--algorithms", "best"), "no algorithm 'best'"),
        (("mlp", "-o", "r", "--memory-limit", "much"), "is no size"),
        (("mlp", "-o", "away/r"), "there is no directory"),
    ],
)
def test_bad_usage(memonger, folder, contents, arguments, message):
    assert message in memonger("bench", *arguments).is_error()
    assert contents() == {}


def test_sizes():
    assert [size(text) for text in ("7", "2GB", "1.5 KiB", "3m", "1TiB")] == [
        7,
        2 * 10**9,
        1536,
        3 * 10**6,
        2**40,
    ]


def test_ctrl_c_leaves_what_is_finished(folder, problem):
    hard = json.dumps(problem_to_json(churn(1000)))  # nobody knows its optimum
    (folder / "hard.json").write_text(hard)
    command = [
        *(sys.executable, "-m", "memonger", "bench", "problem.json", "hard.json", "--json"),
        *("--forms", "arena", "--algorithms", "optimal", "--time-limit", "600"),
        *("-o", "runs.jsonl"),
    ]
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    run = subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Whoever runs the tests may ignore the signal, which a process inherits.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while run.poll() is None and not ((folder / "runs.jsonl").exists() and read_rows("runs.jsonl")):
        time.sleep(0.05)
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=60)
    assert run.returncode == 130
    assert err == "memonger: error: interrupted\n"
    data = json.loads(out)
    assert (data["interrupted"], data["runs"], data["done_now"]) == (True, 2, 1)
    (row,) = read_rows("runs.jsonl")
    assert row.status == "optimal"
