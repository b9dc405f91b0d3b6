import pytest

from memonger.errors import InputError, MissingExtraError
from memonger.instances.graph_json import order_problem_from_graph, problem_from_graph

pytest.importorskip("onnx")

from memonger.instances.loading import load
from memonger.instances.onnx_graph import graph_from_onnx
from tests import onnx_models as build


def graph(proto, **dims):
    return graph_from_onnx(proto.SerializeToString(), "m.onnx", dims)


def ranges(data, planned=None):
    problem = problem_from_graph(data, planned=planned)
    return {b.name: (b.size, b.start, b.end) for b in problem.buffers}


def refused(proto, dims=None, subgraph=0):
    content = proto if isinstance(proto, bytes) else proto.SerializeToString()
    with pytest.raises(InputError) as error:
        graph_from_onnx(content, "m.onnx", dims, subgraph)
    assert "m.onnx" in str(error.value)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_views_live_in_their_base_and_weights_are_not_planned():
    found = graph(build.residual(), batch=2)
    assert ranges(found) == {
        "a": (96, 0, 5),  # its view is read by the sum
        "b": (96, 1, 5),
        "c": (96, 4, 6),
        "d": (96, 5, 7),
    }
    assert ranges(found, "activations+outputs")["y"] == (8, 6, 7)


def test_what_may_be_in_place_is_noted():
    found = graph(build.residual(), batch=2)
    pairs = {op[0]: op[5] for op in found["ops"]}
    assert pairs["sigmoid_d"] == [[0, 0]]
    assert pairs["relu_a"] == []  # the input of the graph is not ours
    assert pairs["reducesum_y"] == []
    assert pairs["mul_b"] == [[0, 0]]  # the weight is no candidate


def test_open_dimensions_are_named():
    message = refused(build.residual())
    assert "'a'" in message
    assert "batch" in message
    assert "--dim" in message
    assert "batch" in refused(build.residual(), {"height": 3})
    sizes = [
        graph_from_onnx(build.residual().SerializeToString(), "m", {name: 5})["tensors"]["bytes"]
        for name in ("batch", "x:0")
    ]
    assert sizes[0] == sizes[1]


def test_a_negative_dimension_is_an_open_one():
    proto = build.residual()
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = -1
    assert "x:0" in refused(proto)
    assert ranges(graph(proto, **{"x:0": 2}))["a"] == (96, 0, 5)


def test_what_constants_make_is_constant():
    proto = build.model(
        [
            build.node("Exp", "w", "wide"),
            build.node("Shape", "x", "shape"),
            build.node("Cast", "shape", "cast", to=1),
            build.node("RandomNormal", "", "noise", shape=[2, 3]),
            build.node("Mul", "x wide", "a"),
            build.node("Add", "a noise", "b"),
            build.node("Neg", "b", "y"),
        ],
        [build.value("x", [2, 3])],
        [build.value("y", [2, 3])],
        [build.floats("w", 2, 3)],
    )
    assert set(ranges(graph(proto))) == {"a", "b", "noise"}


def test_shapes_that_are_computed():
    """Shape, Gather, Concat, Reshape: the chain that exporters write for a flattening."""
    proto = build.model(
        [
            build.node("Relu", "x", "a"),
            build.node("Shape", "a", "shape"),
            build.node("Gather", "shape zero", "first"),
            build.node("Concat", "first rest", "target", axis=0),
            build.node("Reshape", "a target", "flat"),
            build.node("Softmax", "flat", "soft"),
            build.node("Neg", "soft", "y"),
        ],
        [build.value("x", ["n", 3, 4])],
        [build.value("y", None)],
        [build.ints("zero", 0), build.ints("rest", -1)],
    )
    assert ranges(graph(proto, n=2)) == {"a": (96, 0, 3), "soft": (96, 2, 4)}


@pytest.mark.parametrize(
    ("inputs", "outputs", "is_view"),
    [("a", "b", True), ("a ratio", "b", True), ("a ratio off", "b", True), ("a", "b mask", False)],
)
def test_dropout_in_inference_is_a_view(inputs, outputs, is_view):
    from onnx import TensorProto, helper

    proto = build.model(
        [
            build.node("Relu", "x", "a"),
            build.node("Dropout", inputs, outputs),
            build.node("Neg", "b", "y"),
        ],
        [build.value("x", [4])],
        [build.value("y", [4])],
        [
            helper.make_tensor("ratio", TensorProto.FLOAT, [], [0.5]),
            helper.make_tensor("off", TensorProto.BOOL, [], [False]),
        ],
    )
    assert ("b" not in ranges(graph(proto))) == is_view


def test_dropout_in_training_is_none():
    from onnx import TensorProto, helper

    proto = build.model(
        [
            build.node("Relu", "x", "a"),
            build.node("Dropout", "a ratio on", "b"),
            build.node("Neg", "b", "y"),
        ],
        [build.value("x", [4])],
        [build.value("y", [4])],
        [
            helper.make_tensor("ratio", TensorProto.FLOAT, [], [0.5]),
            helper.make_tensor("on", TensorProto.BOOL, [], [True]),
        ],
    )
    assert set(ranges(graph(proto))) == {"a", "b"}


def test_bodies_are_graphs_of_their_own():
    content = build.two_branches().SerializeToString()
    whole, other, then = (graph_from_onnx(content, "m.onnx", None, k) for k in range(3))
    assert ranges(whole)["a"] == (64, 0, 4)  # the If reads it, inside
    assert ranges(then) == {"t": (64, 0, 2), "u": (64, 1, 3)}
    assert ranges(other) == {}
    assert whole["meta"]["graphs"] == 3
    assert "3" in refused(content, None, 3)


def test_packed_and_wide_elements():
    from onnx import TensorProto

    def size(dtype):
        proto = build.model(
            [build.node("Cast", "x", "a", to=dtype), build.node("Cast", "a", "y", to=1)],
            [build.value("x", [3])],
            [build.value("y", [3])],
        )
        proto.opset_import[0].version = 21
        return ranges(graph(proto))["a"][0]

    assert size(TensorProto.DOUBLE) == 24
    assert size(TensorProto.BFLOAT16) == 6
    assert size(TensorProto.BOOL) == 3
    assert size(TensorProto.INT4) == 2


def test_order_problems(tmp_path):
    problem = order_problem_from_graph(graph(build.residual(), batch=2))
    assert len(problem) == 7
    assert problem.peak(range(7)) == 288


def test_load(tmp_path):
    path = build.save(build.residual(), tmp_path / "m.onnx")
    other = build.save(build.residual(), tmp_path / "model")
    found = load(path, dims={"batch": 2})
    assert found.buffers == load(other, "onnx", dims={"batch": 2}).buffers
    assert found.total == 384


def test_weights_in_other_files_are_not_needed(tmp_path):
    from onnx import TensorProto

    proto = build.residual()
    scale = next(t for t in proto.graph.initializer if t.name == "scale")
    scale.ClearField("float_data")
    scale.data_location = TensorProto.EXTERNAL
    scale.external_data.add(key="location", value="nowhere.bin")
    assert ranges(graph(proto, batch=2))["a"] == (96, 0, 5)
    pytest.importorskip("onnxruntime")
    with pytest.raises(InputError, match=r"m\.onnx.*onnxruntime") as error:
        graph_from_onnx(proto.SerializeToString(), "m.onnx", {"batch": 2}, fold=True)
    assert "\n" not in str(error.value)


def test_folding_by_onnxruntime():
    pytest.importorskip("onnxruntime")
    content = build.residual().SerializeToString()
    folded = graph_from_onnx(content, "m.onnx", {"batch": 2}, fold=True)
    assert problem_from_graph(folded).total == 384


def test_without_onnxruntime(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    content = build.residual().SerializeToString()
    with pytest.raises(MissingExtraError, match="onnxruntime"):
        graph_from_onnx(content, "m.onnx", {"batch": 2}, fold=True)
    assert graph_from_onnx(content, "m.onnx", {"batch": 2})["ops"]


def test_without_onnx(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtraError, match=r"memonger\[onnx\]"):
        graph_from_onnx(b"", "m.onnx")


def cyclic():
    return build.model(
        [build.node("Add", "x b", "a"), build.node("Neg", "a", "b"), build.node("Neg", "b", "y")],
        [build.value("x", [4])],
        [build.value("y", [4])],
        value_info=[build.value("a", [4]), build.value("b", [4])],
    )


def huge():
    shape = [2**31, 2**31, 8]
    return build.model(
        [build.node("Neg", "x", "a"), build.node("Neg", "a", "y")],
        [build.value("x", shape)],
        [build.value("y", shape)],
    )


def twice():
    return build.model(
        [build.node("Neg", "x", "a"), build.node("Abs", "x", "a"), build.node("Neg", "a", "y")],
        [build.value("x", [4])],
        [build.value("y", [4])],
    )


def text():
    from onnx import TensorProto

    return build.model(
        [build.node("Cast", "x", "a", to=TensorProto.STRING), build.node("Cast", "a", "y", to=1)],
        [build.value("x", [4])],
        [build.value("y", [4])],
    )


def unknown_operator():
    proto = build.residual()
    proto.graph.node[1].op_type = "NoSuchOperator"
    return proto


def without_maker():
    proto = build.residual()
    proto.graph.output[0].name = "z"
    return proto


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (cyclic, "node 0 ('add_a') reads 'b' before it is made"),
        (huge, "'a' has 147573952589676412928 bytes"),
        (twice, "a"),
        (text, "string"),
        (unknown_operator, "'b' has unknown shape"),
        (without_maker, "'z'"),
    ],
)
def test_bad_models(make, said):
    proto = make()
    dims = {"batch": 2} if proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param else None
    assert said in refused(proto, dims)


@pytest.mark.parametrize("content", [b"", b"\xff" * 50, b"no model at all", b"\x08\x07"])
def test_files_that_are_no_models(content):
    refused(content)
