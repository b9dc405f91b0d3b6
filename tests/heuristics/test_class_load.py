"""Class-load first fit: placements keep to the loads, whatever the order and the rule."""

import itertools
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memonger.graph.cliques import compress
from memonger.heuristics import class_load as module
from memonger.heuristics.class_load import (
    Placement,
    Rule,
    best_placement,
    class_load,
    orders,
    place,
    plan_of,
)
from memonger.heuristics.classes import plan_from_classes
from memonger.problem import Buffer, Problem
from memonger.stop import Deadline
from tests import oracles
from tests.strategies import problems, random_problem

POSITIVE = problems(min_size=1, max_size=8, sizes=st.integers(1, 9), aligned=False, horizon=10)


def problem_of(*rows):
    return Problem(tuple(Buffer(f"b{i}", *row) for i, row in enumerate(rows)))


def depths(problem, groups, classes):
    """Return the most buffers of each class that are live at once, time by time."""
    times = range(max(b.end for b in problem.buffers))
    return [
        max(
            sum(
                b.start <= time < b.end and c == k
                for b, c in zip(problem.buffers, classes, strict=True)
            )
            for time in times
        )
        for k in range(len(groups.sizes))
    ]


def check(problem, groups, placement):
    """Check a placement, buffer by buffer and time by time; return its cost."""
    classes = placement.classes.tolist()
    assert len(classes) == len(problem)
    for buffer, c in zip(problem.buffers, classes, strict=True):
        assert groups.sizes[c] >= buffer.size
    assert placement.capacity.tolist() == depths(problem, groups, classes)
    plan = plan_from_classes(problem, classes)
    assert oracles.is_valid(problem, plan.shared)
    cost = placement.cost(groups)
    assert oracles.threshold_bound(problem) <= plan.cost(problem) <= cost
    return cost


def nothing(groups):
    return np.zeros(len(groups.sizes), dtype=np.int64)


def profile(groups):
    return np.diff(groups.counts.max(axis=1).astype(np.int64), prepend=0)


@pytest.mark.parametrize("rule", Rule)
@settings(max_examples=60, deadline=None)
@given(problem=POSITIVE)
def test_placements_are_valid(rule, problem):
    groups = compress(problem)
    for order in orders(groups):
        for capacity in (nothing(groups), profile(groups)):
            before = capacity.copy()
            check(problem, groups, place(groups, order, rule, capacity))
            assert capacity.tolist() == before.tolist()  # the caller's own


@settings(max_examples=60, deadline=None)
@given(POSITIVE, st.randoms(use_true_random=False))
def test_any_order_will_do(problem, random):
    """Smaller before larger too: a shared buffer is opened where none is large enough."""
    groups = compress(problem)
    order = list(range(len(groups)))
    random.shuffle(order)
    for rule in Rule:
        check(problem, groups, place(groups, np.array(order), rule, nothing(groups)))


@settings(max_examples=100, deadline=None)
@given(POSITIVE)
def test_orders_are_by_level(problem):
    groups = compress(problem)
    seen = set()
    for order in orders(groups):
        assert sorted(order.tolist()) == list(range(len(groups)))
        levels = groups.level[order].tolist()
        assert levels == sorted(levels)
        seen.add(tuple(order.tolist()))
    assert len(list(orders(groups))) == 6


def test_orders_differ():
    groups = compress(problem_of((4, 0, 3), (4, 2, 4), (4, 3, 9), (4, 5, 6), (4, 8, 10)))
    assert len({tuple(order.tolist()) for order in orders(groups)}) == 6


@settings(max_examples=100, deadline=None)
@given(POSITIVE, st.data())
def test_classes_given_are_kept(problem, data):
    """They open what they need, more than the capacity that was given if need be."""
    groups = compress(problem)
    level = {size: k for k, size in enumerate(groups.sizes.tolist())}
    given = [
        data.draw(st.sampled_from([-1, *range(level[b.size] + 1)]), label=b.name)
        for b in problem.buffers
    ]
    order = list(orders(groups))[data.draw(st.integers(0, 5))]
    capacity = profile(groups) if data.draw(st.booleans()) else nothing(groups)
    classes = np.array(given)
    found = place(groups, order, data.draw(st.sampled_from(list(Rule))), capacity, classes)
    check(problem, groups, found)
    assert classes.tolist() == given  # the caller's own
    for before, after in zip(given, found.classes.tolist(), strict=True):
        assert before in (-1, after)


@settings(max_examples=60, deadline=None)
@given(POSITIVE)
def test_all_classes_given(problem):
    groups = compress(problem)
    level = {size: k for k, size in enumerate(groups.sizes.tolist())}
    given = np.array([level[b.size] for b in problem.buffers])
    found = place(groups, np.arange(len(groups)), Rule.SMALLEST, nothing(groups), given)
    assert found.classes.tolist() == given.tolist()
    check(problem, groups, found)


def naive_place(groups, order, rule, capacity):
    """Restate the placement: classes with room at every clique, the best by the rule."""
    load = [[0] * groups.num_cliques for _ in groups.sizes]
    capacity = capacity.tolist()
    chosen = [-1] * int(groups.multiplicity.sum())
    for g in order.tolist():
        first, last, own = int(groups.first[g]), int(groups.last[g]), int(groups.level[g])
        for buffer in groups.members[g]:
            keys = {}
            for c in range(own + 1):
                room = [capacity[c] - n for n in load[c]]
                inside = room[first : last + 1]
                if min(inside) <= 0:
                    continue
                before = itertools.takewhile(lambda n: n > 0, room[:first][::-1])
                after = itertools.takewhile(lambda n: n > 0, room[last + 1 :])
                keys[c] = {
                    Rule.LARGEST: (c,),
                    Rule.SMALLEST: (-c,),
                    Rule.SNUG: (len([*before, *after]), -c),
                    Rule.FULL: (64 * sum(inside) // len(inside), -c),
                }[rule]
            c = min(keys, key=lambda c: keys[c], default=own)
            capacity[c] += not keys
            chosen[buffer] = c
            for q in range(first, last + 1):
                load[c][q] += 1
    return chosen


@pytest.mark.parametrize("rule", Rule)
@settings(max_examples=60, deadline=None)
@given(problem=problems(min_size=6, max_size=12, sizes=st.integers(1, 5), horizon=14))
def test_rules(rule, problem):
    groups = compress(problem)
    for order in orders(groups):
        for capacity in (nothing(groups), profile(groups)):
            found = place(groups, order, rule, capacity)
            assert found.classes.tolist() == naive_place(groups, order, rule, capacity)


def test_snug_takes_the_class_with_the_least_idle_time_around():
    """The large one is busy before and after, the middle one is idle; both have room."""
    problem = problem_of(
        (9, 0, 2), (9, 3, 5), (6, 0, 1), (6, 4, 5), (3, 2, 3), (1, 1, 2), (1, 3, 4)
    )
    groups = compress(problem)
    order = np.lexsort((groups.first, groups.level))
    for rule, size in ((Rule.SNUG, 9), (Rule.SMALLEST, 6), (Rule.LARGEST, 9)):
        found = place(groups, order, rule, nothing(groups))
        assert groups.sizes[found.classes[4]] == size


def test_full_takes_the_class_with_the_least_room():
    """Two shared buffers of 9 of which one is in use, or one of 6 that is idle but for that."""
    problem = problem_of(
        (9, 0, 2), (9, 0, 2), (9, 0, 2), (6, 0, 2), (6, 0, 2), (6, 2, 4), (3, 2, 4)
    )  # fmt: skip
    groups = compress(problem)
    order = np.lexsort((groups.first, groups.level))
    given = np.array([-1, -1, -1, -1, -1, 1, -1])
    for rule, size in ((Rule.FULL, 6), (Rule.LARGEST, 9)):
        found = place(groups, order, rule, nothing(groups), given)
        assert groups.sizes[found.classes[6]] == size


def test_the_own_class_opens_where_no_other_has_room():
    problem = problem_of((8, 0, 2), (4, 1, 3), (2, 1, 3))
    groups = compress(problem)
    for rule in Rule:
        found = place(groups, np.arange(3), rule, nothing(groups))
        assert found.classes.tolist() == [0, 1, 2]
        assert found.capacity.tolist() == [1, 1, 1]


def test_capacity_that_no_load_reaches_is_not_paid_for():
    problem = problem_of((8, 0, 2), (4, 2, 4))
    groups = compress(problem)
    found = place(groups, np.arange(2), Rule.LARGEST, np.array([3, 3]))
    assert found.capacity.tolist() == [1, 0]
    assert found.cost(groups) == 8
    assert Placement(found.classes, np.array([2, 1])).cost(groups) == 20


@settings(max_examples=150, deadline=None)
@given(problems(max_size=8, horizon=10))
def test_class_load(problem):
    """Empty buffers, alignments, equal ones and huge ones included."""
    plan = class_load(problem)
    assert oracles.is_valid(problem, plan.shared)
    assert plan.cost(problem) >= oracles.threshold_bound(problem)


@pytest.mark.parametrize("seed", range(3))
def test_it_is_nearly_always_optimal_on_tiny_problems(seed):
    rng = random.Random(seed)
    found = [random_problem(rng, 7) for _ in range(60)]
    best = sum(class_load(p).cost(p) == oracles.optimum(p) for p in found)
    assert best >= 57


@settings(max_examples=60, deadline=None)
@given(POSITIVE)
def test_the_best_placement_is_the_cheapest_of_all(problem):
    groups = compress(problem)
    every = [
        place(groups, order, rule, capacity).cost(groups)
        for order in orders(groups)
        for rule in Rule
        for capacity in (nothing(groups), profile(groups))
    ]
    assert check(problem, groups, best_placement(groups)) == min(every)


def test_equal_buffers():
    problem = problem_of(*[(4, 0, 2)] * 3, *[(4, 2, 4)] * 5)
    plan = class_load(problem)
    assert plan.cost(problem) == 20
    assert plan.num_shared == 5


@pytest.mark.parametrize("rows", [[], [(0, 0, 2)], [(0, 0, 2), (0, 1, 3)]])
def test_nothing_to_place(rows):
    problem = problem_of(*rows)
    assert class_load(problem).shared == tuple(range(len(rows)))
    assert class_load(problem, Deadline(0.0)).shared == tuple(range(len(rows)))


def test_empty_buffers_stay_alone():
    problem = problem_of((0, 0, 2), (4, 0, 2), (0, 2, 4), (4, 2, 4))
    plan = class_load(problem)
    assert plan.shared == (0, 1, 2, 1)


def test_plan_of_a_placement():
    problem = problem_of((0, 0, 9), (2, 2, 4), (8, 0, 2), (0, 4, 5), (2, 0, 2))
    positive = np.array([1, 2, 4])
    core = problem.subproblem(positive.tolist())
    placement = Placement(np.array([0, 0, 1]), np.array([1, 1]))
    assert plan_of(problem, positive, core, placement).shared == (0, 1, 1, 2, 3)


def test_deadline():
    problem = problem_of((4, 0, 2), (4, 1, 3))
    groups = compress(problem)
    order, none_left = np.arange(len(groups)), Deadline(0.0)
    assert place(groups, order, Rule.LARGEST, nothing(groups), deadline=none_left) is None
    assert best_placement(groups, none_left) is None
    assert class_load(problem, none_left) is None
    assert class_load(problem, Deadline(60.0)).shared == (0, 1)


class Countdown(Deadline):
    """A deadline that passes after some looks at the clock."""

    def __init__(self, looks):
        super().__init__(None)
        object.__setattr__(self, "looks", [looks])

    @property
    def expired(self):
        self.looks[0] -= 1
        return self.looks[0] < 0


def test_what_is_ready_at_the_deadline_counts():
    """Of a problem where the bound is not met at once."""
    rng = random.Random(1)
    while True:
        problem = random_problem(rng, 9)
        groups = compress(problem)
        first = place(groups, next(orders(groups)), Rule.LARGEST, nothing(groups))
        if first.cost(groups) > oracles.threshold_bound(problem):
            break
    assert best_placement(groups, Countdown(0)) is None
    found = best_placement(groups, Countdown(1))
    assert found.classes.tolist() == first.classes.tolist()
    assert check(problem, groups, best_placement(groups)) <= first.cost(groups)


def test_the_clock_is_looked_at_again_in_long_problems():
    """More groups than are placed between two looks."""
    count = 3 * module.CHUNK
    problem = problem_of(*[(1 + i % 7, i, i + 3) for i in range(count)])
    groups = compress(problem)
    order = np.lexsort((groups.first, groups.level))
    assert len(groups) == count
    assert place(groups, order, Rule.LARGEST, nothing(groups), deadline=Countdown(2)) is None
    found = place(groups, order, Rule.LARGEST, nothing(groups), deadline=Countdown(3))
    assert (
        found.capacity.tolist()
        == place(groups, order, Rule.LARGEST, nothing(groups)).capacity.tolist()
    )


def test_a_table_that_is_too_large_is_not_made(monkeypatch):
    problem = problem_of((4, 0, 2), (2, 1, 3))
    monkeypatch.setattr(module, "MAX_TABLE", 1)
    assert class_load(problem) is None
    monkeypatch.setattr(module, "MAX_TABLE", 2)
    assert class_load(problem).cost(problem) == 6
