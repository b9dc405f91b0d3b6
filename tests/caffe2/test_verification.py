"""Comparisons of two nets, and Free after the last reader."""

import pytest

import memonger.caffe2 as caffe2
from memonger.net.netdef_pb2 import NetDef
from tests.caffe2.scenarios import branches, check_same, names_of, perceptron, stack, start
from tests.net.notation import net

# Pairs of nets, and whether they are one graph.
PAIRS = {
    "other names": (
        "FC d w1 b1 > x; FC x w2 b2 > y; FC x w3 b3 > z; Sum y z > out",
        "FC d w1 b1 > other_x; FC other_x w2 b2 > other_y; FC other_x w3 b3 > other_z; "
        "Sum other_y other_z > out",
        True,
    ),
    "names used again": (
        "FC d w > x; FC x w1 > y; FC x w2 > z; FC y w3 > u; FC z w4 > v; Sum u v > out",
        "FC d w > x; FC x w1 > y; FC x w2 > z; FC y w3 > y; FC z w4 > z; Sum y z > out",
        True,
    ),
    "two blobs in one": (
        "FC d w > x; FC x w1 > y; FC x w2 > z; Sum y z > out",
        "FC d w > x; FC x w1 > y; FC x w2 > y; Sum y y > out",
        False,
    ),
    "overwritten before its reader": (
        "FC d w > x; FC x w1 > y; FC x w2 > z; FC y w3 > u; FC z w4 > v; Sum u v > out",
        "FC d w > x; FC x w1 > y; FC x w2 > y; FC y w3 > u; FC y w4 > v; Sum u v > out",
        False,
    ),
    "another type": ("Relu x > a; Tanh a > y", "Relu x > a; Sin a > y", False),
    "one operator more": ("Relu x > a; Tanh a > y", "Relu x > a; Tanh a > y; Sin y > z", False),
    "another order": (
        "Relu x > a; Tanh x > b; Add a b > y",
        "Tanh x > b; Relu x > a; Add a b > y",
        False,
    ),
    "inputs swapped": (
        "Relu x > a; Tanh x > b; Sub a b > y",
        "Relu x > a; Tanh x > b; Sub b a > y",
        False,
    ),
    "the other output": ("Split x > a b; Copy a > y", "Split x > a b; Copy b > y", False),
    "another input": ("Relu x > y", "Relu z > y", True),  # unknown blobs are numbered
    "one input instead of two": ("Relu x > a; Tanh z > b", "Relu x > a; Tanh x > b", False),
    "nothing": ("", "", True),
}


@pytest.mark.parametrize("kind", ["dag", "simple"])
@pytest.mark.parametrize(("one", "other", "equal"), PAIRS.values(), ids=PAIRS)
def test_graph_equality(one, other, equal, kind):
    nets = [net(text, inputs="", outputs="", kind=kind) for text in (one, other)]
    assert caffe2.verify_graph_equality(*nets) is equal
    assert caffe2.verify_graph_equality(*reversed(nets)) is equal
    for model in nets:
        assert caffe2.verify_graph_equality(model, model)


def test_devices_and_engines_count():
    one, other, third = (net("Relu x > a; Tanh a > y") for _ in range(3))
    other.op[0].device_option.device_type = 1
    third.op[1].engine = "CUDNN"
    assert not caffe2.verify_graph_equality(one, other)
    assert not caffe2.verify_graph_equality(one, third)


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("Relu x > a; Tanh a > y", "Relu x > b; Tanh b > z", True),
        ("Relu x > a; Tanh a > a", "Relu x > b; Tanh b > b", True),
        ("Relu x > a; Tanh a > a", "Relu x > b; Tanh b > c", False),
        ("Relu x > a; Tanh a > c", "Relu x > a; Tanh a > a", False),
        ("Add x z > x", "Add z x > x", False),  # over the first input, over the second
        ("Relu x > a; Tanh a > a", "Relu x > a", False),
        ("Split x > a b; Step a b > a b", "Split x > a b; Step a b > a c", False),
    ],
)
def test_operators_in_place(one, other, equal):
    nets = [net(text, inputs="", outputs="") for text in (one, other)]
    assert caffe2.verify_inplace_blobs(*nets) is equal
    assert caffe2.verify_inplace_blobs(*reversed(nets)) is equal


# Free.


def frees(model):
    """Return the blobs that are freed, after checking that nobody touches them any more."""
    found = []
    for op in model.op:
        if op.type == "Free":
            assert list(op.input) == list(op.output)
            assert not set(op.input) & set(found)
            found.extend(op.input)
        else:
            assert not {*op.input, *op.output} & set(found)
    return found


def forked():
    """Return a fork whose one side ends in a blob that has a second name."""
    builder, x = start("forked", scope="")
    x = stack(builder, x, "x", scope="")
    y, z = (stack(builder, x, name, scope="") for name in "yz")
    u = stack(builder, y, "u", scope="")
    builder.add("Alias", [u], ["u_alias"])
    builder.sum([z, u], "out")
    return builder


@pytest.mark.parametrize("keep", [set(), {"data"}, {"d", "a", "t"}])
def test_what_is_read_no_more_is_freed(keep):
    """All but the inputs, what nobody reads, and what goes by two names."""
    model = forked().net
    before = model.SerializeToString()
    freed = caffe2.release_blobs_when_used(model, keep)
    assert set(frees(freed)) == {"x", "y", "z"}
    assert [op for op in freed.op if op.type != "Free"] == list(model.op)
    assert model.SerializeToString() == before
    last = {name: i for i, op in enumerate(freed.op) if op.type != "Free" for name in op.input}
    for index, op in enumerate(freed.op):
        if op.type == "Free":  # at once, or behind another that ends there
            assert all(freed.op[i].type == "Free" for i in range(last[op.input[0]] + 1, index))


def test_what_must_not_be_freed_is_not():
    model = forked().net
    assert set(frees(caffe2.release_blobs_when_used(model, {"y"}))) == {"x", "z"}
    chosen = caffe2.release_blobs_when_used(model, set(), lambda blob: blob > "x")
    assert set(frees(chosen)) == {"y", "z"}


@pytest.mark.parametrize("kind", ["dag", "simple"])
def test_a_net_that_is_freed_and_shared_computes_the_same(kind):
    """Free first, then share: names that are freed may be used again behind it."""
    builder = branches(2, 4, kind)
    freed = caffe2.release_blobs_when_used(builder.net, set())
    assert len(frees(freed)) == 2 * 4 + 1 + 1 + 3
    shared = caffe2.optimize_inference_for_dag(freed, ["site/data"], "site/")
    assert len(names_of(shared)) <= len(names_of(builder.net))
    check_same(freed, shared, builder.net.external_output)


def test_estimates_follow_what_is_freed():
    builder, found = perceptron("fc1", "fc2", "fc3", scope="")
    model = builder.net
    shapes = {name: [2] for name in names_of(model)}
    types = dict.fromkeys(shapes, 1)
    keep = {"loss", *found.values()}
    freed = caffe2.release_blobs_when_used(model, keep)
    device = NetDef().device_option
    plain = caffe2.estimate_memory_usage([model], shapes, types, device)
    less = caffe2.estimate_memory_usage([freed], shapes, types, device)
    written = {name for op in model.op for name in op.output}
    assert plain[:2] == (8 * len(written), 8 * len(written))
    assert less[0] == plain[0]
    assert less[1] < plain[1]
    assert sum(plain[2].values()) == plain[0]
