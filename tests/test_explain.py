import random

import numpy as np
import pytest

from memonger.explain import explain
from memonger.graph.profile import peak
from memonger.order_problem import Allocation, OrderProblem
from memonger.peaks import busy_operators, peak_blobs, remedies
from memonger.problem import Buffer, Problem


def branches():
    """Return two branches that program order runs at once: 9 bytes shrink to 1, twice."""
    loads = [Allocation(f"load {k}", 9, k, (k + 2,)) for k in (0, 1)]
    sums = [Allocation(f"sum {k}", 1, k + 2, (4,)) for k in (0, 1)]
    return OrderProblem(("load a", "load b", "sum a", "sum b", "add"), (), (*loads, *sums))


def test_the_steps_of_an_order():
    operators = branches()
    found = explain(operators.in_order(range(5)), operators, workers=1)
    assert [(step.name, step.bytes) for step in found.steps] == [
        ("no sharing", 20),
        ("Caffe2's greedy", 19),
        ("Caffe2's dynamic programming", 19),
        ("optimal sharing", 19),
        ("optimal arena", 19),
        ("load bound", 19),
        ("best order", 11),
        ("bound over all orders", 11),
    ]
    assert ("reorder", 8) in [(remedy.kind, remedy.saves) for remedy in found.remedies]


@pytest.mark.parametrize(
    ("budget", "fits", "reason"),
    [
        (20, True, "no sharing, 20 bytes"),
        (19, True, "19 bytes, in program order"),
        (18, True, "an arena of 11 bytes, with the operators in another order"),
        (11, True, "an arena of 11 bytes"),
        (10, False, "every order needs 11 bytes"),
    ],
)
def test_a_budget(budget, fits, reason):
    operators = branches()
    found = explain(operators.in_order(range(5)), operators, budget=budget, workers=1).budget
    assert (found.bytes, found.fits) == (budget, fits)
    assert reason in found.reason
    if not fits:
        assert sum(blob.bytes for blob in found.blobs) == 11


def test_a_budget_of_an_order_that_is_given():
    problem = branches().in_order(range(5))
    found = explain(problem, budget=18, workers=1).budget
    assert found.fits is False
    assert {blob.name for blob in found.blobs} == {"load 0", "load 1", "sum 0"}
    assert explain(problem, budget=19, workers=1).budget.fits is True


PAIR = Problem((Buffer("a", 8, 0, 2), Buffer("b", 8, 1, 3)), "pair", in_place=((0, 1),))


@pytest.mark.parametrize(
    ("budget", "limit", "answers"),
    [(8, None, {True}), (8, 0, {True, None}), (7, None, {False}), (7, 0, {False, None})],
)
def test_a_budget_with_pairs_in_place(budget, limit, answers):
    """Shared buffers may do with less than what is live at once."""
    assert explain(PAIR, budget=budget, time_limit=limit).budget.fits in answers


def test_a_budget_of_several_devices():
    devices = [Buffer("a", 10, 0, 1, device="x"), Buffer("b", 10, 2, 3, device="y")]
    found = explain(Problem(tuple(devices)), budget=15).budget
    assert (found.fits, found.blobs) == (False, ())
    assert found.reason.startswith("20 bytes are the peaks of all devices together")


def test_no_time_proves_nothing():
    draw = random.Random(3)
    starts = [draw.randrange(20) for _ in range(40)]
    problem = Problem(
        tuple(Buffer(f"{i}", draw.randrange(9, 40), s, s + 8) for i, s in enumerate(starts))
    )
    found = explain(problem, budget=peak(problem).bytes, time_limit=0.0, workers=1)
    assert found.budget.fits in (True, None)
    assert explain(problem, budget=peak(problem).bytes - 1, time_limit=0.0).budget.fits is False


def test_alignment_is_told_apart():
    buffers = (Buffer("a", 5, 0, 2, alignment=8), Buffer("b", 8, 1, 3, alignment=8))
    found = explain(Problem(buffers), workers=1)
    assert found.alignment == 3
    assert found.steps[0].bytes == 16


def test_what_cannot_be_planned_says_why():
    buffers = (Buffer("a", 5, 0, 2), Buffer("b", 8, 1, 3, device="gpu"))
    operators = OrderProblem(
        ("x", "y", "z"), (), (Allocation("a", 5, 0, (1,)), Allocation("b", 8, 1, (2,)))
    )
    found = explain(Problem(buffers), operators, workers=1)
    assert found.lowest is None  # peaks of two devices do not add up
    assert [step.name for step in found.steps][-1] == "load bound"
    assert found.steps[-1].bytes == 13


def test_nothing_to_explain():
    found = explain(Problem(()), OrderProblem((), (), ()), budget=0)
    assert {step.bytes for step in found.steps} == {0}
    assert found.budget.fits is True
    assert found.blobs == found.operators == found.remedies == ()


def test_blobs_at_the_peak_and_whether_they_are_touched():
    operators = branches()
    blobs = peak_blobs(operators.in_order(range(5)), operators)
    assert [(b.name, b.bytes, b.producer, b.last_reader, b.idle) for b in blobs] == [
        ("load 0", 9, 0, 2, False),
        ("load 1", 9, 1, 3, True),
        ("sum 0", 1, 2, 4, False),
    ]


def test_operators_by_what_is_live():
    operators = branches()
    busy = busy_operators(operators.in_order(range(5)), operators)
    assert [(o.index, o.name, o.live, o.allocates) for o in busy] == [
        (2, "sum a", 19, 1),
        (1, "load b", 18, 9),
        (3, "sum b", 11, 1),
        (0, "load a", 9, 9),
        (4, "add", 2, 0),
    ]


def test_a_pair_in_place_at_the_only_peak():
    problem = Problem((Buffer("a", 6, 0, 2), Buffer("b", 4, 1, 3)))
    (remedy,) = remedies(problem, None, None)
    assert (remedy.kind, remedy.saves) == ("in-place", 4)
    assert remedy.what == "operator 1 writes 'b' over 'a'"


def test_pairs_in_place_at_several_peaks():
    problem = Problem(tuple(Buffer(f"{i}", 4, i, i + 2) for i in range(4)))
    (remedy,) = remedies(problem, None, None)
    assert (remedy.kind, remedy.saves) == ("in-place", 4)
    assert remedy.what == "3 operators write over one of their inputs"


def test_what_is_not_touched_at_the_peak_may_be_moved_away():
    operators = OrderProblem(
        ("a", "b", "c", "d"),
        (),
        (
            Allocation("long", 10, 0, (3,)),
            Allocation("short", 8, 1, (2,)),
            Allocation("other", 8, 2, ()),
        ),
    )
    found = remedies(operators.in_order(range(4)), operators, None)
    evictions = {remedy.what: remedy.saves for remedy in found if remedy.kind == "evict"}
    assert evictions == {"'long' is not touched between operators 0 and 3": 10}


def test_evictions_save_what_they_say():
    """Against the loads of the problem in which the buffer is cut in two."""
    draw = random.Random(5)
    seen = 0
    for _ in range(60):
        held = [
            Allocation(
                f"{i}", draw.randrange(1, 30), i, tuple(sorted(draw.sample(range(i + 1, 12), 2)))
            )
            for i in range(10)
        ]
        operators = OrderProblem(tuple(map(str, range(12))), (), tuple(held))
        problem = operators.in_order(range(12))
        for remedy in remedies(problem, operators, None):
            if remedy.kind != "evict":
                continue
            name, words = remedy.what.split("'")[1], remedy.what.split()
            before, after = int(words[-3]), int(words[-1])
            live = operators.loads(range(12)).copy()
            live[before + 1 : after] -= operators.sizes[int(name)]
            assert remedy.saves == operators.peak(range(12)) - int(np.max(live))
            seen += 1
    assert seen > 10
