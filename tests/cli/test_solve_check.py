import json

import pytest

from memonger.registry import SHARING
from tests.cli.conftest import LOOSE, NET

KEYS = {"instance", "form", "algorithm", "status", "objective", "bound", "proof", "seconds", "n"}


def write(path, data):
    path.write_text(json.dumps(data))
    return path


def problem_data(rows, **more):
    return {
        "format": "memonger-problem/1",
        "buffers": [
            {"name": f"b{i}", "size": row[0], "start": row[1], "end": row[2], **more}
            for i, row in enumerate(rows)
        ],
    }


def test_solve_json(memonger, problem):
    data = memonger("solve", problem, "--json", "--workers", "1", "--seed", "5").data
    assert set(data) >= KEYS
    assert (data["status"], data["objective"], data["bound"], data["n"]) == ("optimal", 12, 12, 3)
    assert (data["workers"], data["seed"], data["certified"]) == (1, 5, True)
    assert data["instance"] == str(problem)


def test_solve_for_people(memonger, problem):
    answer = memonger("solve", problem)
    assert answer.code == 0
    assert "optimal, proven by threshold (certificate)" in answer.out
    assert "20" in answer.out


def test_every_algorithm_by_its_name(memonger, problem):
    for name in SHARING.names():
        data = memonger("solve", problem, "--algorithm", name, "--json").data
        assert data["algorithm"] == name
        assert data["objective"] >= 12


def test_csv(memonger, folder):
    (folder / "p.csv").write_text("id,lower,upper,size\na,0,2,8\nb,1,3,4\nc,2,4,8\n")
    assert memonger("solve", "p.csv", "--json").data["objective"] == 12


def test_a_net(memonger, net):
    data = memonger("solve", net, "--shapes", "shapes.json", "--json").data
    assert data["objective"] == 48


@pytest.mark.parametrize(
    ("capacity", "algorithm", "code", "fits"),
    [
        (12, "optimal", 0, "yes"),
        (100, "optimal", 0, "yes"),
        (11, "optimal", 4, "no, proven"),
        (0, "optimal", 4, "no, proven"),
        (19, "none", 5, "unknown"),
        (20, "none", 0, "yes"),
        (11, "none", 4, "no, proven"),
    ],
)
def test_capacity(memonger, problem, capacity, algorithm, code, fits):
    arguments = ("solve", problem, "--capacity", capacity, "--algorithm", algorithm)
    answer = memonger(*arguments, "--json")
    assert answer.code == code
    assert answer.data["fits"] == fits
    assert answer.data["capacity"] == capacity
    told = memonger(*arguments)
    assert told.code == code
    assert f"fits in {capacity:,} bytes: {fits}" in told.out


def test_require_optimal(memonger, problem):
    assert memonger("solve", problem, "--require-optimal").code == 0
    assert memonger("solve", problem, "--require-optimal", "--algorithm", "none").code == 10


def test_nothing_found_in_the_time(memonger, problem, contents):
    before = contents()
    answer = memonger(
        "solve", problem, "--algorithm", "by-size", "--time-limit", "0", "--output", "plan.json"
    )
    assert answer.code == 5
    assert "unknown" in answer.out
    assert contents() == before
    data = memonger("solve", problem, "--algorithm", "by-size", "--time-limit", "0", "--json").data
    assert (data["status"], data["objective"], data["gap"]) == ("unknown", None, None)


def test_no_time_for_optimal_is_no_error(memonger, problem):
    answer = memonger("solve", problem, "--time-limit", "0", "--json")
    assert answer.code == 0
    assert answer.data["objective"] >= answer.data["bound"]


@pytest.mark.parametrize("alignment", [1, 3, 64])
def test_alignment_of_a_problem(memonger, folder, alignment):
    path = write(folder / "p.json", problem_data([(5, 0, 2), (5, 1, 3)]))
    padded = -(-5 // alignment) * alignment
    for command in ("solve", "info"):
        data = memonger(command, path, "--alignment", alignment, "--json").data
        found = data["objective"] if command == "solve" else data["sharing_threshold_bound"]
        assert found == 2 * padded


def test_alignment_is_never_lowered(memonger, folder):
    path = write(folder / "p.json", problem_data([(5, 0, 2)], alignment=64))
    data = memonger("solve", path, "--alignment", 4, "--json").data
    assert data["objective"] == 64


@pytest.mark.parametrize(
    "option", [("--shapes", "s.json"), ("--sizes", "s.json"), ("--static", "b")]
)
def test_options_that_a_problem_cannot_have(memonger, problem, option):
    (problem.parent / "s.json").write_text("{}")
    memonger("solve", problem, *option).is_error()


def test_a_plan_is_a_problem_too(memonger, problem):
    assert memonger("solve", problem, "--output", "plan.json").code == 0
    assert memonger("solve", "plan.json", "--json").data["objective"] == 12


def test_bad_problems(memonger, folder, contents):
    good = problem_data([(4, 0, 1)])
    bad = {
        "empty.json": "",
        "broken.json": json.dumps(good)[:-2],
        "format.json": "{}",
        "list.json": '{"format": []}',
        "negative.json": json.dumps(problem_data([(-4, 0, 1)])),
        "range.json": json.dumps(problem_data([(4, 1, 1)])),
        "float.json": json.dumps(problem_data([(4.5, 0, 1)])),
        "bytes.json": "\x00\x01",
        "x.csv": "id,lower,upper\n",
        "y.csv": "id,lower,upper,size\nb,0,1,x\n",
        "z.json.gz": "not compressed",
    }
    for name, text in bad.items():
        (folder / name).write_text(text)
    before = contents()
    for name in bad:
        for command in (("solve", name, "--output", "out.json"), ("info", name)):
            assert name in memonger(*command, "--json").is_error()
    assert contents() == before


# check


@pytest.fixture
def plan(memonger, problem):
    """Return the file of a plan for the problem, and its data."""
    assert memonger("solve", problem, "--output", "plan.json", "--workers", "1").code == 0
    path = problem.parent / "plan.json"
    return path, json.loads(path.read_text())


def test_check(memonger, problem, plan):
    for arguments in ((problem, plan[0]), (plan[0],)):
        answer = memonger("check", *arguments)
        assert answer.code == 0
        assert "valid: 3 buffers, 12 bytes" in answer.out
        assert "the certificate proves a bound of 12 bytes" in answer.out
        data = memonger("check", *arguments, "--json").data
        assert data["valid"] is True
        assert (data["status"], data["objective"], data["bound"]) == ("optimal", 12, 12)
        assert data["certified_bound"] == 12


def test_check_without_certificate(memonger, folder):
    path = write(folder / "p.json", problem_data(LOOSE))
    answer = memonger("solve", path, "--output", "plan.json", "--json")
    assert answer.data["status"] == "optimal"
    plan = json.loads((folder / "plan.json").read_text())
    plan["certificate"], plan["proof"] = None, "cp-sat"
    write(folder / "plan.json", plan)
    checked = memonger("check", path, "plan.json")
    assert checked.code == 0
    assert "without a certificate" in checked.out


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("objective", 11),
        ("bound", 13),
        ("bound", 11),
        ("status", "infeasible"),
        ("sharing", {"a": 0, "b": 0, "c": 0}),
        ("buffers", {"a": [8, 0, 2], "b": [4, 1, 3], "c": [8, 2, 9]}),
        ("buffers", {"a": [8, 0, 2], "b": [3, 1, 3], "c": [8, 2, 4]}),
        ("certificate", {"format": "memonger-certificate/1", "kind": "threshold", "witness": []}),
        ("devices", {"a": "cuda"}),
    ],
    ids=repr,
)
def test_plans_with_false_claims(memonger, problem, plan, key, value):
    path, data = plan
    write(path, {**data, key: value})
    memonger("check", problem, path, "--json").is_error(3)
    memonger("check", problem, path).is_error(3)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format", "memonger-plan/2"),
        ("form", "arena"),
        ("objective", None),
        ("sharing", {"a": 0, "b": 1}),
        ("sharing", {"a": 0, "b": -1, "c": 0}),
        ("sharing", {"a": 0, "b": 1, "c": "0"}),
        ("buffers", {"a": [8, 0, 2], "b": [4, 1, 3]}),
        ("buffers", 3),
        ("certificate", {"format": "memonger-certificate/1", "kind": "cut"}),
        ("certificate", 3),
    ],
    ids=repr,
)
def test_files_that_are_no_plans(memonger, problem, plan, key, value):
    path, data = plan
    write(path, {**data, key: value})
    memonger("check", problem, path, "--json").is_error(2)
    memonger("check", problem, path).is_error(2)


@pytest.mark.parametrize("change", [("size", 0, 9), ("time", 0, 9), ("time", 1, 0), ("drop", 0, 0)])
def test_tampered_certificates(memonger, problem, plan, change):
    path, data = plan
    kind, at, value = change
    witness = data["certificate"]["witness"]
    if kind == "drop":
        del witness[at]
    else:
        witness[at][kind == "time"] = value
    write(path, data)
    assert "certificate" in memonger("check", problem, path).is_error(3)


def test_a_plan_of_another_problem(memonger, problem, plan, folder):
    other = write(folder / "other.json", problem_data([(8, 0, 2), (4, 1, 3)]))
    assert "is not placed" in memonger("check", other, plan[0]).is_error(3)
    less = write(folder / "less.json", {"format": "memonger-problem/1", "buffers": []})
    assert "which is no buffer of the input" in memonger("check", less, plan[0]).is_error(3)


def test_a_plan_of_another_net(memonger, net):
    shapes = ("--shapes", "shapes.json")
    assert memonger("solve", net, *shapes, "--output", "plan.json").code == 0
    assert memonger("check", net, "plan.json", *shapes).code == 0
    (net.parent / "other.pbtxt").write_text(NET.replace('"b"', '"bb"'))
    memonger("check", "other.pbtxt", "plan.json", *shapes).is_error(3)
    (net.parent / "dag.pbtxt").write_text(NET + 'type: "dag"')
    memonger("check", "dag.pbtxt", "plan.json", *shapes).is_error(3)
    memonger("check", net, "plan.json", *shapes, "--alignment", "64").is_error(3)
    memonger("check", "mlp", "plan.json").is_error(3)


def test_dependencies_of_a_parallel_net_are_compared(memonger, net):
    shapes = ("--shapes", "shapes.json")
    branches = """
        type: "dag" external_input: "x" external_output: "y"
        op { input: "x" output: "a" type: "Relu" }
        op { input: "a" output: "b" type: "Relu" }
        op { input: "%s" output: "c" type: "Relu" }
        op { input: "b" input: "c" output: "y" type: "Sum" }
    """
    (net.parent / "one.pbtxt").write_text(branches % "a")
    (net.parent / "two.pbtxt").write_text(branches % "x")
    for name in ("one", "two"):
        assert memonger("solve", f"{name}.pbtxt", *shapes, "--output", f"{name}.json").code == 0
        assert memonger("check", f"{name}.pbtxt", f"{name}.json", *shapes).code == 0
    memonger("check", "one.pbtxt", "two.json", *shapes).is_error(3)
    plan = json.loads((net.parent / "one.json").read_text())
    plan["vector_time"]["c"][0][0] += 1
    plan["vector_time"]["c"][1][0] += 1
    write(net.parent / "one.json", plan)
    memonger("check", "one.pbtxt", "one.json", *shapes).is_error(3)


@pytest.mark.parametrize("device", ["cuda:0", "cpu"])
@pytest.mark.parametrize("count", [1, 2])
def test_devices_survive(memonger, folder, device, count):
    data = problem_data([(8, 0, 2), (4, 1, 3), (8, 2, 4)], device=device)
    if count == 2:
        data["buffers"][0]["device"] = "other"
    path = write(folder / "p.json", data)
    assert memonger("solve", path, "--output", "plan.json").code == 0
    assert memonger("check", path, "plan.json").code == 0


def test_check_a_net_against_its_original(memonger, net):
    assert memonger("optimize", net, "--shapes", "shapes.json", "-o", "out.pb").code == 0
    answer = memonger("check", net, "out.pb")
    assert (answer.code, answer.out) == (0, "equivalent: 4 operators compute the same\n")
    data = memonger("check", net, "out.pb", "--json").data
    assert data == {"instance": str(net), "equivalent": True, "operators": 4}


def test_a_net_that_computes_something_else(memonger, net):
    (net.parent / "other.pbtxt").write_text(NET.replace('"Tanh"', '"Sigmoid"'))
    memonger("check", net, "other.pbtxt").is_error(3)
    # c is written over b, which its reader still needs.
    wrong = NET.replace('input: "c"', 'input: "a"')
    (net.parent / "other.pbtxt").write_text(wrong)
    memonger("check", net, "other.pbtxt", "--json").is_error(3)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("missing.json",), 2),
        (("problem.json", "missing.json"), 2),
        (("missing.pb", "plan.json"), 2),
        (("problem.json", "missing.pb"), 2),
        (("problem.json", "four.pbtxt"), 2),
        (("four.pbtxt", "empty.json"), 2),
        (("four.pbtxt", "four.pb"), 2),
    ],
)
def test_what_cannot_be_checked(memonger, net, problem, plan, arguments, code):
    (net.parent / "empty.json").write_text("")
    memonger("check", *arguments).is_error(code)


def test_a_problem_is_no_plan(memonger, problem):
    assert memonger("check", problem).code in (2, 3)


def test_vector_time_that_contradicts_program_order_is_bad_input(memonger, folder, contents):
    """What is live together in program order is so in some schedule."""
    data = problem_data([(4, 0, 2), (4, 1, 3)])
    for entry, (start, end) in zip(data["buffers"], [(0, 5), (5, 6)], strict=True):
        entry["vector_start"], entry["vector_end"] = [start], [end]
    path = write(folder / "p.json", data)
    before = contents()
    memonger("solve", path, "--output", "plan.json").is_error()
    assert contents() == before
