import builtins
import json
import os
import subprocess
import sys

import pytest

import memonger as package
from memonger.cli import console, main, options, start
from memonger.cli.options import duration
from memonger.registry import Progress

COMMANDS = ("optimize", "solve", "check", "convert", "info", "show")


def shell(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "memonger", *arguments],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


def test_python_m_memonger(tmp_path):
    run = shell("--version", cwd=tmp_path)
    assert (run.returncode, run.stdout, run.stderr) == (0, f"memonger {package.__version__}\n", "")


def test_version(memonger):
    answer = memonger("--version")
    assert (answer.code, answer.out) == (0, f"memonger {package.__version__}\n")


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_names_every_command(memonger, option):
    answer = memonger(option)
    assert answer.code == 0
    assert all(command in answer.out for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_has_an_example(memonger, command):
    answer = memonger(command, "--help")
    assert answer.code == 0
    assert f"memonger {command} " in answer.out
    assert "Usage:" in answer.out


def test_no_command_at_all(memonger):
    answer = memonger()
    assert answer.code == 2
    assert "Usage:" in answer.out


@pytest.mark.parametrize(
    "arguments",
    [
        ("optimise",),
        ("optimize",),
        ("optimize", "mlp", "--bogus"),
        ("optimize", "mlp", "--workers", "0"),
        ("optimize", "mlp", "--workers", "two"),
        ("optimize", "mlp", "--alignment", "0"),
        ("optimize", "mlp", "--time-limit", "soon"),
        ("optimize", "mlp", "--time-limit", "-1"),
        ("optimize", "mlp", "--time-limit", "nan"),
        ("optimize", "mlp", "--seed", "-1"),
        ("optimize", "mlp", "--algorithm", "best"),
        ("optimize", "mlp", "more"),
        ("solve", "mlp", "--form", "pile"),
        ("convert",),
        ("convert", "mlp"),
        ("convert", "mlp", "x.txt"),
        ("solve", "mlp", "--capacity", "-1"),
        ("solve", "mlp", "--algorithm", "best"),
        ("solve",),
        ("check",),
        ("info",),
        ("info", "mpl"),
        ("show",),
        ("--bogus",),
    ],
    ids=" ".join,
)
def test_bad_usage(memonger, folder, contents, arguments):
    memonger(*arguments).is_error()
    assert contents() == {}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90.0),
        ("60s", 60.0),
        ("1.5m", 90.0),
        ("500ms", 0.5),
        ("2h", 7200.0),
        (" 3 s ", 3.0),
        ("0", 0.0),
    ],
)
def test_durations(text, seconds):
    assert duration(text) == seconds


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, RecursionError])
def test_interruptions_end_in_one_line(memonger, net, contents, monkeypatch, error):
    before = contents()

    def interrupted(*_, **__):
        raise error

    monkeypatch.setattr("memonger.pipeline.optimize", interrupted)
    answer = memonger("optimize", net, "--shapes", "shapes.json", "-o", "out.pb")
    assert answer.code == (130 if error is KeyboardInterrupt else 2)
    assert len(answer.err.strip().splitlines()) == 1
    assert answer.err.strip().startswith("memonger: error: ")
    assert contents() == before


def test_interrupted_while_writing(memonger, net, contents, monkeypatch):
    before = contents()

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    answer = memonger("optimize", net, "--shapes", "shapes.json", "-o", "out.pb")
    assert answer.code == 130
    assert contents() == before


def test_broken_pipe(memonger, monkeypatch):
    def broken(_):
        raise BrokenPipeError

    monkeypatch.setattr("memonger.cli.info.print_json", broken)
    saved = os.dup(1)
    try:
        answer = memonger("info", "--list", "--json")
    finally:
        os.dup2(saved, 1)
        os.close(saved)
    assert (answer.code, answer.err) == (0, "")


def test_a_reader_that_leaves_while_lines_are_printed():
    """A real pipe, closed at its other end before anything is printed."""
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "memonger", "info", "--list"]
    ended = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_a_dash_is_no_file(memonger, net, folder):
    answer = memonger("solve", net, "-o", "-")
    assert (answer.code, "not the name of a file" in answer.err) == (2, True)
    assert not (folder / "-").exists()


@pytest.mark.parametrize("arguments", [("--json",), ()], ids=["json", "table"])
def test_a_reader_that_has_gone(arguments):
    """``memonger info --list | true``: no traceback, however late the pipe breaks."""
    reading, writing = os.pipe()
    os.close(reading)
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    try:
        run = subprocess.run(
            [sys.executable, "-m", "memonger", "info", "--list", *arguments],
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env=environment,
        )
    finally:
        os.close(writing)
    assert (run.returncode, run.stderr) == (0, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
@pytest.mark.parametrize("arguments", [("--json",), ()], ids=["json", "table"])
def test_a_full_disk(arguments):
    with open("/dev/full", "w") as full:
        run = subprocess.run(
            [sys.executable, "-m", "memonger", "info", "--list", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert run.returncode == 2
    assert "Traceback" not in run.stderr
    assert len(run.stderr.splitlines()) == 1


def test_an_error_of_several_lines_is_put_on_one(memonger, folder):
    (folder / "a\nb.pb").write_bytes(b"\xff")
    memonger("info", folder / "a\nb.pb").is_error()


def test_progress_is_silent_when_piped(memonger, problem):
    answer = memonger("solve", problem)
    assert answer.err == ""
    with console.progress("x", quiet=False) as show:
        show(Progress(3, 2, 0.1))
        show(Progress(None, 0, 0.1))


def test_progress_on_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr(console.err, "_force_terminal", True)
    assert console.err.is_terminal
    with console.progress("[/net]", quiet=False) as show:
        show(Progress(None, 0, 0.1))
        show(Progress(1000, 900, 0.1))
        show(Progress(0, 0, 0.1))
    with console.progress("x", quiet=True) as show:
        show(Progress(1000, 900, 0.1))
    assert capsys.readouterr().out == ""


def test_matplotlib_missing(memonger, problem, contents, monkeypatch):
    assert memonger("solve", problem, "--output", "plan.json").code == 0
    before = contents()
    original = builtins.__import__

    def without(name, *rest):
        if name.split(".")[0] == "matplotlib":
            raise ImportError(name)
        return original(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    answer = memonger("show", "plan.json")
    assert answer.is_error() == "matplotlib is not installed: pip install 'memonger[plot]'"
    assert contents() == before


def test_main_exits_with_the_code(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["memonger", "info", "no-such-net"])
    assert main.main() == 2


def test_one_json_object_whatever_the_names(folder):
    """Even a name that no UTF-8 can hold: JSON may escape it, and files may have it."""
    name = 'net "\u00e4" \ud800'
    data = {
        "format": "memonger-problem/1",
        "buffers": [{"name": name, "size": 1, "start": 0, "end": 1}],
    }
    (folder / "p.json").write_text(json.dumps(data))
    run = shell("info", "p.json", "--json", cwd=folder)
    assert (run.returncode, run.stderr) == (0, "")
    assert json.loads(run.stdout)["peak_buffers"][0]["bytes"] == 1
    assert shell("info", "p.json", cwd=folder).returncode == 0


@pytest.mark.parametrize("name", ["[/x]", "[red]", "[", ":smile:", "a\u2028b", "\\[x]"])
def test_names_that_look_like_markup(memonger, folder, name):
    data = {
        "format": "memonger-problem/1",
        "name": name,
        "buffers": [{"name": name, "size": 1, "start": 0, "end": 1}],
    }
    (folder / "[").mkdir()
    path = folder / "[/p].json"
    path.write_text(json.dumps(data))
    for command in (("info", path), ("solve", path)):
        answer = memonger(*command)
        assert answer.code == 0
        assert answer.err == ""
        if command[0] == "info" and name.isprintable():
            assert name in answer.out


def test_targets_are_checked_before_the_work(folder):
    options.check_target(None)
    options.check_target(folder / "new.pb")
    for bad in (folder, folder / "no" / "such.pb"):
        with pytest.raises(package.MemongerError):
            options.check_target(bad)


def test_interrupted_while_modules_load(monkeypatch, capsys):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("memonger.cli.main.main", interrupt)
    monkeypatch.setattr(start, "_listen", lambda: None)
    with pytest.raises(SystemExit) as stopped:
        start.main()
    assert stopped.value.code == 130
    assert capsys.readouterr().err == "memonger: error: interrupted\n"


def test_control_characters_do_not_reach_the_terminal():
    assert console.printable("a\x1b[31m\u202eb") == "a\\x1b[31m\\x202eb"


@pytest.mark.parametrize("workers", [0, 1025, 10**11])
def test_an_odd_number_of_workers(memonger, problem, workers):
    memonger("solve", problem, "--workers", workers).is_error()


def test_a_claim_without_a_certificate_is_called_a_claim(memonger, problem):
    assert memonger("solve", problem, "--output", "plan.json").code == 0
    path = problem.parent / "plan.json"
    data = json.loads(path.read_text())
    data["sharing"] = {name: number for number, name in enumerate(data["sharing"])}
    data["objective"] = data["bound"] = sum(size for size, _, _ in data["buffers"].values())
    data["certificate"], data["proof"] = None, "cp-sat"
    path.write_text(json.dumps(data))
    answer = memonger("check", problem, path)
    assert (answer.code, answer.out.splitlines()[-1][:18]) == (0, "optimal is claimed")
    assert memonger("check", problem, path, "--require-optimal").code == 10
    assert memonger("check", problem, path, "--json").data["proven_optimal"] is False
