import contextlib
import itertools
import json
import signal

import pytest

from memonger.autopsy import autopsy, picture, pictures, search, small_buffers, small_graphs
from memonger.autopsy.subject import subject
from memonger.cli.main import run
from memonger.errors import InputError, MemongerError, PlanError
from memonger.forms import FORMS
from memonger.instances.order_json import order_from_json
from memonger.instances.plan_json import plan_from_json
from memonger.order_problem import Allocation, OrderProblem
from memonger.plan import OrderPlan, SharingPlan
from memonger.problem import Buffer, Problem
from memonger.registry import SHARING, Algorithm, OrderRun, Outcome
from memonger.stop import Deadline
from memonger.verify import verify_order, verify_sharing
from tests.oracles import optimum, smallest_peak
from tests.stand_alone import CHECKER, ORDER_CHECKER


def rows(problem):
    return [(b.size, b.start, b.end) for b in problem.buffers]


def searching(name, form="sharing", seed=0):
    return search.Search(subject(name, form), seed, Deadline(None))


def least_peak(problem):
    """Brute force over all orders."""
    return min(
        problem.peak(order)
        for order in itertools.permutations(range(len(problem)))
        if all(order.index(a) < order.index(b) for a, b in problem.precedence.tolist())
    )


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
    before = small_buffers.all_problems(len(problem))
    for each in itertools.takewhile(lambda p: rows(p) != rows(problem), before):
        assert searching(name).missed(each) is None


@pytest.mark.parametrize("name", ["canonical-a", "first-fit-size", "tflite-micro-greedy"])
def test_arenas(name):
    found = autopsy(name, "arena")
    problem = found.miss.problem
    assert FORMS["arena"].verify(problem, found.miss.plan) == found.miss.cost
    assert found.miss.cost > found.miss.best.objective == smallest_peak(problem)


@pytest.mark.parametrize("name", ["program", "change", "liu", "longest-path"])
def test_orders(name):
    """Brute force: the optimum is lower, and no graph that comes before is missed."""
    found = autopsy(name, "order")
    problem = found.miss.problem
    assert found.smallest
    assert "no problem of fewer operators" in found.claim
    assert verify_order(problem, found.miss.plan) == found.miss.cost
    assert found.miss.cost > found.miss.best.objective == least_peak(problem)
    for each in small_graphs.all_problems(len(problem)):
        if each.allocations == problem.allocations:
            break
        own = searching(name, "order").subject.run(each, OrderRun(Deadline(None)))
        assert each.peak(own.order) == least_peak(each)


def test_graphs_that_are_drawn_are_made_smaller(monkeypatch):
    monkeypatch.setattr(search, "MAX_COUNT", 1)
    found = autopsy("change", "order", seed=1)
    assert (found.smallest, found.complete) == (False, 1)
    assert found.miss.best.objective == least_peak(found.miss.problem)
    steps = list(small_graphs.smaller_problems(found.miss.problem))
    assert all(searching("change", "order", seed=1).missed(step) is None for step in steps)
    assert "no operator and no reader can be left out" in found.claim


def test_all_graphs_are_all():
    """Counted in another way: sizes up to 3, and each earlier operator read or not."""
    found = [p.allocations for p in small_graphs.all_problems(3)]
    assert len(set(found)) == len(found) == (4**3 - 1) * 2**3
    peaks = [max(held.size for held in allocations) for allocations in found]
    assert peaks == sorted(peaks)


def test_graphs_one_step_smaller():
    problem = OrderProblem(
        ("a", "b", "c"),
        (),
        (Allocation("a", 1, 0, (1, 2)), *(Allocation(n, 0, k) for n, k in (("b", 1), ("c", 2)))),
    )
    found = [
        [(held.size, held.readers) for held in each.allocations]
        for each in small_graphs.smaller_problems(problem)
    ]
    none = (0, ())
    assert found == [
        [none, none],
        [(1, (1,)), none],
        [(1, (1,)), none],
        [(1, (2,)), none, none],
        [(1, (1,)), none, none],
        [(0, (1, 2)), none, none],
        [(0, (1, 2)), none, none],
    ]


def test_nothing_is_missed_by_what_proves():
    found = autopsy("optimal", time_limit=3)
    assert found.miss is None
    assert found.tried > 100
    assert f"all those of up to {found.complete} buffers" in found.claim


def test_problems_that_are_drawn_are_made_smaller(monkeypatch):
    monkeypatch.setattr(search, "MAX_COUNT", 1)
    found = autopsy("by-size", seed=3)
    assert (found.smallest, found.complete) == (False, 1)
    steps = small_buffers.smaller_problems(found.miss.problem)
    assert all(searching("by-size", seed=3).missed(step) is None for step in steps)
    assert rows(autopsy("by-size", seed=3).miss.problem) == rows(found.miss.problem)


def test_what_was_cut_short_is_not_called_minimal(monkeypatch):
    monkeypatch.setattr(search, "MAX_COUNT", 1)
    whole = autopsy("by-size", seed=3)
    assert whole.minimal
    shrinking = search.Search.smaller

    def hurried(self, miss):
        self.deadline.stop()
        return shrinking(self, miss)

    monkeypatch.setattr(search.Search, "smaller", hurried)
    found = autopsy("by-size", seed=3)
    assert (found.minimal, found.interrupted) == (False, True)
    assert "not made as small as it could be" in found.claim


def test_what_is_too_large_to_be_drawn_is_told(monkeypatch, capsys):
    monkeypatch.setattr(pictures, "MAX_ROWS", 2)
    assert run(["autopsy", "by-size"]) == 0
    out = capsys.readouterr().out
    assert "(the plan is too large for a picture of characters)" in out
    assert "no problem of fewer buffers" in " ".join(out.split())


def test_nothing_tried():
    assert autopsy("by-size", time_limit=0).claim == "nothing was tried in the time"


def test_ctrl_c_that_an_algorithm_keeps_to_itself(registered):
    """It ends the search all the same."""
    before = signal.getsignal(signal.SIGINT)

    def algorithm(problem, run):
        if len(problem) == 3:
            with contextlib.suppress(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        return SHARING.get("optimal").run(problem, run)

    registered(algorithm)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        found = autopsy("mine")
    finally:
        signal.signal(signal.SIGINT, before)
    assert (found.interrupted, found.miss, found.complete) == (True, None, 2)


def test_all_rows_are_all():
    """Counted in another way: every choice of live ranges and sizes, as multisets."""
    found = list(small_buffers.all_rows(2))
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
    [
        ("nothing", "sharing", "known: none, caffe2-greedy"),
        ("nothing", "order", "known: program"),
        ("optimal", "colour", "known: sharing, arena, order"),
    ],
)
def test_errors(name, form, message):
    with pytest.raises(InputError, match=message):
        autopsy(name, form)


def test_pictures():
    problem = Problem((Buffer("a", 2, 0, 1), Buffer("b", 1, 0, 2)))
    assert picture(problem, SharingPlan((0, 1))) == "bbbbbb\naaa...\naaa..."


def test_pictures_of_orders():
    problem = OrderProblem(("p", "q"), (), (Allocation("a", 2, 0, (1,)), Allocation("b", 1, 1)))
    assert picture(problem, OrderPlan((0, 1))) == "...bbb\naaaaaa\naaaaaa\n p  q "
    large = OrderProblem(("p",), (), (Allocation("a", 61, 0),))
    with pytest.raises(MemongerError, match="too large"):
        picture(large, OrderPlan((0,)))


def test_orders_from_the_command_line(tmp_path, capsys):
    target = tmp_path / "found"
    assert run(["autopsy", "change", "--form", "order", "-o", str(target), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["n"], data["cost"], data["optimum"], data["complete_to_operators"]) == (4, 3, 2, 3)
    for name, cost in (("plan", 3), ("best", 2)):
        plan = json.loads((target / f"{name}.json").read_text())
        assert order_from_json(plan).objective == cost
        assert ORDER_CHECKER.check(plan)
    assert run(["solve", str(target / "best.json"), "--form", "order", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["objective"] == 2
    assert run(["autopsy", "change", "--form", "order"]) == 0
    assert "d: 0 bytes, read by nobody" in capsys.readouterr().out


def test_from_the_command_line(tmp_path, capsys, monkeypatch):
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
