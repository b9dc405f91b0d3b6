"""Inference nets share memory: `optimize_inference_for_dag`, and the pass in program order.

``in_caffe2`` is the number of blobs that the original leaves of the same net, measured with the
memonger of torch 1.10.2. Where the net declares no outputs, the original loses the losses (they
become ``__m<k>_shared``); here they stay, so there may be as many blobs more.
"""

import pytest

import memonger.caffe2 as caffe2
from memonger.errors import NetError
from memonger.instances import architectures
from memonger.instances.net_builder import NetBuilder
from memonger.net.tensors import DataType
from memonger.rewrite.equivalence import verify_equivalence
from tests.caffe2.scenarios import (
    SCOPE,
    WIDTH,
    branches,
    bytes_of,
    check_same,
    crossing_tree,
    names_of,
    perceptron,
    renamed,
    stack,
    start,
    two_entries,
)
from tests.net.notation import net

LOSSES = [f"{SCOPE}loss1", f"{SCOPE}loss2"]
DATA = f"{SCOPE}data"
fast = caffe2.optimize_inference_fast


def check_tree(model, shared, in_caffe2):
    assert len(names_of(shared)) <= in_caffe2 + len(LOSSES)
    assert set(LOSSES) <= names_of(shared)
    assert caffe2.verify_graph_equality(model, shared)
    check_same(model, shared, LOSSES)
    assert not renamed(model, shared).keys() & set(model.external_input)


@pytest.mark.parametrize("kind", ["dag", "async_scheduling", "simple"])
@pytest.mark.parametrize("namescope", [SCOPE, "site"])
def test_a_tree_with_cross_links(kind, namescope):
    builder = crossing_tree(kind=kind)
    shared = caffe2.optimize_inference_for_dag(builder.net, [DATA], namescope)
    check_tree(builder.net, shared, 26)
    new = names_of(shared) - names_of(builder.net)
    assert all(name.startswith(f"{namescope}__m") for name in new)


@pytest.mark.parametrize("kind", ["dag", "simple"])
def test_a_tree_in_which_one_branch_overwrites_the_sum_of_both(kind):
    builder = crossing_tree(hidden=None, kind=kind)
    shared = caffe2.optimize_inference_for_dag(builder.net, [DATA], SCOPE)
    check_tree(builder.net, shared, 27)


def test_a_parameter_as_a_further_input_changes_nothing():
    builder = crossing_tree()
    results = [
        caffe2.optimize_inference_for_dag(builder.net, inputs, SCOPE)
        for inputs in ([DATA], [DATA, f"{SCOPE}fc1_w"], [DATA, f"{SCOPE}fc5_w"], [f"{SCOPE}fc5_w"])
    ]
    assert all(result == results[0] for result in results)


def test_every_entry_of_a_net_is_found():
    """Caffe2 leaves what only the second entry leads to alone: 30 blobs instead of 24."""
    builder = two_entries()
    both = caffe2.optimize_inference_for_dag(builder.net, [DATA, f"{SCOPE}more"], SCOPE)
    check_tree(builder.net, both, 24)
    assert caffe2.optimize_inference_for_dag(builder.net, [DATA], SCOPE) == both


@pytest.mark.parametrize(("width", "in_caffe2"), [(1, 22), (2, 33), (3, 43)])
@pytest.mark.parametrize("kind", ["dag", "simple"])
def test_branches_and_a_chain(width, in_caffe2, kind):
    """No branch waits for another, whatever the type of the net says of its executor."""
    builder = branches(width, 4, kind)
    shared = caffe2.optimize_inference_for_dag(builder.net, [DATA], SCOPE)
    assert len(names_of(shared)) <= in_caffe2 < len(names_of(builder.net))
    check_same(builder.net, shared, [f"{SCOPE}tail3"])
    parallel = [builder.net.FromString(m.SerializeToString()) for m in (builder.net, shared)]
    for model in parallel:
        model.type = "dag"
    check_same(*parallel, [f"{SCOPE}tail3"])


def test_an_operator_that_must_be_in_place_as_the_first():
    """Its output is an external input: it must not be taken for a blob that may move."""
    model = net(
        "IndexFreeze A > A; Sum A A > B; Relu B > C; Relu C > D; Sum D D > E",
        inputs="A",
        outputs="",
        kind="dag",
    )
    shared = caffe2.optimize_inference_for_dag(model, ["A"], "")
    assert len(names_of(shared)) < len(names_of(model))
    assert list(shared.op[0].input) == list(shared.op[0].output) == ["A"]
    assert caffe2.verify_inplace_blobs(model, shared)
    check_same(model, shared, ["E"])


def test_an_operator_that_must_be_in_place_among_others():
    model = net(
        "Relu x > a; IndexFreeze a > a; Sum a a > b; Tanh b > c; Sin c > d; Relu d > y",
        kind="dag",
    )
    shared = caffe2.optimize_inference_for_dag(model, ["x"], "")
    assert len(names_of(shared)) < len(names_of(model))
    assert shared.op[1].input == shared.op[1].output
    check_same(model, shared, ["y"])


def test_an_operator_does_not_come_to_be_in_place():
    """Buffers are taken before those of the inputs are free: no operator turns in place."""
    model = net("Relu x > a; Tanh a > b; Sin b > c; Cos c > d; Relu d > y", kind="dag")
    shared = caffe2.optimize_inference_for_dag(model, ["x"])
    assert len(names_of(shared)) < len(names_of(model))
    assert not any(set(op.input) & set(op.output) for op in shared.op)


def test_nets_with_gradients_are_refused():
    builder, _ = perceptron("fc1", "fc2")
    with pytest.raises(AssertionError):
        caffe2.optimize_inference_for_dag(builder.net, [DATA], SCOPE)


def test_inputs_that_nobody_declares_or_writes_are_refused():
    model = net("Relu x > a; Add a ghost > y")
    with pytest.raises(NetError, match="ghost"):
        caffe2.optimize_inference_for_dag(model, ["x"])


def lstm_forward(kind):
    """Return an LSTM between two layers: its input and what reads its states may move."""
    builder = NetBuilder("lstm-forward")
    builder.net.type = kind
    x = builder.data("data", (5, 3, WIDTH))
    x = builder.elementwise("Relu", x, "r1")
    x = builder.elementwise("Tanh", x, "r2")
    x = builder.fc(x, "reduced", WIDTH, axis=2)
    every, *_ = architectures.lstm(builder, x, "lstm", WIDTH)
    x = builder.fc(every, "scores", 4 * WIDTH, axis=2)
    for number in range(3):
        x = builder.elementwise("Sigmoid", x, f"s{number}")
    builder.net.external_output.append(x)
    assert builder.types["seq_lengths"].dtype == DataType.INT32
    return builder


@pytest.mark.parametrize("kind", ["simple", "dag"])
@pytest.mark.parametrize("function", ["dag", "interference"])
def test_a_forward_lstm(kind, function):
    """What the recurrent operator says of outer blobs follows, in both directions (defect B12)."""
    builder = lstm_forward(kind)
    model = builder.net
    order = None
    if function == "dag":
        shared = caffe2.optimize_inference_for_dag(model, ["data"], "")
    else:
        shared = caffe2.optimize_interference(model, list(builder.types)).net
        order = caffe2.topological_sort_traversal(caffe2.compute_interference_graph(model.op))
        for changed in (model, shared):
            changed.type = "simple"
    verify_equivalence(model, shared, model.external_output, order)
    moved = renamed(model, shared)
    assert "lstm/i2h" in moved
    (op,) = (op for op in shared.op if op.type == "RecurrentNetwork")
    arguments = {arg.name: [text.decode() for text in arg.strings] for arg in op.arg}
    assert arguments["link_external"][-1] == op.input[0] != "lstm/i2h"
    assert arguments["alias_dst"] == list(op.output[:4])


# In program order.


@pytest.mark.parametrize("depth", [3, 5])
def test_fast_on_a_training_net(depth):
    """Only what is static is promised: the loss and one gradient."""
    builder, found = perceptron(*(f"fc{index}" for index in range(1, depth + 1)))
    wanted = [f"{SCOPE}loss", found[f"{SCOPE}fc1_w"]]
    shared = fast(builder.net, [*builder.types, *wanted])
    assert len(names_of(shared)) < len(names_of(builder.net))
    check_same(builder.net, shared, wanted)


@pytest.mark.parametrize(("width", "in_caffe2"), [(1, 22), (2, 31), (3, 40)])
def test_fast_on_branches_and_a_chain(width, in_caffe2):
    builder = branches(width, 4, "simple")
    before = builder.net.SerializeToString()
    shared = fast(builder.net, [f"{SCOPE}tail3", *builder.types])
    assert builder.net.SerializeToString() == before
    assert len(names_of(shared)) <= in_caffe2
    check_same(builder.net, shared, [f"{SCOPE}tail3"])


def test_fast_where_an_input_is_read_twice():
    """Released twice, a buffer would go to two outputs of one operator, or to two at once."""
    builder, x = start("pairs")
    ends = [stack(builder, x, "one"), stack(builder, x, "two")]
    sums = [
        builder.sum([a, b], f"{SCOPE}sum{i}{j}")
        for i, a in enumerate(ends)
        for j, b in enumerate(ends)
    ]
    model = builder.net
    model.op.add(type="Concat", input=sums, output=["joined", "dims"])
    model.op.add(type="Relu", input=["joined"], output=["merged"])
    shared = fast(model, [*builder.types, "merged"])
    assert all(len(set(op.output)) == len(op.output) for op in shared.op)
    check_same(model, shared, ["merged"])


def test_fast_leaves_parallel_nets_alone():
    for kind in ("dag", "async_scheduling"):
        builder = branches(2, 3, kind)
        assert fast(builder.net, [*builder.types, f"{SCOPE}tail2"]) == builder.net


@pytest.mark.parametrize("algorithm", caffe2.AssignmentAlgorithm)
def test_interference_of_branches(algorithm):
    builder = branches(3, 4, "simple")
    sizes = bytes_of(builder.net, builder.types)
    out = [f"{SCOPE}tail3"]
    done = caffe2.optimize_interference(
        builder.net, [*builder.types, *out], blob_sizes=sizes, algo=algorithm
    )
    order = caffe2.topological_sort_traversal(caffe2.compute_interference_graph(builder.net.op))
    check_same(builder.net, done.net, out, order)
    statistics = caffe2.compute_statistics(done.assignments)
    assert statistics.optimized_nbytes == caffe2.get_memory_usage(done.assignments)
    assert statistics.optimized_nbytes < statistics.baseline_nbytes
