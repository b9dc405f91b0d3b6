"""Every recorded case of a real Caffe2 through the function of `memonger.caffe2` of that name.

For each case one outcome is counted:

* ``equal``: Caffe2's result, to the last name where names are stable;
* ``equal sharing``: the same blobs share, under other numbers of ``__m<k>_shared``;
* ``fewer blobs``, ``as many blobs``: another sharing, as right as Caffe2's;
* ``more blobs``: where an output is a view, what it is a view of stays;
* ``Caffe2 wrong``: by the recording (mostly a run in a real Caffe2) its result does not compute the
  same; ours does;
* ``Caffe2 unsound``: by the verifier alone, or tensors of two devices under one name: never run, or
  right by luck; ours is right;
* ``Caffe2 raises``: where a result is possible; ours is right;
* ``refused as by Caffe2``: the exception that Caffe2 raises, or one derived from it;
* ``refused``: a net that is not well formed: a NetError here, whatever Caffe2 does.

Right means: accepted by `verify_equivalence`, the same in the interpreter of nets in two runs, no
operator waits for one that it did not wait for, and protected blobs stand under their names.
``pytest -s`` shows the counts; the table below says what they must be at least.
"""

import builtins
import json
from collections import Counter
from functools import cache, partial

import pytest

import memonger.caffe2 as caffe2
from memonger import interference
from memonger.errors import EquivalenceError, NetError
from memonger.heuristics.caffe2_dp import SearchLimitError
from memonger.net.netdef_pb2 import NetDef
from memonger.net.subnets import has_nets
from memonger.rewrite.equivalence import verify_equivalence
from tests.caffe2.scenarios import names_of
from tests.golden import MALFORMED, is_wrong, members, net_of, original, records
from tests.graph.test_memory_estimate import recorded_net, recorded_scope
from tests.net.notation import short
from tests.rewrite.interpreter import dependencies, external_inputs, run_twice
from tests.rewrite.test_release import DIFFERING, SELECTORS
from tests.rewrite.test_release import check as check_release
from tests.test_recycling import mixes_devices

pytestmark = pytest.mark.skipif(not records(), reason="no recordings of the real Caffe2")

ORDERINGS = {
    "topo": caffe2.topological_sort_traversal,
    "longest_path": caffe2.topological_sort_traversal_longest_path,
}
ALGORITHMS = {
    "greedy": caffe2.AssignmentAlgorithm.GREEDY,
    "dp": caffe2.AssignmentAlgorithm.DYNAMIC_PROGRAMMING,
}

# Nets of which Caffe2's result ran, or was never run, but is not sound: what the verifier says.
UNSOUND = {
    "edge_control_input": " wait",
    "edge_control_input_dag": " wait",  # for the name of no blob (B14)
    "edge_ext_written": "writes in place where the original does not",
    "real_mask_rcnn_2go_int8": "operator 99 (If)",  # nets inside keep the old names (B11)
    "subnets_2": "inner net",
    "subnets_3": "inner net",
}


def closure(waits):
    """Return operator -> all that it waits for, directly or not, a bit each."""
    found = []
    for direct in waits:
        mask = 0
        for before in direct:
            mask |= found[before] | 1 << before
        found.append(mask)
    return found


@cache
def implied(model):
    """Return operator -> all that it waits for by the names of its blobs."""
    return closure(dependencies(NetDef.FromString(model)))


def waits_for_more(net, rewritten):
    """Return whether an operator waits for another that it did not wait for."""
    before = implied(net.SerializeToString())
    return any(
        not before[index] >> earlier & 1
        for index, waits in enumerate(dependencies(rewritten))
        for earlier in waits
    )


@cache
def ran(name, wanted):
    net = original(name)
    return run_twice(net, external_inputs(net), wanted)


def check_right(name, new, order=None, *, parallel=False):
    """Assert that a rewritten net computes what the recorded net computes."""
    net, wanted = original(name), tuple(records()[name]["protected"])
    if order is not None:  # planned for a new order in program order
        net.type = new.type = "simple"
    verify_equivalence(net, new, wanted, order)
    assert set(wanted) & names_of(net) <= names_of(new)
    if not any(has_nets(op) for op in net.op):
        wanted += external_inputs(net)
        assert run_twice(new, external_inputs(net), wanted) == ran(name, wanted)
    if parallel:
        assert not waits_for_more(net, new)


def wrong(name, case):
    """Return who finds that a recorded net does not compute the same, if anybody does."""
    sound = case["soundness"]
    if is_wrong(case) or sound["external_inputs_renamed"] or sound["external_inputs_overwritten"]:
        return "Caffe2 wrong"
    if case["fn"] == "optimize_inference_fast" and mixes_devices(name, case):
        return "Caffe2 unsound"
    try:
        check_right(name, net_of(case["out"]), case.get("order"))
    except EquivalenceError as error:
        message = str(error)
    else:
        return None
    assert name in UNSOUND, case["id"]
    assert UNSOUND[name] in message
    return "Caffe2 unsound"


def operators(net):
    """Return the operators without control inputs, which Caffe2 does not rename."""
    return [part.partition(" |")[0] for part in short(net).split("; ")]


def groups_of(net, new):
    """Return the sets of old blobs that share a new name."""
    found = {}
    for old, op in zip(net.op, new.op, strict=True):
        pairs = zip((*old.input, *old.output), (*op.input, *op.output), strict=True)
        for before, after in pairs:
            found.setdefault(after, set()).add(before)
    return sorted(sorted(group) for group in found.values() if len(group) > 1)


def compare_net(name, record, case, new):
    """Compare a net in the order of the original with the recorded one."""
    parallel = case["fn"] != "optimize_inference_fast"
    check_right(name, new, parallel=parallel)
    if case["status"] == "raises":
        return "Caffe2 raises"
    if (who := wrong(name, case)) is not None:
        return who
    if operators(new) == operators(net_of(case["out"])):
        return "equal"
    if groups_of(original(name), new) == case["groups"]:
        return "equal sharing"
    blobs, recorded = len(names_of(new)), case["n_blobs_after"]
    if blobs > recorded:
        assert (name, case["fn"]) == ("free_alias_3", "optimize_inference_fast"), case["id"]
        return "more blobs"
    return "fewer blobs" if blobs < recorded else "as many blobs"


# What each function is called with, and how its result is compared.


def sizes_of(record, case):
    return record["blob_sizes"] if case["args"]["blob_sizes"] else None


def graph(name, record, case):
    return caffe2.compute_interference_graph(original(name).op, overwritten=True)


def compare_graph(name, record, case, found):
    """The graph may have more edges than Caffe2's, never fewer; without implied ones the same."""
    lean = caffe2.compute_interference_graph(original(name).op)
    assert closure(map(lean.predecessors, lean)) == closure(map(found.predecessors, found))
    recorded = [(i, j, blobs) for i, j, blobs in case["result"]]
    if [(i, j, data["deps"]) for i, j, data in found.edges(data=True)] == recorded:
        return "equal"
    more = set(found.edges) - {edge[:2] for edge in recorded}
    assert {edge[:2] for edge in recorded} <= set(found.edges)
    waits = implied(original(name).SerializeToString())
    unseen = any(has_nets(op) or op.type == "Alias" for op in original(name).op)
    assert unseen or all(waits[j] >> i & 1 for i, j in more)
    return "Caffe2 wrong"  # it lacks dependencies


def order(name, record, case):
    ordering = getattr(caffe2, case["fn"])
    return list(ordering(caffe2.compute_interference_graph(original(name).op)))


def compare_order(name, record, case, found):
    waits = dependencies(original(name))

    def is_topological(order):
        place = {index: position for position, index in enumerate(order)}
        return len(place) == len(waits) and all(
            place[before] < place[index]
            for index, earlier in enumerate(waits)
            for before in earlier
        )

    assert is_topological(found)
    if case["status"] == "raises":
        return "Caffe2 raises"
    if found == case["result"]:
        return "equal"
    return "another order" if is_topological(case["result"]) else "Caffe2 wrong"


def ranges(name, record, case):
    ops = original(name).op
    if case["args"]["order"] != "program":
        function = {
            "topo": "topological_sort_traversal",
            "longest_path": "topological_sort_traversal_longest_path",
        }[case["args"]["order"]]
        (order,) = [c["result"] for c in record["cases"] if c["fn"] == function]
        ops = [ops[index] for index in order]
    return caffe2.compute_ranges(ops, sizes_of(record, case))


def compare_ranges(name, record, case, found):
    recorded = {blob: caffe2.LiveRange(*times) for blob, times in case["result"].items()}
    if found == recorded:
        return "equal"
    assert any(has_nets(op) for op in original(name).op)  # what they touch is used, too
    for blob, (defined, used, _) in recorded.items():
        assert used is None or found[blob].used >= used
        assert defined is None or found[blob].defined <= defined
    return "Caffe2 wrong"


def share_by_interference(name, record, case):
    args = case["args"]
    return caffe2.optimize_interference(
        original(name),
        args["static_blobs"],
        ORDERINGS[args["ordering"]],
        sizes_of(record, case),
        ALGORITHMS[args["algo"]],
    )


def compare_interference(name, record, case, done):
    ordering = ORDERINGS[case["args"]["ordering"]]
    order = ordering(caffe2.compute_interference_graph(original(name).op))
    check_right(name, done.net, order)
    alone = [group[0][0] for group in done.assignments if len(group) == 1]
    assert set(case["args"]["static_blobs"]) & names_of(original(name)) <= set(alone)
    if case["status"] == "timeout":
        return "Caffe2 does not end"
    if case["status"] == "raises":
        return "Caffe2 raises"
    if (who := wrong(name, case)) is not None:
        return who
    if [[blob for blob, _ in group] for group in done.assignments] == case["assignments"]:
        assert done.blob_assignments == case["blob_assignments"]
        assert caffe2.get_memory_usage(done.assignments) == case["memory_usage"]
        assert operators(done.net) == operators(net_of(case["out"]))
        return "equal"
    nets_inside = any(has_nets(op) for op in original(name).op)
    overwritten = name == "edge_ext_written"  # an external input is written: it stays
    assert list(order) != case["order"] or nets_inside or overwritten, case["id"]
    return "another order"


def fast(name, record, case):
    return caffe2.optimize_inference_fast(original(name), case["args"]["static_blobs"])


def for_dag(name, record, case):
    args = case["args"]
    return caffe2.optimize_inference_for_dag(original(name), args["input_blobs"], args["namescope"])


def gradients(name, record, case):
    args = case["args"]
    return caffe2.share_grad_blobs(
        original(name),
        args["losses"],
        args["param_grads"],
        args["namescope"],
        args["dont_share_blobs"],
        args["share_activations"],
        record["blob_shapes"] if args["blob_shapes"] else None,
    )


def gradients_tower_by_tower(name, record, case):
    shapes = record["blob_shapes"] if case["args"]["blob_shapes"] else None
    net = original(name)
    for tower in record["train"]:
        net = caffe2.share_grad_blobs(
            net, tower["losses"], tower["param_grads"], tower["namescope"], blob_shapes=shapes
        )
    return net


def release(name, record, case):
    keep, selector = set(case["args"]["dont_free_blobs"]), case["args"]["selector"]
    return caffe2.release_blobs_when_used(original(name), keep, SELECTORS[selector])


def compare_release(name, record, case, new):
    check_release(original(name), new, case["args"]["dont_free_blobs"])
    if new == net_of(case["out"]):
        return "equal"
    assert name in DIFFERING
    return "Caffe2 wrong"


def estimate(name, record, case):
    net = recorded_net(name, record, case["args"])
    scope = recorded_scope(original(name), case["args"])
    before = net.SerializeToString()
    found = caffe2.estimate_memory_usage([net], record["blob_shapes"], record["blob_types"], scope)
    assert net.SerializeToString() == before
    return found


def compare_estimate(name, record, case, found):
    result = case["result"]
    assert tuple(found) == (result["total"], result["highwater"], result["by_op"]), case["id"]
    return "equal"


# Function -> how it is called, how its result is compared, and how often, at least, it is what.
CHECKS = {
    "compute_interference_graph": (graph, compare_graph, {"equal": 85}),
    "topological_sort_traversal": (order, compare_order, {"equal": 89}),
    "topological_sort_traversal_longest_path": (order, compare_order, {"equal": 88}),
    "compute_ranges": (ranges, compare_ranges, {"equal": 390}),
    "optimize_interference": (
        share_by_interference,
        compare_interference,
        {"equal": 550, "Caffe2 wrong": 278, "Caffe2 does not end": 30, "Caffe2 raises": 32},
    ),
    "optimize_inference_fast": (
        fast,
        compare_net,
        {"equal": 246, "Caffe2 wrong": 100, "Caffe2 unsound": 29},
    ),
    "optimize_inference_for_dag": (
        for_dag,
        compare_net,
        {"equal": 90, "equal sharing": 50, "fewer blobs": 60, "refused as by Caffe2": 45},
    ),
    "share_grad_blobs": (gradients, compare_net, {"equal": 95, "fewer blobs": 60}),
    "share_grad_blobs_chain": (gradients_tower_by_tower, compare_net, {"equal": 4}),
    "release_blobs_when_used": (release, compare_release, {"equal": 376}),
    "estimate_memory_usage": (estimate, compare_estimate, {"equal": 236}),
}


def outcome(name, record, case):
    """Run one case and compare; what is raised must be right to raise."""
    call, compare, _ = CHECKS[case["fn"]]
    try:
        found = call(name, record, case)
    except SearchLimitError:
        if case["status"] != "timeout":
            raise
        return "does not end, as in Caffe2"
    except Exception as raised:
        if case["status"] == "raises" and isinstance(raised, getattr(builtins, case["exc_type"])):
            return "refused as by Caffe2"
        if not isinstance(raised, NetError) or name not in MALFORMED:
            raise
        return "refused"
    return compare(name, record, case, found)


@pytest.fixture
def _dynamic_program_gives_up(monkeypatch):
    """As many calls as Caffe2's was given for the recordings: ours never needs more."""
    limited = partial(caffe2.compute_assignments_dp, max_calls=2000)
    monkeypatch.setattr(interference, "compute_assignments_dp", limited)


@pytest.mark.usefixtures("_dynamic_program_gives_up")
@pytest.mark.parametrize("function", CHECKS)
def test_recorded_cases(function, capsys):
    cases = [
        (name, record, case)
        for name, record in records().items()
        for case in record["cases"]
        if case["fn"] == function
    ]
    counts = Counter(outcome(*case) for case in cases)
    with capsys.disabled():
        print(f"\n{function}: {len(cases)} cases: {dict(counts.most_common())}")
    assert counts.total() == len(cases) > 0
    assert Counter(CHECKS[function][2]) <= counts


def test_recorded_verify_pairs(capsys):
    """Never true where Caffe2 says false; false where Caffe2 overlooks a difference."""
    overlooked = {
        "verify_graph_equality": {
            "consistent_rename",  # where nets inside were not renamed
            "extra_arg",
            "read_unknown",
            "swap_first_two_ops",
            "swap_inputs",
            "swap_outputs",
        },
        "verify_inplace_blobs": {"drop_op"},
    }
    counts = Counter()
    for record in records().values():
        for pair in record.get("pairs", ()):
            for function, kinds in overlooked.items():
                one, other = net_of(pair["a"]), net_of(pair["b"])
                found = getattr(caffe2, function)(one, other)
                assert (one, other) == (net_of(pair["a"]), net_of(pair["b"]))
                counts[function, "equal" if found == pair[function] else "stricter"] += 1
                if found != pair[function]:
                    assert pair[function]
                    assert pair["kind"] in kinds
    with capsys.disabled():
        print("\nverify pairs:", dict(counts))
    assert counts["verify_graph_equality", "equal"] > 1000


def test_recorded_assignments(capsys):
    """Live ranges given directly: both algorithms put together what Caffe2's do."""
    functions = {
        "greedy": caffe2.compute_assignments_greedy,
        "dp": lambda ranges: caffe2.compute_assignments_dp(ranges, None),
    }
    counts = Counter()
    for row in json.loads(members()["index.json"])["assignments"]:
        ranges = [(name, caffe2.LiveRange(*times)) for name, *times in row["ranges"]]
        for algorithm, function in functions.items():
            recorded = row[algorithm]
            if recorded["status"] != "ok":
                counts[algorithm, describe(recorded, partial(function, ranges))] += 1
                continue
            found = function(ranges)
            assert [[name for name, _ in group] for group in found] == recorded["assignments"]
            assert caffe2.get_memory_usage(found) == recorded["memory_usage"]
            caffe2.verify_assignments(found)
            counts[algorithm, "equal"] += 1
    with capsys.disabled():
        print(f"\ncompute_assignments: {dict(counts)}")
    assert counts["greedy", "equal"] >= 86
    assert counts["dp", "equal"] >= 80


def describe(recorded, function):
    """Return what becomes of a call that raised in Caffe2."""
    try:
        caffe2.verify_assignments(function())
    except getattr(builtins, recorded["exc_type"]):
        return "refused as by Caffe2"
    return "Caffe2 raises"


def test_recorded_sizes_and_statistics(capsys):
    """Caffe2 measures the blobs of its workspace; here what it measured is given."""
    counts = Counter()
    for name, record in records().items():
        if (values := record.get("collect_blob_sizes")) is None:
            continue
        assert caffe2.collect_blob_sizes(original(name), values) == values
        counts["collect_blob_sizes"] += 1
        case = max(
            (
                case
                for case in record["cases"]
                if case["fn"] == "optimize_interference"
                and (case["args"]["ordering"], case["args"]["algo"]) == ("topo", "greedy")
                and case["args"]["blob_sizes"]
            ),
            key=lambda case: len(case["args"]["static_blobs"]),
        )
        recorded = record.get("compute_statistics")
        if recorded is None or case["status"] != "ok":
            continue
        groups = [[(blob, caffe2.LiveRange(0, 0, 0)) for blob in g] for g in case["assignments"]]
        baseline, optimized = caffe2.compute_statistics(groups, values)
        assert baseline == recorded["baseline_nbytes"]
        assert optimized == recorded["optimized_nbytes"]
        counts["compute_statistics"] += 1
    with capsys.disabled():
        print(f"\n{dict(counts)}")
    assert counts["collect_blob_sizes"] >= 80
    assert counts["compute_statistics"] >= 79
