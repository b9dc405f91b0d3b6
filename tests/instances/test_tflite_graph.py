from dataclasses import replace

import pytest

from memonger.errors import InputError, MissingExtraError
from memonger.instances.graph_json import problem_from_graph

pytest.importorskip("tflite")

from memonger.instances.loading import load
from memonger.instances.tflite_graph import graph_from_tflite
from tests import tflite_models as build

TENSORS = build.SMALL.tensors


def ranges(data, planned=None):
    problem = problem_from_graph(data, planned=planned)
    return {b.name: (b.size, b.start, b.end) for b in problem.buffers}


def refused(content, subgraph=0):
    with pytest.raises(InputError) as error:
        graph_from_tflite(content, "m.tflite", subgraph)
    assert "m.tflite" in str(error.value)
    assert "\n" not in str(error.value)
    return str(error.value)


def changed(number, **changes):
    tensors = list(TENSORS)
    tensors[number] = replace(tensors[number], **changes)
    return build.model(replace(build.SMALL, tensors=tuple(tensors)))


def test_constants_views_variables():
    found = graph_from_tflite(build.model(build.SMALL))
    # Folding leaves out the first operator; the view keeps its base to the operator of one's own.
    assert ranges(found) == {"a": (64, 0, 4), "b": (64, 2, 4), "c": (64, 3, 5)}
    assert ranges(found, "activations+outputs")["y"] == (8, 4, 5)
    kinds = dict(zip(found["tensors"]["name"], found["tensors"]["kind"], strict=True))
    assert kinds["state"] == kinds["w"] == kinds["packed"] == "w"
    assert [op[1] for op in found["ops"]][3] == "CUSTOM:mine"


def test_what_may_be_in_place_is_noted():
    found = graph_from_tflite(build.model(build.SMALL))
    pairs = {op[0]: op[5] for op in found["ops"]}
    assert pairs["mul_1"] == []  # over an input of the graph, or a constant: no
    assert pairs["custom:mine_4"] == []
    body = graph_from_tflite(build.model(build.BODY))
    assert body["ops"][1][5] == [[0, 0]]


def test_every_subgraph_can_be_planned():
    content = build.model(build.SMALL, build.BODY)
    assert ranges(graph_from_tflite(content, subgraph=1)) == {"q": (32, 0, 2)}
    assert graph_from_tflite(content)["meta"]["graphs"] == 2
    assert "no subgraph 2; there are 2" in refused(content, 2)
    assert "no subgraph -1" in refused(content, -1)


def test_load(tmp_path):
    for name, form in (("m.tflite", None), ("model", "tflite")):
        (tmp_path / name).write_bytes(build.model(build.SMALL, build.BODY))
        assert load(tmp_path / name, form).total == 192
        assert load(tmp_path / name, form, subgraph=1).total == 32


def test_names_that_stand_twice():
    found = graph_from_tflite(changed(6, name="a"))
    assert [size for size, *_ in ranges(found).values()] == [64, 64, 64]


def test_without_tflite(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "tflite", None)
    with pytest.raises(MissingExtraError, match=r"memonger\[tflite\]"):
        graph_from_tflite(b"")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no TFL3"),
        (b"\x00" * 100, "no TFL3"),
        (build.model(build.SMALL)[:60], "truncated or damaged"),
        (build.model(), "no subgraph 0; there are 0"),
        (changed(6, shape=(-1, 16)), "operator 3 (ADD): tensor 'b' has the dimension -1"),
        (changed(6, shape=(2**31 - 1,) * 3), "the limit is 2^62"),
        (changed(6, dtype=build.STRING), "'b' has elements of the type string"),
    ],
)
def test_bad_models(content, said):
    assert said in refused(content)


@pytest.mark.parametrize(
    ("operator", "said"),
    [
        (build.Operator("ADD", (4, 7), (6,)), "operator 3 (ADD) reads the tensor 7 before"),
        (build.Operator("ADD", (4, 99), (6,)), "there is no tensor 99"),
        (build.Operator("ADD", (4, -2), (6,)), "there is no tensor -2"),
        (build.Operator("ADD", (4, 5), (3,)), "makes the tensor 3 once more"),
    ],
)
def test_bad_operators(operator, said):
    operators = list(build.SMALL.operators)
    operators[3] = operator
    assert said in refused(build.model(replace(build.SMALL, operators=tuple(operators))))
