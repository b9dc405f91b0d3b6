"""Probing: the edges that it finds hold in every order within the budget."""

import itertools
import random

import numpy as np
import pytest

from memonger.graph.operator_dag import OperatorDag
from memonger.instances.order_families import layered
from memonger.order_certificate import ProbeCertificate
from memonger.result import Proof
from memonger.solver.order import solve_order
from memonger.solver.order_probing import Effort, probe, with_edges
from memonger.solver.order_search import Searcher
from memonger.stop import Deadline
from tests.order_oracles import least_peak, random_order_problem

GO_ON = np.zeros(1, dtype=np.bool_)
NO_LIMIT = Deadline(None)


def orders_within(problem, budget):
    """Return all orders of a tiny problem whose peak is within a budget."""
    pairs = problem.precedence.tolist()
    return [
        order
        for order in itertools.permutations(range(len(problem)))
        if all(order.index(a) < order.index(b) for a, b in pairs) and problem.peak(order) <= budget
    ]


@pytest.mark.parametrize("seed", range(40))
def test_every_order_within_the_budget_keeps_to_the_edges(seed):
    rng = random.Random(seed)
    problem = random_order_problem(rng, 6)
    budget = least_peak(problem) + rng.choice([0, 0, 1, 5])
    found = probe(OperatorDag.of(problem), budget, range(6), Effort(10**9), NO_LIMIT)
    for order in orders_within(problem, budget):
        for before, after in (conclusion.edge for conclusion in found):
            assert before >= 0
            assert after >= 0
            assert order.index(before) < order.index(after)


@pytest.mark.parametrize("seed", range(60))
def test_the_optimum_survives_and_less_is_refuted(seed):
    problem = layered(10, 6, seed)
    dag, best = OperatorDag.of(problem), least_peak(problem)
    kept = probe(dag, best, range(10), Effort(10**9), NO_LIMIT)
    stronger = with_edges(dag, [conclusion.edge for conclusion in kept])
    assert stronger is not None
    for reverse in (False, True):
        searcher = Searcher(stronger, reverse=reverse)
        assert searcher.run(best, 1, 10**6, GO_ON)[0] == 1
    found = probe(dag, best - 1, range(10), Effort(10**9), NO_LIMIT)
    if found and found[-1].other < 0:
        return
    stronger = with_edges(dag, [conclusion.edge for conclusion in found])
    if stronger is not None:
        assert Searcher(stronger, reverse=True).run(best - 1, 1, 10**6, GO_ON)[0] == 0


def test_probing_proves_what_cuts_do_not():
    result = solve_order(layered(300, 30, 1))
    assert result.proof is Proof.PROBE
    assert isinstance(result.certificate, ProbeCertificate)
    assert result.objective == result.bound == 1012


def test_without_effort_nothing_is_claimed():
    dag = OperatorDag.of(layered(30, 9, 2))
    assert probe(dag, 1, range(30), Effort(0), NO_LIMIT) == []
    assert probe(dag, 1, range(30), Effort(10**9), Deadline(0)) == []
    assert probe(dag, 1, range(30), Effort(10**9), NO_LIMIT)[-1].other == -1


def test_a_cycle_is_noticed():
    dag = OperatorDag.of(layered(6, 3, 2))
    before, after = dag.edges[0].tolist()
    assert with_edges(dag, [(after, before)]) is None
    assert with_edges(dag, []) is not None
