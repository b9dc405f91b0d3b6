"""The recycling passes, under Caffe2's names: against what it did, and against the interpreter."""

import math
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import memonger.caffe2 as caffe2
from memonger.errors import EquivalenceError, NetError
from memonger.graph.gradient_blobs import activation_blobs
from memonger.graph.storage import storages
from memonger.net.defuse import analyse, outputs_of
from memonger.net.io import serialize_net
from memonger.net.netdef_pb2 import NetDef, OperatorDef
from memonger.net.subnets import has_nets
from memonger.recycling import recycle_in_order, recycle_inference
from memonger.rewrite.equivalence import verify_equivalence
from tests.golden import MALFORMED, is_wrong, net_of, original, records
from tests.net.notation import net, short, with_net
from tests.rewrite.interpreter import (
    external_inputs,
    observed,
    observed_in_parallel,
    races,
    run_twice,
)
from tests.rewrite.random_nets import TRAITS, random_net, random_sizes

SEEDS = st.integers(0, 10**6)
SEQUENTIAL = [name for name in TRAITS if "dag" not in name]
PARALLEL = [name for name in TRAITS if "dag" in name]
recorded = pytest.mark.skipif(not records(), reason="no recordings of the real Caffe2")


def cases(function):
    for name, record in records().items():
        for case in record["cases"]:
            if case["fn"] == function and name not in MALFORMED:
                yield name, record, case


def measured(name, new, sizes=None):
    """Return the number of blobs, and the bytes, as the recordings count them."""
    sizes = records()[name]["blob_sizes"] if sizes is None else sizes
    largest = {}
    for old, op in zip(original(name).op, new.op, strict=True):
        names = zip((*old.input, *old.output), (*op.input, *op.output), strict=True)
        for before, after in names:
            largest[after] = max(largest.get(after, 0), sizes.get(before, 0))
    return len(largest), sum(largest.values())


def share(name, record, case, **options):
    args = case["args"]
    if case["fn"] == "optimize_inference_for_dag":
        return caffe2.optimize_inference_for_dag(
            original(name), args["input_blobs"], args["namescope"], **options
        )
    if case["fn"] == "share_grad_blobs":
        return caffe2.share_grad_blobs(
            original(name),
            args["losses"],
            args["param_grads"],
            args["namescope"],
            args["dont_share_blobs"],
            args["share_activations"],
            record["blob_shapes"] if args["blob_shapes"] else None,
            **options,
        )
    shared = original(name)
    shapes = record["blob_shapes"] if args["blob_shapes"] else None
    for part in record["train"]:
        shared = caffe2.share_grad_blobs(
            shared,
            part["losses"],
            part["param_grads"],
            part["namescope"],
            blob_shapes=shapes,
            **options,
        )
    return shared


def computes_the_same(found, model, protected):
    """Return whether the interpreter leaves the same in the inputs and in what is protected."""
    if any(has_nets(op) for op in model.op):
        return True
    feeds = external_inputs(model)
    wanted = (*feeds, *protected)
    return run_twice(found, feeds, wanted) == run_twice(model, feeds, wanted) is not None


def compare(counts, what, ours, theirs):
    """Count how two numbers compare; return whether ours is no larger."""
    counts[what, "less" if ours < theirs else "same" if ours == theirs else "more"] += 1
    return ours <= theirs


@recorded
@pytest.mark.parametrize(
    ("function", "compared", "less"),
    [
        ("optimize_inference_for_dag", 200, 60),
        ("share_grad_blobs", 150, 60),
        ("share_grad_blobs_chain", 5, 0),
    ],
)
def test_recorded_recycling(function, compared, less, capsys):
    """Never more blobs and never more bytes than Caffe2 leaves where it is right."""
    counts = Counter()
    for name, record, case in cases(function):
        if any(op.is_gradient_op for op in original(name).op) and "dag" in function:
            assert case["exc_type"] == "AssertionError"
            with pytest.raises(AssertionError):
                share(name, record, case)
            counts["refused"] += 1
            continue
        found = share(name, record, case)
        assert computes_the_same(found, original(name), record["protected"]), case["id"]
        blobs, size = measured(name, found)
        if case["status"] != "ok" or is_wrong(case):
            counts["Caffe2 raises or is wrong"] += 1
            continue
        assert compare(counts, "blobs", blobs, case["n_blobs_after"]), case["id"]
        assert compare(counts, "bytes", size, case.get("bytes_after", size)), case["id"]
    with capsys.disabled():
        print(f"\n{function}:", dict(counts))
    assert counts["bytes", "less"] >= less
    assert counts["bytes", "less"] + counts["bytes", "same"] >= compared


@recorded
@pytest.mark.parametrize("function", ["optimize_inference_for_dag", "share_grad_blobs"])
def test_the_search_for_the_least_is_never_worse(function):
    """By what is known: fewer blobs without sizes, fewer elements with them."""
    seen = set()
    for name, record, case in cases(function):
        category = record["category"], str(case["args"].get("blob_shapes"))
        if category in seen or case["status"] != "ok" or name.startswith("real"):
            continue
        seen.add(category)
        known = None
        if case["args"].get("blob_shapes"):
            known = {
                blob: max(1, math.prod(record["blob_shapes"].get(blob, ())))
                for blob in record["blob_sizes"]
            }
        default, least = (
            measured(name, share(name, record, case, optimal=optimal), known)
            for optimal in (False, True)
        )
        assert least[known is not None] <= default[known is not None], case["id"]
    assert len(seen) > 5


@recorded
def test_known_sizes_never_cost_bytes():
    """``blob_sizes`` of the inference pass: fewer bytes than without, and than Caffe2."""
    counts = Counter()
    for name, record in records().items():
        gradients = any(op.is_gradient_op for op in original(name).op)
        if gradients or name in MALFORMED or not record["heads"]:
            continue
        sizes = record["blob_sizes"]
        plain, sized = (
            measured(
                name,
                caffe2.optimize_inference_for_dag(
                    original(name), record["heads"], blob_sizes=given
                ),
            )
            for given in (None, {blob: size for blob, size in sizes.items() if size})
        )
        assert compare(counts, "bytes", sized[1], plain[1]), name
    assert counts["bytes", "less"] > 5


def mixes_devices(name, case):
    """Return whether a recorded rewrite puts blobs of several devices under one name (B17)."""
    model = original(name)
    def_use = analyse(model)
    devices = {}
    for storage in storages(model, def_use, [1] * len(def_use.versions), ()):
        devices.setdefault(storage.blob, set()).add(storage.device)
    return any(
        len(set().union(*(devices.get(blob, ()) for blob in group))) > 1 for group in case["groups"]
    )


def is_right(name, case):
    """Return whether a recorded result is right by our verifier too."""
    if case["status"] != "ok" or is_wrong(case) or mixes_devices(name, case):
        return False
    sound, model = case["soundness"], original(name)
    if sound["external_inputs_renamed"] or sound["external_inputs_overwritten"]:
        return False
    outputs = outputs_of(model, analyse(model)) if model.external_output else ()
    try:
        verify_equivalence(model, net_of(case["out"]), outputs)
    except EquivalenceError:
        return False
    return True


# Nets that Caffe2 leaves as they were though something can be done, or where a name follows.
NOT_THE_SAME = {
    "edge_already_memongered": "is optimized again",
    "edge_control_input": "control inputs follow",
    "free_alias_3": "what an output is a view of stays",
    "rand_nonssa_2": "the lives of a rewritten blob are told apart",
}


@recorded
def test_recorded_in_order(capsys):
    """Caffe2's result, byte for byte, wherever it is right."""
    counts = Counter()
    for name, _, case in cases("optimize_inference_fast"):
        model, static = original(name), case["args"]["static_blobs"]
        found = caffe2.optimize_inference_fast(model, static)
        blobs, size = measured(name, found)
        if not is_right(name, case):
            counts["Caffe2 raises or is wrong"] += 1
            if model.external_output and not any(has_nets(op) for op in model.op):
                assert observed(found, model) == observed(model)
        elif found == net_of(case["out"]):
            counts["equal"] += 1
        else:
            assert name in NOT_THE_SAME, case["id"]
            assert size <= case["bytes_after"]
            counts[NOT_THE_SAME[name]] += 1
            compare(counts, "blobs", blobs, case["n_blobs_after"])
    with capsys.disabled():
        print("\noptimize_inference_fast:", dict(counts))
    assert counts["equal"] > 200
    assert counts["blobs", "more"] == 2  # free_alias_3


@pytest.mark.parametrize("traits", SEQUENTIAL)
@settings(max_examples=60)
@given(seed=SEEDS, operators=st.integers(1, 14))
def test_random_nets_in_order(traits, seed, operators):
    rng = random.Random(seed)
    model = random_net(rng, TRAITS[traits], operators)
    before = serialize_net(model)
    first = caffe2.optimize_inference_fast(model, ())
    assert serialize_net(model) == before
    assert observed(first, model) == observed(model)
    again = caffe2.optimize_inference_fast(first, ())
    assert observed(again, model) == observed(model)


@pytest.mark.parametrize("traits", TRAITS)
@settings(max_examples=40)
@given(seed=SEEDS, operators=st.integers(1, 14), sized=st.booleans(), optimal=st.booleans())
def test_random_inference_nets(traits, seed, operators, sized, optimal):
    rng = random.Random(seed)
    model = random_net(rng, TRAITS[traits], operators)
    before = serialize_net(model)
    found = caffe2.optimize_inference_for_dag(
        model,
        ["in0"],
        "s/",
        optimal=optimal,
        blob_sizes=random_sizes(rng, model) if sized else None,
    )
    assert serialize_net(model) == before
    assert observed(found, model) == observed(model)


@pytest.mark.parametrize("traits", PARALLEL)
@settings(max_examples=40)
@given(seed=SEEDS, operators=st.integers(1, 14), sized=st.booleans())
def test_random_parallel_nets_in_every_schedule(traits, seed, operators, sized):
    """A net that has no race gets none, and so the order of its operators does not matter."""
    rng = random.Random(seed)
    model = random_net(rng, TRAITS[traits], operators)
    if races(model):
        return
    sizes = random_sizes(rng, model) if sized else None
    found = caffe2.optimize_inference_for_dag(model, ["in0"], blob_sizes=sizes)
    assert races(found) == []
    for seen in observed_in_parallel(found, model, rng, 4):
        assert seen == observed(model)


TRAINING = (
    "FC x w > h; Loss h > loss; ConstantFill loss > loss_grad; LossGradient loss_grad h > h_grad; "
    "ReluGradient h_grad > g_grad; TanhGradient g_grad > i_grad; FCGradient x w i_grad > w_grad"
)


def outputs(found):
    return [name for op in found.op for name in op.output]


@pytest.mark.parametrize("optimal", [False, True])
def test_gradients_share_and_results_stay(optimal):
    model = net(TRAINING, inputs="x w", outputs="w_grad")
    shared = caffe2.share_grad_blobs(model, ["loss"], ["w_grad"], "", optimal=optimal)
    names = outputs(shared)
    assert names[:2] == ["h", "loss"]
    assert names[-1] == "w_grad"
    assert len(set(names[2:-1])) == 2
    assert observed(shared, model) == observed(model)


def test_a_gradient_that_is_an_output_survives():
    """B06: Caffe2 renames it."""
    model = net(TRAINING, inputs="x w", outputs="w_grad g_grad")
    shared = caffe2.share_grad_blobs(model, ["loss"], ["w_grad"], "")
    assert outputs(shared)[4] == "g_grad"
    assert observed(shared, model) == observed(model)


def test_blobs_that_must_not_share_keep_their_names_and_others_share():
    """B05: in Caffe2 the name may vanish, and what comes after it is never shared."""
    model = net(TRAINING, inputs="x w", outputs="w_grad")
    shared = caffe2.share_grad_blobs(model, ["loss"], ["w_grad"], "", dont_share_blobs=["h_grad"])
    names = outputs(shared)
    assert names[3] == "h_grad"
    assert names[2] == names[4] != "loss_grad"
    assert observed(shared, model) == observed(model)


def test_only_blobs_of_the_scope_share():
    model = net(TRAINING, inputs="x w", outputs="w_grad")
    assert caffe2.share_grad_blobs(model, ["loss"], ["w_grad"], "gpu_0") == model


def test_activations_are_those_with_a_weight_of_their_name():
    model = net("FC x p_w > p; FC p q_w > q; FC q r_w > r; FC r s_w > s; Relu s > t", outputs="p")
    assert activation_blobs(model) == {"q"}


def test_element_counts_do_not_overflow():
    """B16: 65536 x 65536 elements are 0 in 32 bits."""
    model = net(
        "L x > loss; A loss > a_grad; B a_grad > b_grad; C b_grad > c_grad; D c_grad > d_grad; "
        "E d_grad > y"
    )
    shapes = {"a_grad": [65536, 65536], "b_grad": [1], "c_grad": [65536, 65536], "d_grad": [1]}
    names = outputs(caffe2.share_grad_blobs(model, ["loss"], [], "", blob_shapes=shapes))
    assert names[1] == names[3] != names[2] == names[4]


def test_no_shapes_at_all_are_none():
    model = net(TRAINING, inputs="x w", outputs="w_grad")
    plain = caffe2.share_grad_blobs(model, ["loss"], ["w_grad"], "")
    assert caffe2.share_grad_blobs(model, ["loss"], ["w_grad"], "", blob_shapes={}) == plain


def test_a_search_ends_in_time():
    model = net(TRAINING, inputs="x w", outputs="w_grad")
    found = caffe2.share_grad_blobs(model, ["loss"], ["w_grad"], "", optimal=True, time_limit=0)
    assert len(set(outputs(found)[2:-1])) == 2
    model = net("Relu x > a; Tanh a > b; Sin b > c; Copy c > y")
    sizes = {"a": 3, "b": 1, "c": 3}
    found = caffe2.optimize_inference_for_dag(
        model, ["x"], optimal=True, blob_sizes=sizes, time_limit=0
    )
    assert outputs(found)[0] == outputs(found)[2]


def test_parallel_branches_stay_parallel():
    """Two branches of two operators: each may reuse its own memory, never the other's."""
    model = net("Relu x > a; Tanh a > b; Sin b > c; Relu x > d; Tanh d > e; Sin e > f; Add c f > y")
    names = outputs(caffe2.optimize_inference_for_dag(model, ["x"], "s/"))
    assert names[0] == names[2] != names[1]
    assert not set(names[:3]) & set(names[3:6])
    assert any(name.startswith("s/__m") for name in names)


@pytest.mark.parametrize("kind", ["", "simple", "dag", None])
def test_the_type_of_the_net_stays(kind):
    model = net("Relu x > a; Tanh a > b; Sin b > c; Copy c > y", kind=kind or "")
    if kind is None:
        model.ClearField("type")
    for found in (
        caffe2.optimize_inference_for_dag(model, ["x"]),
        caffe2.optimize_inference_fast(model, []),
    ):
        assert (found.HasField("type"), found.type) == (model.HasField("type"), model.type)


def test_operators_that_no_input_leads_to_take_part():
    model = net("Relu x > a; Tanh a > b; Sin b > c; Copy c > y")
    assert short(caffe2.optimize_inference_for_dag(model, ["nothing"])) == (
        "Relu x > __m0_shared; Tanh __m0_shared > b; Sin b > __m0_shared; Copy __m0_shared > y"
    )


def test_gradient_operators_are_refused():
    model = net(TRAINING, inputs="x w", outputs="w_grad")
    model.op[-1].is_gradient_op = True
    with pytest.raises(caffe2.NotInferenceError, match="gradient operators"):
        caffe2.optimize_inference_for_dag(model, ["x"])


def test_a_deep_net():
    """B15: Caffe2's walk overflows the stack; Python's would at a thousand."""
    count = 3000
    model = NetDef(
        op=[OperatorDef(type="Relu", input=[f"b{i}"], output=[f"b{i + 1}"]) for i in range(count)],
        external_input=["b0"],
        external_output=[f"b{count}"],
    )
    assert len(set(outputs(caffe2.optimize_inference_for_dag(model, ["b0"])))) == 3


# In order: one test for each way in which the original is wrong.


@pytest.mark.parametrize(
    ("text", "static"),
    [
        ("Relu x > x; Tanh x > a; Sin a > b; Cos b > y", ()),  # B07: an input written in place
        ("Relu x > a; Sin a > b; Cos b > y; Tanh y > c; Copy c > d", ()),  # B07: an output is read
        ("Tanh x > a; Sigmoid a > b; Relu b > c; Relu x > a; Tanh c > y", ()),  # B08
        ("Relu x > a; Sin a > b; Alias b > v; Tanh v > c; Copy c > d; Add d v > y", ()),  # B13
        ("Relu x > a; Sin a > b; Relu b > b; Cos b > c; Copy c > d; Add d c > y", ("a",)),
    ],
)
def test_in_order_keeps_what_is_computed(text, static):
    model = net(text)
    found = caffe2.optimize_inference_fast(model, static)
    assert observed(found, model) == observed(model)
    assert found != model


def test_in_order_follows_nets_inside_operators():
    """B11: what a branch of If reads is renamed there too."""
    inner = net("Copy b > r", inputs="b", outputs="r")
    model = net("Relu x > a; Tanh a > b; Copy b > c; If c b > r; Copy r > s; Copy s > y")
    with_net(model.op[3], then_net=inner, else_net=inner)
    found = caffe2.optimize_inference_fast(model, ())
    branch = found.op[3].arg[0].n
    assert list(branch.op[0].input) == list(branch.external_input) == [found.op[1].output[0]]
    assert found.op[1].output[0] != "b"


def test_in_order_keeps_devices_apart():
    """B17: only what follows on the same device takes memory over."""
    model = net("Relu x > a; Tanh a > b; Copy b > c; Sin c > d; Cos d > e; Copy e > y")
    for index in (2, 3, 4):
        model.op[index].device_option.device_type = 1
    names = outputs(caffe2.optimize_inference_fast(model, ()))
    assert not set(names[:2]) & set(names[2:5])
    assert names[2] == names[4]


def test_in_order_chooses_free_names():
    model = net("Relu x > __m0_shared; Tanh __m0_shared > b; Sin b > c; Copy c > y")
    assert outputs(caffe2.optimize_inference_fast(model, ())) == [
        "__m1_shared",
        "__m2_shared",
        "__m1_shared",
        "y",
    ]


def test_in_order_numbers_by_what_is_freed_first():
    """A buffer of one blob gets a name too, a blob that nobody reads keeps its own."""
    model = net("Relu x > a; Tanh x > b dead; Sin b > c; Add a c > y")
    assert outputs(caffe2.optimize_inference_fast(model, ())) == [
        "__m1_shared",
        "__m0_shared",
        "dead",
        "__m2_shared",
        "y",
    ]


@pytest.mark.parametrize("kind", ["dag", "async_scheduling", "simple_refcount"])
def test_other_types_of_nets_are_left_alone(kind):
    model = net("Relu x > a; Tanh a > b; Sin b > c; Copy c > y", kind=kind)
    found = caffe2.optimize_inference_fast(model, ())
    assert found == model
    assert found is not model


def test_recurrent_nets_are_left_alone():
    model = net("Relu x > a; Tanh a > b; Sin b > c; RecurrentNetwork c > y")
    assert recycle_in_order(model) == model


def test_results_of_a_net_that_declares_none():
    """Those of the static blobs that are written; else what nobody reads."""
    model = net("Relu x > a; Tanh a > b; Sin b > c; Cos c > d unread", outputs="")
    assert outputs(recycle_in_order(model))[3:] == ["d", "unread"]
    names = outputs(recycle_in_order(model, ["x", "d"]))
    assert names[3] == "d"
    assert names[4] != "unread"


def test_static_blobs_of_the_inference_pass():
    model = net("Relu x > a; Tanh a > b; Sin b > c; Copy c > y")
    assert outputs(recycle_inference(model, ["x"], static=["a"])) == ["a", "b", "c", "y"]


@pytest.mark.parametrize("call", [recycle_inference, recycle_in_order])
def test_a_net_that_is_not_well_formed(call):
    with pytest.raises(NetError):
        call(net("Relu nobody > y"))


class Wrapped:
    """An object like ``caffe2.python.core.Net``."""

    def __init__(self, message):
        self.message = message

    def Proto(self):
        return self.message


def test_objects_with_a_message_are_nets():
    model = net("Relu x > a; Tanh a > b; Sin b > c; Copy c > y")
    assert caffe2.optimize_inference_fast(Wrapped(model), {"x"}) != model
    assert caffe2.optimize_inference_for_dag(Wrapped(model), ["x"]) != model
