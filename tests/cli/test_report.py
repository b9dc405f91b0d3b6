import json


def test_report_of_a_benchmark(memonger, problem):
    answer = memonger(
        "bench", problem, "--forms", "sharing", "--algorithms", "none", "-o", "r", "-q"
    )
    assert (answer.code, answer.out) == (0, "")
    data = memonger("report", "r", "-o", "report", "--json").data
    assert data["rows"] == 1
    assert "report/report.html" in data["files"]
    assert "| none | 1 | 1 |" in (problem.parent / "report" / "report.md").read_text()


def test_what_is_no_report(memonger, problem, contents):
    before = contents()
    assert "line 1 is no row" in memonger("report", _with_newline(problem), "-o", "d").is_error()
    assert "No such file" in memonger("report", "nothing.jsonl", "-o", "d").is_error()
    assert "is no directory" in memonger("report", problem, "-o", problem / "d").is_error()
    assert contents().keys() == before.keys()


def _with_newline(path):
    path.write_text(json.dumps(json.loads(path.read_text())) + "\n")
    return path
