"""Small ONNX models, built node by node."""

import onnx
from onnx import TensorProto, helper


def value(name, shape, dtype=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, dtype, shape)


def model(nodes, inputs, outputs, initializers=(), value_info=()):
    graph = helper.make_graph(
        nodes, "small", inputs, outputs, initializer=list(initializers), value_info=value_info
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def node(kind, inputs, outputs, **attributes):
    name = f"{kind.lower()}_{outputs.split()[0]}"
    return helper.make_node(kind, inputs.split(), outputs.split(), name=name, **attributes)


def ints(name, *values):
    return helper.make_tensor(name, TensorProto.INT64, [len(values)], values)


def floats(name, *shape):
    count = 1
    for dimension in shape:
        count *= dimension
    return helper.make_tensor(name, TensorProto.FLOAT, shape, [1.0] * count)


def residual():
    """Relu, a view of it, a sum, a reduction; the batch is open."""
    return model(
        [
            node("Relu", "x", "a"),
            node("Mul", "a scale", "b"),
            node("Reshape", "a flat", "view"),
            node("Reshape", "b flat", "other"),
            node("Add", "view other", "c"),
            node("Sigmoid", "c", "d"),
            node("ReduceSum", "d axes", "y", keepdims=0),
        ],
        [value("x", ["batch", 3, 4])],
        [value("y", None)],
        [ints("flat", 0, 12), ints("axes", 1), floats("scale", 3, 4)],
    )


def two_branches():
    """An If whose bodies read a value from around them."""
    bodies = [
        helper.make_graph(nodes, name, [], [value("out", [2, 8])])
        for name, nodes in (
            ("then", [node("Relu", "a", "t"), node("Exp", "t", "u"), node("Neg", "u", "out")]),
            ("else", [node("Neg", "a", "out")]),
        )
    ]
    return model(
        [
            node("Tanh", "x", "a"),
            node("ReduceSum", "x", "s", keepdims=0),
            node("Cast", "s", "test", to=TensorProto.BOOL),
            helper.make_node(
                "If", ["test"], ["z"], "if", then_branch=bodies[0], else_branch=bodies[1]
            ),
            node("Abs", "z", "y"),
        ],
        [value("x", [2, 8])],
        [value("y", [2, 8])],
    )


def save(proto, path):
    path.write_bytes(proto.SerializeToString())
    return path


__all__ = ["floats", "ints", "model", "node", "onnx", "residual", "save", "two_branches", "value"]
