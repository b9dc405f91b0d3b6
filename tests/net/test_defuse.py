import pytest

from memonger.errors import NetError
from memonger.net.defuse import EXTERNAL, analyse, device_of, outputs_of
from memonger.net.netdef_pb2 import DeviceOption, NetDef
from tests.net.notation import net, operator, with_net


def versions(model):
    return [(v.blob, v.writer, v.readers, v.previous) for v in analyse(model).versions]


def test_every_write_makes_a_version():
    assert versions(net("Relu x > a; Tanh a > b; Sum a b > y")) == [
        ("x", EXTERNAL, [0], None),
        ("a", 0, [1, 2], None),
        ("b", 1, [2], None),
        ("y", 2, [], None),
    ]


def test_writing_in_place_reads_and_continues_the_version_before():
    assert versions(net("Relu x > a; Tanh a > a; Sum a a > y")) == [
        ("x", EXTERNAL, [0], None),
        ("a", 0, [1], None),
        ("a", 1, [2], 1),
        ("y", 2, [], None),
    ]


def test_redefinition_begins_a_version_of_its_own():
    assert versions(net("Relu x > a; Tanh a > b; Relu b > a; Tanh a > y"))[3] == (
        "a", 2, [3], None,
    )  # fmt: skip


def test_a_written_external_input_has_two_versions():
    found = versions(net("Relu x > x; Tanh x > y"))
    assert found[:2] == [("x", EXTERNAL, [0], None), ("x", 0, [1], 0)]


def test_an_operator_reads_a_repeated_input_once_and_writes_a_repeated_output_once():
    model = analyse(net("Split x > a a; Sum a a > y"))
    assert [v.readers for v in model.versions] == [[0], [1], []]
    assert model.writes[0] == {"a": 1}


def test_unread_external_inputs_have_versions_too():
    assert ("w", EXTERNAL, [], None) in versions(net("Relu x > y", inputs="x w"))


@pytest.mark.parametrize(
    ("text", "inputs", "external"),
    [
        ("Relu x > y", "x", ("x",)),
        ("Relu x > y", "", ("x",)),
        ("Add x w > y", "", ("x", "w")),
        ("Relu x > x; Relu w > y", "", ("x", "w")),
        ("Fill > x; Relu x > y", "", ()),
    ],
)
def test_external_blobs(text, inputs, external):
    assert analyse(net(text, inputs)).external == external


@pytest.mark.parametrize(
    ("text", "outputs", "expected"),
    [
        ("Relu x > a; Tanh a > y", "y", ("y",)),
        ("Relu x > a; Tanh a > y", "a y a", ("a", "y")),
        ("Relu x > a; Tanh a > y", "", ("y",)),
        ("Relu x > a; Tanh a > a", "", ("a",)),
        ("Relu x > a; Tanh a > y; Relu x > a", "", ("a", "y")),
        ("Relu x > a dead; Tanh a > y", "", ("dead", "y")),
        ("Relu x > x", "", ("x",)),
        ("Relu x > y; Print y >", "", ()),
        ("Loss x > l; ConstantFill l > l_autogen_grad; D l_autogen_grad > y", "", ("l", "y")),
    ],
)
def test_outputs_are_those_declared_or_else_what_nobody_reads(text, outputs, expected):
    model = net(text, outputs=outputs)
    assert sorted(outputs_of(model, analyse(model))) == sorted(expected)


ERRORS = {
    "undeclared read": (net("Relu x > a; Add a ghost > y"), r"operator 1 \(Add\) reads 'ghost'"),
    "read before write": (net("Relu late > a; Tanh x > late; Add a x > y"), "operator 0.*'late'"),
    "own output": (net("Relu x > y; Add y z > z"), "operator 1.*'z'"),
    "output never written": (net("Relu x > a", outputs="y"), "'y' is never written"),
    "control unknown": (net("Relu x > y | ghost"), r"operator 0 \(Relu\).*control.*'ghost'"),
    "control cycle": (net("Relu x > a | y; Tanh a > y"), "operator 0.*control.*'y'"),
    "no type": (NetDef(op=[{"input": ["x"], "output": ["y"]}]), "operator 0 has no type"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_malformed_nets_are_refused_by_operator_and_blob(name):
    model, message = ERRORS[name]
    with pytest.raises(NetError, match=message) as caught:
        analyse(model)
    assert "\n" not in str(caught.value)


def test_a_broken_text_net_in_an_argument_is_refused_by_operator_and_argument():
    model = net("Relu x > a; If a > y")
    model.op[1].arg.add(name="then_net", s=b'op {\n type: "Relu" nonsense }')
    with pytest.raises(NetError, match=r"operator 1 \(If\).*'then_net'") as caught:
        analyse(model)
    assert "\n" not in str(caught.value)


def test_a_net_without_operators_is_fine():
    model = NetDef(external_input=["x"], external_output=["x"])
    assert analyse(model).last == {"x": 0}
    assert outputs_of(NetDef(), analyse(NetDef())) == ()


def test_an_external_input_declared_twice_is_one_version():
    assert len(analyse(net("Relu x > y", inputs="x x")).versions) == 2


def test_temporaries_of_a_net_inside_are_no_reads_of_the_outer_net():
    inner = net("Relu c > t; Tanh t > y", inputs="c", outputs="y")
    model = net("Relu x > c", outputs="y")
    model.op.append(with_net(operator("If cond c > y"), then_net=inner, else_net=inner))
    model.external_input.append("cond")
    assert "t" not in {v.blob for v in analyse(model).versions}


def test_a_partial_write_reads_what_it_may_leave():
    inner = net("Relu x > d", outputs="d")
    model = net("Tanh x > d; Copy d > y", inputs="x cond")
    model.op.insert(1, with_net(operator("If cond > d"), then_net=inner))
    found = analyse(model)
    assert found.versions[found.reads[1]["d"]].writer == 0
    assert found.versions[found.writes[1]["d"]].previous == found.reads[1]["d"]


@pytest.mark.parametrize(
    ("outer", "inner", "kind", "expected"),
    [
        (None, None, "Relu", (0, 0)),
        ((1, 2), None, "Relu", (1, 2)),
        ((1, 2), (0, 0), "Relu", (0, 0)),
        ((1, 2), (1, 3), "Relu", (1, 3)),
        (None, (0, 7), "Relu", (0, 0)),  # CPUs have no id
        (None, (1, 1), "CopyGPUToCPU", (0, 0)),
        ((1, 0), None, "EnsureCPUOutput", (0, 0)),
    ],
)
def test_the_device_of_an_operator(outer, inner, kind, expected):
    model = net(f"{kind} x > y")
    if outer:
        model.device_option.CopyFrom(DeviceOption(device_type=outer[0], device_id=outer[1]))
    if inner:
        model.op[0].device_option.device_type, model.op[0].device_option.device_id = inner
    assert device_of(model, 0) == expected
