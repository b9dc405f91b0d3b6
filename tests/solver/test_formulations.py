"""CP-SAT's two formulations and the neighbourhood search as algorithms of their own."""

import random
from collections import Counter

import pytest

from memonger.graph.cliques import compress
from memonger.parameters import Parameters
from memonger.plan import SharingPlan
from memonger.problem import Buffer, Problem
from memonger.result import Proof, Status
from memonger.solver import stages
from memonger.solver.binpacking import BinPackingModel
from memonger.solver.class_model import maximal_cliques
from memonger.solver.cpsat import run_cpsat
from memonger.solver.presolve import gap_fixing
from memonger.solver.solve import solve
from tests import oracles
from tests.strategies import random_problem

TINY = Problem(
    tuple(
        Buffer(f"b{i}", *row)
        for i, row in enumerate([(8, 0, 2), (4, 1, 3), (2, 2, 4), (2, 0, 1), (8, 3, 5)])
    )
)


def loose(seed, count, wanted):
    """Return problems whose optimum lies above the threshold bound."""
    rng = random.Random(seed)
    found = []
    while len(found) < wanted:
        problem = random_problem(rng, count)
        if oracles.threshold_bound(problem) < oracles.optimum(problem):
            found.append(problem)
    return found


@pytest.mark.parametrize("algorithm", ["cp-sat", "cp-sat-binpacking"])
def test_brute_force(algorithm):
    proofs = Counter()
    for problem in loose(41, 8, 25):
        result = solve(problem, algorithm, workers=1)
        assert result.status is Status.OPTIMAL
        assert result.objective == result.bound == oracles.optimum(problem)
        proofs[result.proof] += 1
    assert set(proofs) == {Proof.CP_SAT}


@pytest.mark.parametrize("algorithm", ["cp-sat", "cp-sat-binpacking"])
def test_models_that_are_too_large(monkeypatch, algorithm):
    monkeypatch.setattr("memonger.solver.cpsat.MAX_ENTRIES", 0)
    for problem in loose(42, 7, 4):
        result = solve(problem, algorithm, workers=1)
        assert result.bound <= oracles.optimum(problem) <= result.objective
        assert result.status is Status.FEASIBLE


def bins(problem, cost, number=None):
    groups = compress(problem)
    cliques = maximal_cliques(groups, range(len(groups)))
    return BinPackingModel(groups, gap_fixing(groups, cost), cliques, number)


def run(model):
    return run_cpsat(model.model, seconds=60, workers=1, seed=0)


def test_bin_packing_constraints():
    """Each fixing is possible or not as the constraint says."""
    best = oracles.optimum(TINY)

    def status(change, cost=TINY.total):
        model = bins(TINY, cost)
        change(model)
        return run(model).status

    assert run(bins(TINY, TINY.total)).bound * 2 == best
    # (2) two buffers that are live together
    assert status(lambda m: m.model.add(m.inside[0][0] + m.inside[1][0] == 2)) is Status.INFEASIBLE
    # (3) a buffer in a shared buffer that holds too little
    assert (
        status(lambda m: m.model.add(m.inside[0][1] + (1 - m.holds[1][0]) == 2))
        is Status.INFEASIBLE
    )
    # (4) at least w_0 is at least w_1
    assert (
        status(lambda m: m.model.add(m.holds[0][0] + (1 - m.holds[0][1]) == 2)) is Status.INFEASIBLE
    )
    # (5) capacities descend
    assert (
        status(lambda m: m.model.add(m.holds[1][0] + (1 - m.holds[0][0]) == 2)) is Status.INFEASIBLE
    )
    # (6) low_0 = 1 shared buffer of 8 bytes
    assert status(lambda m: m.model.add(m.holds[0][0] == 0)) is Status.INFEASIBLE
    # costs
    assert status(lambda m: m.require_cost(0, best - 1)) is Status.INFEASIBLE
    assert status(lambda m: m.require_cost(best, best), best) is Status.OPTIMAL


def test_bin_packing_hint_is_a_solution():
    plan = SharingPlan.of([0, 1, 0, 1, 1])
    assert oracles.is_valid(TINY, plan.shared)
    model = bins(TINY, TINY.total)
    model.add_hint(plan)
    solver_model = model.model
    for index, value in zip(
        solver_model.proto.solution_hint.vars, solver_model.proto.solution_hint.values, strict=True
    ):
        variable = solver_model.get_int_var_from_proto_index(index)
        solver_model.add(variable == value)
    solved = run(model)
    assert solved.status is Status.OPTIMAL
    assert model.plan(solved.solver.value) == plan


def test_neighbourhoods_never_make_it_worse():
    rng = random.Random(43)
    improved = 0
    for _ in range(8):
        problem = random_problem(rng, 60, horizon=40)
        start = solve(problem, "caffe2-greedy").plan
        result = solve(problem, "neighbourhoods", hint=start, workers=1)
        assert result.objective <= start.cost(problem)
        improved += result.objective < start.cost(problem)
        again = solve(problem, "neighbourhoods", hint=start, workers=1)
        assert again.plan == result.plan
    assert improved > 0


def test_neighbourhoods_improve_on_the_warm_start(monkeypatch):
    """From bad heuristics alone, small problems are brought near the optimum."""
    monkeypatch.setattr(stages, "WARM_STARTS", ("caffe2-greedy",))
    few = Parameters({"lns.buffers": 40})
    rng = random.Random(44)
    gains = 0
    for _ in range(6):
        problem = random_problem(rng, 50, horizon=30)
        greedy = solve(problem, "caffe2-greedy").objective
        result = solve(problem, "neighbourhoods", workers=1, parameters=few)
        exact = solve(problem, "optimal", workers=1)
        assert exact.objective <= result.objective <= greedy
        gains += result.objective < greedy
    assert gains > 2
