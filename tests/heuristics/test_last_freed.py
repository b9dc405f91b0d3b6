"""Against libstdc++ and by hand; `tests/test_recycling.py` compares with the real Caffe2."""

import random

import pytest

from memonger.graph.live_ranges import live_ranges
from memonger.graph.storage import storages
from memonger.heuristics.last_freed import iteration_order, last_freed_first
from memonger.net.defuse import analyse, outputs_of
from memonger.verify import verify_sharing
from tests.net.notation import net
from tests.rewrite.random_nets import TRAITS, random_net

# Put into a std::unordered_set<std::string> by a C++ program (g++ 12), and printed.
ITERATED = [
    ("conv1 fc1_grad data a/b pool5/7x7 x", "x a/b data fc1_grad pool5/7x7 conv1"),
    ("ünïcode é a", "a é ünïcode"),
    ("b0 b1 b2 b3 b4 b5 b6 b7 b8 b9 b10 b11 b12", "b10 b12 b9 b8 b6 b5 b3 b7 b4 b2 b1 b11 b0"),
    (
        "b0 b1 b2 b3 b4 b5 b6 b7 b8 b9 b10 b11 b12 b13 b14 b15",
        "b15 b14 b13 b0 b11 b4 b7 b3 b1 b5 b6 b2 b8 b9 b12 b10",
    ),
    ("a", "a"),
    ("", ""),
]


@pytest.mark.parametrize(("put", "found"), ITERATED)
def test_the_order_of_an_unordered_set(put, found):
    assert iteration_order(put.split()) == found.split()


def test_a_very_large_set():
    names = [f"b{i}" for i in range(50_000)]
    assert sorted(iteration_order(names)) == sorted(names)


def planned(model):
    def_use = analyse(model)
    sizes = [1] * len(def_use.versions)
    stored = storages(model, def_use, sizes, outputs_of(model, def_use))
    return def_use, live_ranges(model, def_use, stored)


def shared(text):
    """Return the storages that share, in the order of the buffers, and the numbers."""
    model = net(text)
    def_use, problem = planned(model)
    plan, numbers = last_freed_first(def_use, problem)
    verify_sharing(problem.problem, plan)
    names = [
        " ".join(problem.problem.buffers[index].name for index in members)
        for members in plan.members()
    ]
    return names, numbers


def test_what_was_freed_last_is_taken_first():
    names, numbers = shared("A x > a; B x > b; C a > c; D b > d; E d > e; F c e > y")
    assert names == ["a d", "b e", "c"]
    assert numbers == {0: 0, 1: 1, 2: 2}


def test_what_ends_at_one_operator_is_taken_in_the_order_of_the_set():
    """``a`` and ``b`` end together; the set holds ``b``, ``a``, and the last of them is on top."""
    names, numbers = shared("A x > a b; B a b > c; C c > d f; D d f > e; E c e > y")
    assert names == ["a d", "b f", "c", "e"]
    assert numbers == {0: 0, 1: 1, 2: 2, 3: 3}


def test_an_operator_takes_nothing_that_ends_at_itself():
    names, _ = shared("A x > a; B a > b; C b > y")
    assert names == ["a", "b"]


def test_what_nobody_reads_is_never_free_again():
    names, numbers = shared("A x > a; B a > b; C b > c; D c > dead; E b > d; F d c > e; G e > y")
    assert names == ["a c", "b e", "dead", "d"]
    assert numbers == {0: 0, 1: 1, 3: 2}


@pytest.mark.parametrize("traits", [name for name in TRAITS if "dag" not in name])
def test_plans_are_valid(traits):
    for seed in range(40):
        model = random_net(random.Random(seed), TRAITS[traits], 14)
        def_use, problem = planned(model)
        plan, numbers = last_freed_first(def_use, problem)
        verify_sharing(problem.problem, plan)
        assert sorted(numbers.values()) == list(range(len(numbers)))
        assert {k for k, members in enumerate(plan.members()) if len(members) > 1} <= set(numbers)
