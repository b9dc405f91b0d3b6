from collections import Counter

import numpy as np
import pytest

from memonger.errors import InputError, NetError
from memonger.instances import architectures
from memonger.instances.gradient_rules import gradient_rules
from memonger.instances.gradients import append_backward
from memonger.instances.net_builder import NetBuilder, set_arguments
from memonger.instances.nets import NETS, build, chain, resnet_like
from memonger.net.arguments import find_argument, ints_argument, str_argument, strings_argument
from memonger.net.netdef_pb2 import NetDef, OperatorDef
from memonger.net.shapes import infer_types
from memonger.net.tensors import DataType, TensorType

TRAINING = [name for name in NETS if name.endswith("-train")]
PARAMETERS = {
    # He et al.: 23,454,912 in convolutions, 53,120 in normalisation, 2,049,000 in fc1000.
    "resnet50": 25_557_032,
    "resnet50-train": 25_557_032,
    "inception-v1": 6_998_552,
    "unet": 31_031_810,
    "lstm": 32_946,
    "mlp": 535_818,
    "mlp-train": 535_818,
    "cnn-train": 431_080,
}
OPERATORS = {
    "resnet50": {"Conv": 53, "SpatialBN": 53, "Relu": 49, "Sum": 16, "MaxPool": 1, "FC": 1},
    "inception-v1": {"Conv": 57, "Relu": 57, "Concat": 9, "MaxPool": 13, "LRN": 2, "Dropout": 1},
    "unet": {"Conv": 19, "Relu": 18, "ConvTranspose": 4, "Concat": 4, "MaxPool": 4},
    "lstm": {"FC": 2, "RecurrentNetwork": 1, "Softmax": 1},
}


@pytest.fixture(scope="module")
def built():
    nets = {name: build(name) for name in NETS}
    nets["chain"] = chain(20)
    nets["resnet_like"] = resnet_like(100)
    return nets


EVERY = [*NETS, "chain", "resnet_like"]


def trainable(types):
    return [name for name in types if name.endswith(("_w", "_b", "_s"))]


def writers(net):
    return {blob: op for op in net.op for blob in op.output}


# Structure.


@pytest.mark.parametrize("name", EVERY)
def test_reads_are_produced_or_external(built, name):
    net = built[name].net
    known = set(net.external_input)
    for op in net.op:
        assert set(op.input) <= known, op.type
        known.update(op.output)
    assert set(net.external_output) <= set(writers(net))
    assert net.type == "simple"


@pytest.mark.parametrize("name", EVERY)
def test_blobs_are_rewritten_in_place_only(built, name):
    net = built[name].net
    known = set(net.external_input)
    for op in net.op:
        assert len(set(op.output)) == len(op.output)
        for blob in op.output:
            assert blob not in known or blob in op.input, (op.type, blob)
        known.update(op.output)


@pytest.mark.parametrize("name", EVERY)
def test_every_external_input_has_a_type_and_a_reader(built, name):
    net = built[name].net
    assert list(built[name].types) == list(net.external_input)
    assert set(net.external_input) <= {blob for op in net.op for blob in op.input}
    assert len(set(net.external_input)) == len(net.external_input)


@pytest.mark.parametrize("name", [name for name in NETS if name not in TRAINING])
def test_inference_leaves_its_inputs_alone(built, name):
    net = built[name].net
    assert not set(net.external_input) & set(writers(net))
    assert not any(op.is_gradient_op for op in net.op)


@pytest.mark.parametrize("name", NETS)
def test_the_same_net_every_time(built, name):
    again = build(name)
    assert again.net.SerializeToString() == built[name].net.SerializeToString()
    assert again.types == built[name].types
    assert again.description == built[name].description


def test_unknown_name_lists_the_nets():
    with pytest.raises(InputError, match=r"resnet51.*resnet50, resnet50-train.*cnn-train"):
        build("resnet51")


# Published facts.


@pytest.mark.parametrize("name", NETS)
def test_number_of_parameters(built, name):
    types = built[name].types
    assert sum(types[blob].numel for blob in trainable(types)) == PARAMETERS[name]


@pytest.mark.parametrize("name", OPERATORS)
def test_number_of_operators(built, name):
    counts = Counter(op.type for op in built[name].net.op)
    assert OPERATORS[name].items() <= counts.items()


def test_builder_shapes():
    builder = NetBuilder("net")
    x = builder.data("data", (1, 3, 224, 224))
    architectures.inception_v1(builder, x)
    assert builder.shapes["conv1"] == (1, 64, 112, 112)
    assert builder.shapes["inception_3a/output"] == (1, 256, 28, 28)
    assert builder.shapes["inception_4e/output"] == (1, 832, 14, 14)
    assert builder.shapes["inception_5b/output"] == (1, 1024, 7, 7)
    builder = NetBuilder("net")
    assert builder.shapes[architectures.resnet50(builder, builder.data("data", (2, 3, 224, 224)))]
    assert builder.shapes["conv1"] == (2, 64, 112, 112)
    assert builder.shapes["res2_2_branch2c_bn"] == (2, 256, 56, 56)
    assert builder.shapes["res5_0_branch1"] == builder.shapes["res5_2_branch2c"] == (2, 2048, 7, 7)
    assert builder.shapes["pool5"] == (2, 2048, 1, 1)
    builder = NetBuilder("net")
    scores = architectures.unet(builder, builder.data("data", (1, 3, 256, 256)), 2)
    assert builder.shapes[scores] == (1, 2, 256, 256)
    assert builder.shapes["bottom_conv2"] == (1, 1024, 16, 16)


def inferred(built):
    """Return the types of all blobs, at their last write, and the blobs of unknown type."""
    inference = infer_types(built.net, built.types)
    types = dict(built.types)
    for op, outputs in zip(built.net.op, inference.outputs, strict=True):
        types.update(zip(op.output, outputs, strict=True))
    return types, {cause.blob for cause in inference.unknown}


@pytest.mark.parametrize("name", EVERY)
def test_shape_inference_knows_every_blob(built, name):
    types, unknown = inferred(built[name])
    objects = {"lstm/step_workspaces"}  # no tensor
    assert unknown <= objects
    assert {blob for blob, type_ in types.items() if type_ is None} <= objects


@pytest.mark.parametrize(
    ("name", "blob", "shape"),
    [
        ("resnet50", "pool5", (1, 2048, 1, 1)),
        ("resnet50", "softmax", (1, 1000)),
        ("resnet50-train", "res4_5_sum", (32, 1024, 14, 14)),
        ("resnet50-train", "conv1_bn_siv", (64,)),
        ("inception-v1", "inception_5b/output", (1, 1024, 7, 7)),
        ("inception-v1", "softmax", (1, 1000)),
        ("unet", "masks", (1, 2, 256, 256)),
        ("lstm", "softmax", (20, 8, 50)),
        ("lstm", "lstm/cell_state_last", (1, 8, 64)),
        ("mlp", "softmax", (64, 10)),
        ("cnn-train", "pool2", (64, 50, 4, 4)),
        ("cnn-train", "loss", ()),
        ("chain", "x19", (1, 64, 28, 28)),
        ("resnet_like", "pool", (1, 512, 1, 1)),
    ],
)
def test_published_shapes(built, name, blob, shape):
    types, _ = inferred(built[name])
    assert types[blob] == TensorType(shape)


@pytest.mark.parametrize("name", TRAINING)
def test_gradients_have_the_type_of_their_blobs(built, name):
    types, _ = inferred(built[name])
    gradients = [blob for blob in types if blob.endswith("_grad") and "autogen" not in blob]
    assert {f"{blob}_grad" for blob in trainable(built[name].types)} <= set(gradients)
    for blob in gradients:
        assert types[blob] == types[blob.removesuffix("_grad")], blob


# Training.


@pytest.mark.parametrize("name", TRAINING)
def test_every_parameter_is_updated_in_place_after_its_last_reader(built, name):
    net, types = built[name].net, built[name].types
    updates = {}
    for index, op in enumerate(net.op):
        if op.type == "WeightedSum":
            updates[op.output[0]] = (index, op.input[0], op.input[2])
        elif op.type == "MomentumSGDUpdate":
            updates[op.output[2]] = (index, op.input[3], op.input[0])
    assert list(updates) == trainable(types)
    for blob, (update, before, gradient) in updates.items():
        assert before == blob
        assert gradient == f"{blob}_grad"
        readers = [index for index, op in enumerate(net.op) if blob in op.input]
        assert readers[-1] == update
        assert blob in net.external_output
    assert net.external_output[0] == "loss"


@pytest.mark.parametrize("name", TRAINING)
def test_each_forward_operator_has_its_gradient(built, name):
    net = built[name].net
    start = next(i for i, op in enumerate(net.op) if op.output[0] == "loss_autogen_grad")
    forward = Counter(op.type for op in net.op[:start] if op.type != "Sum")
    gradients = Counter(op.type for op in net.op[start:] if op.is_gradient_op)
    assert gradients == {f"{type_}Gradient": count for type_, count in forward.items()}


def test_resnet50_train_normalises_with_batch_statistics(built):
    ops = [op for op in built["resnet50-train"].net.op if op.type == "SpatialBN"]
    assert len(ops) == 53
    for op in ops:
        assert op.output[1:3] == op.input[3:5]
        assert op.output[3:] == [f"{op.output[0]}_sm", f"{op.output[0]}_siv"]
    outputs = built["resnet50-train"].net.external_output
    assert {"res5_2_branch2c_bn_rm", "conv1_w_momentum", "optimizer_iteration"} <= set(outputs)


def test_no_gradient_of_the_image(built):
    for name in ("resnet50-train", "cnn-train"):
        assert "data_grad" not in writers(built[name].net)


# Gradients.


def shared_layers(count):
    """Layers that share one weight matrix."""
    builder = NetBuilder("shared")
    x = builder.data("data", (4, 8))
    inputs = [builder.parameter("w", (8, 8)), builder.parameter("b", (8,))]
    for number in range(count):
        x = builder.add("FC", [x, *inputs], [f"f{number}"])
    builder.add("AveragedLoss", [x], ["loss"])
    return builder


def test_contributions_are_split_and_added_up():
    builder = shared_layers(3)
    assert builder.backward("loss") == {"w": "w_grad", "b": "b_grad"}
    made = [op for op in builder.net.op if op.type in ("FCGradient", "Sum")]
    assert [list(op.output) for op in made] == [
        ["w_grad", "b_grad", "f1_grad"],
        ["_w_grad_autosplit_0", "_b_grad_autosplit_0", "f0_grad"],
        ["_w_grad_autosplit_1", "_b_grad_autosplit_1", "data_grad"],
        ["w_grad"],
        ["b_grad"],
    ]
    assert made[3].input == ["w_grad", "_w_grad_autosplit_0", "_w_grad_autosplit_1"]


def test_a_shortcut_passes_the_gradient_through():
    builder = NetBuilder("shortcut")
    x = builder.relu(builder.data("data", (4, 8)), "x")
    y = builder.sum([x, builder.fc(x, "fc", 8)], "y")
    builder.add("AveragedLoss", [y], ["loss"])
    append_backward(builder.net, "loss")
    last = [(op.type, list(op.input), list(op.output)) for op in builder.net.op][-3:]
    assert last == [
        ("FCGradient", ["x", "fc_w", "y_grad"], ["fc_w_grad", "fc_b_grad", "x_grad"]),
        ("Sum", ["x_grad", "y_grad"], ["x_grad"]),
        ("ReluGradient", ["x", "x_grad"], ["data_grad"]),
    ]


def test_a_summand_twice():
    builder = NetBuilder("twice")
    x = builder.relu(builder.data("data", (4, 8)), "x")
    builder.add("AveragedLoss", [builder.sum([x, x], "y")], ["loss"])
    assert append_backward(builder.net, "loss") == {"data": "data_grad"}
    assert builder.net.op[-2].input == ["y_grad", "y_grad"]
    assert builder.net.op[-2].output == ["x_grad"]


def test_backward_through_a_unet():
    builder = NetBuilder("unet")
    scores = architectures.unet(builder, builder.data("data", (1, 3, 32, 32)), 2)
    builder.add("AveragedLoss", [scores], ["loss"])
    gradients = builder.backward("loss")
    assert gradients == {name: f"{name}_grad" for name in builder.parameters}
    assert builder.parameters == trainable(builder.types)
    split = next(op for op in builder.net.op if op.type == "Split")
    assert split.input == ["merge1_grad", "_merge1_dims"]
    # A skip connection has two readers, Concat and MaxPool.
    assert split.output == ["down1_conv2_grad", "up1_grad"]
    pool = [op for op in builder.net.op if op.type == "MaxPoolGradient"][-1]
    assert pool.output == ["_down1_conv2_grad_autosplit_0"]


@pytest.mark.parametrize(
    ("type_", "inputs", "outputs", "arguments", "expected"),
    [
        ("Conv", "x w b", "y", {}, ("ConvGradient", "I0 I1 GO0", (1, 2, 0))),
        ("Conv", "x w", "y", {}, ("ConvGradient", "I0 I1 GO0", (1, 0))),
        ("ConvTranspose", "x w b", "y", {}, ("ConvTransposeGradient", "I0 I1 GO0", (1, 2, 0))),
        ("Conv", "x w", "y", {"no_gradient_to_input": 1}, ("ConvGradient", "I0 I1 GO0", (1,))),
        ("SpatialBN", "x s b m v", "y m v a i", {}, ("SpatialBNGradient", "I0 I1 GO0 O3 O4", None)),
        ("SpatialBN", "x s b m v", "y", {"is_test": 1}, (None, "I0 I1 GO0 I3 I4", (0, 1, 2))),
        ("Concat", "p q r", "y d", {}, ("Split", "GO0 O1", (0, 1, 2))),
        ("Dropout", "x", "y m", {}, ("DropoutGrad", "GO0 O1", (0,))),
        ("Dropout", "x", "y m", {"is_test": 1}, ("DropoutGrad", "GO0", (0,))),
        ("LRN", "x", "y s", {}, ("LRNGradient", "I0 O0 GO0", (0,))),
        ("Tanh", "x", "y", {}, ("TanhGradient", "O0 GO0", (0,))),
    ],
)
def test_signatures_of_gradient_operators(type_, inputs, outputs, arguments, expected):
    op = OperatorDef(type=type_, input=inputs.split(), output=outputs.split())
    set_arguments(op, arguments)
    (rule,) = gradient_rules(op)
    actual = (rule.type, " ".join(rule.inputs), rule.outputs)
    assert all(want in (None, have) for want, have in zip(expected, actual, strict=True))
    assert rule.flags == (("no_bias",) if inputs == "x w" else ())


@pytest.mark.parametrize("trans_b", [0, 1])
def test_gradients_of_a_matrix_product(trans_b):
    """The shapes fit, and so do the values: numpy runs what the rules say."""
    rng = np.random.default_rng(7)
    a, b = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 5, 4) if trans_b else (2, 4, 5))
    gy = rng.normal(size=(2, 3, 5))

    def product(left, right, trans_a=0, trans_b=0):
        left = left.swapaxes(1, 2) if trans_a else left
        return left @ (right.swapaxes(1, 2) if trans_b else right)

    op = OperatorDef(type="BatchMatMul", input=["a", "b"], output=["y"])
    set_arguments(op, {"trans_b": trans_b})
    values = {"I0": a, "I1": b, "GO0": gy}
    step = 1e-6
    for rule in gradient_rules(op):
        flags = dict.fromkeys(rule.flags, 1)
        actual = product(*(values[token] for token in rule.inputs), **flags)
        changed = values[f"I{rule.outputs[0]}"]
        assert actual.shape == changed.shape
        at = (1, 2, 3)
        before = (gy * product(a, b, trans_b=trans_b)).sum()
        changed[at] += step
        after = (gy * product(a, b, trans_b=trans_b)).sum()
        changed[at] -= step
        assert (after - before) / step == pytest.approx(actual[at], rel=1e-4)


def test_gradient_operators_keep_engine_device_and_arguments():
    net = NetDef(external_input=["x", "w"])
    op = net.op.add(type="Conv", input=["x", "w"], output=["y"], engine="CUDNN")
    op.device_option.device_id = 3
    set_arguments(op, {"kernel": 3})
    net.op.add(type="AveragedLoss", input=["y"], output=["loss"])
    append_backward(net, "loss")
    gradient = net.op[-1]
    assert (gradient.engine, gradient.device_option.device_id) == ("CUDNN", 3)
    assert [arg.name for arg in gradient.arg] == ["kernel", "no_bias"]
    assert gradient.is_gradient_op


def test_operators_off_the_way_to_the_loss_need_no_gradient():
    builder = shared_layers(1)
    builder.add("Accuracy", ["f0"], ["accuracy"])
    assert builder.backward("loss") == {"w": "w_grad", "b": "b_grad"}


def reject(builder, match, loss="loss"):
    with pytest.raises(NetError, match=match):
        builder.backward(loss)


def test_gradients_that_cannot_be():
    reject(shared_layers(1), "no operator writes the loss 'cost'", "cost")

    builder = NetBuilder("unknown")
    builder.add("ArgMax", [builder.data("data", (4, 8))], ["loss"])
    reject(builder, "no gradient known for operator type 'ArgMax'")

    builder = shared_layers(1)
    builder.parameter("unused_w", (1,))
    reject(builder, "'unused_w' has no gradient")

    builder = NetBuilder("overwritten")
    hidden = builder.fc(builder.fc(builder.data("data", (4, 8)), "a", 8), "b", 8)
    builder.add("Relu", ["a"], ["a"])
    builder.add("AveragedLoss", [hidden], ["loss"])
    reject(builder, "FC: its gradient needs 'a', which a later operator overwrites")

    builder = NetBuilder("no gradient")
    scores, label = builder.data("scores", (4, 8)), builder.data("label", (4,), DataType.INT32)
    builder.add("SoftmaxWithLoss", [scores, label], ["softmax", "unused"])
    builder.add("AveragedLoss", ["softmax"], ["loss"])
    reject(builder, "SoftmaxWithLoss: no gradient for output 'unused'")

    builder = NetBuilder("lost")
    kept = builder.relu(builder.data("data", (4,)), "kept")
    builder.add("Dropout", [builder.data("noisy", (4,))], ["noisy", "mask"])
    builder.add("AveragedLoss", [builder.sum(["noisy", kept], "noisy")], ["loss"])
    reject(builder, "gradient 'noisy_grad' is overwritten before its last use")


# The builder.


def test_arguments_by_python_type():
    op = OperatorDef()
    inner = NetDef(name="inner")
    set_arguments(op, {"i": 1, "f": 0.5, "s": "NCHW", "n": inner, "is": [1, 2], "ss": ["a", "b"]})
    one, half, text, net, numbers, words = op.arg
    assert (one.i, half.f, text.s, net.n.name) == (1, 0.5, b"NCHW", "inner")
    assert (list(numbers.ints), list(words.strings)) == ([1, 2], [b"a", b"b"])


def test_a_blob_is_declared_once():
    builder = NetBuilder("net")
    builder.data("data", (1,))
    with pytest.raises(NetError, match="'data' exists already"):
        builder.parameter("data", (1,))


# The LSTM.


def test_lstm_arguments(built):
    net, types = built["lstm"].net, built["lstm"].types
    op = next(op for op in net.op if op.type == "RecurrentNetwork")
    assert types["data"] == TensorType((20, 8, 50))
    assert types["seq_lengths"] == TensorType((8,), DataType.INT32)
    initial = [op.input[index] for index in ints_argument(op, "initial_recurrent_state_ids")]
    assert initial == ["hidden_init", "cell_init"]
    states = strings_argument(op, "recurrent_states")
    for kind in ("alias", "link"):
        names = {"alias": ("src", "dst"), "link": ("external", "internal")}[kind]
        external, internal = (strings_argument(op, f"{kind}_{name}") for name in names)
        assert len(external) == len(internal) == len(ints_argument(op, f"{kind}_offset"))
        assert set(external) <= {*states, *op.input}
    assert strings_argument(op, "alias_dst") == tuple(op.output[:4])
    assert op.output[4] == "lstm/step_workspaces"

    step = find_argument(op, "step_net").n
    timestep = str_argument(op, "timestep")
    known = {*strings_argument(op, "link_internal"), timestep, *op.input}
    assert set(step.external_input) <= known
    assert set(step.external_output) <= set(strings_argument(op, "link_internal"))
    known = set(step.external_input)
    for inner in step.op:
        assert set(inner.input) <= known
        known.update(inner.output)
    assert set(step.external_output) <= known


# Nets of any size.


@pytest.mark.parametrize("operators", [1, 2, 10, 1000, 20_000])
def test_chain(operators):
    net = chain(operators).net
    assert len(net.op) == operators
    assert net.external_input == ["data"]
    assert net.external_output == [net.op[-1].output[0]]
    assert len(writers(net)) == operators


@pytest.mark.parametrize("operators", [14, 15, 30, 77, 100, 500, 9_999])
def test_resnet_like_is_near_the_wished_size(operators):
    built = resnet_like(operators)
    assert abs(len(built.net.op) - operators) <= 9
    widths = {built.types[name].shape[0] for name in built.types if "branch2b_w" in name}
    assert widths <= {64, 128, 256, 512}
    assert len(widths) == 4 or operators < 40


def test_nets_grow_linearly():
    sizes = [len(resnet_like(count).net.external_input) for count in (1000, 2000, 3000)]
    assert sizes[2] - sizes[1] == pytest.approx(sizes[1] - sizes[0], rel=0.02)
    assert len(resnet_like(1).net.op) == 14


@pytest.mark.parametrize("make", [chain, resnet_like])
@pytest.mark.parametrize("operators", [0, -5])
def test_no_net_without_operators(make, operators):
    with pytest.raises(InputError, match=f"at least 1 operator, not {operators}"):
        make(operators)
