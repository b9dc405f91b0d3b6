import pytest
from google.protobuf import text_format

from memonger.errors import NetError
from memonger.net.netdef_pb2 import Argument, OperatorDef
from memonger.net.subnets import Operands, all_names, has_nets, local_names, nets_of, operands
from tests.net.notation import net, operator, with_net, with_strings

THEN = net("Relu c > t1; Tanh t1 > d", inputs="c", outputs="d")
ELSE = net("Negative c > e1; Copy e1 > d", inputs="c", outputs="d")
ELSE_WITHOUT = net("Negative c > e1", inputs="c", outputs="")
OUTER = {"cond", "c", "d", "w", "h", "x", "y"}


def as_text(op):
    """The same operator with its nets as text, as older exporters write them."""
    copy = OperatorDef()
    copy.CopyFrom(op)
    for arg in copy.arg:
        if arg.HasField("n"):
            arg.s = text_format.MessageToString(arg.n).encode()
            arg.ClearField("n")
    return copy


TABLE = {
    "plain": (operator("Add c w c > d"), Operands(("c", "w"), ("d",))),
    "in place": (operator("Relu c > c"), Operands(("c",), ("c",))),
    "both branches write": (
        with_net(operator("If cond c > d"), then_net=THEN, else_net=ELSE),
        Operands(("cond", "c"), ("d",)),
    ),
    "one branch writes: the other leaves the old value": (
        with_net(operator("If cond c > d"), then_net=THEN, else_net=ELSE_WITHOUT),
        Operands(("cond", "c"), ("d",), (), ("d",)),
    ),
    "no else branch": (
        with_net(operator("If cond c > d"), then_net=THEN),
        Operands(("cond", "c"), ("d",), (), ("d",)),
    ),
    "undeclared blobs": (
        with_net(operator("If cond >"), then_net=net("Add c w > d"), else_net=ELSE),
        Operands(("cond", "c", "w"), ("d",), ("c", "w", "d")),
    ),
    "written inside before it is read": (
        with_net(
            operator("If cond >"),
            then_net=net("Relu c > h; Tanh h > d"),
            else_net=net("Relu c > d"),
        ),
        Operands(("cond", "c"), ("h", "d"), ("c", "h", "d"), ("h",)),
    ),
    "nested": (
        with_net(
            operator("If cond >"),
            then_net=net("Relu c > d", "", ""),
            else_net=type(THEN)(op=[with_net(operator("If w > d"), then_net=THEN)]),
        ),
        Operands(("cond", "c", "w"), ("d",), ("c", "w", "d"), ("d",)),
    ),
    "AsyncIf": (
        with_net(operator("AsyncIf cond c > d"), then_net=THEN, else_net=ELSE),
        Operands(("cond", "c"), ("d",)),
    ),
    "While may not run at all": (
        with_net(
            operator("While cond > d"),
            loop_net=net("Add d c > d; Copy d > h", "", ""),
            cond_net=net("LT d w > cond", "", ""),
        ),
        Operands(("cond", "d", "c", "w"), ("d", "h", "cond"), ("c", "h", "w"), ("d", "h", "cond")),
    ),
    "Do has names of its own": (
        with_net(operator("Do c > d"), net=net("Relu x > y")),
        Operands(("c",), ("d",), (), ("d",)),
    ),
    "RecurrentNetwork writes all its outputs": (
        with_net(operator("RecurrentNetwork c > d"), step_net=net("Add c w > h", "", "")),
        Operands(("c", "w"), ("d", "h"), ("w", "h"), ("h",)),
    ),
    "an unknown operator may run any net that it carries": (
        with_net(operator("Fancy c > d"), whatever=net("Add w c > y")),
        Operands(("c", "w"), ("d", "y"), ("w", "y"), ("d", "y")),
    ),
    "a known one runs the nets that it knows": (
        with_net(operator("If cond c > d"), then_net=THEN, else_net=ELSE, other=net("Add w > y")),
        Operands(("cond", "c"), ("d",)),
    ),
}


@pytest.mark.parametrize("form", [lambda op: op, as_text], ids=["message", "text"])
@pytest.mark.parametrize("name", TABLE)
def test_operands(name, form):
    op, expected = TABLE[name]
    if form is as_text and name == "an unknown operator may run any net that it carries":
        pytest.skip("text is a net only in the arguments that hold nets")
    found = operands(form(op), OUTER)
    assert found.reads == expected.reads
    assert found.writes == expected.writes
    assert sorted(found.undeclared) == sorted(expected.undeclared)
    assert sorted(found.partial) == sorted(expected.partial)


def test_blobs_of_the_child_workspace_are_not_the_outer_ones():
    """In a step net ``c`` is the linked slice, although the outer net has a ``c`` too."""
    op = with_net(operator("RecurrentNetwork x > d"), step_net=net("Add c w > h", "", ""))
    with_strings(op, link_internal="c h", link_external="x d", recurrent_states="h")
    op.arg.add(name="timestep", s=b"t")
    assert local_names(op) == {"c", "h", "t"}
    assert operands(op, OUTER).undeclared == ("w",)


def test_names_that_the_outer_net_does_not_have_are_temporaries():
    op = with_net(operator("If cond c > d"), then_net=THEN, else_net=ELSE)
    assert operands(op, {"cond", "c", "d"}).undeclared == ()
    assert operands(op, {"cond", "c", "d", "t1"}).undeclared == ("t1",)


def test_all_names_are_found_however_deep():
    inner = net("Relu p > q | r", "s", "t")
    op = with_strings(with_net(operator("If cond > d"), then_net=inner), link_external="u v")
    op.arg.add(name="d.rename", s=b"w")
    model = type(inner)(op=[as_text(with_net(operator("While a > b"), loop_net=inner)), op])
    assert {*"pqrstuvwabd", "cond"} <= all_names(model)


def test_nets_of_an_argument():
    assert nets_of(Argument(name="x", n=THEN)) == [THEN]
    assert nets_of(Argument(name="x", nets=[THEN, ELSE])) == [THEN, ELSE]
    assert nets_of(Argument(name="x", s=b"text")) == []
    assert nets_of(Argument(name="step_net", s=str(THEN).encode())) == [THEN]
    assert not has_nets(operator("Relu x > y"))
    assert has_nets(with_net(operator("Fancy x > y"), inner=THEN))


@pytest.mark.parametrize("text", [b"op {", b"nonsense: 1", b"\xff\xfe", b'op { type: "' + b"a" * 9])
def test_a_broken_text_net_names_the_argument(text):
    with pytest.raises(NetError, match="argument 'then_net'"):
        nets_of(Argument(name="then_net", s=text))
