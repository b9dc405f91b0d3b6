"""The order form: every proof against all orders of small problems."""

import dataclasses
import random

import numpy as np
import pytest
from ortools.sat.python import cp_model

from memonger.errors import PlanError, ProblemError
from memonger.graph.operator_dag import OperatorDag
from memonger.graph.order_reduction import reduce_operators
from memonger.heuristics.list_schedules import Key, list_schedule
from memonger.instances.order_families import layered
from memonger.order_certificate import CutCertificate, KeptCertificate
from memonger.order_problem import Allocation, OrderProblem
from memonger.plan import OrderPlan
from memonger.registry import ORDER
from memonger.result import Proof, Status
from memonger.solver import order_kernel, order_search
from memonger.solver.least_memory import least_memory
from memonger.solver.order import solve_order
from memonger.solver.order_kernel import FOUND, INFEASIBLE, UNKNOWN
from memonger.solver.order_search import KEYS, Searcher
from memonger.verify import verify_order
from tests.order_oracles import (
    least_peak,
    random_order_problem,
    tricky_problem,
)

GO_ON = np.zeros(1, dtype=np.bool_)


@pytest.mark.parametrize("seed", range(60))
def test_the_optimum_is_that_of_all_orders(seed):
    rng = random.Random(seed)
    for _ in range(4):
        problem = random_order_problem(rng, rng.randint(1, 9))
        result = solve_order(problem)
        assert result.status is Status.OPTIMAL
        assert result.objective == result.bound == least_peak(problem)
        assert verify_order(problem, result.plan) == result.objective
        assert (result.certificate is None) == (result.proof is Proof.SEARCH)
        if result.certificate is not None:
            assert result.certificate.bound(problem) == result.objective


@pytest.mark.parametrize("seed", range(25))
def test_searches_find_what_there_is_and_refute_what_there_is_not(seed):
    rng = random.Random(1000 + seed)
    problem = random_order_problem(rng, rng.randint(3, 10))
    best = least_peak(problem)
    whole = OperatorDag.of(problem)
    for dag in (whole, reduce_operators(whole).dag):
        for reverse in (False, True):
            searcher = Searcher(dag, reverse=reverse, seed=seed)
            for key in KEYS:
                for commit in (False, True):
                    outcome, order, _ = searcher.run(best, key, 10**6, GO_ON, commit=commit)
                    assert outcome == FOUND
                    assert dag.loads(order).max(initial=0) <= best
                    outcome, _, least = searcher.run(best - 1, key, 10**6, GO_ON, commit=commit)
                    assert outcome == INFEASIBLE
                    assert least >= best


@pytest.mark.parametrize("seed", range(20))
def test_a_raised_budget_never_passes_the_optimum(seed):
    problem = random_order_problem(random.Random(2000 + seed), 9)
    dag, best = OperatorDag.of(problem), least_peak(problem)
    for reverse in (False, True):
        searcher, budget, outcome = Searcher(dag, reverse=reverse), 0, INFEASIBLE
        while outcome == INFEASIBLE:
            outcome, _, least = searcher.run(budget, 0, 10**6, GO_ON)
            if outcome == INFEASIBLE:
                assert budget < least <= best
                budget = least
        assert budget == best


def test_a_search_that_is_cut_short_proves_nothing():
    dag = OperatorDag.of(layered(40, 12, 3))
    low = int(dag.allocated.max())
    searcher = Searcher(dag, reverse=False)
    assert searcher.run(3 * low, 0, 2, GO_ON)[0] == UNKNOWN
    assert searcher.run(3 * low, 0, 10**6, np.ones(1, dtype=np.bool_))[0] == UNKNOWN


def test_valleys_change_no_answer():
    for seed in range(300):
        problem = tricky_problem(seed)
        dag = reduce_operators(OperatorDag.of(problem)).dag
        best = int(solve_order(problem).objective or 0)
        for reverse in (False, True):
            searcher = Searcher(dag, reverse=reverse)
            for budget, expected in ((best - 1, INFEASIBLE), (best, FOUND)):
                for commit in (False, True):
                    found = searcher.run(budget, seed % len(KEYS), 10**6, GO_ON, commit=commit)
                    assert found[0] == expected


def test_a_wrong_test_of_valleys_would_be_noticed(monkeypatch):
    """A search that calls every state a valley misses the optimum of these."""
    for seed, reverse in ((362, True), (388, False), (398, False), (1666, True), (3144, True)):
        problem = tricky_problem(seed)
        best = int(solve_order(problem).objective or 0)
        searcher = Searcher(reduce_operators(OperatorDag.of(problem)).dag, reverse=reverse)
        assert searcher.run(best, 0, 10**4, GO_ON)[0] == FOUND
        assert _with_every_state_a_valley(monkeypatch, searcher, best) == INFEASIBLE


def _with_every_state_a_valley(monkeypatch, searcher, budget):
    """Run the search as plain Python with the test of valleys mutated."""
    with monkeypatch.context() as patch:
        for name, function in list(vars(order_kernel).items()):
            if hasattr(function, "py_func"):
                patch.setattr(order_kernel, name, function.py_func)
        patch.setattr(order_search, "search", order_kernel.search)
        patch.setattr(order_kernel, "is_valley", lambda *_: True)
        return searcher.run(budget, 0, 10**4, GO_ON)[0]


@pytest.mark.parametrize("seed", range(40))
def test_reductions_keep_the_optimum(seed):
    rng = random.Random(3000 + seed)
    problem = random_order_problem(rng, rng.randint(2, 9))
    reduction = reduce_operators(OperatorDag.of(problem))
    order = np.arange(reduction.dag.count)
    expanded = reduction.expand(order)
    assert sorted(expanded) == list(range(len(problem)))
    assert verify_order(problem, OrderPlan(tuple(expanded))) <= reduction.dag.loads(order).max()
    names = tuple(map(str, range(reduction.dag.count)))
    dag = reduction.dag
    smaller = OrderProblem(
        names,
        tuple(map(tuple, dag.edges.tolist())),
        tuple(
            Allocation(str(s), int(dag.sizes[s]), int(dag.producers[s]), tuple(row), bool(kept))
            for s, (row, kept) in enumerate(
                zip(np.split(dag.reads.items, dag.reads.first[1:-1]), dag.kept, strict=True)
                if len(dag.sizes)
                else ()
            )
        ),
    )
    assert least_peak(smaller) == least_peak(problem)


@pytest.mark.parametrize("seed", range(30))
def test_least_memory_is_that_of_all_downsets(seed):
    rng = random.Random(4000 + seed)
    problem = random_order_problem(rng, 8)
    dag = OperatorDag.of(problem)
    operator = rng.randrange(8)
    inside, outside = dag.ancestors(operator), dag.descendants(operator)
    outside[operator] = True
    found = least_memory(dag, inside, outside)
    best = None
    for mask in range(1 << 8):
        done = np.array([bool(mask >> v & 1) for v in range(8)])
        closed = all(done[a] or not done[b] for a, b in dag.edges.tolist())
        if not closed or (inside & ~done).any() or (outside & done).any():
            continue
        live = sum(
            held.size
            for held in problem.allocations
            if done[held.producer] and (held.kept or not done[list(held.readers)].all())
        )
        best = live if best is None else min(best, live)
        if (done == found.done).all():
            assert live == found.bytes
    assert found.bytes == best


@pytest.mark.parametrize("key", Key)
@pytest.mark.parametrize("reverse", [False, True])
def test_schedules_take_the_best_of_what_is_ready(key, reverse):
    """By a plain loop over what is ready."""
    for seed in range(30):
        dag = OperatorDag.of(random_order_problem(random.Random(seed), 12))
        order = list_schedule(dag, key, reverse=reverse).tolist()
        assert order == _plain_schedule(dag, key, reverse)


def _plain_schedule(dag, key, reverse):
    readers = np.split(dag.reads.items, dag.reads.first[1:-1]) if len(dag.sizes) else []
    edges = dag.edges[:, ::-1] if reverse else dag.edges
    taken, touched = [], [0] * dag.count
    while len(taken) < dag.count:
        done = set(taken)
        ready = [
            v for v in range(dag.count)
            if v not in done and all(a in done for a, b in edges.tolist() if b == v)
        ]  # fmt: skip

        def rank(v, done=done):
            read = [s for s, row in enumerate(readers) if v in row]
            stays = int(dag.allocated[v] - dag.transient[v])
            if reverse:
                moved = sum(int(dag.sizes[s]) for s in read if done.isdisjoint(readers[s].tolist()))
                change, load = moved - stays, moved + int(dag.transient[v])
            else:
                last = [s for s in read if set(readers[s].tolist()) <= {*done, v}]
                change = stays - sum(int(dag.sizes[s]) for s in last)
                load = int(dag.allocated[v])
            number = -v if reverse else v
            return {
                Key.CHANGE: (change, number),
                Key.FREES: (change > 0, min(change, 0), number),
                Key.LATEST: (change > 0, -touched[v], number),
                Key.LOAD: (change > 0, load, change, number),
                Key.GROWTH: (max(change, 0), -touched[v], change, number),
            }[key]

        taken.append(min(ready, key=rank))
        for a, b in edges.tolist():
            if a == taken[-1]:
                touched[b] = len(taken)
    return taken[::-1] if reverse else taken


@pytest.mark.parametrize("name", ORDER.names())
def test_every_algorithm_keeps_its_contract(name):
    for seed in range(12):
        problem = random_order_problem(random.Random(seed), seed)
        result = solve_order(problem, name)
        assert result.objective == verify_order(problem, result.plan)
        assert result.bound <= least_peak(problem) <= result.objective
        assert (result.status is Status.OPTIMAL) == (result.objective == result.bound)
        assert solve_order(problem, name).plan == result.plan


def test_a_hint_is_never_lost_and_must_be_valid():
    problem = layered(30, 8, 1)
    best = solve_order(problem).plan
    again = solve_order(problem, hint=best, time_limit=0)
    assert again.objective == best.cost(problem)
    with pytest.raises(PlanError, match="every operator once"):
        solve_order(problem, hint=OrderPlan((0, 0)))
    with pytest.raises(PlanError, match="must wait for"):
        verify_order(problem, OrderPlan(tuple(range(29, -1, -1))))


def test_a_changed_certificate_is_caught():
    """Whatever is changed in a flow, it proves no more than the optimum, or is none."""
    caught = tried = 0
    for seed in range(200):
        rng = random.Random(seed)
        problem = random_order_problem(rng, 9, kept=0.05)
        certificate, best = solve_order(problem).certificate, least_peak(problem)
        if not isinstance(certificate, CutCertificate) or not certificate.flow.reads:
            continue
        for _ in range(60):
            part = rng.choice(["reads", "waits", "ends", "operator"])
            if part == "operator":
                changed = dataclasses.replace(certificate, operator=rng.randrange(9))
            else:
                rows = [list(row) for row in getattr(certificate.flow, part)]
                if not rows:
                    continue
                row = rng.choice(rows)
                row[rng.randrange(len(row))] += rng.choice([-1, 1, 7])
                flow = dataclasses.replace(certificate.flow, **{part: tuple(map(tuple, rows))})
                changed = dataclasses.replace(certificate, flow=flow)
            tried += 1
            try:
                assert changed.bound(problem) <= best
            except PlanError:
                caught += 1
    assert tried > 200
    assert caught > tried / 2


def test_what_is_kept_is_a_bound():
    problem = OrderProblem(
        ("a", "b"), (), (Allocation("x", 3, 0, (), kept=True), Allocation("y", 4, 1, (), kept=True))
    )
    result = solve_order(problem)
    assert isinstance(result.certificate, KeptCertificate)
    assert result.objective == KeptCertificate().bound(problem) == 7
    assert solve_order(OrderProblem((), (), ())).objective == 0


@pytest.mark.parametrize("seed", range(6))
def test_cp_sat_agrees_on_larger_problems(seed):
    problem = layered(18 + 2 * seed, 7, seed)
    best = solve_order(problem).objective
    assert best is not None
    assert _fits_by_cp_sat(problem, best)
    assert not _fits_by_cp_sat(problem, best - 1)


def _fits_by_cp_sat(problem, budget):
    """Return whether an order stays within a budget, by one cumulative constraint."""
    model, count = cp_model.CpModel(), len(problem)
    position = [model.new_int_var(0, count - 1, "") for _ in range(count)]
    model.add_all_different(position)
    for before, after in problem.precedence.tolist():
        model.add(position[before] < position[after])
    intervals = []
    for held in problem.allocations:
        end = model.new_int_var(0, count, "")
        length = model.new_int_var(1, count, "")
        for operator in (held.producer, *held.readers):
            model.add(end > position[operator])
        intervals.append(model.new_interval_var(position[held.producer], length, end, ""))
    model.add_cumulative(intervals, [held.size for held in problem.allocations], budget)
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    status = solver.solve(model)
    assert status in (cp_model.OPTIMAL, cp_model.FEASIBLE, cp_model.INFEASIBLE)
    return status != cp_model.INFEASIBLE


@pytest.mark.parametrize(
    ("held", "message"),
    [
        (Allocation("x", 2, 0, (1, 1)), "without repeats"),
        (Allocation("x", 2, 0, (2, 1)), "must ascend"),
        (Allocation("x", 1.5, 0), "must be integers"),
        (Allocation("x", 1, 0, ("b",)), "must be integers"),
    ],
)
def test_what_searches_rely_on_is_checked(held, message):
    with pytest.raises(ProblemError, match=message):
        OrderProblem(("a", "b", "c"), (), (held,))
