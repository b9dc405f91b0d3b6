import pytest

from memonger.errors import EquivalenceError
from memonger.net.netdef_pb2 import NetDef
from memonger.net.schema import SCHEMAS, Schema
from memonger.rewrite.equivalence import added_dependencies, verify_equivalence, view_races
from tests.net.notation import net, operator, with_net, with_strings
from tests.rewrite.interpreter import observed, races

CHAIN = "Relu x > a; Tanh a > b; Sin b > c; Copy c > y"

ACCEPTED = {
    "itself": (CHAIN, CHAIN),
    "another name": (CHAIN, "Relu x > p; Tanh p > b; Sin b > c; Copy c > y"),
    "shared": (CHAIN, "Relu x > m; Tanh m > n; Sin n > m; Copy m > y"),
    "the output's name is used before": (CHAIN, "Relu x > y; Tanh y > b; Sin b > c; Copy c > y"),
    "a redefined blob is split": (
        "Relu x > a; Tanh a > b; Sin b > a; Add a b > y",
        "Relu x > p; Tanh p > b; Sin b > q; Add q b > y",
    ),
    "in place under another name": (
        "Relu x > a; Tanh a > a; Copy a > y",
        "Relu x > p; Tanh p > p; Copy p > y",
    ),
    "a dead output on a free name": (
        "Relu x > a; Split a > b dead; Copy b > y",
        "Relu x > a; Split a > b y; Copy b > y",
    ),
    "the memory under a view": (
        "Relu x > a; Alias a > v; Tanh v > b; Sin b > c; Copy c > y",
        "Relu x > m; Alias m > v; Tanh v > b; Sin b > m; Copy m > y",
    ),
    "Free": (
        "Relu x > a; Tanh a > b; Free a > a; Sin b > c; Copy c > y",
        "Relu x > m; Tanh m > b; Free m > m; Sin b > m; Copy m > y",
    ),
}
REJECTED = {
    "another input": (CHAIN, "Relu x > a; Tanh x > b; Sin b > c; Copy c > y"),
    "inputs swapped": ("Relu x > a; Sub a x > y", "Relu x > a; Sub x a > y"),
    "inputs merged": ("Relu x > a; Tanh x > b; Sub a b > y", "Relu x > a; Tanh x > b; Sub a a > y"),
    "another output of the same operator (B20)": (
        "Split x > a b; Relu a > c; Add c b > y",
        "Split x > a b; Relu b > c; Add c b > y",
    ),
    "overwritten too early": (
        CHAIN.replace("c > y", "c a > y"),
        "Relu x > m; Tanh m > n; Sin n > m; Copy m m > y",
    ),
    "overwritten between (B08)": (
        "Tanh x > a; Sin a > b; Relu b > c; Relu x > a; Tanh c > y",
        "Tanh x > a; Sin a > m; Relu m > a; Relu x > a; Tanh a > y",
    ),
    "a dead output destroys": (
        "Relu x > a; Tanh x > dead; Copy a > y",
        "Relu x > a; Tanh x > a; Copy a > y",
    ),
    "the output has another name": (CHAIN, CHAIN.replace("> y", "> z")),
    "the output is overwritten": ("Relu x > y; Tanh x > a", "Relu x > y; Tanh x > y"),
    "an external input is overwritten (B20)": (
        CHAIN,
        "Relu x > a; Tanh a > x; Sin x > c; Copy c > y",
    ),
    "an external input is overwritten last": (CHAIN + "; Sin y > d", CHAIN + "; Sin y > x"),
    "an external input has another name": (CHAIN, CHAIN.replace("Relu x", "Relu z")),
    "in place where it was not": (CHAIN, "Relu x > a; Tanh a > a; Sin a > c; Copy c > y"),
    "no longer in place": (
        "Relu x > a; Tanh a > a; Copy a > y",
        "Relu x > a; Tanh a > b; Copy b > y",
    ),
    "outputs merged": ("Split x > a dead; Copy a > y", "Split x > a a; Copy a > y"),
    "outputs swapped": ("Split x > a b; Sub a b > y", "Split x > b a; Sub a b > y"),
    "an operator fewer (B21)": (CHAIN, "Relu x > a; Tanh a > b; Copy b > y"),
    "an operator more": (CHAIN, CHAIN + "; Relu y > z"),
    "no operators (B21)": (CHAIN, ""),
    "another type": (CHAIN, CHAIN.replace("Tanh", "Sigmoid")),
    "an input more": (CHAIN, CHAIN.replace("Sin b", "Sin b x")),
    "an output more": (CHAIN, CHAIN.replace("> c", "> c d")),
    "the memory of a view is reused (B13)": (
        "Relu x > b; Alias b > v; Tanh v > c; Copy c > d; Add d v > y",
        "Relu x > m; Alias m > v; Tanh v > c; Copy c > m; Add m v > y",
    ),
    "a view of other memory": (
        "Relu x > a; Tanh x > b; Alias a > v; Add v b > y",
        "Relu x > a; Tanh x > b; Alias b > v; Add v b > y",
    ),
    "the name of a view is reused": (
        "Relu x > a; Alias a > v; Tanh v > b; Copy b > c; Add c a > y",
        "Relu x > a; Alias a > v; Tanh v > b; Copy b > v; Add v a > y",
    ),
    "freed too early": (
        "Relu x > a; Tanh a > b; Free a > a; Sin b > y",
        "Relu x > a; Tanh a > b; Free b > b; Sin b > y",
    ),
    # Memory that is shared by views, not by names.
    "in place through a view": (
        "Relu x > b; Alias b > v; Sort v > c; Add c x > y",
        "Relu x > b; Alias b > v; Sort v > b; Add b x > y",
    ),
    "in the next run a view is still on the input": (
        "Relu x > a; Tanh a > c; Alias x > v; Add v c > y",
        "Relu x > v; Tanh v > c; Alias x > v; Add v c > y",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ACCEPTED)
def test_equivalent_nets_are_accepted(name):
    original, rewritten = map(net, ACCEPTED[name])
    assert observed(rewritten, original) == observed(original)
    verify_equivalence(original, rewritten)


@pytest.mark.parametrize("name", REJECTED)
def test_nets_that_differ_are_rejected(name):
    original, rewritten = map(net, REJECTED[name])
    rewritten.external_output[:] = original.external_output
    with pytest.raises(EquivalenceError):
        verify_equivalence(original, rewritten)


@pytest.mark.parametrize("name", ["in place through a view", *list(REJECTED)[-1:]])
def test_the_interpreter_sees_the_difference_too(name):
    original, rewritten = map(net, REJECTED[name])
    assert observed(rewritten, original) != observed(original)


def test_undeclared_external_inputs_must_survive_as_well():
    """Without declarations ``x`` is external all the same: the next run reads it again."""
    original = net("Relu x > a; Tanh a > b; Sin b > y", inputs="")
    rewritten = net("Relu x > a; Tanh a > x; Sin x > y", inputs="")
    assert observed(rewritten, original) != observed(original)
    with pytest.raises(EquivalenceError, match="'x'"):
        verify_equivalence(original, rewritten)


def test_the_wanted_outputs_can_be_given():
    original, rewritten = net(CHAIN), net(CHAIN.replace(" b", " m"))
    verify_equivalence(original, rewritten, ["y", "a"])
    with pytest.raises(EquivalenceError, match="'b'"):
        verify_equivalence(original, rewritten, ["y", "b"])


def test_blobs_that_nobody_reads_are_the_outputs_by_default():
    original = net("Relu x > a; Tanh a > loss; Sin a > grad", outputs="")
    with pytest.raises(EquivalenceError, match="'grad'"):
        verify_equivalence(original, net("Relu x > a; Tanh a > loss; Sin a > g", outputs=""))


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.op[1].arg.add(name="k", i=1),
        lambda m: m.op[1].ClearField("arg"),
        lambda m: setattr(m.op[1].arg[0], "i", 4),
        lambda m: setattr(m.op[1], "engine", "CUDNN"),
        lambda m: setattr(m.op[1].device_option, "device_type", 1),
        lambda m: setattr(m.op[1].device_option, "device_id", 1),
        lambda m: setattr(m.op[1], "is_gradient_op", True),
        lambda m: setattr(m, "type", "dag"),
        lambda m: setattr(m, "num_workers", 2),
        lambda m: setattr(m.device_option, "device_type", 1),
        lambda m: m.external_input.append("w"),
        lambda m: m.external_output.append("a"),
        lambda m: m.ClearField("external_output"),
        lambda m: m.arg.add(name="k"),
    ],
)  # fmt: skip
def test_everything_but_names_must_be_equal(change):
    original, rewritten = net(CHAIN), net(CHAIN)
    for model in (original, rewritten):
        model.op[1].arg.add(name="k", i=3)
    change(rewritten)
    with pytest.raises(EquivalenceError):
        verify_equivalence(original, rewritten)


# Nets inside operators.


def conditional(read, written, branch, *, declared=True):
    """``x`` -> read -> If -> written -> ``y``; the branch reads and writes what it says."""
    op = operator(f"If cond {read} > {written}" if declared else "If cond >")
    with_net(op, then_net=net(branch, "", ""), else_net=net(branch.replace("Sin", "Cos"), "", ""))
    ops = [operator(f"Relu x > {read}"), op, operator(f"Copy {written} > y")]
    return NetDef(op=ops, external_input=["x", "cond"], external_output=["y"])


@pytest.mark.parametrize("declared", [True, False])
def test_nets_inside_follow_or_are_rejected_b11(declared):
    original = conditional("a", "b", "Sin a > t; Tanh t > b", declared=declared)
    verify_equivalence(original, conditional("m", "n", "Sin m > t; Tanh t > n", declared=declared))
    for wrong in (
        conditional("m", "b", "Sin a > t; Tanh t > b", declared=declared),
        conditional("a", "n", "Sin a > t; Tanh t > b", declared=declared),
        conditional("a", "b", "Sin x > t; Tanh t > b", declared=declared),
        conditional("a", "b", "Sin a > b; Tanh b > b", declared=declared),
        conditional("t", "b", "Sin t > t; Tanh t > b", declared=declared),
    ):
        with pytest.raises(EquivalenceError):
            verify_equivalence(original, wrong)


def recurrent(blob, link, kind="RecurrentNetwork", **renames):
    op = with_strings(operator(f"{kind} {blob} > h"), link_external=link, link_internal="t")
    for old, new in renames.items():
        op.arg.add(name=f"{old}.rename", s=new.encode())
    ops = [operator(f"Relu x > {blob}"), op, operator("Copy h > y")]
    return NetDef(op=ops, external_input=["x"], external_output=["y"])


def test_links_of_recurrent_nets_must_follow_b12():
    verify_equivalence(recurrent("a", "a h"), recurrent("m", "m h"))
    with pytest.raises(EquivalenceError):
        verify_equivalence(recurrent("a", "a h"), recurrent("m", "a h"))


@pytest.mark.parametrize("link", ["m h", "a h"])
def test_gradient_operators_resolve_links_by_their_rename_arguments(link):
    """Caffe2's share_grad_blobs leaves the link as it was, and the operator finds the blob."""
    kind = "RecurrentNetworkGradient"
    verify_equivalence(recurrent("a", "a h", kind), recurrent("m", link, kind, a="m"))
    with pytest.raises(EquivalenceError):
        verify_equivalence(recurrent("a", "a h", kind), recurrent("m", link, kind))
    with pytest.raises(EquivalenceError):
        verify_equivalence(recurrent("a", "a h", kind), recurrent("m", link, kind, a="h"))


# Nets that run in parallel.

PARALLEL = "Relu x > a; Tanh a > b; Relu x > c; Tanh c > d; Add b d > y"


def test_sharing_across_branches_adds_dependencies_and_is_rejected():
    rewritten = "Relu x > m; Tanh m > b; Relu x > m; Tanh m > d; Add b d > y"
    verify_equivalence(net(PARALLEL), net(rewritten))
    original, rewritten = net(PARALLEL, kind="dag"), net(rewritten, kind="dag")
    assert [(h.before, h.after) for h in added_dependencies(original, rewritten)] == [(1, 2)]
    with pytest.raises(EquivalenceError, match="operator 2 now waits for operator 1"):
        verify_equivalence(original, rewritten)


def test_sharing_along_a_branch_is_accepted():
    text = "Relu x > a; Tanh a > b; Sin b > c; Relu x > d; Add c d > y"
    shared = "Relu x > m; Tanh m > b; Sin b > m; Relu x > d; Add m d > y"
    verify_equivalence(net(text, kind="dag"), net(shared, kind="dag"))


CONTROLLED = "Relu x > a; Tanh x > b | a; Sin b > c; Add a c > y"


@pytest.mark.parametrize(
    "controls", ["Tanh x > b", "Tanh x > b | x", "Tanh x > b | ghost", "Tanh x > b | y"]
)
def test_control_inputs_must_not_be_lost_in_parallel_nets_b14(controls):
    rewritten = CONTROLLED.replace("Tanh x > b | a", controls)
    with pytest.raises(EquivalenceError):
        verify_equivalence(net(CONTROLLED, kind="dag"), net(rewritten, kind="dag"))


def test_control_inputs_follow_the_names():
    renamed = "Relu x > m; Tanh x > b | m; Sin b > c; Add m c > y"
    verify_equivalence(net(CONTROLLED, kind="dag"), net(renamed, kind="dag"))


RACES = {
    "a view is read while its memory is written": (
        "Relu x > b; Alias b > v; Tanh v > r; Copy x > c | v; Add r c > y",
        "Relu x > b; Alias b > v; Tanh v > r; Copy x > b | v; Add r b > y",
    ),
    "a name that ordered the readers of a view is gone": (
        "Relu x > p; Copy p > b; Alias b > v; Tanh p > a; Add v a > r; "
        "Relu x > a; Tanh a > b; Add r b > y",
        "Relu x > p; Copy p > b; Alias b > v; Tanh p > m; Add v m > r; "
        "Relu x > a; Tanh a > b; Add r b > y",
    ),
    "in the next run a view is still on memory that others write": (
        "Relu x > a; Copy a > c; Tanh x > b; Alias b > v | c; Add c v > y",
        "Relu x > v; Copy v > c; Tanh x > b; Alias b > v | c; Add c v > y",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", RACES)
def test_new_races_are_rejected(name):
    original, rewritten = (net(text, kind="dag") for text in RACES[name])
    assert not races(original)
    assert races(rewritten)
    with pytest.raises(EquivalenceError):
        verify_equivalence(original, rewritten)


def test_a_view_that_an_operator_does_not_write(monkeypatch):
    """The schema speaks of outputs that operators of the type may leave out."""
    monkeypatch.setitem(SCHEMAS, "Pair", Schema(aliases=((1, 0),)))
    for text in ("Relu x > a; Pair a > b; Copy b > y", "Relu x > a; Pair a > b v; Copy v > y"):
        model = net(text)
        model.type = "dag"
        assert not list(view_races(model))
        verify_equivalence(model, model)
