"""The verifier against rewrites of the real Caffe2 memonger, right ones and wrong ones."""

from collections import Counter

import pytest

from memonger.errors import EquivalenceError
from memonger.net.schema import is_sequential
from memonger.net.subnets import has_nets
from memonger.rewrite.equivalence import verify_equivalence
from tests.golden import MALFORMED, is_wrong, net_of, original, records

FUNCTIONS = (
    "optimize_inference_fast",
    "optimize_inference_for_dag",
    "share_grad_blobs",
    "share_grad_blobs_chain",
)


def cases(function):
    for name, record in records().items():
        if name in MALFORMED:  # neither could be run
            continue
        for case in record["cases"]:
            if case["fn"] == function and case["status"] == "ok":
                yield name, record, case


def error_of(name, record, case):
    try:
        verify_equivalence(original(name), net_of(case["out"]), record["protected"])
    except EquivalenceError as error:
        return str(error)
    return ""


def is_understood(name, case):
    """Return whether a rewrite may be rejected although the recording calls it right."""
    net, rewritten = original(name), net_of(case["out"])
    if not is_sequential(net.type) and any(
        control in case["mapping"] for op in net.op for control in op.control_input
    ):  # the name in a control input is that of no blob any more (B14)
        return True
    ran = case.get("exec") is not None
    return not ran and any(  # nets inside still have the old names (B11); was never run
        has_nets(op) and op.arg == new.arg for op, new in zip(net.op, rewritten.op, strict=True)
    )


@pytest.mark.parametrize("function", FUNCTIONS)
def test_wrong_rewrites_are_rejected_and_right_ones_accepted(function):
    if not records():
        pytest.skip("no recordings")
    counts = Counter()
    surprises = []
    for name, record, case in cases(function):
        wrong, error = is_wrong(case), error_of(name, record, case)
        counts[f"{'wrong' if wrong else 'right'}, {'rejected' if error else 'accepted'}"] += 1
        if wrong and not error:
            surprises.append(f"{case['id']} is wrong, but accepted")
        if not wrong and error and not is_understood(name, case):
            surprises.append(f"{case['id']} is right, but: {error}")
    print(function, dict(sorted(counts.items())))
    assert counts["right, accepted"] > 0
    assert surprises == []


def test_the_recordings_hold_wrong_rewrites_to_learn_from():
    if not records():
        pytest.skip("no recordings")
    wrong = Counter(f for f in FUNCTIONS for _, _, case in cases(f) if is_wrong(case))
    assert wrong["optimize_inference_fast"] >= 100
    assert wrong["optimize_inference_for_dag"] >= 15


def test_recorded_verify_pairs_with_a_difference_are_rejected():
    """Pairs on which Caffe2's own checks are recorded; equal nets are among them (B20, B21)."""
    if not records():
        pytest.skip("no recordings")
    counts = Counter()
    for name, record in records().items():
        if name in MALFORMED:
            continue
        for pair in record.get("pairs", ()):
            same = net_of(pair["a"]) == net_of(pair["b"])
            try:
                verify_equivalence(net_of(pair["a"]), net_of(pair["b"]), record["protected"])
            except EquivalenceError:
                counts[pair["kind"], "rejected"] += 1
                assert not same
            else:
                counts[pair["kind"], "accepted"] += 1
                caffe2 = pair["verify_graph_equality"] and pair["verify_inplace_blobs"]
                assert caffe2 is not False, (name, pair)
    print(dict(sorted(counts.items())))
