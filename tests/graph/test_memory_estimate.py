"""The memory estimate: Caffe2's numbers by the recordings, its defects, and the definition."""

import logging
import random
from collections import Counter

import pytest

from memonger.errors import ShapeError
from memonger.graph.memory_estimate import estimate_memory, uncounted_blobs
from memonger.net.netdef_pb2 import DeviceOption, NetDef
from memonger.net.tensors import DataType
from tests.golden import net_of, original, records
from tests.net.notation import net, operator

CPU, GPU = DeviceOption(device_type=0), DeviceOption(device_type=1, device_id=1)
FLOAT = DataType.FLOAT


def recorded_scope(before, args):
    """Return the device of a recording; of the option, only type and id were recorded."""
    scope = args["devicescope"]
    if not scope["set"]:
        return DeviceOption()
    found = {
        op.device_option.SerializeToString(): op.device_option
        for op in before.op
        if op.HasField("device_option")
        and op.device_option != DeviceOption()
        and op.device_option.device_type == scope["device_type"]
        and op.device_option.device_id == scope["device_id"]
    }
    (option,) = found.values()
    return option


def recorded_net(name, record, args):
    if args["protos"] == "net":
        return original(name)
    (case,) = [
        case for case in record["cases"]
        if case["fn"] == "release_blobs_when_used"
        and case["args"]["selector"] is None
        and case["args"]["dont_free_blobs"]
        and set(case["args"]["dont_free_blobs"]) == set(record["protected"])
    ] or [
        case for case in record["cases"]
        if case["fn"] == "release_blobs_when_used" and case["args"]["selector"] is None
    ][-1:]  # fmt: skip
    return net_of(case["out"])


def test_recorded_estimates():
    if not records():
        pytest.skip("no recordings")
    counts = Counter()
    for name, record in records().items():
        for case in record["cases"]:
            if case["fn"] != "estimate_memory_usage":
                continue
            before = recorded_net(name, record, case["args"])
            copy = before.SerializeToString()
            scope = recorded_scope(original(name), case["args"])
            found = estimate_memory([before], record["blob_shapes"], record["blob_types"], scope)
            result = case["result"]
            recorded = (result["total"], result["highwater"], result["by_op"])
            assert tuple(found) == recorded, case["id"]
            assert all(isinstance(size, int) for size in (*found[:2], *found.by_op.values()))
            assert before.SerializeToString() == copy
            counts["equal"] += 1
            counts["of these above 0"] += found.total > 0
            # B19: the original deletes operators of the net that it is given.
            deletes = result["n_ops_left_in_argument"] < len(before.op)
            counts["of these, operators deleted by Caffe2"] += deletes
    print("estimate_memory", dict(counts))
    assert counts["equal"] >= 230
    assert counts["of these, operators deleted by Caffe2"] > 0


def test_outputs_only_each_once_while_allocated():
    before = net("Relu x > a; Tanh a > b; Tanh b > b; Free a > a; Relu b > a; Relu a > y")
    shapes = {"x": [100], "a": [2], "b": [3], "y": []}
    found = estimate_memory([before], shapes, dict.fromkeys(shapes, FLOAT))
    assert found == (8 + 12 + 8 + 4, 24, {"Relu": 8 + 8 + 4, "Tanh": 12})


def test_nets_run_one_after_the_other_on_the_same_names():
    first, second = net("Relu x > a"), net("Relu x > a; Tanh a > b", outputs="b")
    shapes = {"a": [2], "b": [3]}
    types = dict.fromkeys(shapes, FLOAT)
    assert estimate_memory([first, second], shapes, types) == (20, 20, {"Relu": 8, "Tanh": 12})
    assert estimate_memory([], shapes, types) == (0, 0, {})
    assert estimate_memory([NetDef()], shapes, types) == (0, 0, {})


@pytest.mark.parametrize("alias", ["Alias", "AliasWithName"])
def test_a_view_takes_no_memory_and_gives_up_its_own(alias):
    shapes = {"a": [2], "v": [2], "w": [8]}
    types = dict.fromkeys(shapes, FLOAT)
    before = net(f"Relu x > a; Relu x > v; {alias} a > v; Relu x > w", outputs="")
    assert estimate_memory([before], shapes, types) == (48, 40, {"Relu": 48})


def test_only_operators_of_the_device_but_every_free():
    before = net("Relu x > a; Tanh x > b; Sigmoid x > c; Free b > b; Tanh x > d", outputs="")
    before.op[1].device_option.CopyFrom(GPU)
    before.op[4].device_option.CopyFrom(GPU)
    before.op[2].device_option.CopyFrom(CPU)
    shapes = {"a": [1], "b": [2], "c": [4], "d": [2]}
    types = dict.fromkeys(shapes, FLOAT)

    def totals(device):
        return estimate_memory([before], shapes, types, device)[:2]

    assert totals(GPU) == (16, 8)
    assert totals(CPU) == (16, 16)
    assert totals(DeviceOption()) == (4, 4)  # unset is not CPU
    assert totals(DeviceOption(device_type=1)) == (0, 0)
    assert totals(None) == (36, 28)


def test_what_cannot_be_counted_is_reported(caplog):
    before = net("Relu x > s; Relu x > u; Relu x > n; Relu x > s; Relu x > t; Tanh x > f", "x", "")
    shapes = {"s": [3], "u": [3], "t": [1], "f": [1]}
    types = {"s": DataType.STRING, "u": DataType.UNDEFINED, "t": 99, "n": 1, "f": DataType.BYTE}
    with caplog.at_level(logging.WARNING, "memonger.graph.memory_estimate"):
        found = estimate_memory([before], shapes, types)
    assert found == (1, 1, {"Relu": 0, "Tanh": 1})
    assert len(caplog.records) == 4
    assert "blob 'n' counts 0 bytes: unknown shape or type" in caplog.text
    assert uncounted_blobs([before], shapes, types) == {
        "s": "its elements are no plain bytes",
        "u": "its elements are no plain bytes",
        "n": "unknown shape or type",
        "t": "unknown data type 99",
    }


def test_negative_dimensions():
    before = net("Relu x > y")
    with pytest.raises(ShapeError, match=r"blob 'y': negative dimension in shape \[2, -1\]"):
        estimate_memory([before], {"y": [2, -1]}, {"y": FLOAT})
    # What is not written is not looked at.
    assert estimate_memory([before], {"x": [-1], "y": []}, {"x": 1, "y": 1}).total == 4


def test_large_dimensions():
    found = estimate_memory([net("Relu x > y")], {"y": [2**40, 2**40]}, {"y": FLOAT})
    assert found.total == 2**82


@pytest.mark.parametrize("seed", range(50))
def test_random_nets_by_the_definition(seed):
    rng = random.Random(seed)
    names = [f"b{i}" for i in range(6)]
    shapes = {name: [rng.randint(0, 5)] for name in names}
    before = net("", outputs="")
    for _ in range(rng.randint(0, 20)):
        kind = rng.choice(["Relu", "Tanh", "Free", "Alias"])
        outputs = rng.sample(names, rng.randint(1, 2)) if kind == "Relu" else [rng.choice(names)]
        source = outputs[0] if kind == "Free" else rng.choice(names)
        before.op.append(operator(f"{kind} {source} > {' '.join(outputs)}"))
    held, total, highwater = set(), 0, 0
    for op in before.op:
        if op.type in ("Free", "Alias"):
            held -= set(op.output)
            continue
        total += sum(4 * shapes[name][0] for name in set(op.output) - held)
        held |= set(op.output)
        highwater = max(highwater, sum(4 * shapes[name][0] for name in held))
    found = estimate_memory([before], shapes, dict.fromkeys(names, FLOAT))
    assert (found.total, found.highwater) == (total, highwater)
    assert sum(found.by_op.values()) == total
