"""``solve --form order`` and ``check`` of orders; both checkers of plan files."""

import copy
import importlib.util
import json
import math
import random
from pathlib import Path

import pytest

from memonger.cli.main import run
from memonger.cli.order import check_order
from memonger.errors import InputError, MemongerError
from memonger.instances.order_json import order_from_json, order_to_json
from memonger.instances.plan_json import plan_from_json
from memonger.solver.background import Background
from memonger.solver.order import solve_order
from tests.order_oracles import least_peak, random_order_problem

PATH = Path(__file__).parents[2] / "scripts" / "check_order_certificate.py"
GRAPH = {
    "format": "memonger-graph/1",
    "meta": {"name": "fork"},
    "tensors": {
        "name": ["in", "a", "b", "view", "sum a", "sum b", "out", "empty"],
        "bytes": [4, 90, 90, 90, 1, 1, 2, 0],
        "kind": list("iaaaaaoa"),
        "alias": [-1, -1, -1, 2, -1, -1, -1, -1],
    },
    "ops": [
        ["load a", "Load", [0], [1]],
        ["load b", "Load", [0], [2]],
        ["look", "Reshape", [2], [3], "v"],
        ["sum a", "Sum", [1], [4]],
        ["sum b", "Sum", [3, 4], [5]],
        ["add", "Add", [4, 5], [6, 7]],
    ],
}


@pytest.fixture(scope="module")
def checker():
    spec = importlib.util.spec_from_file_location("check_order_certificate", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def graph(tmp_path):
    path = tmp_path / "fork.json"
    path.write_text(json.dumps(GRAPH))
    return str(path)


def test_a_graph_is_put_in_order(graph, tmp_path, capsys, checker):
    plan = tmp_path / "order.json"
    arguments = ["solve", graph, "--form", "order", "-o", str(plan), "--json"]
    assert run([*arguments, "--require-optimal"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["form"], found["status"], found["proof"]) == ("order", "optimal", "cut")
    assert (found["program_order"], found["objective"], found["n"]) == (181, 92, 6)
    assert run(["check", graph, str(plan), "--require-optimal"]) == 0
    assert "certificate proves a bound of 92 bytes" in capsys.readouterr().out
    assert run(["check", str(plan), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["certified_bound"] == 92
    assert checker.main([str(plan)]) == 0
    assert "certified bound 92" in capsys.readouterr().out
    assert run(["solve", str(plan), "--form", "order", "--hint", str(plan), "-q"]) == 0


def test_outputs_and_alignment_count_when_asked_for(graph, capsys):
    arguments = ["solve", graph, "--form", "order", "--json"]
    assert run([*arguments, "--planned", "activations+outputs"]) == 0
    assert json.loads(capsys.readouterr().out)["allocations"] == 5
    assert run([*arguments, "--alignment", "64"]) == 0
    assert json.loads(capsys.readouterr().out)["objective"] == 128 + 64 + 64
    assert run(["solve", graph, "--form", "order"]) == 0
    assert "lower bound, any order" in capsys.readouterr().out


@pytest.mark.parametrize("algorithm", ["program", "topological", "longest-path", "min-memory"])
def test_heuristics_by_name(graph, capsys, algorithm):
    assert run(["solve", graph, "--form", "order", "--algorithm", algorithm, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["status"] == "feasible"
    assert found["objective"] >= 92


def test_a_net_is_put_in_order(capsys, tmp_path):
    plan = tmp_path / "order.json"
    assert run(["solve", "mlp", "--form", "order", "-o", str(plan), "--json-lines"]) == 0
    *lines, last = map(json.loads, capsys.readouterr().out.splitlines())
    assert lines
    assert lines[-1]["objective"] == last["objective"]
    assert run(["check", "mlp", str(plan)]) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--capacity", "9"], "--capacity is not for --form order"),
        (["--unpin"], "--unpin is not for --form order"),
        (["--algorithm", "dp"], "unknown order 'dp'; known: program"),
        (["--sizes", "x.json"], "are for nets"),
        (["-o", "/nowhere/x.json"], "there is no directory"),
    ],
)
def test_options_that_mean_nothing_are_refused(graph, capsys, options, message):
    assert run(["solve", graph, "--form", "order", *options]) == 2
    assert message in capsys.readouterr().err


def test_input_without_operators_is_refused(tmp_path, capsys):
    path = tmp_path / "problem.json"
    path.write_text(json.dumps({"format": "memonger-problem/1", "buffers": []}))
    table = tmp_path / "problem.csv"
    table.write_text("id,lower,upper,size\na,0,1,1\n")
    for source in (path, table):
        assert run(["solve", str(source), "--form", "order"]) == 2
        assert (
            "no operators to put in order: that takes a graph or a net" in capsys.readouterr().err
        )


@pytest.mark.parametrize("form", ["arena", "sharing"])
def test_buffers_are_planned_in_the_best_order_and_checked_in_it(graph, tmp_path, capsys, form):
    plan = tmp_path / "plan.json"
    arguments = ["solve", graph, "--form", form, "--json", "--workers", "1"]
    assert run(arguments) == 0
    before = json.loads(capsys.readouterr().out)["objective"]
    assert run([*arguments, "--order", "optimal", "-o", str(plan)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (before, found["objective"]) == (181, 92)
    assert found["order"] == json.loads(plan.read_text())["order"]
    assert run(["check", graph, str(plan), "--require-optimal"]) == 0
    data = json.loads(plan.read_text())
    for changed, message in (([1, 0, 2, 3, 4, 5], "is (size"), ([5, 0, 1, 2, 3, 4], "must wait")):
        plan.write_text(json.dumps(data | {"order": changed}))
        assert run(["check", graph, str(plan)]) == 3
        assert message in capsys.readouterr().err
    plan.write_text(json.dumps(data | {"order": "abc"}))
    assert run(["check", graph, str(plan)]) == 2


def test_nets_are_planned_in_the_best_order(tmp_path, capsys):
    plan = tmp_path / "plan.json"
    for name in ("mlp-train", "mlp"):
        assert run(["solve", name, "--form", "arena", "--order", "optimal", "-o", str(plan)]) == 0
        assert run(["check", name, str(plan)]) == 0
        capsys.readouterr()
    assert run(["solve", "mlp-train", "--order", "longest-path", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["order"]) == 21
    for more in (["--capacity", "5"], ["--hint", str(plan)]):
        assert run(["solve", "mlp", "--order", "optimal", *more]) == 2
        assert "they go with program order" in capsys.readouterr().err


def test_a_plan_for_other_operators_is_refused(graph, tmp_path, capsys):
    plan = tmp_path / "order.json"
    assert run(["solve", graph, "--form", "order", "-o", str(plan), "-q"]) == 0
    changes = {
        "dependencies": lambda data: data["ops"][3][2].append(3),
        "allocation 'sum a'": lambda data: data["tensors"]["bytes"].__setitem__(4, 2),
        "the plan is for 6": lambda data: data["ops"].append(["end", "Stop", [], []]),
    }
    for message, change in changes.items():
        data = copy.deepcopy(GRAPH)
        change(data)
        other = tmp_path / "other.json"
        other.write_text(json.dumps(data))
        assert run(["check", str(other), str(plan)]) == 3
        assert message in capsys.readouterr().err
    assert run(["solve", "mlp", "--form", "order", "--hint", str(plan)]) == 2
    assert "no order for this problem" in capsys.readouterr().err


def test_a_plan_is_described_and_drawn(graph, tmp_path, capsys):
    plan, picture = tmp_path / "order.json", tmp_path / "order.svg"
    assert run(["solve", graph, "--form", "order", "-o", str(plan), "-q"]) == 0
    capsys.readouterr()
    assert run(["info", str(plan), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["operators"], found["program_order"], found["objective"]) == (6, 181, 92)
    assert run(["info", str(plan)]) == 0
    assert "peak in program order" in capsys.readouterr().out
    pytest.importorskip("matplotlib")
    assert run(["show", str(plan), "-o", str(picture), "-q"]) == 0
    assert "<svg" in picture.read_text()
    assert run(["convert", str(plan), str(tmp_path / "order.csv")]) == 2
    assert "an order places no buffers" in capsys.readouterr().err


def test_plan_files_round_trip_and_both_checkers_agree(checker, tmp_path):
    """Also on files in which something is changed; what both accept is right."""
    accepted = refused = 0
    for seed in range(60):
        rng = random.Random(seed)
        problem = random_order_problem(rng, rng.randint(2, 8))
        data = json.loads(json.dumps(order_to_json(problem, solve_order(problem))))
        assert order_to_json(problem, solve_order(problem)) == data
        assert order_from_json(data).problem.allocations == problem.allocations
        for changed in (data, *(_changed(rng, data) for _ in range(12))):
            path = tmp_path / "plan.json"
            path.write_text(json.dumps(changed))
            ours = True
            try:
                check_order(str(path), None)
            except MemongerError:
                ours = False
            theirs = checker.main([str(path)]) == 0
            assert ours == theirs, changed
            accepted += ours
            refused += not ours
            if ours:
                claimed = order_from_json(changed)
                if claimed.certificate is not None:
                    assert claimed.bound <= least_peak(claimed.problem)
    assert accepted > 60
    assert refused > 200


def _changed(rng, data):
    """Return the plan with one number, row or word changed."""
    data = copy.deepcopy(data)
    key = rng.choice(
        ["order", "edges", "allocations", "objective", "bound", "status", "proof", "certificate"]
    )
    value = data[key]
    if isinstance(value, int):
        data[key] += rng.choice([-1, 1, 5])
    elif key == "status":
        data[key] = rng.choice(["optimal", "feasible", "unknown"])
    elif key == "proof":
        data[key] = rng.choice(["cut", "kept", "search", None])
    elif key == "certificate":
        data[key] = rng.choice([None, {**(value or {}), "operator": rng.randint(-1, 9)}])
    elif key == "allocations":
        row = value[rng.choice(list(value))] if value else [0]
        row[0] = row[0] + rng.choice([-1, 1])
    elif value:
        row = rng.choice(value) if key == "edges" else value
        row[rng.randrange(len(row))] += rng.choice([-1, 1])
    return data


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"order": "abc"}, "'order' must be of type list"),
        ({"order": [0.5]}, "'order' must list operator indices"),
        ({"status": 3}, "'status' must be a string"),
        ({"proof": "luck"}, "'proof' is 'luck'"),
        ({"edges": [[1, 0]]}, "does not go forward"),
        ({"edges": [[1]]}, "'edges' must be pairs"),
        ({"operators": [1, 2]}, "'operators' must be names"),
        ({"allocations": []}, "'allocations' must be an object"),
        ({"allocations": {"x": [1, 2]}}, "allocation 'x' must be"),
        ({"allocations": {"x": [-1, 0, [], False]}}, "has the size -1"),
        ({"allocations": {"x": [1, 9, [], False]}}, "no operator 9"),
        ({"allocations": {"x": [1, 0, [2, 2], False]}}, "readers must ascend, without repeats"),
        ({"allocations": {"x": [1, 1, [0], False]}}, "read before it is allocated"),
        ({"allocations": {"x": [2**62, 1, [], False]}}, "the limit is 2^62"),
        ({"certificate": {"kind": "cut"}}, "malformed"),
        ({"format": "else"}, "expected the format"),
        ({"form": "arena"}, "not 'order'"),
    ],
)
def test_malformed_plans_are_refused_in_one_line(change, message):
    problem = random_order_problem(random.Random(4), 6)
    data = json.loads(json.dumps(order_to_json(problem, solve_order(problem))))
    with pytest.raises(InputError, match=message.replace("[", r"\[").replace("^", r"\^")):
        order_from_json(data | change, "file")


def test_other_commands_say_that_an_order_is_no_placement():
    problem = random_order_problem(random.Random(4), 6)
    data = order_to_json(problem, solve_order(problem))
    with pytest.raises(InputError, match="'form' is 'order'; known: sharing, arena"):
        plan_from_json(data)


def test_a_rule_that_the_best_order_breaks_does_not_hide_program_order(tmp_path, capsys):
    tensors = [("x", 1, "i"), ("a", 50, "a"), ("s1", 1, "a"), ("c", 90, "a"), ("d", 1, "a")]
    tensors += [(f"{kind}{i}", 1, "a") for i in range(2, 7) for kind in ("s", "acc")]
    index = {name: number for number, (name, _, _) in enumerate(tensors)}
    rows = [("x", "a"), ("a", "s1"), ("s1", "c"), ("c", "d")]
    ops = [[name, "Op", [index[source]], [index[name]]] for source, name in rows]
    last = "d"
    for i in range(2, 7):
        ops.append([f"s{i}", "Op", [index["a"]], [index[f"s{i}"]]])
        ops.append([f"acc{i}", "Op", [index[last], index[f"s{i}"]], [index[f"acc{i}"]]])
        last = f"acc{i}"
    columns = dict(
        zip(("name", "bytes", "kind"), map(list, zip(*tensors, strict=True)), strict=True)
    )
    columns["alias"] = [-1] * len(tensors)
    path = tmp_path / "rule.json"
    path.write_text(json.dumps({"format": "memonger-graph/1", "tensors": columns, "ops": ops}))
    found = {}
    for order in ("program", "optimal"):
        arguments = ["solve", str(path), "--max-buffers", "4", "--order", order, "--json"]
        assert run(arguments) == 0
        found[order] = json.loads(capsys.readouterr().out)["objective"]
    assert found["optimal"] <= found["program"]


def test_an_order_without_any_memory_is_optimal_whoever_made_it(tmp_path, capsys, checker):
    path, plan = tmp_path / "none.json", tmp_path / "plan.json"
    tensors = {"name": ["in"], "bytes": [4], "kind": ["i"], "alias": [-1]}
    path.write_text(
        json.dumps({"format": "memonger-graph/1", "tensors": tensors, "ops": [["a", "A", [0], []]]})
    )
    for algorithm in ("program", "optimal"):
        arguments = ["solve", str(path), "--form", "order", "--algorithm", algorithm]
        assert run([*arguments, "-o", str(plan), "-q"]) == 0
        assert run(["check", str(plan), "--require-optimal"]) == 0
        assert checker.main([str(plan)]) == 0
    data = json.loads(plan.read_text())
    plan.write_text(json.dumps(data | {"proof": None, "certificate": None}))
    assert run(["check", str(plan)]) == checker.main([str(plan)]) == 3
    capsys.readouterr()


def test_ctrl_c_ends_a_search_with_the_best_order(monkeypatch):
    problem = random_order_problem(random.Random(7), 8)

    waits = []
    wait = Background.wait

    def interrupted(self, seconds=math.inf):
        waits.append(seconds)
        if len(waits) == 1:
            raise KeyboardInterrupt
        return wait(self, seconds)

    monkeypatch.setattr(Background, "wait", interrupted)
    result = solve_order(problem)
    assert result.plan is not None
    assert result.bound <= result.objective
