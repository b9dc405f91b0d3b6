"""Blobs that something holds on to: nets inside operators, files, parallel executors."""

import pytest

from memonger.errors import EquivalenceError
from memonger.net.netdef_pb2 import NetDef
from memonger.pipeline import optimize
from memonger.rewrite.equivalence import verify_equivalence
from tests.net.notation import net, ones, with_net, with_strings


def conditional(then: NetDef, other: NetDef) -> NetDef:
    """Return a net with an If in it; ``b`` is made while its result ``v`` is live."""
    model = net("Tanh x > a; If c a > v; Sigmoid x > b; Add b v > y", inputs="x c")
    with_net(model.op[1], then_net=then, else_net=other)
    return model


def renamed(model: NetDef, index: int, **names: str) -> NetDef:
    """Rename blobs from an operator on, also in the nets inside."""
    result = NetDef()
    result.CopyFrom(model)

    def rename(ops):
        for op in ops:
            op.input[:] = [names.get(name, name) for name in op.input]
            op.output[:] = [names.get(name, name) for name in op.output]
            for arg in op.arg:
                if not arg.HasField("n"):
                    continue
                rename(arg.n.op)
                for field in (arg.n.external_input, arg.n.external_output):
                    field[:] = [names.get(name, name) for name in field]

    rename(result.op[index:])
    return result


def planned(model: NetDef) -> set[str]:
    return {buffer.name for buffer in optimize(model, sizes=ones(model)).analysis.problem.buffers}


def test_a_view_made_inside_a_net_holds_on_to_its_blob():
    """Otherwise ``b`` could take the memory of ``a``, which ``v`` shows if ``c`` is true."""
    model = conditional(net("Alias a > v", "a", "v"), net("Relu a > v", "a", "v"))
    assert planned(model) == {"b"}
    with pytest.raises(EquivalenceError, match="keep the names"):
        verify_equivalence(model, renamed(model, 0, a="m"))


def test_without_a_view_the_blobs_may_move():
    model = conditional(net("Tanh a > v", "a", "v"), net("Relu a > v", "a", "v"))
    assert planned(model) == {"a", "b", "v"}
    verify_equivalence(model, renamed(model, 0, a="m"))


def test_a_recurrent_operator_inside_a_net_is_named_in_its_links():
    inner = net("RecurrentNetwork a > v", "a", "v")
    with_strings(inner.op[0], link_external="a v", link_internal="a_t v_t")
    model = conditional(inner, net("Relu a > v", "a", "v"))
    assert planned(model) == {"b"}
    with pytest.raises(EquivalenceError, match="keep the names"):
        verify_equivalence(model, renamed(model, 0, a="m"))


@pytest.mark.parametrize("kind", ["Save", "Checkpoint", "Snapshot"])
def test_names_that_are_keys_of_a_file_stay(kind):
    model = net(f"Load > a; Relu a > b; Relu b > c; {kind} c > ; Relu c > y", inputs="x")
    assert planned(model) == {"b"}
    with pytest.raises(EquivalenceError, match="keep the names"):
        verify_equivalence(model, renamed(model, 2, c="m"))
    with pytest.raises(EquivalenceError, match="keep the names"):
        verify_equivalence(model, renamed(model, 0, a="m"))


def test_executors_of_parallel_nets_do_not_see_what_only_nets_inside_name():
    model = conditional(net("Tanh u > v", "u", "v"), net("Relu a > v", "a", "v"))
    first = model.op.add(type="Cos", input=["x"], output=["u"])
    ops = [first, *model.op[:-1]]
    parallel = NetDef(op=ops, external_input=["x", "c"], external_output=["y"], type="dag")
    assert "u" not in planned(parallel)
    parallel.type = "simple"
    assert "u" in planned(parallel)
