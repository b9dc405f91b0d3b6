"""The relaxation over all of its columns and over some: bounds, certificates, what is missing."""

import random

import numpy as np
import pytest

from memonger.graph.cliques import compress
from memonger.parameters import Parameters
from memonger.problem import Buffer, Problem
from memonger.solver import relaxation
from memonger.solver.linear import LpSolution, LpStatus
from memonger.solver.presolve import Pairs, allowed_pairs, gap_fixing
from memonger.solver.relaxation import first_columns, keys, relax
from memonger.solver.solve import solve
from tests import oracles
from tests.solver.test_presolve import classes_of
from tests.strategies import random_problem


def loose_problems(seed, wanted, offset=0):
    """Return random problems whose threshold bound is below the optimum."""
    rng = random.Random(seed)
    found = []
    while len(found) < wanted:
        problem = random_problem(rng, 8, largest=9)
        problem = Problem(
            tuple(Buffer(b.name, b.size + offset, b.start, b.end) for b in problem.buffers)
        )
        if oracles.threshold_bound(problem) < oracles.optimum(problem):
            found.append(problem)
    return found


def all_columns(groups, limits):
    return keys(groups, allowed_pairs(groups, limits))


def plan_columns(problem, groups):
    """Return the columns of a cheapest plan."""
    shared = min(oracles.valid_plans(problem), key=lambda plan: oracles.cost_of(problem, plan))
    classes = classes_of(problem, shared, groups.sizes.tolist())[0]
    group_of = {i: g for g, members in enumerate(groups.members) for i in members}
    pairs = sorted({(group_of[i], c) for i, c in enumerate(classes)})
    group, kind = (np.array(column, dtype=np.int64) for column in zip(*pairs, strict=True))
    return keys(groups, Pairs(group, kind))


def value_of(groups, relaxation):
    return float(relaxation.at_least @ groups.steps)


@pytest.mark.parametrize("more", [0, 1, 5])
def test_bounds_and_certificates(more):
    """Of the whole relaxation; nearly always the optimum of tiny problems."""
    tight = 0
    for problem in loose_problems(more, 12):
        best = oracles.optimum(problem)
        groups = compress(problem)
        limits = gap_fixing(groups, best + more)
        found = relax(groups, limits, all_columns(groups, limits), best + more + 1, 60.0)
        assert found.solved
        assert len(found.missing) == len(found.nearly) == 0
        assert found.certificate.below == best + more + 1
        bound = found.certificate.bound(problem)
        assert oracles.threshold_bound(problem) <= bound <= best
        assert value_of(groups, found) <= bound + 1e-6  # rounded up
        tight += bound == best
    assert tight >= 10


@pytest.mark.parametrize("seed", range(3))
def test_columns_that_are_missing(seed):
    """Priced in by turns from any start they end in the value of the whole relaxation."""
    rng = random.Random(seed)
    rounds = 0
    for problem in loose_problems(10 + seed, 8):
        best = oracles.optimum(problem)
        groups = compress(problem)
        cost = best + rng.choice((0, 3, 8))
        limits = gap_fixing(groups, cost)
        every = all_columns(groups, limits)
        whole = relax(groups, limits, every, cost + 1, 60.0)
        columns = plan_columns(problem, groups)
        values = []
        while True:
            found = relax(groups, limits, columns, cost + 1, 60.0)
            assert set(keys(groups, found.pairs).tolist()) == set(columns) & set(every.tolist())
            bound = found.certificate.bound(problem)
            assert bound <= best
            values.append(value_of(groups, found))
            if found.solved:
                break
            assert not set(found.missing.tolist()) & set(columns.tolist())
            assert set(found.missing.tolist()) <= set(found.nearly.tolist()) <= set(every.tolist())
            columns = np.union1d(columns, found.missing)
            rounds += 1
        assert values == sorted(values, reverse=True) or values == pytest.approx(
            sorted(values, reverse=True)
        )
        assert values[-1] == pytest.approx(value_of(groups, whole), abs=1e-3)
        assert bound == whole.certificate.bound(problem)
    assert rounds > 3


def test_columns_that_nearly_are_missing():
    """A share of those that take part, the nearest first, besides those that are missing."""
    problem = long_problem(60, 8)
    groups = compress(problem)
    limits = gap_fixing(groups, problem.total)
    every = all_columns(groups, limits)
    own = keys(groups, Pairs(np.arange(len(groups)), groups.level))
    found = relax(groups, limits, own, problem.total + 1, 60.0, growth=0.5)
    assert len(found.nearly) == min(len(every) - len(own), len(found.missing) + int(0.5 * len(own)))
    more = relax(groups, limits, own, problem.total + 1, 60.0, growth=1.0)
    assert len(more.nearly) == min(len(every) - len(own), len(more.missing) + len(own))
    assert found.nearly_solved == (len(found.missing) <= len(own) // 100)
    pairs = allowed_pairs(groups, limits)
    paid = dict(zip(every.tolist(), found.prices.value(groups, pairs).tolist(), strict=True))
    known = dict(zip(own.tolist(), (paid[key] for key in own.tolist()), strict=True))
    reduced = {
        key: paid[key] - known[int(own[g])]
        for key, g in zip(every.tolist(), pairs.group.tolist(), strict=True)
        if key not in known
    }
    assert set(found.missing.tolist()) == {key for key, value in reduced.items() if value < 0}
    last = max(reduced[key] for key in found.nearly.tolist())
    assert all(value >= last for key, value in reduced.items() if key not in set(found.nearly))
    assert len(set(found.nearly.tolist())) == len(found.nearly)
    assert set(found.missing.tolist()) <= set(found.nearly.tolist())
    assert not set(found.nearly.tolist()) & set(own.tolist())


def test_values_are_a_solution():
    """Each group is placed in full, and no class is overfull at a clique."""
    for problem in loose_problems(3, 10):
        groups = compress(problem)
        cost = oracles.optimum(problem)
        limits = gap_fixing(groups, cost)
        found = relax(groups, limits, all_columns(groups, limits), cost + 1, 60.0)
        placed = np.zeros(len(groups))
        np.add.at(placed, found.pairs.group, found.placed)
        assert placed == pytest.approx(groups.multiplicity)
        assert (found.at_least >= limits.low - 1e-6).all()
        assert (found.at_least <= limits.high + 1e-6).all()
        number = np.diff(found.at_least, prepend=0.0)
        entries = list(zip(found.pairs.group, found.pairs.kind, found.placed, strict=True))
        for c in range(len(groups.sizes)):
            for q in range(groups.num_cliques):
                load = sum(
                    value
                    for g, kind, value in entries
                    if kind == c and groups.first[g] <= q <= groups.last[g]
                )
                assert load <= number[c] + 1e-6


@pytest.mark.parametrize("offset", [2**20, 2**30, 2**44])
def test_sizes_that_are_nearly_equal(offset):
    """Steps of a byte beside one of terabytes: the solver's tolerances must not swallow them."""
    proven = 0
    for problem in loose_problems(4, 10, offset):
        best = oracles.optimum(problem)
        groups = compress(problem)
        limits = gap_fixing(groups, best)
        found = relax(groups, limits, all_columns(groups, limits), best + 1, 60.0)
        bound = found.certificate.bound(problem)
        assert bound <= best
        proven += bound == best
    assert proven >= 9


@pytest.mark.parametrize("answer", [LpStatus.UNKNOWN, LpStatus.INFEASIBLE])
def test_no_answer_is_no_bound(monkeypatch, answer):
    """A float verdict proves nothing."""
    nothing = np.zeros(0)
    monkeypatch.setattr(relaxation, "run_lp", lambda *_: LpSolution(answer, nothing, nothing))
    problem = loose_problems(5, 1)[0]
    groups = compress(problem)
    best = oracles.optimum(problem)
    limits = gap_fixing(groups, best)
    assert relax(groups, limits, all_columns(groups, limits), best + 1, 60.0) is None
    result = solve(problem, workers=1)
    assert result.bound <= best <= result.objective


def long_problem(count, kinds):
    rng = random.Random(count)
    sizes = [rng.randint(1, 10**6) for _ in range(kinds)]
    return Problem(
        tuple(
            Buffer(f"b{i}", rng.choice(sizes), start, start + rng.randint(1, 30))
            for i, start in enumerate(rng.randrange(count) for _ in range(count))
        )
    )


def test_small_relaxations_begin_as_a_whole():
    problem = long_problem(60, 8)
    groups = compress(problem)
    limits = gap_fixing(groups, problem.total)
    pairs = allowed_pairs(groups, limits)
    some = Parameters({"relaxation.largest": 0})
    every = keys(groups, pairs).tolist()
    assert first_columns(groups, pairs, len(pairs), some).tolist() == every
    assert len(first_columns(groups, pairs, len(pairs) - 1, some)) < len(pairs)


def test_more_at_once_with_more_time():
    whole = relaxation.solved_whole
    assert whole(0.0) == whole(1.0) == 40_000
    assert whole(30.0) == 75_000
    assert whole(1e9) == whole(None) == relaxation.MOST_WHOLE
    assert whole(10.0, Parameters({"relaxation.whole_per_second": 5_000})) == 50_000


@pytest.mark.parametrize(("largest", "nearest"), [(0, 1), (0, 3), (50, 2), (200, 1), (10**9, 1)])
def test_first_columns_of_large_relaxations(largest, nearest):
    """The nearest classes of each group, all classes of the groups of the largest sizes."""
    some = Parameters({"relaxation.largest": largest, "relaxation.nearest": nearest})
    problem = long_problem(60, 12)
    groups = compress(problem)
    pairs = allowed_pairs(groups, gap_fixing(groups, oracles.threshold_bound(problem) * 3 // 2))
    every = set(zip(pairs.group.tolist(), pairs.kind.tolist(), strict=True))
    count = len(groups.sizes)
    found = {divmod(key, count) for key in first_columns(groups, pairs, 0, some).tolist()}
    assert found <= every
    used = sorted({c for _, c in every})
    whole = set()
    for g in range(len(groups)):
        own = sorted((c for group, c in every if group == g), reverse=True)
        taken = {c for group, c in found if group == g}
        if len(taken) == len(own) > nearest:
            whole.add(int(groups.level[g]))
            continue
        last = used.index(own[0])
        assert taken == {c for c in own if used.index(c) > last - nearest}
    if largest == 0:
        assert not whole
    elif largest == 10**9:
        assert found == every
    else:
        assert whole
        assert max(whole) < count - 1
        assert sum(groups.level[g] in whole for g, _ in every) <= largest


def test_runs_of_large_relaxations(monkeypatch):
    """By rounds or at once, the results are the same."""
    problems = loose_problems(30, 6)
    whole = [solve(problem, workers=1).bound for problem in problems]
    values = {"whole": 0, "whole_per_second": 0, "largest": 0, "nearest": 1, "growth": 0.0}
    rounds = Parameters({f"relaxation.{name}": value for name, value in values.items()})
    monkeypatch.setattr(relaxation, "MOST_WHOLE", 0)
    for problem, bound in zip(problems, whole, strict=True):
        result = solve(problem, workers=1, parameters=rounds)
        assert result.bound == bound == result.objective == oracles.optimum(problem)
        assert result.certificate is not None
