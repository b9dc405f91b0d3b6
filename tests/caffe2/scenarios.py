"""Nets on which Caffe2's memonger is known to be tried, and what to ask of a rewritten one.

The nets are small perceptrons and trees as a training script makes them: no external outputs are
declared, parameters are called after their layer, gradients are those of `append_backward`.
"""

import random
from collections.abc import Iterable, Mapping, Sequence

from memonger.instances import architectures
from memonger.instances.gradients import append_backward
from memonger.instances.net_builder import NetBuilder, set_arguments
from memonger.net.netdef_pb2 import NetDef, OperatorDef
from memonger.net.schema import is_sequential
from memonger.net.shapes.inference import infer_types
from memonger.net.tensors import DataType, TensorType
from memonger.rewrite.equivalence import verify_equivalence
from tests.rewrite.interpreter import external_inputs, races, random_order, run_twice

WIDTH = 4
SCOPE = "site/"


def names_of(net: NetDef) -> set[str]:
    """Return the blobs that operators of a net read or write."""
    return {name for op in net.op for name in (*op.input, *op.output)}


def start(name: str, *, kind: str = "simple", scope: str = SCOPE) -> tuple[NetBuilder, str]:
    """Return a builder of a net that runs in a way, and its data."""
    builder = NetBuilder(name)
    builder.net.type = kind
    if not is_sequential(kind):
        builder.net.num_workers = 4
    builder.data(f"{scope}label", (WIDTH,), DataType.INT32)
    return builder, builder.data(f"{scope}data", (WIDTH, WIDTH))


def stack(builder: NetBuilder, x: str, *layers: str, scope: str = SCOPE) -> str:
    """Append fully connected layers, one behind the other."""
    for layer in layers:
        x = builder.fc(x, f"{scope}{layer}", WIDTH)
    return x


def loss_of(
    builder: NetBuilder, x: str, number: str = "", *, hidden: str | None = None, scope: str = SCOPE
) -> str:
    """Append Relu (in place unless ``hidden`` is given), Softmax, cross entropy and its mean."""
    x = builder.relu(x, hidden)
    x = builder.elementwise("Softmax", x, f"{scope}softmax{number}")
    builder.add("LabelCrossEntropy", [x, f"{scope}label"], {f"{scope}entropy{number}": (WIDTH,)})
    return builder.add("AveragedLoss", [f"{scope}entropy{number}"], {f"{scope}loss{number}": ()})


def two_backward_passes(net: NetDef, losses: tuple[str, str]) -> dict[str, str]:
    """Append the gradients of two losses: those of their sum, each loss with a start of its own."""
    means = {op.input[0]: op.output[0] for op in net.op if op.type == "AveragedLoss"}
    net.op.add(type="Sum", input=losses, output=["total"])
    place = len(net.op)
    gradients = append_backward(net, "total")
    net.op[place - 1].CopyFrom(net.op[place])  # a fill for each loss, none for the sum
    for fill, loss in zip(net.op[place - 1 : place + 1], losses, strict=True):
        fill.input[:], fill.output[:] = [loss], [f"{loss}_autogen_grad"]
    for op in net.op[place + 1 :]:
        if op.type == "AveragedLossGradient":
            op.input[1] = f"{means[op.input[0]]}_autogen_grad"
    return gradients


def perceptron(*layers: str, scope: str = SCOPE) -> tuple[NetBuilder, dict[str, str]]:
    """Return a trained perceptron with an in-place Relu before its loss, and the gradients."""
    builder, x = start("perceptron", scope=scope)
    loss = loss_of(builder, stack(builder, x, *layers, scope=scope), scope=scope)
    return builder, builder.backward(loss)


def two_losses() -> tuple[NetBuilder, dict[str, str]]:
    """Return a perceptron with a loss on its fifth layer and one behind its sixth."""
    builder, x = start("two-losses")
    x = stack(builder, x, "fc1", "fc2", "fc3", "fc4", "fc5")
    first = loss_of(builder, x, "1")
    second = loss_of(builder, stack(builder, x, "fc6"), "2")
    return builder, two_backward_passes(builder.net, (first, second))


def crossing_tree(*, hidden: str | None = "site/relu1", kind: str = "dag") -> NetBuilder:
    """Return a forward tree whose branches meet in one loss, while one also leads to another."""
    builder, x = start("crossing-tree", kind=kind)
    trunk = stack(builder, x, "fc1", "fc2")
    left = stack(builder, trunk, "fc3", "fc4", "fc5")
    right = stack(builder, trunk, "fc3b", "fc4b", "fc5b")
    both = builder.sum([left, right], f"{SCOPE}both")
    if hidden is None:  # the Relu of one branch overwrites the sum of both
        loss_of(builder, left, "1", hidden=both)
    else:
        loss_of(builder, both, "1", hidden=hidden)
    loss_of(builder, stack(builder, left, "fc6"), "2")
    return builder


def two_entries(kind: str = "dag") -> NetBuilder:
    """Return a tree with a second entry: a branch that starts at data of its own."""
    builder, x = start("two-entries", kind=kind)
    other = builder.data(f"{SCOPE}more", (WIDTH, WIDTH))
    left = stack(builder, x, "fc1", "fc2", "fc3")
    right = stack(builder, other, "fc1b", "fc2b", "fc3b")
    both = builder.sum([left, right], f"{SCOPE}both")
    loss_of(builder, both, "1", hidden=f"{SCOPE}relu1")
    loss_of(builder, stack(builder, left, "fc4", "fc5"), "2")
    return builder


def branches(width: int, depth: int, kind: str = "dag") -> NetBuilder:
    """Return a net that splits into branches, joins them, and goes on as a chain."""
    builder, x = start("branches", kind=kind)
    x = stack(builder, x, "stem")
    ends = [
        stack(builder, x, *(f"b{branch}_{layer}" for layer in range(depth)))
        for branch in range(width)
    ]
    joined = builder.sum(ends, f"{SCOPE}joined")
    stack(builder, joined, *(f"tail{layer}" for layer in range(depth)))
    builder.net.external_output.append(f"{SCOPE}tail{depth - 1}")
    return builder


def bytes_of(net: NetDef, types: Mapping[str, TensorType]) -> dict[str, int]:
    """Return the bytes of the blobs of a net, from those of its inputs."""
    found = infer_types(net, types).blobs
    return {name: found[name].nbytes or 0 for name in names_of(net)}


def check_same(
    net: NetDef, rewritten: NetDef, wanted: Iterable[str], order: Sequence[int] | None = None
) -> None:
    """Assert that a rewritten net leaves the same in the wanted blobs, run after run."""
    wanted = tuple(wanted)
    verify_equivalence(net, rewritten, wanted, order)
    feeds = external_inputs(net)
    expected = run_twice(net, feeds, (*feeds, *wanted))
    assert expected is not None
    assert run_twice(rewritten, feeds, (*feeds, *wanted)) == expected
    if not is_sequential(net.type) and order is None:
        assert races(net) == races(rewritten) == []
        rng = random.Random(len(net.op))
        for _ in range(4):
            schedules = [random_order(rewritten, rng), random_order(rewritten, rng)]
            assert run_twice(rewritten, feeds, (*feeds, *wanted), schedules) == expected


def renamed(net: NetDef, rewritten: NetDef) -> dict[str, set[str]]:
    """Return old name -> new names, where they differ."""
    found: dict[str, set[str]] = {}
    for old, new in zip(net.op, rewritten.op, strict=True):
        names = zip((*old.input, *old.output), (*new.input, *new.output), strict=True)
        for before, after in names:
            if before != after:
                found.setdefault(before, set()).add(after)
    return found


def lstm_training() -> tuple[NetBuilder, dict[str, str]]:
    """Return a trained LSTM as Caffe2 writes it: nets of a step forward and of a step backward."""
    steps, batch = 5, 3
    builder = NetBuilder("lstm-training")
    builder.data("label", (steps,), DataType.INT32)
    x = builder.data("input", (steps, batch, WIDTH))
    every, *_ = architectures.lstm(builder, x, "lstm", WIDTH)
    forward = builder.net.op[1]
    _add_backward_step(forward)
    builder.add("Flatten", [every], ["flat"])
    builder.add("SoftmaxWithLoss", ["flat", "label"], ["softmax", "loss"])
    builder.add("ConstantFill", ["loss"], ["loss_autogen_grad"], value=1.0)
    inputs = ["flat", "label", "softmax", "loss_autogen_grad"]
    builder.add("SoftmaxWithLossGradient", inputs, ["flat_grad"])
    builder.add("ResizeLike", ["flat_grad", every], [f"{every}_grad"])
    projected, hidden, cell, weight, bias, _ = forward.input
    gradients = [f"{name}_grad" for name in (projected, weight, bias, hidden, cell)]
    inputs = [f"{every}_grad", *forward.input, *forward.output]
    builder.add("RecurrentNetworkGradient", inputs, gradients)
    builder.net.op[-1].arg.extend(forward.arg)
    outputs = ["lstm/i2h_w_grad", "lstm/i2h_b_grad", "input_grad"]
    builder.add("FCGradient", [x, "lstm/i2h_w", gradients[0]], outputs, axis=2)
    for op in builder.net.op[-4:]:
        op.is_gradient_op = op.type.endswith("Gradient")
    parameters = ("lstm/i2h_w", "lstm/i2h_b", weight, bias)
    return builder, {name: f"{name}_grad" for name in parameters}


def _add_backward_step(op: OperatorDef) -> None:
    """Add to a recurrent operator of one layer what its gradient operator needs."""
    weight, bias, gates = "lstm/gates_t_w", "lstm/gates_t_b", "lstm/gates_t"
    old = ["lstm/hidden_t_prev", "lstm/cell_t_prev"]
    new = ["lstm/hidden_state", "lstm/cell_state"]
    step = NetBuilder("backward-step")
    seen = [*old, gates, "seq_lengths", "timestep", *new, *(f"{name}_grad" for name in new)]
    outputs = [*(f"{name}_grad" for name in old), f"{gates}_grad"]
    step.add("LSTMUnitGradient", seen, outputs, forget_bias=0.0, drop_states=0, sequence_lengths=1)
    split = f"_{old[0]}_grad_autosplit_0"
    outputs = [f"{weight}_grad", f"{bias}_grad", split]
    step.add("FCGradient", [old[0], weight, f"{gates}_grad"], outputs, axis=2)
    step.add("Sum", [f"{old[0]}_grad", split], [f"{old[0]}_grad"])
    step.net.external_input.extend([*seen, weight, bias])
    states = [f"lstm/{kind}_t_prev_states_grad" for kind in ("hidden", "cell")]
    links = [f"{name}_grad" for pair in zip(new, old, strict=True) for name in pair]
    set_arguments(
        op,
        {
            "param": [3, 4],
            "param_grads": [f"{weight}_grad", f"{bias}_grad"],
            "outputs_with_grads": [0],
            "recompute_blobs_on_backward": [],
            "backward_link_internal": [*links, f"{gates}_grad"],
            "backward_link_external": [*(s for s in states for _ in range(2)), "lstm/i2h_grad"],
            "backward_link_offset": [1, 0, 1, 0, 0],
            "backward_step_net": step.net,
        },
    )
