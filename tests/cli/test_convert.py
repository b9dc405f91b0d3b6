import csv
import gzip
import json
import struct

import pytest

from memonger.instances.loading import load

CSV = "id,lower,upper,size,alignment,offset\na,0,2,8,1,\nb,1,3,4,4,\nc,2,4,8,1,8\n"


@pytest.fixture
def plan(memonger, problem, folder):
    """Return an arena plan of the problem: 12 bytes."""
    path = folder / "plan.json"
    assert memonger("solve", problem, "--form", "arena", "--output", path, "-q").code == 0
    return path


@pytest.fixture
def sharing(memonger, problem, folder):
    """Return a sharing plan of the problem."""
    path = folder / "sharing.json"
    assert memonger("solve", problem, "--output", path, "-q").code == 0
    return path


def offsets(path):
    return json.loads(path.read_text())["offsets"]


def test_problems_there_and_back(memonger, folder):
    (folder / "p.csv").write_text(CSV)
    answer = memonger("convert", "p.csv", "p.json")
    assert (answer.code, answer.out, answer.err) == (0, "", "wrote p.json\n")
    assert load("p.json").buffers == load("p.csv").buffers
    assert memonger("convert", "p.json", "again.csv", "--quiet").err == ""
    assert (folder / "again.csv").read_text() == CSV


def test_compressed(memonger, problem, folder):
    assert memonger("convert", problem, "p.json.gz").code == 0
    first = (folder / "p.json.gz").read_bytes()
    assert json.loads(gzip.decompress(first))["format"] == "memonger-problem/1"
    assert memonger("convert", problem, "p.json.gz").code == 0
    assert (folder / "p.json.gz").read_bytes() == first
    assert load("p.json.gz").buffers == load(problem).buffers


def test_nets(memonger, net, folder):
    arguments = ("--shapes", "shapes.json", "--static", "b", "--alignment", "64")
    assert memonger("convert", net, "p.csv", *arguments).code == 0
    assert memonger("convert", net, "p.json", *arguments).code == 0
    assert load("p.csv").buffers == load("p.json").buffers
    assert {b.alignment for b in load("p.csv").buffers} == {64}
    assert "b" not in {b.name for b in load("p.csv").buffers}
    assert memonger("convert", "mlp", "mlp.csv").code == 0
    assert len(load("mlp.csv")) > 0


def test_graphs(memonger, folder):
    columns = {"name": ["x", "a", "y"], "bytes": [4, 8, 16], "kind": ["i", "a", "o"]}
    graph = {
        "format": "memonger-graph/1",
        "meta": {"name": "g"},
        "tensors": {**columns, "alias": [-1, -1, -1]},
        "ops": [["one", "Relu", [0], [1], "", []], ["two", "Relu", [1], [2], "", []]],
    }
    (folder / "g.json").write_text(json.dumps(graph))
    assert memonger("convert", "g.json", "g.csv").code == 0
    assert [b.name for b in load("g.csv").buffers] == ["a"]
    assert memonger("convert", "g.json", "g.csv", "--planned", "activations+outputs").code == 0
    assert [b.name for b in load("g.csv").buffers] == ["a", "y"]


def test_unpin(memonger, folder):
    (folder / "p.csv").write_text(CSV)
    assert memonger("convert", "p.csv", "q.csv", "--unpin").code == 0
    assert "offset" not in (folder / "q.csv").read_text()


def test_a_plan_as_a_solution(memonger, plan, folder):
    assert memonger("convert", plan, "s.csv").code == 0
    with (folder / "s.csv").open(newline="") as file:
        rows = {row["id"]: int(row["offset"]) for row in csv.DictReader(file)}
    assert rows == offsets(plan)
    assert memonger("solve", "s.csv", "--form", "arena", "--json").data["objective"] == 12


def test_a_plan_as_a_header(memonger, plan, folder):
    assert memonger("convert", plan, "arena.h").code == 0
    text = (folder / "arena.h").read_text()
    assert "#define ARENA_BYTES 12UL\n" in text
    for name, offset in offsets(plan).items():
        assert f"#define OFFSET_{name.upper()} {offset}UL" in text


def test_a_plan_as_words(memonger, plan, folder):
    assert memonger("convert", plan, "offsets.bin").code == 0
    own = offsets(plan)
    data = (folder / "offsets.bin").read_bytes()
    assert struct.unpack("<6i", data) == (1, 0, 3, own["a"], own["b"], own["c"])
    (folder / "names.json").write_text('["c", "weights", "b", "a"]')
    assert memonger("convert", plan, "offsets.bin", "--tensors", "names.json").code == 0
    data = (folder / "offsets.bin").read_bytes()
    assert struct.unpack("<7i", data) == (1, 0, 4, own["c"], -1, own["b"], own["a"])


def test_a_plan_as_a_trace(memonger, plan, folder):
    assert memonger("convert", plan, "plan.perfetto.json").code == 0
    assert memonger("convert", plan, "trace.json", "--to", "perfetto").code == 0
    assert (folder / "trace.json").read_bytes() == (folder / "plan.perfetto.json").read_bytes()
    events = json.loads((folder / "trace.json").read_text())["traceEvents"]
    assert {e["name"] for e in events if e["ph"] == "X"} == {"a", "b", "c"}


def test_the_problem_of_a_plan(memonger, plan, sharing, problem):
    for number, path in enumerate((plan, sharing)):
        assert memonger("convert", path, f"{number}.json").code == 0
        assert load(f"{number}.json").buffers == load(problem).buffers


@pytest.mark.parametrize("name", ["x.csv", "x.h", "x.bin", "x.perfetto.json"])
def test_sharing_plans_have_no_offsets(memonger, sharing, contents, name):
    before = contents()
    error = memonger("convert", sharing, name).is_error(2)
    assert error.startswith(f"{sharing}: a plan of the form 'sharing', which has no offsets")
    assert contents() == before


@pytest.mark.parametrize("name", ["x.h", "x.bin", "x.perfetto.json"])
def test_problems_are_no_plans(memonger, problem, contents, name):
    before = contents()
    error = memonger("convert", problem, name).is_error(2)
    assert error.startswith(f"{problem}: no plan, which --to ")
    assert "no plan" in memonger("convert", "mlp", name).is_error(2)
    assert contents() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("problem.json", "x.txt"), "x.txt: ends in none of"),
        (("problem.json", "x.csv", "--to", "tar"), "--to"),
        (("problem.json", "no/x.csv"), "no directory"),
        (("problem.json", "problem.json"), "this is the input"),
        (("problem.json", "./problem.json", "--to", "csv"), "this is the input"),
        (("missing.json", "x.csv"), "missing.json"),
        (("problem.json", "x.csv", "--tensors", "names.json"), "--tensors is for --to tflite"),
        (("problem.json", "x.csv", "--shapes", "names.json"), "--shapes and --sizes are for nets"),
        (("plan.json", "x.h", "--alignment", "4"), "plan.json: this is a plan"),
        (("plan.json", "x.csv", "--unpin"), "plan.json: this is a plan"),
        (("plan.json", "x.bin", "--tensors", "names.json"), "buffer 'b' is not among the tensors"),
        (("plan.json", "x.bin", "--tensors", "problem.json"), "expected a list of names"),
        (("rules.json", "x.csv"), "rules.json: MiniMalloc's CSV has no room for rules"),
        (("devices.json", "x.csv"), "devices.json: MiniMalloc's CSV has no room for several"),
    ],
)
def test_what_does_not_go_together(memonger, plan, problem, folder, contents, arguments, message):
    data = json.loads(problem.read_text())
    (folder / "names.json").write_text('["a", "c"]')
    (folder / "rules.json").write_text(json.dumps({**data, "rules": {"at_most": 3}}))
    data["buffers"][0]["device"] = "cuda"
    (folder / "devices.json").write_text(json.dumps(data))
    before = contents()
    assert message in memonger("convert", *arguments).is_error(2)
    assert contents() == before


def test_plans_are_verified_before(memonger, plan, contents):
    data = json.loads(plan.read_text())
    data["offsets"]["b"] = data["offsets"]["a"]
    plan.write_text(json.dumps(data))
    before = contents()
    for name in ("x.h", "x.csv", "x.bin", "x.perfetto.json"):
        error = memonger("convert", plan, name).is_error(3)
        assert "overlap" in error
    assert contents() == before


def test_names_that_no_text_file_can_hold(memonger, folder):
    buffer = {"name": "\ud800", "size": 8, "start": 0, "end": 1}
    problem = {"format": "memonger-problem/1", "name": "p", "buffers": [buffer]}
    (folder / "p.json").write_text(json.dumps(problem))
    answer = memonger("convert", "p.json", "p.csv")
    assert answer.code == 2
    assert "no text file can hold" in answer.err
    assert not (folder / "p.csv").exists()
