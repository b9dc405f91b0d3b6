"""What people do to benchmarks, tunings and autopsies by mistake."""

import json
import os
import zlib

import pytest

from memonger.bench import isolation
from memonger.bench.row_file import read_rows
from memonger.cli.bench import size
from memonger.cli.main import run
from memonger.errors import InputError

CHURN = ["bench", "churn-12", "--forms", "arena", "--time-limit", "2s", "-q"]


def refused(capsys, arguments, message):
    capsys.readouterr()
    assert run(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("content", ['{"precious": "data"}', "id,lower,upper,size", "x\n"])
def test_a_file_of_something_else_is_kept(tmp_path, capsys, content):
    target = tmp_path / "runs.jsonl"
    target.write_text(content)
    refused(capsys, [*CHURN, "-o", str(target)], "no row of a benchmark")
    assert target.read_text() == content


def test_a_torn_first_row_is_cut_off(tmp_path):
    target = tmp_path / "runs.jsonl"
    target.write_text('{"instance": "churn/chu')
    assert run([*CHURN, "--algorithms", "canonical-a", "-o", str(target)]) == 0
    assert [row.algorithm for row in read_rows(target)] == ["canonical-a"]


def test_rows_go_to_regular_files(tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe")
    refused(capsys, [*CHURN, "-o", str(tmp_path / "pipe")], "regular files only")


@pytest.mark.parametrize("field", ['"objective": "5"', '"parameters": null', '"n": 1.5'])
def test_rows_of_other_types(tmp_path, capsys, field):
    target = tmp_path / "runs.jsonl"
    assert run([*CHURN, "--algorithms", "canonical-a", "-o", str(target)]) == 0
    name = field.split(":")[0]
    row = target.read_text().replace(name, '"unknown"', 1)
    target.write_text(row.rstrip()[:-1] + ", " + field + "}\n")
    refused(capsys, ["report", str(target), "-o", str(tmp_path / "r")], "line 1 is no row")


@pytest.mark.parametrize("option", ["--forms", "--algorithms", "--orders"])
def test_lists_of_nothing(tmp_path, capsys, option):
    arguments = [*CHURN, option, " , ", "-o", str(tmp_path / "r.jsonl")]
    refused(capsys, arguments, f"{option}: no name is given")


def test_repeated_names_count_once(tmp_path, capsys):
    names = ["--algorithms", "canonical-a,canonical-a", "--forms", "arena,arena", "--json"]
    assert run([*CHURN, *names, "-o", str(tmp_path / "r.jsonl")]) == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["runs"], data["done_before"], data["done_now"]) == (1, 0, 1)


def test_sizes_are_exact():
    assert size("9007199254740993") == 9007199254740993
    for text in ("9" * 400, f"{1 << 62}"):
        with pytest.raises(Exception, match="2\\^62"):
            size(text)


def test_memory_without_end(tmp_path):
    target = tmp_path / "r.jsonl"
    limit = ["--memory-limit", "4000000TB", "--algorithms", "canonical-a"]
    assert run([*CHURN, *limit, "-o", str(target)]) == 0
    assert [row.status for row in read_rows(target)] == ["feasible"]


def test_a_server_that_cannot_start(tmp_path, monkeypatch, capsys):
    """The benchmark ends, and no run counts as done."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\nsys.stderr.write('out of order\\n')\nsys.stderr.flush()\nos._exit(3)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    isolation.stop_servers()
    target = tmp_path / "r.jsonl"
    arguments = [*CHURN, "--algorithms", "canonical-a", "-o", str(target)]
    refused(capsys, arguments, "no process can be started for runs: out of order")
    assert read_rows(target) == []
    monkeypatch.delenv("PYTHONPATH")
    assert run(arguments) == 0
    assert len(read_rows(target)) == 1


def test_names_and_files_that_cannot_be_read(tmp_path, capsys):
    target = ["-o", str(tmp_path / "r.jsonl")]
    refused(capsys, ["bench", "x" * 300, *target], "File name too long")
    folder = tmp_path / "corrupt"
    folder.mkdir()
    packed = zlib.compressobj(wbits=31)
    data = packed.compress(b'{"format": "memonger-problem/1"' * 500) + packed.flush()
    (folder / "a.json.gz").write_bytes(data[:30] + b"\xff" * 20 + data[50:])
    refused(capsys, ["bench", str(folder), *target], "no instance in it")


def test_names_that_are_no_text(tmp_path):
    folder = tmp_path / "odd"
    folder.mkdir()
    (folder / os.fsdecode(b"a\xff.csv")).write_text("id,lower,upper,size\na,0,2,8\n")
    runs = tmp_path / "r.jsonl"
    some = ["--forms", "arena", "--algorithms", "canonical-a", "-q"]
    assert run(["bench", str(folder), *some, "-o", str(runs)]) == 0
    assert run(["report", str(runs), "-o", str(tmp_path / "report"), "-q"]) == 0
    assert "a\\udcff.csv" in (tmp_path / "report" / "report.md").read_text()


def test_rows_that_are_there_improve_nothing(tmp_path, capsys):
    arguments = [*CHURN[:-1], "--algorithms", "canonical-a", "-o", str(tmp_path / "r.jsonl")]
    assert run(arguments) == 0
    known = ["--update-best-known", "--best-known", str(tmp_path / "known")]
    capsys.readouterr()
    assert run([*arguments, *known]) == 0
    assert "they improve nothing" in capsys.readouterr().err


def test_tuning_on_what_cannot_be_read(tmp_path, capsys):
    for number in range(4):
        (tmp_path / f"g{number}.pb").write_bytes(b"garbage %d \x01\x02" % number)
    files = [str(tmp_path / f"g{number}.pb") for number in range(4)]
    arguments = ["tune", *files, "--trials", "2", "-o", str(tmp_path / "t")]
    refused(capsys, arguments, "no run has a plan")
    assert not (tmp_path / "t" / "parameters.json").exists()


def test_a_study_in_a_folder_of_an_odd_name(tmp_path, capsys):
    arguments = ["tune", "churn-12", "churn-14", "--trials", "1", "-o", str(tmp_path / "q?x")]
    refused(capsys, arguments, "no name for the folder of a study")


@pytest.mark.parametrize("plan", ["", "/", "."])
def test_plans_without_a_name(capsys, plan):
    refused(capsys, ["show", plan], "a plan is a file")


def test_show_and_explain_for_programs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(["solve", "churn-12", "--form", "arena", "-o", "plan.json", "-q"]) == 0
    assert run(["show", "plan.json", "-o", "plan.svg", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data == {
        "output": "plan.svg",
        "plans": ["plan.json"],
        "bytes": (tmp_path / "plan.svg").stat().st_size,
    }
    assert run(["explain", "churn-12", "--budget", "1", "--quiet"]) == 4
    assert capsys.readouterr().out == ""


def test_a_zero_is_no_missing_objective():
    from memonger.bench.trial import History
    from memonger.registry import Progress

    history = History()
    history.report(Progress(0, 0, 0.0))
    history.report(Progress(5, 0, 0.0))
    assert [cost for _, cost, _ in history.points] == [0]


def test_broken_servers_are_errors_of_input():
    from concurrent.futures import Future

    from memonger.bench.instances import Instance
    from memonger.bench.rows import Job
    from memonger.bench.runner import _row_of

    future: Future[object] = Future()
    future.set_exception(isolation.BrokenServerError("broken"))
    with pytest.raises(InputError, match="broken"):
        _row_of(Job(Instance("a/b", "a", "b"), "arena", "x"), future)
