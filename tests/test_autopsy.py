import itertools
import json

import pytest

from memonger import autopsy as module
from memonger.autopsy import autopsy, picture
from memonger.errors import InputError, PlanError
from memonger.forms import FORMS, SHARING_FORM
from memonger.instances.plan_json import plan_from_json
from memonger.plan import SharingPlan
from memonger.problem import Buffer, Problem
from memonger.registry import SHARING, Algorithm, Outcome
from memonger.verify import verify_sharing
from tests.oracles import optimum, smallest_peak
from tests.stand_alone import CHECKER


def rows(problem):
    return [(b.size, b.start, b.end) for b in problem.buffers]


def test_the_dp_that_is_said_to_be_optimal():
    found = autopsy("caffe2-dp")
    assert rows(found.miss.problem) == [(2, 0, 1), (1, 1, 2), (2, 1, 3), (1, 2, 3)]
    assert (
        (found.miss.cost, found.miss.best.objective) == (4, optimum(found.miss.problem)) == (4, 3)
    )
    assert found.smallest
    assert "no problem of fewer buffers" in found.claim


@pytest.mark.parametrize("name", ["caffe2-greedy", "by-size", "sweep", "by-breadth", "best-fit"])
def test_counterexamples_are_right_and_smallest(name):
    """Brute force: the optimum is lower, and no problem that comes before is missed."""
    found = autopsy(name)
    assert found.smallest
    problem = found.miss.problem
    assert verify_sharing(problem, found.miss.plan) == found.miss.cost > optimum(problem)
    search = module._Search(SHARING_FORM, SHARING.get(name), 0, module.Deadline(None))
    before = map(module._problem, module._all_rows(len(problem)))
    for each in itertools.takewhile(lambda p: rows(p) != rows(problem), before):
        assert search.missed(each) is None


@pytest.mark.parametrize("name", ["canonical-a", "first-fit-size", "tflite-micro-greedy"])
def test_arenas(name):
    found = autopsy(name, "arena")
    problem = found.miss.problem
    assert FORMS["arena"].verify(problem, found.miss.plan) == found.miss.cost
    assert found.miss.cost > found.miss.best.objective == smallest_peak(problem)


def test_nothing_is_missed_by_what_proves():
    found = autopsy("optimal", time_limit=3)
    assert found.miss is None
    assert found.tried > 100
    assert f"all those of up to {found.complete} buffers" in found.claim


def test_problems_that_are_drawn_are_made_smaller(monkeypatch):
    monkeypatch.setattr(module, "MAX_BUFFERS", 1)
    found = autopsy("by-size", seed=3)
    assert (found.smallest, found.complete) == (False, 1)
    search = module._Search(SHARING_FORM, SHARING.get("by-size"), 3, module.Deadline(None))
    assert all(search.missed(step) is None for step in module._steps(found.miss.problem))
    assert rows(autopsy("by-size", seed=3).miss.problem) == rows(found.miss.problem)


def test_all_rows_are_all():
    """Counted in another way: every choice of live ranges and sizes, as multisets."""
    found = list(module._all_rows(2))
    assert len(set(found)) == len(found)
    ranges = [(s, e) for s in range(2) for e in range(s + 1, 3)]
    every = {
        tuple(sorted(pair))
        for pair in itertools.product(itertools.product(ranges, (1, 2, 3)), repeat=2)
    }
    assert {tuple(sorted(((s, e), z) for s, e, z in pair)) for pair in found} == every


@pytest.fixture
def registered():
    """Return a function that registers an algorithm for this test."""
    added = []

    def register(run):
        added.append(SHARING.add(Algorithm("mine", "for a test", run)).name)

    yield register
    for name in added:
        del SHARING._algorithms[name]


def test_an_invalid_plan_is_a_defect(registered):
    registered(lambda problem, run: Outcome(SharingPlan((0,) * len(problem))))
    with pytest.raises(PlanError, match="mine: an invalid plan"):
        autopsy("mine")


def test_giving_up_is_no_miss(registered):
    registered(lambda problem, run: Outcome(None))
    assert autopsy("mine", time_limit=0.5).miss is None


def test_ctrl_c_keeps_what_was_found(registered):
    def algorithm(problem, run):
        if len(problem) == 3:
            raise KeyboardInterrupt
        return SHARING.get("optimal").run(problem, run)

    registered(algorithm)
    found = autopsy("mine")
    assert (found.interrupted, found.miss, found.complete) == (True, None, 2)


@pytest.mark.parametrize(
    ("name", "form", "message"),
    [("nothing", "sharing", "known: none, caffe2-greedy"), ("optimal", "order", "not 'order'")],
)
def test_errors(name, form, message):
    with pytest.raises(InputError, match=message):
        autopsy(name, form)


def test_pictures():
    problem = Problem((Buffer("a", 2, 0, 1), Buffer("b", 1, 0, 2)))
    assert picture(problem, SharingPlan((0, 1))) == "bbbbbb\naaa...\naaa..."


def test_from_the_command_line(tmp_path, capsys, monkeypatch):
    from memonger.cli.main import run

    monkeypatch.chdir(tmp_path)
    assert run(["autopsy", "caffe2-greedy", "-o", "found", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["n"], data["cost"], data["optimum"], data["smallest"]) == (3, 4, 3, True)
    for name, cost in (("plan", 4), ("best", 3)):
        plan = json.loads((tmp_path / "found" / f"{name}.json").read_text())
        assert plan_from_json(plan).objective == cost
        assert CHECKER.check(plan, json.loads((tmp_path / "found" / "problem.json").read_text()))
    assert run(["autopsy", "caffe2-greedy"]) == 0
    assert "aaabbb" in capsys.readouterr().out
    assert run(["autopsy", "optimal", "--time-limit", "1s"]) == 5
    assert run(["autopsy", "nothing"]) == 2
