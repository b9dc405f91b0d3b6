"""Ctrl-C, as a signal to a process of its own, at every stage of its life."""

import json
import random
import signal
import subprocess
import sys

import pytest

from memonger.cli.check import check_plan
from memonger.cli.order import check_order
from memonger.instances.loading import load_plan
from memonger.instances.order_families import layered
from memonger.instances.order_json import order_to_json
from memonger.solver.order import solve_order
from tests.cli.test_solve_check import problem_data, write

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for one process")

LINE = "memonger: error: interrupted\n"

# Says on stdout which solver is waited for, and lets the linear program never end.
DRIVER = """
import sys, time
import memonger.solver.background as background
import memonger.solver.linear as linear
from memonger.cli import start

class Told(background.Background):
    def __init__(self, work, name):
        super().__init__(work, name)
        print("begun", name, flush=True)

linear.Background = Told
linear.linprog = lambda *_, **__: time.sleep(3600)
import memonger.solver.cpsat
memonger.solver.cpsat.Background = Told
STAGE
start.main()
"""


def listen():
    """Hear Ctrl-C, even where the tests run in the background of a shell, which ignores it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def begin(*arguments, python=("-m", "memonger"), **options):
    return subprocess.Popen(
        [sys.executable, *python, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=listen,
        **options,
    )


def interrupt_at(process, stream, what):
    """Send SIGINT once a line that ends so has been read; return what else comes, and the code."""
    for line in stream:
        if line.split()[-1:] == [what]:
            break
    else:
        pytest.fail(f"{what!r} never came: {process.communicate()}")
    process.send_signal(signal.SIGINT)
    try:
        out, err = process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return out, err, process.returncode


@pytest.fixture
def hard(folder):
    """Return a problem that CP-SAT does not solve in hours."""
    rng = random.Random(5)
    rows = []
    for _ in range(250):
        start = rng.randrange(250)
        rows.append((rng.randint(1, 1000), start, start + rng.randint(1, 80)))
    return write(folder / "hard.json", problem_data(rows))


@pytest.mark.parametrize(
    "module",
    [
        "typer",
        "numpy._core._multiarray_umath",
        "numpy.random._generator",
        "google.protobuf.descriptor",
        "memonger.cli.options",
        "scipy.sparse._sparsetools",
        "scipy.optimize._highspy._core",
        "pandas._libs.lib",
        "pandas.core.frame",
        "ortools.sat.python.cp_model_helper",
    ],
)
def test_while_modules_load(hard, module):
    process = begin(
        "solve", hard, "-q", python=("-X", "importtime", "-m", "memonger"), cwd=hard.parent
    )
    out, err, code = interrupt_at(process, process.stderr, module)
    lines = [line for line in err.splitlines(True) if not line.startswith("import time:")]
    assert (code, out, lines) == (130, "", [LINE])


@pytest.mark.parametrize(
    ("options", "stage"),
    [
        (("--algorithm", "cp-sat"), "cp-sat"),
        (("--algorithm", "cp-sat-binpacking"), "cp-sat"),
        (("--max-buffers", "200"), "cp-sat"),
        (("--algorithm", "optimal"), "highs"),
        (("--algorithm", "neighbourhoods"), "highs"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else value,
)
def test_while_a_solver_runs(hard, options, stage):
    """The best plan so far is verified and written."""
    arguments = ("solve", hard, "-o", "plan.json", "--workers", "1", "--json", *options)
    process = begin(*arguments, python=("-c", DRIVER.replace("STAGE", "")), cwd=hard.parent)
    out, err, code = interrupt_at(process, process.stdout, stage)
    assert (code, err) == (0, "")
    said = json.loads(out.splitlines()[-1])
    assert said["status"] == "feasible"
    claimed = load_plan(hard.parent / "plan.json")
    assert check_plan(claimed)["objective"] == said["objective"] == claimed.objective


def test_again_after_a_search(hard):
    """CP-SAT must not take the signal away from what comes after it."""
    stage = """
import memonger.cli.solve
def slow(*_):
    print("begun writing", flush=True)
    time.sleep(3600)
memonger.cli.solve.write_atomically = slow
"""
    arguments = ("solve", hard, "-o", "plan.json", "--algorithm", "cp-sat", "--time-limit", "2")
    process = begin(*arguments, python=("-c", DRIVER.replace("STAGE", stage)), cwd=hard.parent)
    out, err, code = interrupt_at(process, process.stdout, "writing")
    assert (code, out, err) == (130, "", LINE)


def test_before_there_is_a_plan(hard):
    stage = """
import memonger.solver.sharing
def slow(*_):
    print("begun heuristics", flush=True)
    time.sleep(3600)
memonger.solver.sharing.warm_start = slow
"""
    process = begin(
        "solve", hard, "-o", "plan.json", python=("-c", DRIVER.replace("STAGE", stage)),
        cwd=hard.parent,
    )  # fmt: skip
    out, err, code = interrupt_at(process, process.stdout, "heuristics")
    assert (code, out, err) == (130, "", LINE)
    assert not (hard.parent / "plan.json").exists()


def test_devices_that_come_later_get_no_time(folder):
    """Every one of them has a plan all the same."""
    rng = random.Random(6)
    data = problem_data([])
    for device in ("cpu", "gpu"):
        for number in range(150):
            start = rng.randrange(150)
            entry = {"name": f"{device}{number}", "size": rng.randint(1, 1000), "device": device}
            data["buffers"].append({**entry, "start": start, "end": start + rng.randint(1, 50)})
    write(folder / "two.json", data)
    arguments = ("solve", "two.json", "-o", "plan.json", "--algorithm", "cp-sat", "--json")
    process = begin(*arguments, python=("-c", DRIVER.replace("STAGE", "")), cwd=folder)
    out, err, code = interrupt_at(process, process.stdout, "cp-sat")
    assert (code, err) == (0, "")
    assert "begun" not in out  # no second search
    assert check_plan(load_plan(folder / "plan.json"))["buffers"] == 300


def test_the_best_order_is_written(folder):
    """The search of a layered graph, which does not end by itself, by a real signal."""
    problem = layered(400, 40)
    result = solve_order(problem, "program")
    graph = write(folder / "layered.json", order_to_json(problem, result))
    plan = folder / "order.json"
    process = begin("solve", graph, "--form", "order", "--json-lines", "-o", plan)
    for _ in range(3):  # improvements
        assert json.loads(process.stdout.readline())["objective"] <= result.objective
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    last = json.loads(out.splitlines()[-1])
    assert last["status"] == "feasible"
    assert check_order(str(plan), None)["objective"] == last["objective"] <= result.objective
