import json
import os
import subprocess
import sys

import pytest

from memonger.caffe2 import (
    optimize_inference_fast,
    optimize_inference_for_dag,
    release_blobs_when_used,
    share_grad_blobs,
)
from memonger.net.io import load_net, parse_net, save_net
from memonger.rewrite.equivalence import verify_equivalence
from memonger.rewrite.release_check import verify_release
from tests.net.notation import net as net_of

KEYS = {
    "instance",
    "pass",
    "operators",
    "blobs_before",
    "blobs_after",
    "bytes_before",
    "bytes_after",
    "verified",
}
TRAINING = net_of(
    "FC x w b > h; Loss h > loss; ConstantFill loss > loss_grad; Tanh loss_grad > g0_grad; "
    "Tanh g0_grad > g1_grad; Tanh g1_grad > g2_grad; FCGradient x w g2_grad > w_grad b_grad",
    inputs="x w b",
    outputs="",
)
TABLE = ["share-gradients", "inference-dag", "inference-fast", "release"]
LOSS = ("--loss", "loss")


@pytest.fixture
def training(folder):
    """Return a file with a small training net; `sizes.json` stands beside it."""
    sizes = {name: 4 for op in TRAINING.op for name in op.output} | {"g1_grad": 40}
    (folder / "sizes.json").write_text(json.dumps(sizes))
    save_net(TRAINING, folder / "train.pbtxt")
    return folder / "train.pbtxt"


def outputs(net):
    return [name for op in net.op for name in op.output]


def test_inference_passes(memonger, net):
    model = load_net(net)
    expected = {
        "inference-dag": optimize_inference_for_dag(model, ["x"]),
        "inference-fast": optimize_inference_fast(model, []),
        "release": release_blobs_when_used(model, set()),
    }
    for name, result in expected.items():
        data = memonger("optimize", net, "--pass", name, "-o", "out.pb", "--json").data
        assert set(data) >= KEYS
        assert (data["instance"], data["pass"], data["operators"]) == (str(net), name, 4)
        assert data["bytes_before"] is data["bytes_after"] is None
        assert data["verified"] is data["changed"] is True
        assert load_net(net.parent / "out.pb") == result
    verify_release(model, load_net(net.parent / "out.pb"))


@pytest.mark.parametrize(
    ("name", "before", "after", "blobs"),
    [("inference-dag", 96, 72, 4), ("inference-fast", 96, 72, 4), ("release", 96, 48, 5)],
)
def test_bytes_where_shapes_are_known(memonger, net, name, before, after, blobs):
    arguments = ("optimize", net, "--pass", name, "--shapes", "shapes.json")
    data = memonger(*arguments, "--json").data
    assert (data["bytes_before"], data["bytes_after"]) == (before, after)
    assert (data["blobs_before"], data["blobs_after"]) == (5, blobs)
    answer = memonger(*arguments, "-o", "out.pbtxt")
    assert (answer.code, answer.err) == (0, "wrote out.pbtxt\n")
    assert f"pass {name}" in answer.out
    assert str(after) in answer.out
    assert "verified: 4 operators compute the same" in answer.out


def test_sizes_in_bytes(memonger, net):
    (net.parent / "sizes.json").write_text('{"a": 100, "b": 10, "c": 100, "y": 1}')
    for name, after in [("inference-dag", 111), ("inference-fast", 111), ("release", 110)]:
        arguments = ("--pass", name, "--sizes", "sizes.json", "--json")
        data = memonger("optimize", net, *arguments).data
        assert (data["bytes_before"], data["bytes_after"]) == (211, after)


def test_a_view_takes_no_memory(memonger, net):
    net.write_text(net.read_text().replace('type: "Tanh"', 'type: "Alias"'))
    (net.parent / "sizes.json").write_text('{"a": 8, "b": 8, "c": 4, "y": 1}')
    arguments = ("--pass", "inference-fast", "--sizes", "sizes.json", "--json")
    data = memonger("optimize", net, *arguments).data
    assert (data["bytes_before"], data["bytes_after"]) == (13, 13)


def test_gradients(memonger, training):
    arguments = ("optimize", training, "--pass", "share-gradients", *LOSS)
    data = memonger(*arguments, "-o", "out.pb", "--json").data
    assert (data["blobs_before"], data["blobs_after"], data["operators"]) == (11, 9, 7)
    found = load_net(training.parent / "out.pb")
    verify_equivalence(TRAINING, found)
    assert found == share_grad_blobs(TRAINING, ["loss"], ["w_grad", "b_grad", "x_grad"], "")
    assert outputs(found)[:2] == ["h", "loss"]
    assert outputs(found)[-2:] == ["w_grad", "b_grad"]


def test_the_gradients_that_are_results(memonger, training):
    """Those that are named; by default those of external inputs, though nobody reads them."""
    arguments = ("optimize", training, "--pass", "share-gradients", *LOSS, "-o", "out.pb")
    assert memonger(*arguments, "--param-grad", "w_grad", "--param-grad", "g0_grad").code == 0
    names = outputs(load_net(training.parent / "out.pb"))
    assert {"w_grad", "g0_grad"} <= set(names)
    assert "loss_grad" not in names


def test_gradients_of_a_scope(memonger, training):
    arguments = ("optimize", training, "--pass", "share-gradients", *LOSS)
    answer = memonger(*arguments, "--scope", "gpu_0")
    assert answer.code == 0
    assert answer.err == "the pass has left the net as it was\n"
    assert memonger(*arguments, "--scope", "gpu_0", "-q").err == ""


def test_new_names_begin_with_the_scope(memonger, net):
    arguments = ("--pass", "inference-dag", "--scope", "here/", "-o", "out.pb", "-q")
    answer = memonger("optimize", net, *arguments)
    assert (answer.code, answer.out, answer.err) == (0, "", "")
    assert "here/__m0_shared" in outputs(load_net(net.parent / "out.pb"))


@pytest.mark.parametrize("algorithm", [(), ("--algorithm", "optimal", "--time-limit", "10s")])
def test_gradients_with_sizes(memonger, training, algorithm):
    arguments = ("--pass", "share-gradients", *LOSS, "--sizes", "sizes.json", *algorithm)
    data = memonger("optimize", training, *arguments, "--json").data
    assert (data["bytes_before"], data["bytes_after"]) == (68, 60)


@pytest.mark.parametrize("name", TABLE)
def test_static_blobs_are_left_alone(memonger, net, training, name):
    source, static = (training, "g0_grad") if name == "share-gradients" else (net, "a")
    loss = LOSS if name == "share-gradients" else ()
    arguments = (source, "--pass", name, *loss, "--static", static, "-o", "out.pb")
    assert memonger("optimize", *arguments).code == 0
    found = load_net(net.parent / "out.pb")
    assert sum(static in op.output for op in found.op) == 1


def test_a_released_loss_stays(memonger, training):
    """The net declares no outputs: losses and what nobody reads are results."""
    assert memonger("optimize", training, "--pass", "release", "-o", "out.pb").code == 0
    freed = {op.output[0] for op in load_net(training.parent / "out.pb").op if op.type == "Free"}
    assert freed == {"h", "loss_grad", "g0_grad", "g1_grad", "g2_grad"}


def test_a_net_that_the_pass_does_not_change(memonger, net):
    net.write_text(net.read_text() + 'type: "dag"')
    answer = memonger("optimize", net, "--pass", "inference-fast", "--json")
    assert answer.data["changed"] is False
    assert answer.err == "the pass has left the net as it was\n"


def test_unknown_sizes_are_named(memonger, net):
    (net.parent / "sizes.json").write_text('{"a": 100}')
    answer = memonger("optimize", net, "--pass", "inference-fast", "--sizes", "sizes.json")
    assert answer.err.splitlines() == [
        "unknown size: 'b': no size given",
        "unknown size: 'c': no size given",
        "unknown size: 'y': no size given",
    ]
    many = "".join(f'op {{ input: "x{i}" output: "x{i + 1}" type: "Relu" }}' for i in range(9))
    net.write_text(many)
    (net.parent / "sizes.json").write_text('{"x1": 1}')
    answer = memonger("optimize", net, "--pass", "release", "--sizes", "sizes.json")
    assert answer.err.splitlines()[-1] == "unknown size: 3 more blobs"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--pass", "share-gradients"), "needs --loss"),
        (("--pass", "share-gradients", "--loss", "z"), "no blob 'z', which --loss names"),
        (
            ("--pass", "share-gradients", "--loss", "y", "--param-grad", "z"),
            "no blob 'z', which --param-grad names",
        ),
        (("--pass", "release", "--static", "z"), "no blob 'z', which --static names"),
        (("--pass", "release", "--loss", "y"), "--loss does not go with --pass release"),
        (("--pass", "inference-fast", "--scope", "s"), "--scope does not go with"),
        (("--pass", "inference-fast", "--algorithm", "optimal"), "--algorithm does not go with"),
        (("--pass", "inference-dag", "--algorithm", "by-size"), "one --algorithm: optimal"),
        (("--pass", "inference-dag", "--time-limit", "3"), "--time-limit is for --algorithm"),
        (("--pass", "inference-dag", "--report", "r"), "--report does not go with"),
        (("--pass", "inference-dag", "--seed", "3"), "--seed does not go with"),
        (("--pass", "inference-dag", "--alignment", "8"), "--alignment does not go with"),
        (("--pass", "inference-dag", "--require-optimal"), "--require-optimal does not go"),
        (("--pass", "inference"), "'inference' is not one of 'share-gradients', "),
        (("--loss", "y"), "--loss is for --pass"),
        (("--param-grad", "y"), "--param-grad is for --pass"),
        (("--scope", "s"), "--scope is for --pass"),
    ],
    ids=str,
)
def test_what_does_not_go_together(memonger, net, contents, arguments, message):
    before = contents()
    answer = memonger("optimize", net, *arguments, "-o", "out.pb")
    assert message in answer.is_error()
    assert "Value error" not in answer.err
    assert contents() == before


def test_gradient_operators_are_refused(memonger, net, contents):
    net.write_text(net.read_text().replace('type: "Relu"', 'type: "Relu" is_gradient_op: true', 1))
    before = contents()
    answer = memonger("optimize", net, "--pass", "inference-dag", "-o", "out.pb")
    assert "only inference nets" in answer.is_error()
    assert contents() == before


def test_a_problem_has_no_passes(memonger, problem):
    assert "not a net" in memonger("optimize", problem, "--pass", "release").is_error()


# Memory of a net, stdout, --quiet.


def test_memory(memonger, net):
    data = memonger("info", net, "--memory", "--shapes", "shapes.json", "--json").data
    assert (data["total"], data["highwater"]) == (96, 96)
    assert data["by_operator"] == {"Relu": 48, "Tanh": 24, "Sigmoid": 24}
    assert data["uncounted"] == []
    answer = memonger("info", net, "--memory", "--shapes", "shapes.json")
    assert answer.code == 0
    assert "by Relu" in answer.out
    assert memonger("optimize", net, "--pass", "release", "-o", "out.pb").code == 0
    data = memonger("info", "out.pb", "--memory", "--shapes", "shapes.json", "--json").data
    assert (data["total"], data["highwater"]) == (96, 48)


def test_memory_of_blobs_of_unknown_size(memonger, net):
    data = memonger("info", net, "--memory", "--json").data
    assert data["total"] == 0
    assert [entry["blob"] for entry in data["uncounted"]] == ["a", "b", "c", "y"]
    (net.parent / "sizes.json").write_text('{"a": 100}')
    answer = memonger("info", net, "--memory", "--sizes", "sizes.json")
    assert "counts 0: 'b': unknown shape or type" in answer.out
    many = "".join(f'op {{ input: "x{i}" output: "x{i + 1}" type: "Relu" }}' for i in range(9))
    net.write_text(many)
    assert "counts 0: 4 more" in memonger("info", net, "--memory").out


@pytest.mark.parametrize("more", [("--static", "a"), ("--alignment", "8")])
def test_memory_of_what(memonger, net, problem, more):
    assert "--memory goes with neither" in memonger("info", net, "--memory", *more).is_error()
    assert "this is a problem" in memonger("info", problem, "--memory").is_error()


@pytest.mark.parametrize("command", ["optimize", "solve"])
def test_quiet_prints_nothing(memonger, net, command):
    answer = memonger(command, net, "--shapes", "shapes.json", "-q")
    assert (answer.code, answer.out, answer.err) == (0, "", "")
    assert memonger(command, net, "--shapes", "shapes.json", "-q", "--json").data["objective"] == 48


devices = pytest.mark.skipif(not os.path.exists("/dev/stdout"), reason="no /dev/stdout")


@devices
@pytest.mark.parametrize("command", [("optimize",), ("solve",), ("optimize", "--pass", "release")])
@pytest.mark.parametrize("more", [("--json",), (), ("--json", "-q")], ids=str)
def test_one_thing_on_stdout(memonger, net, command, more):
    arguments = (command[0], net, *command[1:], "--shapes", "shapes.json", "-o", "/dev/stdout")
    assert "/dev/stdout: this is stdout" in memonger(*arguments, *more).is_error()


@devices
def test_a_net_alone_on_stdout():
    command = [sys.executable, "-m", "memonger", "optimize", "mlp", "-o", "/dev/stdout", "-q"]
    run = subprocess.run(command, capture_output=True, check=False)
    assert (run.returncode, run.stderr) == (0, b"")
    assert len(parse_net(run.stdout, "stdout").op) == 6


@devices
def test_the_null_device_is_no_conflict():
    command = [sys.executable, "-m", "memonger", "optimize", "mlp", "-o", os.devnull, "--json"]
    with open(os.devnull, "wb") as null:
        run = subprocess.run(command, stdout=null, stderr=subprocess.PIPE, check=False)
    assert (run.returncode, run.stderr) == (0, b"")
