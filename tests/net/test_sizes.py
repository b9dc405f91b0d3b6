import json

import pytest

from memonger.errors import InputError, ShapeError
from memonger.net.arguments import (
    float_argument,
    int_argument,
    ints_argument,
    str_argument,
    strings_argument,
)
from memonger.net.defuse import analyse
from memonger.net.io import save_net
from memonger.net.netdef_pb2 import OperatorDef
from memonger.net.sizes import version_sizes
from memonger.net.tensors import DataType, TensorType
from memonger.net.type_files import parse_sizes, parse_types, read_sizes, read_types
from tests.net.notation import net, operator

CHAIN = net("Relu x > a; Tanh a > b; Magic b > y")


def sizes_of(model, **given):
    found = version_sizes(model, analyse(model), **given)
    blobs = [version.blob for version in analyse(model).versions]
    return dict(zip(blobs, found.versions, strict=True)), found.unknown


def test_sizes_follow_from_shapes_where_the_operator_is_known():
    found, unknown = sizes_of(CHAIN, types={"x": TensorType((2, 3))})
    assert found["a"] == found["b"] == 24
    assert found["y"] is None
    assert [(cause.blob, cause.operator) for cause in unknown] == [("y", 2)]


def test_given_sizes_win_over_shapes():
    found, unknown = sizes_of(CHAIN, types={"x": TensorType((2, 3))}, sizes={"a": 7, "y": 9})
    assert (found["a"], found["b"], found["y"]) == (7, 24, 9)
    assert unknown == ()


def test_without_shapes_the_rest_is_unknown_with_a_reason():
    found, unknown = sizes_of(CHAIN, sizes={"a": 7})
    assert (found["a"], found["b"], found["y"]) == (7, None, None)
    assert {cause.blob: cause.reason for cause in unknown} == dict.fromkeys("by", "no size given")


def test_external_inputs_of_unknown_size_are_not_listed():
    assert sizes_of(CHAIN, sizes={"a": 1, "b": 1, "y": 1}) == (
        {"x": None, "a": 1, "b": 1, "y": 1}, (),
    )  # fmt: skip


def test_negative_sizes_are_refused():
    with pytest.raises(ShapeError, match=r"'a'.*-1"):
        sizes_of(CHAIN, sizes={"a": -1})


# What users write.


def test_types_in_their_three_forms():
    given = {
        "a": [2, 3],
        "b": {"shape": [4], "dtype": "half"},
        "c": TensorType((5,), DataType.INT8),
    }
    found = parse_types(given)
    assert {blob: kind.nbytes for blob, kind in found.items()} == {"a": 24, "b": 8, "c": 5}


@pytest.mark.parametrize(
    "value",
    [
        [],
        "2,3",
        {"a": 5},
        {"a": "2,3"},
        {"a": [2, -1]},
        {"a": [2.0]},
        {"a": [True]},
        {"a": [None]},
        {"a": {"dtype": "float"}},
        {"a": {"shape": [1], "type": "float"}},
        {"a": {"shape": [1], "dtype": "complex"}},
        {"a": {"shape": None}},
    ],
    ids=str,
)
def test_bad_types_are_refused(value):
    with pytest.raises(ShapeError):
        parse_types(value)


@pytest.mark.parametrize("value", [[], {"a": -1}, {"a": 1.0}, {"a": True}, {"a": "8"}, {"a": None}])
def test_bad_sizes_are_refused(value):
    with pytest.raises(ShapeError):
        parse_sizes(value)


def test_shapes_are_read_from_json_or_from_an_init_net(tmp_path):
    shapes = tmp_path / "shapes.json"
    shapes.write_text(' \n{"w": {"shape": [2, 3], "dtype": "int64"}}')
    init = net("ConstantFill > w", "", "w")
    init.op[0].arg.add(name="shape", ints=[2, 3])
    for suffix in (".pb", ".pbtxt"):
        save_net(init, tmp_path / f"init{suffix}")
        assert read_types(tmp_path / f"init{suffix}")["w"] == TensorType((2, 3))
    assert read_types(shapes)["w"] == TensorType((2, 3), DataType.INT64)


@pytest.mark.parametrize("read", [read_types, read_sizes])
@pytest.mark.parametrize(
    "data", [None, b"", b"{", b"[1]", b'{"a": [}', b"\xff\xfe{", b"[" * 100_000, b'{"a": NaN}']
)
def test_unusable_files_are_input_errors_that_name_the_file(tmp_path, read, data):
    path = tmp_path / "given.json"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(InputError, match=r"given\.json"):
        read(path)


def test_sizes_are_read_from_json(tmp_path):
    path = tmp_path / "sizes.json"
    path.write_text(json.dumps({"a": 10**15}))
    assert read_sizes(path) == {"a": 10**15}


@pytest.mark.parametrize(
    ("text", "itemsize"),
    [("float", 4), ("FLOAT32", 4), (" half ", 2), ("int64", 8), ("bool", 1), ("string", None)],
)
def test_data_types_by_name(text, itemsize):
    assert DataType.parse(text).itemsize == itemsize


def test_a_scalar_has_one_element_and_an_empty_tensor_none():
    assert TensorType(()).nbytes == 4
    assert TensorType((3, 0, 2)).nbytes == 0
    assert TensorType((2**20, 2**20, 2**20)).nbytes == 2**62
    with pytest.raises(ShapeError):
        TensorType((1, -1))


# Arguments.


def test_arguments_of_the_wrong_kind_count_as_absent():
    op = OperatorDef()
    op.CopyFrom(operator("Conv x > y"))
    op.arg.add(name="i", i=3)
    op.arg.add(name="f", f=0.5)
    op.arg.add(name="s", s=b"NHWC")
    op.arg.add(name="l", ints=[1, 2], strings=[b"a"])
    assert [int_argument(op, name, 9) for name in "ifsl-"] == [3, 9, 9, 9, 9]
    assert [float_argument(op, name, 9) for name in "ifsl-"] == [9, 0.5, 9, 9, 9]
    assert [str_argument(op, name, "?") for name in "ifsl-"] == ["?", "?", "NHWC", "?", "?"]
    assert [ints_argument(op, name) for name in "ifsl-"] == [(3,), (), (), (1, 2), None]
    assert [strings_argument(op, name) for name in "il-"] == [(), ("a",), ()]
