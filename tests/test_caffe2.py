"""Caffe2's names: where the original is wrong, and what is around the passes."""

import inspect

import numpy as np
import pytest

import memonger.caffe2 as caffe2
from memonger.heuristics.blob_assignments import LiveRange
from memonger.net.io import serialize_net
from tests.golden import original, records
from tests.net.notation import net, ones
from tests.rewrite.interpreter import observed

GREEDY = caffe2.AssignmentAlgorithm.GREEDY
DP = caffe2.AssignmentAlgorithm.DYNAMIC_PROGRAMMING
OPTIMAL = caffe2.AssignmentAlgorithm.OPTIMAL
ORDERINGS = {
    "topo": caffe2.topological_sort_traversal,
    "longest_path": caffe2.topological_sort_traversal_longest_path,
}
CHAIN = "Relu x > a; Tanh a > b; Sin b > c; Cos c > d; Copy d > y"


# What `caffe2/python/memonger.py` defines, apart from what begins with an underscore.
ORIGINAL = [
    "AssignmentAlgorithm",
    "LiveRange",
    "Optimization",
    "Statistics",
    "apply_assignments",
    "apply_recurrent_blob_assignments",
    "blob_nbytes",
    "collect_blob_sizes",
    "compute_assignments",
    "compute_assignments_dp",
    "compute_assignments_greedy",
    "compute_blob_assignments",
    "compute_interference_graph",
    "compute_ranges",
    "compute_statistics",
    "estimate_memory_usage",
    "get_memory_usage",
    "get_updated_ranges",
    "is_compatible",
    "optimize_inference_fast",
    "optimize_inference_for_dag",
    "optimize_interference",
    "release_blobs_when_used",
    "share_grad_blobs",
    "topological_sort_traversal",
    "topological_sort_traversal_longest_path",
    "verify_assignments",
    "verify_graph_equality",
    "verify_inplace_blobs",
]


@pytest.mark.parametrize("name", ORIGINAL)
def test_every_name_is_there_and_documented(name):
    assert name in caffe2.__all__
    assert inspect.getdoc(getattr(caffe2, name))


@pytest.mark.parametrize("algorithm", [GREEDY, DP, OPTIMAL])
@pytest.mark.parametrize("ordering", ORDERINGS.values(), ids=ORDERINGS)
@pytest.mark.parametrize(
    "text",
    [
        "Tanh x > a; Sigmoid a > s; Relu a > a; Add a s > y",  # B01: write after read
        "Relu x > t; Tanh t > u; Sigmoid x > t; Add t u > y",  # B02: write after write
        "Relu x > y",  # B03
        "Relu x > a; Sin a > b; Alias b > v; Tanh v > c; Copy c > d; Add d v > y",  # B13
        "Relu x > a; Sigmoid a > b; Free a > a; Tanh b > c; Copy c > y",
        "Tanh x > a; Sigmoid a > b; Relu b > c; Relu x > a; Tanh c > y",  # B08
        CHAIN,
    ],
)
def test_interference_keeps_what_is_computed(text, ordering, algorithm):
    model = net(text)
    before = serialize_net(model)
    done = caffe2.optimize_interference(model, [], ordering, None, algorithm)
    assert observed(done.net, model) == observed(model)
    assert serialize_net(model) == before


def test_the_empty_net():
    done = caffe2.optimize_interference(net("", inputs="", outputs=""), [])
    assert done.assignments == []


@pytest.mark.skipif(not records(), reason="no recordings of the real Caffe2")
@pytest.mark.parametrize("name", ["cnn_fwd_2", "inception_3", "resnet_fwd_1", "real_inception_v1"])
def test_optimal_is_never_worse(name):
    record = records()[name]
    static = record["protected"] + list(record["external_inputs"])
    usage = [
        caffe2.get_memory_usage(
            caffe2.optimize_interference(
                original(name), static, blob_sizes=record["blob_sizes"], algo=algorithm
            ).assignments
        )
        for algorithm in (GREEDY, OPTIMAL)
    ]
    assert usage[1] <= usage[0]


def test_optimal_beats_the_dynamic_program():
    """The smallest instance on which Caffe2's documented optimum is none."""
    ranges = {
        "A": LiveRange(0, 1, 5),
        "B": LiveRange(3, 3, 2),
        "C": LiveRange(3, 5, 4),
        "E": LiveRange(5, 5, 2),
    }
    usage = {
        algorithm: caffe2.get_memory_usage(caffe2.compute_assignments(ranges, [], algorithm))
        for algorithm in (DP, OPTIMAL)
    }
    assert usage == {DP: 9, OPTIMAL: 7}


def test_static_blobs_stand_alone_at_the_end():
    ranges = caffe2.compute_ranges(net(CHAIN).op)
    for algorithm in (GREEDY, DP, OPTIMAL):
        found = caffe2.compute_assignments(ranges, ["x", "y"], algorithm)
        assert [[blob for blob, _ in group] for group in found[-2:]] == [["x"], ["y"]]
        caffe2.verify_assignments(found)


def test_assignments_are_applied_in_place():
    model = net("Relu x > a; Tanh a > b | a; Copy b > y")
    assert caffe2.apply_assignments(model, {"a": "s", "b": "t"}) is None
    assert model == net("Relu x > s; Tanh s > t | s; Copy t > y")


def test_release_and_estimate():
    model = net(CHAIN)
    shapes, types = dict.fromkeys(ones(model), (4,)), dict.fromkeys(ones(model), 1)
    released = caffe2.release_blobs_when_used(model, set())
    device = released.device_option
    total, high, by_op = caffe2.estimate_memory_usage([model], shapes, types, device)
    assert (total, high) == (80, 80)
    assert caffe2.estimate_memory_usage([released], shapes, types, device)[:2] == (80, 32)
    assert by_op["Relu"] == 16
    assert len(model.op) == 5


def test_sizes_come_from_values():
    values = {"x": np.zeros((2, 3), np.float32), "a": 8}
    model = net("Relu x > a; Copy a > y")
    assert caffe2.collect_blob_sizes(model, values) == {"x": 24, "a": 8, "y": 0}
    assert caffe2.collect_blob_sizes(model) == {"x": 0, "a": 0, "y": 0}
    live = LiveRange(0, 1, 3)
    assert caffe2.compute_statistics([[("x", live), ("a", live)]], values) == (32, 24)
    assert caffe2.compute_statistics([[("x", live), ("a", live)]]) == (6, 3)


def test_recurrent_arguments_are_renamed():
    model = net("RecurrentNetworkGradient a b > a_grad c")
    model.op[0].arg.add(name="link_external", strings=[b"b", b"inner"])
    caffe2.apply_recurrent_blob_assignments(model.op[0], {"b": "s"}, lambda b: {"b": "s"}.get(b, b))
    assert list(model.op[0].input) == ["a", "s"]
    assert list(model.op[0].arg[0].strings) == [b"s", b"inner"]
