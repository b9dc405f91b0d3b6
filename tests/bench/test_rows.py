import json

import pytest

from memonger.bench.instances import Instance
from memonger.bench.row_file import RowFile, read_rows
from memonger.bench.rows import Job, Outcome, Row, unfinished
from memonger.errors import InputError


@pytest.fixture
def job(easy):
    return Job(easy, "sharing", "by-size", time_limit=1.0)


def row(job, **values):
    return Row.of(job, Outcome.FEASIBLE, objective=12, history=((0.5, 12, 4),), **values)


def test_a_row_survives_the_file(tmp_path, job):
    file = RowFile(tmp_path / "runs.jsonl")
    file.append(row(job))
    file.close()
    (found,) = read_rows(tmp_path / "runs.jsonl")
    assert found == row(job)
    assert found.key == job.key
    assert Job.from_json(job.to_json()) == job


def test_what_is_known_is_known_of_program_order():
    """Another order is another problem."""
    known = Instance("a/b", "a", "b", best_known=(("arena", 10, 9), ("order", 8, 8)))
    for form, order, expected in (
        ("arena", "program", (10, 9)),
        ("order", "", (8, 8)),
        ("arena", "optimal", (None, 0)),
        ("sharing", "program", (None, 0)),
    ):
        job = Job(known, form, "x", order=order)
        found = Row.of(Job.from_json(job.to_json()), Outcome.FEASIBLE)
        assert (found.best_known, found.known_bound) == expected
        assert Job.from_json(job.to_json()) == job


def test_a_torn_last_line_is_cut_off(tmp_path, job):
    path = tmp_path / "runs.jsonl"
    file = RowFile(path)
    file.append(row(job))
    file.close()
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:-20])
    assert len(read_rows(path)) == 1
    file = RowFile(path)
    assert path.read_bytes() == whole
    file.append(row(job))
    file.close()
    assert path.read_bytes() == 2 * whole


@pytest.mark.parametrize("line", ["{", "[]", "3", '{"instance": "a"}', "", "[" * 100_000])
def test_another_file_is_refused_and_left_alone(tmp_path, line):
    path = tmp_path / "runs.jsonl"
    path.write_text(line + "\ntorn")
    with pytest.raises(InputError, match="line 1 is no row"):
        RowFile(path)
    assert path.read_text() == line + "\ntorn"


def test_one_benchmark_at_a_time(tmp_path):
    file = RowFile(tmp_path / "runs.jsonl")
    with pytest.raises(InputError, match="another benchmark"):
        RowFile(tmp_path / "runs.jsonl")
    file.close()
    RowFile(tmp_path / "runs.jsonl").close()


def test_a_full_disk_leaves_no_part_of_a_row(tmp_path, job, monkeypatch):
    path = tmp_path / "runs.jsonl"
    file = RowFile(path)
    file.append(row(job))
    whole, write = path.read_bytes(), __import__("os").write
    monkeypatch.setattr("os.write", lambda handle, data: write(handle, data[:10]))
    with pytest.raises(InputError, match="no space left"):
        file.append(row(job))
    file.close()
    assert path.read_bytes() == whole


def test_what_is_done_is_not_asked_for_again(easy, tmp_path):
    jobs = [Job(easy, "arena", "dives", seed) for seed in (0, 1, 1, 2)]
    file = RowFile(tmp_path / "runs.jsonl")
    file.append(row(jobs[0]))
    assert [job.seed for job in unfinished(jobs, file.done())] == [1, 2]
    file.close()


@pytest.mark.parametrize(
    "change",
    [{"time_limit": 2.0}, {"memory_limit": 5}, {"threads": 2}, {"order": "optimal"}, {"seed": 1}],
)
def test_other_parameters_are_other_runs(job, change):
    other = Job(**{**{name: getattr(job, name) for name in job.__dataclass_fields__}, **change})
    assert other.key != job.key
    assert row(other).key == other.key


def test_unknown_fields_of_later_versions_are_passed_over(tmp_path, job):
    path = tmp_path / "runs.jsonl"
    file = RowFile(path)
    file.append(row(job))
    file.close()
    data = {**json.loads(path.read_text()), "colour": "green"}
    path.write_text(json.dumps(data) + "\n")
    assert read_rows(path) == [row(job)]
