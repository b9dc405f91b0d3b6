import csv
import math
import sys
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from memonger.bench.report import write_report
from memonger.bench.rows import Row
from memonger.bench.scores import cases_of, paired_tests, scores_of
from memonger.errors import InputError

LIMIT = {"time_limit": 10.0, "memory_limit": None, "threads": 1}


def row(instance, algorithm, objective, *, seed=0, bound=0, status="feasible", n=5, **values):
    return Row(
        instance=instance,
        family=instance.split("/")[0],
        digest="",
        form="arena",
        order="program",
        algorithm=algorithm,
        parameters=LIMIT,
        seed=seed,
        status=status,
        objective=objective,
        bound=bound,
        n=n,
        seconds=None if objective is None else 1.0,
        history=() if objective is None else ((1.0, objective, bound),),
        **values,
    )


ROWS = [
    *(row(f"x/{k}", "exact", 100, bound=100, status="optimal", n=10 + k) for k in range(8)),
    *(row(f"x/{k}", "poor", 110 + k, n=10 + k) for k in range(8)),
    *(row(f"x/{k}", "equal", 100, n=10 + k) for k in range(7)),
    row("x/7", "equal", 101, n=17),
    row("y/0", "exact", 100, bound=80, n=3),
    row("y/0", "poor", 90, n=3),
    row("y/0", "equal", 120, seed=0, n=3),
    row("y/0", "equal", 140, seed=1, n=3),
    row("y/1", "exact", 50, n=4),
    row("y/1", "poor", None, status="crashed", reason="signal SIGSEGV | <b>", n=4),
    row("y/1", "equal", None, status="skipped", reason="not for it", n=4),
    row("y/2", "exact", None, status="unknown"),
]


@pytest.fixture
def cases():
    return cases_of(ROWS)["arena", "program"]


def test_cases_know_the_best_of_all_runs(cases):
    by_name = {case.instance: case for case in cases}
    assert by_name["x/0"].proven
    assert (by_name["y/0"].best, by_name["y/0"].bound, by_name["y/0"].proven) == (90, 80, False)
    assert by_name["y/0"].cost("equal") == 130
    assert by_name["y/0"].gap("equal") == pytest.approx(62.5)
    assert by_name["y/1"].gap("exact") == 0.0  # no bound: measured from the best
    assert by_name["y/1"].gap("poor") == math.inf
    assert by_name["y/2"].best == math.inf


def test_what_was_known_before_counts():
    (case,) = cases_of([row("x/0", "poor", 110, best_known=100, known_bound=100)])[
        "arena", "program"
    ]
    assert (case.best, case.bound, case.proven) == (100, 100, True)
    assert case.gap("poor") == pytest.approx(10)


def test_rows_that_contradict_each_other():
    rows = [row("x/0", "poor", 100), row("x/0", "exact", 120, bound=120)]
    with pytest.raises(InputError, match="the bound 120 lies above the cost 100"):
        cases_of(rows)


def test_orders_that_differ_are_other_problems():
    """A bound in one order says nothing of plans in another."""
    rows = [
        row("x/0", "poor", 100, planned="one"),
        row("x/0", "exact", 120, bound=120, planned="another"),
    ]
    cases = cases_of(rows)["arena", "program"]
    assert sorted((case.best, case.bound) for case in cases) == [(100, 0), (120, 120)]


def test_runs_with_other_parameters_are_told_apart(tmp_path):
    rows = [row("x/0", "a", 100), row("x/0", "a", 90)]
    rows[1] = replace(rows[1], parameters={**LIMIT, "tuned": "{}", "threads": 2})
    (case,) = cases_of(rows)["arena", "program"]
    assert {name: case.cost(name) for name in case.runs} == {
        "a (threads 1)": 100,
        "a (threads 2, tuned a3a6bf43)": 90,
    }
    write_report(rows, tmp_path)
    assert "| a (threads 2, tuned a3a6bf43) |" in (tmp_path / "report.md").read_text()


def test_scores(cases):
    scores = {score.algorithm: score for score in scores_of(cases)}
    exact, poor, equal = scores["exact"], scores["poor"], scores["equal"]
    assert (exact.cases, exact.solved, exact.skipped) == (10, 10, 0)
    assert (exact.best, exact.alone, exact.optimal) == (9, 2, 8)
    assert exact.gaps == (0.0,) * 8 + (25.0, 0.0)
    assert exact.smallest_miss.instance == "y/0"
    assert (poor.cases, poor.solved, poor.best, poor.alone) == (10, 9, 1, 1)
    assert poor.smallest_miss.instance == "y/1"  # no plan at all is a miss
    assert (equal.cases, equal.skipped, equal.best) == (9, 1, 7)
    assert exact.integral == pytest.approx((8 * 0.1 + (1 + 9 * 0.1) / 10 + 0.1) / 10)
    # Nine runs of a second, and one that was ended at its limit.
    assert poor.seconds == pytest.approx(math.exp((9 * math.log(2) + math.log(11)) / 10) - 1)
    assert [score.algorithm for score in scores_of(cases)] == ["exact", "equal", "poor"]


def test_a_few_differences_may_be_noise(cases):
    found = {test.algorithm: test for test in paired_tests(cases, scores_of(cases))}
    assert {test.against for test in found.values()} == {"exact"}
    poor, equal = found["poor"].comparison, found["equal"].comparison
    assert (poor.pairs, poor.better, poor.worse) == (9, 1, 8)
    assert (equal.pairs, equal.better, equal.worse) == (10, 0, 3)  # both seeds of y/0
    assert found["poor"].p == min(1.0, 2 * poor.p)
    assert found["equal"].p > 0.05


def test_of_two_rows_of_one_run_the_last_counts():
    cases = cases_of([row("x/0", "a", 9), row("x/0", "a", 7)])["arena", "program"]
    assert cases[0].best == 7


class Names(HTMLParser):
    """Collects the elements of a page."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found.append(tag)
        if tag not in ("a", "use", "image"):
            assert not {"src", "href"} & {name for name, _ in attrs}
        for name, value in attrs:
            if name.endswith("href"):
                assert value.startswith(("#", "data:"))


def test_the_files(tmp_path):
    pytest.importorskip("matplotlib")
    files = write_report(ROWS, tmp_path / "a" / "b")
    assert all(path.parent == tmp_path / "a" / "b" for path in files)
    page = (tmp_path / "a" / "b" / "report.html").read_text()
    names = Names()
    names.feed(page)
    assert names.found.count("svg") == 2
    assert names.found.count("table") == 5
    assert "b" not in names.found  # the reason of a crash is text
    text = (tmp_path / "a" / "b" / "report.md").read_text()
    assert "signal SIGSEGV \\| &lt;b&gt;" in text
    assert "| exact | 10 | 10 | 0 | 9 | 2 | 8 |" in text
    with open(tmp_path / "a" / "b" / "arena-summary.csv") as file:
        summary = list(csv.DictReader(file))
    assert [entry["algorithm"] for entry in summary] == ["exact", "equal", "poor"]
    with open(tmp_path / "a" / "b" / "runs.csv") as file:
        assert len(list(csv.reader(file))) == len(ROWS) + 1
    before = page
    write_report(ROWS, tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b" / "report.html").read_text() == before


def test_without_matplotlib_the_tables_remain(tmp_path, monkeypatch):
    for module in ("matplotlib.figure", "matplotlib.backends.backend_svg"):
        monkeypatch.setitem(sys.modules, module, None)
    write_report(ROWS, tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "<svg" not in page
    assert page.count("<table>") == 5


def test_no_rows(tmp_path):
    with pytest.raises(InputError, match="no rows"):
        write_report([], tmp_path)


def test_nobody_has_a_plan(tmp_path):
    write_report([row("x/0", "a", None, status="unknown")], tmp_path)
    assert "| a | 0 | 0 |" in (tmp_path / "report.md").read_text()
