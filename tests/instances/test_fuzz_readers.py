"""Every reader, fed with damaged files: only errors that are meant for people may come out."""

import gzip
import importlib.util
import json

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from memonger.errors import MemongerError
from memonger.instances.loading import load, load_order_plan, load_order_problem, load_plan
from memonger.instances.nets import build
from memonger.instances.order_json import order_to_json
from memonger.instances.plan_json import plan_to_json
from memonger.instances.problem_json import problem_to_json
from memonger.net.io import serialize_net
from memonger.net.type_files import read_sizes, read_types
from memonger.order_problem import Allocation, OrderProblem
from memonger.problem import Buffer, Problem
from memonger.solver.order import solve_order
from memonger.solver.solve import solve

RUNS = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
PROBLEM = Problem(
    (Buffer("a", 8, 0, 2), Buffer("b", 4, 1, 3, 4), Buffer("c", 8, 1, 4)), "p", None, ((0, 2),)
)
PLAIN = Problem(PROBLEM.buffers)
ORDER = OrderProblem(
    ("p", "q", "r"), ((0, 2),), (Allocation("x", 4, 0, (2,)), Allocation("y", 2, 1, ()))
)
GRAPH = {
    "format": "memonger-graph/1",
    "meta": {"name": "g", "mode": "training"},
    "tensors": {
        "name": ["x", "a", "v", "y"],
        "bytes": [4, 8, 8, 4],
        "kind": ["i", "a", "a", "o"],
        "alias": [-1, -1, 1, -1],
    },
    "ops": [
        ["r", "Relu", [0], [1], "", []],
        ["s", "Reshape", [1], [2], "v", []],
        ["t", "Neg", [2], [3], "", [[0, 0]]],
    ],
}


def text(data):
    return json.dumps(data).encode()


NET = build("mlp").net
SEEDS = {
    "net.pb": serialize_net(NET),
    "net.pbtxt": serialize_net(NET, text=True),
    "problem.json": text(problem_to_json(PROBLEM)),
    "problem.json.gz": gzip.compress(text(problem_to_json(PROBLEM)), mtime=0),
    "graph.json": text(GRAPH),
    "plan.json": text(plan_to_json(PROBLEM, solve(PROBLEM))),
    "arena.json": text(plan_to_json(PLAIN, solve(PLAIN, form="arena"))),
    "order.json": text(order_to_json(ORDER, solve_order(ORDER))),
    "table.csv": b"id,lower,upper,size,offset\na,0,2,8,0\nb,1,3,4,8\nc,2,4,8,0\n",
    "sizes.json": b'{"a": 4, "b": 8}',
    "shapes.json": b'{"a": [2, 3], "b": {"shape": [4], "dtype": "int64"}}',
}
READERS = {
    "plan.json": (load, load_plan),
    "arena.json": (load, load_plan),
    "order.json": (load_order_problem, load_order_plan),
    "graph.json": (load, load_order_problem),
    "sizes.json": (read_sizes,),
    "shapes.json": (read_types,),
    "net.pb": (load, read_types),
    "net.pbtxt": (load, read_types),
}
if importlib.util.find_spec("tflite") is not None:
    from tests import tflite_models

    SEEDS["model.tflite"] = tflite_models.model(tflite_models.SMALL, tflite_models.BODY)
    READERS["model.tflite"] = (load, load_order_problem)
if importlib.util.find_spec("onnx") is not None:
    from tests import onnx_models

    RESIDUAL = onnx_models.residual()
    RESIDUAL.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 2
    SEEDS["model.onnx"] = RESIDUAL.SerializeToString()
    SEEDS["branches.onnx"] = onnx_models.two_branches().SerializeToString()


@st.composite
def mutations(draw, seed):
    """Return the bytes with some changed, left out, put in, doubled, or cut off at the end."""
    content = bytearray(seed)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(content)))
        kind = draw(st.sampled_from(["change", "insert", "remove", "copy", "number", "cut"]))
        if kind == "change" and at < len(content):
            content[at] = draw(st.integers(0, 255))
        elif kind == "insert":
            content[at:at] = draw(st.binary(min_size=1, max_size=8))
        elif kind == "remove":
            del content[at : at + draw(st.integers(1, 16))]
        elif kind == "copy":
            content[at:at] = content[at : at + draw(st.integers(1, 64))]
        elif kind == "number":
            content[at : at + 1] = draw(st.sampled_from(NUMBERS))
        elif draw(st.booleans()):
            del content[at:]
    return bytes(content)


NUMBERS = [
    b"-1",
    b"NaN",
    b"-Infinity",
    b"1e400",
    b"9223372036854775808",
    b"0.5",
    b"null",
    b"\xff\xff\xff\xff",
    b"\x00\x00\x00\x80",
    b"\xff\xff\xff\x7f",
    b"\xff" * 9 + b"\x01",
]


def read_all(path, readers):
    for read in readers:
        try:
            read(path)
        except MemongerError as error:
            said = str(error)
            assert str(path) in said
            assert "\n" not in said


@pytest.mark.parametrize("name", SEEDS)
def test_the_seeds_are_whole(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(SEEDS[name])
    for read in READERS.get(name, (load,)):
        if (name, read) not in {("net.pb", read_types), ("net.pbtxt", read_types)}:
            read(path)


@pytest.mark.parametrize("name", SEEDS)
def test_damaged_files(tmp_path, name):
    path = tmp_path / name
    readers = READERS.get(name, (load,))

    @RUNS
    @example(b"")
    @example(SEEDS[name] * 2)
    @given(mutations(SEEDS[name]))
    def run(content):
        path.write_bytes(content)
        read_all(path, readers)

    run()


@pytest.mark.parametrize("name", SEEDS)
def test_files_of_another_kind(tmp_path, name):
    path = tmp_path / name
    for content in SEEDS.values():
        path.write_bytes(content)
        read_all(path, READERS.get(name, (load,)))
