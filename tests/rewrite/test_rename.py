import pytest
from google.protobuf import text_format

from memonger.net.netdef_pb2 import NetDef
from memonger.net.subnets import nets_of
from memonger.rewrite.rename import rename_operator
from tests.net.notation import net, operator, short, with_net, with_strings

NAMES = {"c": "C", "d": "D", "h": "H"}
INNER = net("Relu c > t; Tanh t > d | c", inputs="c t", outputs="d")


def renamed(op, names=None):
    rename_operator(op, NAMES if names is None else names)
    return op


def inner(op, position=0):
    return nets_of(op.arg[position])[0]


def strings(op):
    return {arg.name: b" ".join(arg.strings).decode() for arg in op.arg if arg.strings}


def test_inputs_and_outputs_are_renamed():
    assert short(NetDef(op=[renamed(operator("Add c x c > d c"))])) == "Add C x C > D C"


def test_renaming_is_done_at_once_not_one_after_the_other():
    swap = {"a": "b", "b": "a"}
    assert short(NetDef(op=[renamed(operator("Add a b > a"), swap)])) == "Add b a > b"


def test_everything_else_of_the_operator_stays():
    op = operator("Conv c > d | c")
    op.arg.add(name="c", s=b"c", strings=[b"c"], i=3)
    op.engine, op.name, op.debug_info = "CUDNN", "c", "c"
    op.device_option.node_name = "c"
    before = op.SerializeToString(deterministic=True)
    result = renamed(op)
    result.input[:], result.output[:] = ["c"], ["d"]
    assert result.SerializeToString(deterministic=True) == before


@pytest.mark.parametrize("names", [{}, {"x": "X"}, {"c": "c", "d": "d"}])
def test_nothing_to_rename_leaves_every_byte(names):
    op = with_net(operator("If cond c > d"), then_net=INNER)
    before = op.SerializeToString(deterministic=True)
    assert renamed(op, names).SerializeToString(deterministic=True) == before


@pytest.mark.parametrize("kind", ["If", "AsyncIf", "While", "RecurrentNetwork", "Unheard"])
def test_nets_inside_are_renamed_throughout(kind):
    op = renamed(with_net(operator(f"{kind} cond c > d"), then_net=INNER, loop_net=INNER))
    for position in (0, 1):
        found = inner(op, position)
        assert short(found) == "Relu C > t; Tanh t > D | C"
        assert (found.external_input, found.external_output) == (["C", "t"], ["D"])


def test_nets_in_nets_are_renamed():
    deep = NetDef(op=[with_net(operator("If t >"), then_net=INNER)])
    op = renamed(with_net(operator("While cond > d"), loop_net=deep))
    assert short(inner(inner(op).op[0])) == "Relu C > t; Tanh t > D | C"


def test_lists_of_nets_are_renamed():
    op = operator("Switch c > d")
    op.arg.add(name="cases", nets=[INNER, INNER])
    renamed(op)
    assert [short(found) for found in op.arg[0].nets] == ["Relu C > t; Tanh t > D | C"] * 2


def test_text_nets_are_renamed_and_stay_text():
    op = operator("RecurrentNetwork c > d")
    op.arg.add(name="step_net", s=text_format.MessageToString(INNER).encode())
    arg = renamed(op).arg[0]
    assert not arg.HasField("n")
    assert short(text_format.Parse(arg.s.decode(), NetDef())) == "Relu C > t; Tanh t > D | C"


def test_nets_of_do_know_only_their_own_names():
    op = renamed(with_net(operator("Do c > d"), net=INNER))
    assert (op.input, op.output) == (["c".upper()], ["D"])
    assert inner(op) == INNER


def test_do_inside_an_if_is_renamed_outside_only():
    branch = NetDef(op=[with_net(operator("Do c > d"), net=INNER)])
    op = renamed(with_net(operator("If cond >"), then_net=branch), NAMES)
    assert short(inner(op)) == "Do C > D"
    assert inner(inner(op).op[0]) == INNER


@pytest.mark.parametrize("kind", ["RecurrentNetwork", "RecurrentNetworkGradient"])
def test_arguments_that_name_outer_blobs_follow_b12(kind):
    links = {
        "link_external": "c h c",
        "alias_dst": "d h",
        "backward_link_external": "h",
        "param_grads": "d x",
    }
    op = renamed(with_strings(operator(f"{kind} c > d h"), **links))
    found = strings(op)
    assert [found[name] for name in links] == ["C H C", "D H", "H", "D x"]


def test_blobs_of_the_child_workspace_keep_their_names():
    op = with_net(operator("RecurrentNetwork c h > d"), step_net=net("Add c h > s", "c h", "s"))
    with_strings(op, link_internal="c s", link_external="c d", recurrent_states="x")
    op.arg.add(name="timestep", s=b"h")
    renamed(op)
    assert strings(op) == {"link_internal": "c s", "link_external": "C D", "recurrent_states": "x"}
    assert op.arg[-1].s == b"h"
    assert short(inner(op)) == "Add c h > s"
    assert (op.input, op.output) == (["C", "H"], ["D"])


def renames(op):
    return {arg.name: arg.s.decode() for arg in op.arg if arg.name.endswith(".rename")}


def test_gradient_operators_are_told_the_new_names():
    op = renamed(operator("RecurrentNetworkGradient c x > d"), {"c": "C", "d": "D"})
    assert renames(op) == {"c.rename": "C", "d.rename": "D"}


def test_a_second_renaming_leads_the_first_one_on():
    op = renamed(operator("RecurrentNetworkGradient c x > d"), {"c": "C", "d": "D"})
    renamed(op, {"C": "E", "x": "X"})
    assert renames(op) == {"c.rename": "E", "d.rename": "D", "x.rename": "X"}


def test_other_operators_get_no_rename_arguments():
    assert renames(renamed(with_net(operator("If c > d"), then_net=INNER))) == {}
