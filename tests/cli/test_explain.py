import json

import pytest


def test_a_net_as_json(memonger, net):
    data = memonger("explain", net, "--shapes", "shapes.json", "--json").data
    assert [step["name"] for step in data["steps"]][-1] == "bound over all orders"
    assert data["steps"][0]["bytes"] == 72
    assert data["steps"][3]["bytes"] == data["steps"][5]["bytes"] == 48
    assert data["steps"][3]["share"] == pytest.approx(48 / 72)
    assert {blob["bytes"] for blob in data["peak_blobs"]} == {24}
    assert data["remedies"][0]["kind"] == "in-place"
    assert data["budget"] is None


@pytest.mark.parametrize(
    ("budget", "code", "words"), [("48", 0, "yes"), ("47B", 4, "no, proven"), ("1KiB", 0, "yes")]
)
def test_a_budget(memonger, net, budget, code, words):
    answer = memonger("explain", net, "--shapes", "shapes.json", "--budget", budget)
    assert answer.code == code
    assert f"bytes: {words}" in answer.out
    assert "where the bytes go" in " ".join(answer.out.split())


def test_a_problem_has_no_orders(memonger, problem):
    data = memonger("explain", problem, "--json", "--budget", "11").data
    assert [step["name"] for step in data["steps"]][-1] == "load bound"
    assert (data["budget"]["fits"], len(data["budget"]["blobs"])) == (False, 2)


def test_a_net_that_runs_in_parallel(memonger, net):
    net.write_text('type: "dag"' + net.read_text())
    data = memonger("explain", net, "--shapes", "shapes.json", "--json").data
    steps = {step["name"]: step for step in data["steps"]}
    assert steps["Caffe2's greedy"]["bytes"] is None
    assert "in parallel" in steps["Caffe2's greedy"]["note"]
    assert steps["optimal sharing"]["bytes"] is not None


def test_alignment(memonger, net):
    answer = memonger("explain", net, "--shapes", "shapes.json", "--alignment", 64)
    assert "alignment takes 80 bytes of the load bound" in answer.out
    assert answer.code == 0


def test_bad_input(memonger, problem):
    problem.write_text(json.dumps({"format": "none"}))
    assert "unknown format" in memonger("explain", problem).is_error()
    assert "is no size" in memonger("explain", problem, "--budget", "much").is_error()
