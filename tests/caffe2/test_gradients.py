"""Gradients and activations of training nets share memory: `share_grad_blobs` as it is used.

``in_caffe2`` is the number of blobs that the original leaves of the same net, measured with the
memonger of torch 1.10.2.
"""

import pytest

import memonger.caffe2 as caffe2
from memonger.instances import gradient_rules
from memonger.instances.gradient_rules import GradientRule
from memonger.net.netdef_pb2 import DeviceOption, NetDef
from memonger.rewrite.equivalence import verify_equivalence
from tests.caffe2.scenarios import (
    SCOPE,
    bytes_of,
    check_same,
    loss_of,
    lstm_training,
    names_of,
    perceptron,
    renamed,
    stack,
    start,
    two_losses,
)
from tests.net.notation import net

LOSS = f"{SCOPE}loss"
CPU, CUDA = 0, 1


def layers(number):
    return [f"fc{index}" for index in range(1, number + 1)]


def in_scope(*names):
    return {f"{SCOPE}{name}" for name in names}


def parameter_gradients(builder, found):
    return [found[name] for name in builder.parameters]


@pytest.mark.parametrize(("depth", "in_caffe2"), [(3, 22), (5, 32)])
@pytest.mark.parametrize("activations", [False, True])
def test_a_perceptron(depth, in_caffe2, activations):
    builder, found = perceptron(*layers(depth))
    wanted = [LOSS, *parameter_gradients(builder, found)]
    shared = caffe2.share_grad_blobs(
        builder.net, [LOSS], wanted[1:], SCOPE, share_activations=activations
    )
    assert len(names_of(shared)) <= in_caffe2 < len(names_of(builder.net))
    assert caffe2.verify_graph_equality(builder.net, shared)
    assert caffe2.verify_inplace_blobs(builder.net, shared)
    check_same(builder.net, shared, wanted)
    new = names_of(shared) - names_of(builder.net)
    assert new
    assert all(name.startswith(f"{SCOPE}__m") and name.endswith("_shared") for name in new)


def test_activations_beside_gradients():
    """Never more blobs than with gradients alone; the last activations stay."""
    builder, found = perceptron(*layers(5))
    wanted = [LOSS, *parameter_gradients(builder, found)]
    only = caffe2.share_grad_blobs(builder.net, [LOSS], wanted[1:], SCOPE)
    both = caffe2.share_grad_blobs(
        builder.net,
        [LOSS],
        wanted[1:],
        SCOPE,
        dont_share_blobs={found[f"{SCOPE}fc1_w"]},
        share_activations=True,
    )
    assert len(names_of(both)) <= len(names_of(only))
    inner = {name for name in names_of(builder.net) if name.endswith("_grad")} - set(wanted)
    assert renamed(builder.net, only).keys() <= inner
    assert renamed(builder.net, both).keys() <= inner | in_scope("fc1", "fc2", "fc3")
    for shared in (only, both):
        assert in_scope("fc4", "fc5", "softmax") <= names_of(shared)
        check_same(builder.net, shared, wanted)


def test_a_gradient_takes_the_memory_of_an_activation():
    """With one gradient alone there is nothing to share it with."""
    model = net(
        "FC x a_w > a; Relu a > r; FC r b_w > b; FC b c_w > c; Loss c > loss; "
        "LossGradient c loss > c_grad; FCGradient b c_w c_grad > c_w_grad",
        inputs="x a_w b_w c_w",
        outputs="",
    )
    arguments = model, ["loss"], ["c_w_grad"], ""
    assert caffe2.share_grad_blobs(*arguments) == model
    shared = caffe2.share_grad_blobs(*arguments, share_activations=True)
    assert renamed(model, shared) == {"a": {"__m0_shared"}, "c_grad": {"__m0_shared"}}
    check_same(model, shared, ["loss", "c_w_grad"])


@pytest.mark.parametrize("scope", [SCOPE, SCOPE.rstrip("/")])
def test_a_tree_with_two_losses(scope):
    builder, found = two_losses()
    losses = [f"{SCOPE}loss1", f"{SCOPE}loss2"]
    wanted = [*losses, *parameter_gradients(builder, found)]
    stay = {f"{SCOPE}fc5", f"{SCOPE}fc6", found[f"{SCOPE}fc1_w"]}
    shared = caffe2.share_grad_blobs(
        builder.net, losses, wanted[2:], scope, dont_share_blobs=stay, share_activations=True
    )
    assert len(names_of(shared)) <= 43 < len(names_of(builder.net)) == 52  # 43: in Caffe2
    assert stay <= names_of(shared)
    assert not any("//" in name for name in names_of(shared))
    check_same(builder.net, shared, wanted)


def test_the_gradients_of_a_tower_and_not_those_of_its_neighbour():
    """Two towers in one net, as for two devices: each scope is shared by a call of its own."""
    one, found = perceptron(*layers(3), scope="tower0/")
    two, others = perceptron(*layers(3), scope="tower1/")
    both = NetDef(name="towers", op=[*one.net.op, *two.net.op])
    both.external_input.extend([*one.net.external_input, *two.net.external_input])
    ours = parameter_gradients(one, found)
    theirs = parameter_gradients(two, others)
    first = caffe2.share_grad_blobs(both, ["tower0/loss"], ours, "tower0")
    assert all(name.startswith("tower0/") for name in renamed(both, first))
    second = caffe2.share_grad_blobs(first, ["tower1/loss"], theirs, "tower1")
    assert all(name.startswith("tower1/") for name in renamed(first, second))
    assert len(names_of(second)) < len(names_of(first)) < len(names_of(both))
    check_same(both, second, ["tower0/loss", "tower1/loss", *ours, *theirs])


@pytest.fixture
def _copies_have_gradients(monkeypatch):
    rule = GradientRule("CopyCPUToGPU", ("GO0",), (0,))
    monkeypatch.setitem(gradient_rules.RULES, "CopyGPUToCPU", rule)


def half_on_a_gpu():
    """Return a perceptron of which the first half runs on a GPU, and the blobs of its results."""
    builder, x = start("half-on-a-gpu", scope="")
    x = stack(builder, x, "fc1", "fc2", "fc3", "fc4", scope="")
    builder.add("CopyGPUToCPU", [x], {"fc4_cpu": builder.shapes[x]})
    for op in builder.net.op:
        op.device_option.CopyFrom(DeviceOption(device_type=CUDA))
    rest = len(builder.net.op)
    loss_of(builder, stack(builder, "fc4_cpu", "fc5", "fc6", "fc7", scope=""), scope="")
    for op in builder.net.op[rest:]:
        op.device_option.CopyFrom(DeviceOption(device_type=CPU))
    found = builder.backward("loss")
    return builder, parameter_gradients(builder, found)


def devices_of_blobs(model):
    """Return blob -> devices of the operators that touch it, those that copy between two apart."""
    found = {}
    for op in model.op:
        if not op.type.startswith("Copy"):
            for name in (*op.input, *op.output):
                found.setdefault(name, set()).add(op.device_option.device_type)
    return found


@pytest.mark.usefixtures("_copies_have_gradients")
def test_no_blob_crosses_from_the_gpu_to_the_cpu():
    builder, parameters = half_on_a_gpu()
    model = builder.net
    assert sum(op.type.startswith("Copy") for op in model.op) == 2
    shared = caffe2.share_grad_blobs(model, ["loss"], parameters, "", share_activations=True)
    assert len(names_of(shared)) < len(names_of(model))
    assert all(len(devices) == 1 for devices in devices_of_blobs(shared).values())
    on = {name: devices for name, devices in devices_of_blobs(shared).items() if "__m" in name}
    assert {CPU} in on.values()
    assert {CUDA} in on.values()
    check_same(model, shared, ["loss", *parameters])


def test_an_lstm():
    builder, found = lstm_training()
    wanted = ["loss", *found.values()]
    shared = caffe2.share_grad_blobs(
        builder.net, ["loss"], found.values(), "", dont_share_blobs=set(), share_activations=True
    )
    assert len(names_of(shared)) <= 26 < len(names_of(builder.net)) == 29  # 26: in Caffe2
    verify_equivalence(builder.net, shared, wanted)
    assert set(wanted) <= names_of(shared)


def test_the_nets_of_a_step_follow():
    """The gradient operator finds what was renamed, and its step what is outside."""
    builder, found = lstm_training()
    gradients_left = {name for name in names_of(builder.net) if name.endswith("_grad")}
    gradients_left -= {"flat_grad", "lstm/i2h_grad"}
    shared = caffe2.share_grad_blobs(
        builder.net, ["loss"], found.values(), "", dont_share_blobs=gradients_left
    )
    verify_equivalence(builder.net, shared, ["loss", *found.values()])
    moved = renamed(builder.net, shared)
    assert moved == {"flat_grad": {"__m0_shared"}, "lstm/i2h_grad": {"__m0_shared"}}
    (op,) = (op for op in shared.op if op.type == "RecurrentNetworkGradient")
    arguments = {arg.name: arg for arg in op.arg}
    assert arguments["lstm/i2h_grad.rename"].s == b"__m0_shared"
    assert arguments["backward_link_external"].strings[-1] == b"__m0_shared"
    (old,) = (op for op in builder.net.op if op.type == "RecurrentNetworkGradient")
    steps = {arg.name: arg.n for arg in old.arg if arg.HasField("n")}
    assert all(arguments[name].n == step for name, step in steps.items())  # own names only


@pytest.mark.parametrize("algorithm", caffe2.AssignmentAlgorithm)
@pytest.mark.parametrize("sized", [False, True])
def test_interference_of_a_training_net(algorithm, sized):
    """Loss, one gradient and all that is fed stay; bytes go down, with any algorithm."""
    builder, found = perceptron(*layers(3), scope="")
    sizes = bytes_of(builder.net, builder.types)
    static = [*builder.types, "loss", found["fc1_w"]]
    done = caffe2.optimize_interference(
        builder.net, static, blob_sizes=sizes if sized else None, algo=algorithm
    )
    graph = caffe2.compute_interference_graph(builder.net.op)
    order = caffe2.topological_sort_traversal(graph)
    check_same(builder.net, done.net, ["loss", found["fc1_w"]], order)
    assert all(len(group) == 1 for group in done.assignments[-len(static) :])
    assert set(static) <= {group[0][0] for group in done.assignments if len(group) == 1}
    statistics = caffe2.compute_statistics(done.assignments, sizes)
    assert statistics.baseline_nbytes == sum(sizes.values())
    assert statistics.optimized_nbytes < statistics.baseline_nbytes
    assert len(names_of(done.net)) == len(done.assignments)


@pytest.mark.parametrize("what", ["forward", "empty", "idle"])
def test_nothing_to_share_is_nothing_to_change(what):
    """No gradients; no operators; operators that touch no blob."""
    model = NetDef(name=what)
    if what == "forward":
        builder, x = start("forward")
        loss_of(builder, stack(builder, x, "fc1", "fc2"))
        model = builder.net
    elif what == "idle":
        model.op.add(type="NoOp")
    before = model.SerializeToString()
    assert caffe2.share_grad_blobs(model, [LOSS], [], SCOPE) == model
    if what != "forward":
        assert caffe2.optimize_inference_for_dag(model, []) == model
        assert caffe2.release_blobs_when_used(model, set()) == model
        assert caffe2.optimize_interference(model, []).net == model
    assert model.SerializeToString() == before


def test_operators_without_blobs_among_others():
    builder, found = perceptron(*layers(3))
    wanted = [LOSS, *parameter_gradients(builder, found)]
    plain = caffe2.share_grad_blobs(builder.net, [LOSS], wanted[1:], SCOPE)
    mixed = NetDef()
    mixed.CopyFrom(builder.net)
    del mixed.op[:]
    for op in builder.net.op:
        mixed.op.add(type="NoOp")
        mixed.op.add().CopyFrom(op)
    shared = caffe2.share_grad_blobs(mixed, [LOSS], wanted[1:], SCOPE)
    assert list(shared.op[1::2]) == list(plain.op)
    check_same(mixed, shared, wanted)
