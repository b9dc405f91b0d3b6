import json
import os
import stat

import pytest
from google.protobuf import text_format

from memonger.net.io import load_net, save_net
from memonger.net.netdef_pb2 import NetDef
from memonger.rewrite.equivalence import verify_equivalence
from tests.cli.conftest import NET

KEYS = {"instance", "form", "algorithm", "status", "objective", "bound", "proof", "seconds", "n"}
MORE = {"baseline", "caffe2_greedy", "verified", "operators", "blobs_before", "blobs_after"}


def test_json(memonger, net):
    data = memonger("optimize", net, "--shapes", "shapes.json", "--json").data
    assert set(data) >= KEYS | MORE
    assert data["instance"] == str(net)
    assert data["form"] == "sharing"
    assert data["algorithm"] == "optimal"
    assert data["status"] == "optimal"
    assert (data["objective"], data["bound"], data["baseline"]) == (48, 48, 72)
    assert data["proof"] == "threshold"
    assert data["verified"] is True
    assert (data["operators"], data["n"]) == (4, 3)
    assert (data["blobs_before"], data["blobs_after"]) == (5, 4)
    assert data["unknown_sizes"] == []


def test_for_people(memonger, net):
    answer = memonger("optimize", net, "--shapes", "shapes.json")
    assert answer.code == 0
    assert answer.err == ""
    assert "optimal, proven" in answer.out
    assert "4 operators compute the same" in answer.out
    assert "blobs 5 -> 4" in answer.out


@pytest.mark.parametrize("suffix", ["pb", "pbtxt", "prototxt"])
def test_output(memonger, net, suffix):
    out = net.parent / f"out.{suffix}"
    answer = memonger("optimize", net, "--shapes", "shapes.json", "-o", out)
    assert answer.code == 0
    assert answer.err == f"wrote {out}\n"
    original, rewritten = load_net(net), load_net(out)
    verify_equivalence(original, rewritten)
    names = {name for op in rewritten.op for name in (*op.input, *op.output)}
    assert len(names) == 4
    assert {"x", "y"} <= names
    assert (out.read_bytes()[:5] == b"name:") == (suffix != "pb")


def test_quiet(memonger, net):
    answer = memonger("optimize", net, "-q", "-o", "out.pb")
    assert answer.err == ""


def test_sizes_win_over_shapes(memonger, net):
    (net.parent / "sizes.json").write_text('{"a": 100, "b": 10, "c": 100}')
    both = ("--shapes", "shapes.json", "--sizes", "sizes.json", "--json")
    assert memonger("optimize", net, *both).data["objective"] == 110
    assert memonger("optimize", net, *both[2:]).data["baseline"] == 210


def test_later_shapes_win(memonger, net):
    (net.parent / "more.json").write_text('{"x": {"shape": [20, 3], "dtype": "float"}}')
    arguments = ("--shapes", "shapes.json", "--shapes", "more.json", "--json")
    assert memonger("optimize", net, *arguments).data["objective"] == 480


def test_alignment(memonger, net):
    arguments = ("--shapes", "shapes.json", "--alignment", "64", "--json")
    assert memonger("optimize", net, *arguments).data["objective"] == 128


def test_static_blobs_are_left_alone(memonger, net):
    arguments = ("--shapes", "shapes.json", "--static", "a", "-o", "out.pbtxt", "--json")
    data = memonger("optimize", net, *arguments).data
    assert data["n"] == 2
    written = load_net(net.parent / "out.pbtxt")
    assert written.op[0].output[0] == "a"


def test_a_built_in_net(memonger, folder):
    data = memonger("optimize", "mlp", "--json").data
    assert data["status"] == "optimal"
    assert data["objective"] <= data["caffe2_greedy"] <= data["baseline"]


@pytest.mark.parametrize("algorithm", ["none", "caffe2-greedy-unsized", "by-size", "sweep"])
def test_other_algorithms(memonger, net, algorithm):
    data = memonger(
        "optimize", net, "--shapes", "shapes.json", "--algorithm", algorithm, "--json"
    ).data
    assert data["algorithm"] == algorithm
    assert data["bound"] <= data["objective"] <= data["baseline"]


@pytest.mark.parametrize("algorithm", ["optimal", "none", "caffe2-greedy-unsized", "best-fit"])
def test_an_optimised_net_is_never_made_worse(memonger, net, algorithm):
    first = memonger("optimize", net, "--shapes", "shapes.json", "-o", "out.pb", "--json").data
    again = memonger(
        "optimize", "out.pb", "--shapes", "shapes.json", "--algorithm", algorithm, "--json"
    ).data
    assert again["baseline"] == first["objective"]
    assert again["objective"] <= again["baseline"]


@pytest.mark.parametrize("suffix", ["pb", "pbtxt"])
def test_an_optimised_net_stays_byte_for_byte(memonger, net, suffix):
    one, two = f"one.{suffix}", f"two.{suffix}"
    assert memonger("optimize", net, "--shapes", "shapes.json", "-o", one).code == 0
    answer = memonger("optimize", one, "--shapes", "shapes.json", "-o", two, "--json")
    assert answer.data["blobs_before"] == answer.data["blobs_after"] == 4
    assert (net.parent / one).read_bytes() == (net.parent / two).read_bytes()


def test_the_input_is_never_written_over(memonger, net):
    before = net.read_bytes()
    answer = memonger("optimize", net, "--shapes", "shapes.json", "-o", net)
    assert "this is the input" in answer.is_error()
    assert net.read_bytes() == before


def test_an_existing_output_is_replaced_whole(memonger, net):
    target = net.parent / "out.pb"
    target.write_bytes(b"old" * 10_000)
    target.chmod(0o640)
    assert memonger("optimize", net, "--shapes", "shapes.json", "-o", target).code == 0
    verify_equivalence(text_format.Parse(NET, NetDef()), load_net(target))
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert sorted(os.listdir(net.parent)) == ["four.pbtxt", "out.pb", "shapes.json"]


def test_report(memonger, net):
    assert memonger("optimize", net, "--shapes", "shapes.json", "--report", "r/s").code == 0
    directory = net.parent / "r" / "s"
    summary = json.loads((directory / "summary.json").read_text())
    assert set(summary) >= KEYS | MORE
    plan = json.loads((directory / "plan.json").read_text())
    assert plan["format"] == "memonger-plan/1"
    checked = memonger("check", net, directory / "plan.json", "--shapes", "shapes.json", "--json")
    assert checked.data["valid"] is True


def test_a_report_that_cannot_be_written_leaves_no_output(memonger, net, contents):
    (net.parent / "file").write_text("in the way")
    before = contents()
    arguments = ("--shapes", "shapes.json", "-o", "out.pb", "--report", "file")
    memonger("optimize", net, *arguments).is_error()
    assert contents() == before


@pytest.mark.parametrize(
    "arguments",
    [
        ("--shapes", "missing.json", "--report", "r/s"),
        ("--shapes", "shapes.json", "--report", "r/s", "--algorithm", "best"),
        ("--shapes", "shapes.json", "--report", "r", "-o", "no/out.pb"),
        ("--shapes", "shapes.json", "--report", "r", "--static", "nothing"),
    ],
    ids=" ".join,
)
def test_no_report_of_an_error(memonger, net, arguments):
    before = sorted(net.parent.rglob("*"))
    memonger("optimize", net, *arguments).is_error()
    assert sorted(net.parent.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-o", "x.pb", "--report", "x.pb"), "--output and --report are the same"),
        (("-o", "x.pb", "--report", "./y/../x.pb"), "--output and --report are the same"),
        (("-o", "four.pbtxt"), "this is the input"),
        (("-o", "init.pbtxt", "--shapes", "init.pbtxt"), "this is the input"),
        (("--report", "four.pbtxt"), "is no directory"),
        (("--report", "four.pbtxt/r"), "is no directory"),
    ],
)
def test_one_path_for_two_things(memonger, net, contents, arguments, message):
    (net.parent / "init.pbtxt").write_text(
        'op { output: "x" type: "ConstantFill" arg { name: "shape" ints: 2 ints: 3 } }'
    )
    before = contents()
    assert message in memonger("optimize", net, *arguments).is_error()
    assert contents() == before


def test_require_optimal(memonger, net):
    arguments = ("--shapes", "shapes.json", "--require-optimal")
    assert memonger("optimize", net, *arguments).code == 0
    assert memonger("optimize", net, *arguments, "--algorithm", "none").code == 10


def test_no_time_leaves_a_valid_net(memonger, net):
    answer = memonger(
        "optimize", net, "--shapes", "shapes.json", "--time-limit", "0", "-o", "out.pb", "--json"
    )
    assert answer.code == 0
    assert answer.data["objective"] <= answer.data["baseline"]
    verify_equivalence(load_net(net), load_net(net.parent / "out.pb"))


# Nets at the edges.


def test_a_net_without_operators(memonger, folder):
    save_net(NetDef(name="empty"), folder / "empty.pb")
    data = memonger("optimize", "empty.pb", "-o", "out.pb", "--json").data
    assert (data["status"], data["objective"], data["operators"]) == ("optimal", 0, 0)
    assert load_net(folder / "out.pb") == NetDef(name="empty")


def test_a_net_of_one_operator(memonger, folder):
    (folder / "one.pbtxt").write_text('op { input: "x" output: "y" type: "Relu" }')
    (folder / "shapes.json").write_text('{"x": [4]}')
    data = memonger("optimize", "one.pbtxt", "--shapes", "shapes.json", "--json").data
    assert (data["status"], data["operators"]) == ("optimal", 1)


@pytest.mark.parametrize("kind", ["dag", "async_scheduling", "simple"])
def test_a_net_with_nothing_to_plan_can_be_checked(memonger, folder, kind):
    (folder / "one.pbtxt").write_text(
        f'type: "{kind}" op {{ input: "x" output: "y" type: "Relu" }} external_output: "y"'
    )
    (folder / "shapes.json").write_text('{"x": [4]}')
    arguments = ("--shapes", "shapes.json")
    assert memonger("solve", "one.pbtxt", *arguments, "--output", "plan.json").code == 0
    assert memonger("check", "one.pbtxt", "plan.json", *arguments).code == 0


def test_a_net_that_runs_in_parallel(memonger, net):
    net.write_text(NET + 'type: "dag"')
    arguments = ("--shapes", "shapes.json")
    data = memonger("optimize", net, *arguments, "-o", "out.pb", "--json").data
    assert data["caffe2_greedy"] is None
    assert data["objective"] <= data["baseline"]
    assert memonger("check", net, "out.pb").code == 0
    assert memonger("solve", net, *arguments, "--output", "plan.json").code == 0
    assert memonger("check", net, "plan.json", *arguments).code == 0
    memonger("optimize", net, *arguments, "--algorithm", "sweep").is_error()


def test_a_blob_without_a_size_is_reported_and_left_alone(memonger, net):
    net.write_text(NET.replace('"Tanh"', '"NobodyKnowsThis"'))
    arguments = ("optimize", net, "--shapes", "shapes.json", "-o", "out.pb")
    answer = memonger(*arguments)
    assert answer.code == 0
    assert "left alone: 'b' of operator 1 (NobodyKnowsThis)" in answer.err
    data = memonger(*arguments, "--json").data
    assert "b" in {entry["blob"] for entry in data["unknown_sizes"]}
    assert "b" in {name for op in load_net(net.parent / "out.pb").op for name in op.output}


def test_nothing_known_at_all(memonger, net):
    answer = memonger("optimize", net)
    assert answer.code == 0
    assert "nothing to plan" in answer.err
    many = "".join(f'op {{ input: "x{i}" output: "x{i + 1}" type: "Relu" }}' for i in range(12))
    net.write_text(many)
    assert "more blobs of unknown size" in memonger("optimize", net).err


# Input that cannot be used: exit code 2, one line, nothing written.

BAD_NETS = {
    "empty file": b"",
    "random bytes": bytes(range(255, 0, -3)),
    "truncated": None,
    "typo": NET.replace("op {", "opp {", 1).encode(),
    "unbalanced": NET.replace("}", "", 1).encode(),
    "unknown field": b'op { type: "Relu" inputt: "x" }',
    "another file": b"PK\x03\x04" + bytes(100),
    "html": b"<html>no net</html>",
    "no type": b'op { input: "x" output: "y" }',
    "nobody writes": NET.replace('input: "b"', 'input: "bb"').encode(),
    "read before written": NET.replace('input: "a"', 'input: "c"').encode(),
    "output nobody writes": NET.replace('external_output: "y"', 'external_output: "z"').encode(),
    "control cycle": NET.replace('type: "Relu" }', 'type: "Relu" control_input: "c" }', 1).encode(),
    "unknown control": NET.replace(
        'type: "Relu" }', 'type: "Relu" control_input: "zz" }', 1
    ).encode(),
    "utf-16": NET.encode("utf-16"),
}


@pytest.mark.parametrize("name", BAD_NETS)
@pytest.mark.parametrize("suffix", ["pb", "pbtxt"])
@pytest.mark.parametrize("command", ["optimize", "solve", "info"])
def test_bad_nets(memonger, net, contents, name, suffix, command):
    data = BAD_NETS[name]
    if data is None:
        save_net(load_net(net), net.parent / "whole.pb")
        data = (net.parent / "whole.pb").read_bytes()[:-4]
    path = net.parent / f"bad.{suffix}"
    path.write_bytes(data)
    before = contents()
    output = () if command == "info" else ("--output", "out.pb")
    answer = memonger(command, path, "--shapes", "shapes.json", *output, "--json")
    assert str(path) in answer.is_error()
    assert contents() == before


BAD_SHAPES = {
    "negative": '{"x": [2, -3]}',
    "no list": '{"x": 3}',
    "fraction": '{"x": [2.5]}',
    "text": '{"x": ["2"]}',
    "true": '{"x": [true]}',
    "null": '{"x": null}',
    "list": "[[2, 3]]",
    "no json": "{",
    "empty": "",
    "unknown type": '{"x": {"shape": [2], "dtype": "float999"}}',
    "unknown key": '{"x": {"shape": [2], "type": "float"}}',
    "no shape": '{"x": {"dtype": "float"}}',
    "dtype is a number": '{"x": {"shape": [2], "dtype": 1}}',
    "huge": '{"x": [4611686018427387904, 4611686018427387904]}',
    "deep": '{"x": ' + "[" * 100_000,
}


@pytest.mark.parametrize("name", BAD_SHAPES)
def test_bad_shapes(memonger, net, contents, name):
    (net.parent / "bad.json").write_text(BAD_SHAPES[name])
    before = contents()
    memonger("optimize", net, "--shapes", "bad.json", "-o", "out.pb", "--json").is_error()
    assert contents() == before


BAD_SIZES = {
    "negative": '{"a": -1}',
    "fraction": '{"a": 1.5}',
    "text": '{"a": "12"}',
    "true": '{"a": true}',
    "null": '{"a": null}',
    "list": "[1]",
    "no json": "{",
    "empty": "",
    "huge": '{"a": 4611686018427387904}',
    "deep": "[" * 100_000,
}


@pytest.mark.parametrize("name", BAD_SIZES)
def test_bad_sizes(memonger, net, contents, name):
    (net.parent / "bad.json").write_text(BAD_SIZES[name])
    before = contents()
    memonger("optimize", net, "--sizes", "bad.json", "-o", "out.pb", "--json").is_error()
    assert contents() == before


@pytest.mark.parametrize(
    "arguments",
    [
        ("missing.pb",),
        ("four.pbtxt", "--shapes", "missing.json"),
        ("four.pbtxt", "--sizes", "missing.json"),
        ("four.pbtxt", "-o", "no/such/folder/out.pb"),
        ("four.pbtxt", "-o", "."),
        ("four.pbtxt", "--report", "shapes.json"),
        (".",),
        ("problem.json",),
    ],
    ids=" ".join,
)
def test_bad_paths(memonger, net, problem, contents, arguments):
    before = contents()
    memonger("optimize", *arguments, "--json").is_error()
    assert contents() == before
