import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memonger.net.defuse import analyse
from memonger.net.hazards import hazards
from tests.net.notation import net
from tests.rewrite.interpreter import dependencies
from tests.rewrite.random_nets import TRAITS, random_net

TABLE = {
    "chain": ("Relu x > a; Tanh a > y", {"0 RAW 1 a"}),
    "parallel": ("Relu x > a; Tanh x > b; Add a b > y", {"0 RAW 2 a", "1 RAW 2 b"}),
    "B01: an in-place write waits for an earlier reader": (
        "Tanh x > a; Sigmoid a > s; Relu a > a; Add a s > y",
        {"0 RAW 1 a", "0 RAW 2 a", "1 WAR 2 a", "2 RAW 3 a", "1 RAW 3 s"},
    ),
    "B02: a redefinition waits for the readers": (
        "Relu x > t; Tanh t > u; Sigmoid z > t; Add t u > y",
        {"0 RAW 1 t", "1 WAR 2 t", "2 RAW 3 t", "1 RAW 3 u"},
    ),
    "a redefinition of what nobody reads": (
        "Relu x > t; Sigmoid z > t; Copy t > y",
        {"0 WAW 1 t", "1 RAW 2 t"},
    ),
    "an external input is written after its readers": (
        "Relu x > a; Tanh a > x; Copy x > y",
        {"0 RAW 1 a", "0 WAR 1 x", "1 RAW 2 x"},
    ),
    "control": (
        "Relu x > a; Tanh z > b | a; Add a b > y",
        {"0 CONTROL 1 a", "0 RAW 2 a", "1 RAW 2 b"},
    ),
    "control on an external input": ("Relu x > y | z", set()),
    "control waits for the version of its time": (
        "Relu x > a; Tanh a > a; Copy z > b | a; Copy z > a; Add a b > y",
        {"0 RAW 1 a", "1 CONTROL 2 a", "1 WAW 3 a", "3 RAW 4 a", "2 RAW 4 b"},
    ),
    "an operator does not wait for itself": ("Relu x > x; Copy x > y", {"0 RAW 1 x"}),
}  # fmt: skip


def hazards_of(model):
    def_use = analyse(model)
    return hazards(def_use.operands, def_use.declared)


@pytest.mark.parametrize("name", TABLE)
def test_hazards(name):
    text, expected = TABLE[name]
    found = hazards_of(net(text, inputs="x z"))
    assert {f"{h.before} {h.kind.name} {h.after} {h.blob}" for h in found} == expected


def closure(num_operators, edges):
    earlier = [0] * num_operators
    for after in range(num_operators):
        for before in range(after):
            if (before, after) in edges:
                earlier[after] |= earlier[before] | 1 << before
    return earlier


@given(st.sampled_from(sorted(TRAITS)), st.integers(0, 10**6), st.integers(1, 14))
def test_hazards_imply_what_caffe2s_executors_wait_for_and_no_more(traits, seed, operators):
    model = random_net(random.Random(seed), TRAITS[traits], operators)
    found = list(hazards_of(model))
    assert all(h.before < h.after for h in found)
    assert [h.after for h in found] == sorted(h.after for h in found)
    size = len(model.op)
    expected = {(b, a) for a, waits in enumerate(dependencies(model)) for b in waits}
    assert closure(size, {(h.before, h.after) for h in found}) == closure(size, expected)
