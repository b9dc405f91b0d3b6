"""Against the recorded results of the real Caffe2, and by hand."""

import math
import random
from collections import Counter

import pytest

from memonger.graph.gradient_blobs import activation_blobs, gradient_blobs
from memonger.graph.live_ranges import live_ranges
from memonger.graph.storage import storages
from memonger.heuristics.token_walk import token_walk
from memonger.net.defuse import analyse
from memonger.net.netdef_pb2 import NetDef, OperatorDef
from memonger.verify import verify_sharing
from tests.golden import MALFORMED, is_wrong, original, records
from tests.net.notation import net
from tests.rewrite.random_nets import TRAITS, random_net


def groups_of(model, leading, operators, heads, sizes=None, keep=()):
    """Return the blobs that share by the walk, as the recordings list them."""
    work = NetDef()
    work.CopyFrom(model)
    work.type = "dag"
    def_use = analyse(work)
    counts = [1] * len(def_use.versions)
    planned = live_ranges(
        work, def_use, storages(work, def_use, counts, (), (), leading.difference(keep))
    )
    plan = token_walk(work, def_use, planned, leading, operators, heads, sizes)
    verify_sharing(planned.problem, plan)
    found = []
    for members in plan.members():
        blobs = {planned.storages[planned.planned[index]].blob for index in members}
        if len(blobs) > 1:
            found.append(sorted(blobs))
    return sorted(found)


def activations_of(model):
    names = {name for op in model.op for name in (*op.input, *op.output)}
    return names.difference(model.external_input, model.external_output)


def shared(text, heads="x", sizes=None, inputs="x"):
    model = net(text, inputs=inputs)
    groups = groups_of(model, activations_of(model), range(len(model.op)), heads.split(), sizes)
    return ["+".join(group) for group in groups]


def recorded_groups(record, case):
    """Return the groups of the walk with the arguments of a recorded case."""
    model, args = original(record["name"]), case["args"]
    if case["fn"] == "optimize_inference_for_dag":
        return groups_of(model, activations_of(model), range(len(model.op)), args["input_blobs"])
    gradients = gradient_blobs(model, args["param_grads"], args["namescope"])
    walked = [i for i, op in enumerate(model.op) if gradients & {*op.input, *op.output}]
    leading = gradients | (activation_blobs(model) if args["share_activations"] else set())
    sizes = None
    if args["blob_shapes"]:
        sizes = {blob: math.prod(dims) for blob, dims in record["blob_shapes"].items()}
    keep = set(args["dont_share_blobs"] or ())
    return groups_of(model, leading, walked, args["losses"], sizes, keep)


@pytest.mark.skipif(not records(), reason="no recordings of the real Caffe2")
def test_recorded_groups(capsys):
    """Exactly Caffe2's groups, or more where it does not go; not so where it is wrong (B05)."""
    counts = Counter()
    for name, record in records().items():
        for case in record["cases"]:
            if (
                case["fn"] not in ("optimize_inference_for_dag", "share_grad_blobs")
                or case["status"] != "ok"
                or is_wrong(case)
                or name in MALFORMED
            ):
                continue
            if case["args"].get("dont_share_blobs"):
                counts["blobs that must not share"] += 1
                continue
            found = recorded_groups(record, case)
            if found == case["groups"]:
                counts["equal"] += 1
            elif name == "real_mask_rcnn_2go_int8":
                counts["a net inside reads a blob"] += 1
            else:
                assert all(any(set(g) <= set(ours) for ours in found) for g in case["groups"])
                counts["more, as no head leads there"] += 1
    with capsys.disabled():
        print("\ntoken walk:", dict(counts))
    assert counts["equal"] > 300


def test_a_chain():
    assert shared("A x > a; B a > b; C b > c; D c > d; E d > y") == ["a+c", "b+d"]


def test_branches_stay_apart():
    text = "A x > a; B a > b; C b > c; D a > d; E d > e; F c e > y"
    assert shared(text) == []


def test_what_a_branch_has_freed_may_be_taken_after_it_has_joined():
    """``b`` and ``d`` were touched by one branch each; what follows ``F`` holds both tokens."""
    text = "A x > a; B a > b; C b > c; D a > d; E d > e; F c e > f; G f > g; H g > y"
    assert shared(text) == ["a+f", "b+g"]


def test_the_most_often_taken_comes_first_then_the_name():
    text = "A x > p q r; B p q r > s; C s > t; D t > u; E u t > y"
    assert shared(text) == ["p+t", "q+u"]


def test_the_nearest_size_comes_first():
    text = "A x > p q r; B p q r > s; C s > t; D t > y"
    assert shared(text, sizes={"p": 2, "q": 4, "r": 9, "t": 4}) == ["q+t"]
    assert shared(text, sizes={"p": 2, "q": 4, "r": 9, "t": 5}) == ["r+t"]
    assert shared(text, sizes={"p": 9, "q": 2, "r": 4, "t": 4}) == ["p+t"]  # it stands first


def test_heads_are_gone_through_one_after_the_other():
    """What one head has freed is not there for the next, and what none leads to comes last."""
    text = "A x > a; B a > b; C b > c; D z > d; E d > e; F c e > y"
    assert shared(text, heads="x z", inputs="x z") == ["a+c"]
    assert shared(text, heads="z", inputs="x z") == ["a+c"]
    assert shared(text, heads="", inputs="x z") == ["a+c"]


def test_devices_stay_apart():
    model = net("A x > a; B a > b; C b > c; D c > d; E d > y")
    model.op[2].device_option.device_type = 1
    groups = groups_of(model, activations_of(model), range(5), ["x"])
    assert groups == [["a", "d"]]


def test_it_is_not_recursive():
    count = 5000
    model = NetDef(
        op=[OperatorDef(type="Relu", input=[f"b{i}"], output=[f"b{i + 1}"]) for i in range(count)],
        external_input=["b0"],
        external_output=[f"b{count}"],
    )
    assert len(groups_of(model, activations_of(model), range(count), ["b0"])) == 2


@pytest.mark.parametrize("traits", TRAITS)
def test_plans_of_random_nets_are_valid(traits):
    """Also where blobs are rewritten, which the walk does not see: groups are split then."""
    for seed in range(40):
        rng = random.Random(seed)
        model = random_net(rng, TRAITS[traits], 14)
        names = activations_of(model)
        sizes = {name: rng.randint(0, 9) for name in sorted(names)} if seed % 2 else None
        groups_of(model, names, range(len(model.op)), ["in0", "in1"], sizes)
