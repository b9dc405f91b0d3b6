"""The whole pipeline on recorded, built-in and random nets, against the interpreter."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memonger.errors import EquivalenceError, NetError
from memonger.instances.nets import NETS, build, chain, resnet_like
from memonger.net.io import serialize_net
from memonger.net.netdef_pb2 import NetDef
from memonger.net.schema import is_sequential
from memonger.net.subnets import has_nets
from memonger.pipeline import optimize
from memonger.rewrite.equivalence import verify_equivalence
from memonger.verify import verify_sharing
from tests.golden import MALFORMED, is_wrong, net_of, original, records
from tests.net.notation import net, ones, short
from tests.rewrite.interpreter import observed, observed_in_parallel, races
from tests.rewrite.random_nets import TRAITS, random_net, random_sizes

SEEDS = st.integers(0, 10**6)
PARALLEL = [name for name in TRAITS if "dag" in name]


def bytes_after(before, after, sizes):
    """Return the bytes of the blobs of a rewritten net, each as large as its largest content."""
    largest = {}
    for old, new in zip(before.op, after.op, strict=True):
        names = zip((*old.input, *old.output), (*new.input, *new.output), strict=True)
        for blob, name in names:
            largest[name] = max(largest.get(name, 0), sizes.get(blob, 0))
    return sum(largest.values())


def mixes_devices(case, planned):
    """Return whether a recorded rewrite puts blobs of several devices under one name (B17)."""
    devices = {}
    for storage in planned.storages:
        devices.setdefault(storage.blob, set()).add(storage.device)
    groups = (set().union(*(devices.get(b, ()) for b in group)) for group in case["groups"])
    return any(len(found) > 1 for found in groups)


def best_recorded(name, planned):
    """Return the fewest bytes of a right rewrite by Caffe2, and its case."""
    record, found = records()[name], []
    for case in record["cases"]:
        if (
            case["fn"] not in ("optimize_inference_fast", "optimize_inference_for_dag")
            or case["status"] != "ok"
            or is_wrong(case)
            or "bytes_after" not in case
            or case["soundness"]["external_inputs_overwritten"]
            or mixes_devices(case, planned)
        ):
            continue
        try:
            verify_equivalence(original(name), net_of(case["out"]), record["protected"])
        except EquivalenceError:
            continue
        found.append((case["bytes_after"], case["id"]))
    return min(found, default=None)


def check_cost(result):
    """Small nets that run in order are solved; no net ever gets worse."""
    assert result.bound <= result.objective <= result.baseline
    if result.analysis.problem.vector_time is None:
        assert result.bound == result.objective


def check_twice(model, sizes):
    """Optimize twice: the same to a user, no more memory, and nothing to change again."""
    before = serialize_net(model)
    result = optimize(model, sizes=sizes)
    assert serialize_net(model) == before
    check_cost(result)
    assert verify_sharing(result.analysis.problem, result.result.plan) == result.objective
    again = {}
    for old, new in zip(model.op, result.net.op, strict=True):
        names = zip((*old.input, *old.output), (*new.input, *new.output), strict=True)
        for blob, name in names:
            again[name] = max(again.get(name, 0), sizes.get(blob, 0))
    second = optimize(result.net, sizes=again)
    assert second.objective <= result.objective
    if result.analysis.problem.vector_time is None:
        assert short(second.net) == short(result.net)
        assert serialize_net(second.net) == serialize_net(result.net)
    return result


@pytest.mark.parametrize("name", records())
def test_recorded_nets(name):
    record, model = records()[name], original(name)
    sizes = record["blob_sizes"]
    if name in MALFORMED:
        assert not record["original_runs"]
        with pytest.raises(NetError):
            optimize(model, sizes=sizes)
        return
    result = check_twice(model, sizes)
    ours, best = bytes_after(model, result.net, sizes), best_recorded(name, result.analysis.planned)
    print(f"{name:28} {result.baseline:>12} {result.objective:>12} all {ours:>12} Caffe2 {best}")
    assert best is None or ours <= best[0]
    if not any(has_nets(op) for op in model.op):
        assert observed(model) is not None
        assert observed(result.net, model) == observed(model)
        if not is_sequential(model.type):
            assert races(model) == races(result.net) == []


@pytest.mark.parametrize("name", [*NETS, "chain", "resnet-like"])
def test_built_in_nets(name):
    built = {"chain": lambda: chain(40), "resnet-like": lambda: resnet_like(60)}
    found = built[name]() if name in built else build(name)
    result = optimize(found.net, shapes=found.types, time_limit=20)
    assert result.bound <= result.objective <= result.baseline
    if not any(has_nets(op) for op in found.net.op):
        assert observed(result.net, found.net) == observed(found.net)


@pytest.mark.parametrize("traits", TRAITS)
@settings(max_examples=60)
@given(seed=SEEDS, operators=st.integers(1, 14))
def test_random_nets(traits, seed, operators):
    rng = random.Random(seed)
    model = random_net(rng, TRAITS[traits], operators)
    result = optimize(model, sizes=random_sizes(rng, model))
    check_cost(result)
    assert observed(result.net, model) == observed(model)


@pytest.mark.parametrize("traits", PARALLEL)
@settings(max_examples=60)
@given(seed=SEEDS, operators=st.integers(1, 14))
def test_random_parallel_nets_compute_the_same_in_every_schedule(traits, seed, operators):
    """A net that has no race gets none, and so the order of its operators does not matter."""
    rng = random.Random(seed)
    model = random_net(rng, TRAITS[traits], operators)
    if races(model):
        return
    result = optimize(model, sizes=random_sizes(rng, model)).net
    assert races(result) == []
    for found in observed_in_parallel(result, model, rng, 4):
        assert found == observed(model)


@pytest.mark.parametrize("traits", TRAITS)
def test_optimizing_twice_changes_nothing_more(traits):
    for seed in range(15):
        rng = random.Random(seed)
        model = random_net(rng, TRAITS[traits], 12)
        check_twice(model, random_sizes(rng, model))


# Found by random nets and by thinking.


def test_a_blob_may_be_called_like_a_storage():
    text = "Relu x > a; Tanh a > b; Relu b > a; Tanh a > a#1; Add a#1 b > y"
    model = net(text)
    assert optimize(model, sizes=ones(model)).objective <= 12


def test_a_net_that_writes_over_the_name_of_a_view_can_be_optimized():
    model = net("Relu x > a; Alias x > v; Tanh a > b; Tanh b > v; Add v b > y")
    result = optimize(model, sizes=ones(model)).net
    assert observed(result, model) == observed(model)


@pytest.mark.parametrize("large", ["p", "q", "r", "a"])
def test_no_race_appears_where_a_view_outlives_a_name(large):
    """Readers of the view wait for the next writer through ``a``, whose two lives may part."""
    text = (
        "Relu x > p; Tanh p > q; Sigmoid q > a; Copy q > b; Alias b > v; Add v a > r; "
        "Relu x > a; Tanh a > b; Add r b > y"
    )
    model = net(text, kind="dag")
    assert races(model) == []
    assert races(optimize(model, sizes={**ones(model), large: 8}).net) == []


def test_a_name_that_orders_what_is_done_through_a_view_stays():
    """Operator 4 reads ``a`` after operator 3 has written it as ``v``: it waits for ``b`` only."""
    text = "Relu x > p; Tanh p > a; Alias a > v; Add v x > v b; Tanh a > b; Copy v > q; Add b q > y"
    model = net(text, kind="dag")
    assert races(model) == []
    assert races(optimize(model, sizes={**ones(model), "p": 8, "q": 8}).net) == []


def test_an_operator_without_a_required_field_is_an_error_of_the_net():
    model = net("Relu x > a; Tanh a > b; Copy b > y")
    model.op[1].arg.add(name="q").qtensors.add(dims=[1])
    with pytest.raises(NetError):
        optimize(model, sizes=ones(model))


def test_a_loss_without_declaration_outlives_repeated_optimization():
    """It is known by the operator that starts its gradient, whatever the gradient is called."""
    model = net(
        "Relu x > a; Tanh a > b; Loss b > loss; ConstantFill loss > loss_autogen_grad; "
        "LossGradient loss_autogen_grad b > b_grad; TanhGradient b_grad > a_grad; "
        "ReluGradient a_grad > x_grad",
        outputs="",
    )
    result = optimize(model, sizes=ones(model)).net
    again = optimize(result, sizes=ones(result)).net
    assert "loss" in again.op[2].output
    assert again.op[6].output == ["x_grad"]


def test_the_name_that_a_gradient_is_found_by_stays_when_the_gradient_was_renamed():
    """Then a ``.rename`` argument leads from the old name of the gradient, not from a new one."""
    model = net(
        "Relu x > p; Tanh p > a; Sin a > q; RecurrentNetworkGradient a q > a_grad z; "
        "Add a_grad z > r; Copy r > s; Copy s > y"
    )
    result = optimize(model, sizes=ones(model)).net
    assert "a_grad" not in result.op[3].output
    again = optimize(result, sizes=ones(result)).analysis.planned.storages
    assert {storage.name: storage.pinned for storage in again}["a"]


def test_the_baseline_of_a_blob_on_two_devices_counts_both():
    """A plan never shares across devices, so that names alone would promise too little."""
    model = net("Relu x > a; Copy a > b; Copy b > a; Copy a > y")
    model.op[2].device_option.device_type = 1
    result = optimize(model, sizes=ones(model))
    assert result.objective <= result.baseline


def test_a_control_input_does_not_keep_memory():
    """Operator 3 waits for the first ``a`` only: names let the second one take its place."""
    model = net(
        "Relu x > a; Tanh a > b; Copy b > c; Copy c > d | a; Copy b > a; Add a d > y", kind="dag"
    )
    result = optimize(model, sizes=ones(model))
    assert result.objective <= result.baseline


def test_static_blobs_are_not_touched():
    text = "Relu x > a; Tanh a > b; Sin b > c; Cos c > d; Copy d > y"
    model = net(text)
    result = optimize(model, sizes=ones(model), static=["a", "d"])
    names = {name for op in result.net.op for name in (*op.input, *op.output)}
    assert {"a", "d"} <= names
    assert [buffer.name for buffer in result.analysis.problem.buffers] == ["b", "c"]


def test_an_empty_net_is_left_alone():
    assert optimize(NetDef(name="n"), sizes={}).net == NetDef(name="n")
