"""The orders of Liu and of Sethi and Ullman: best on trees, valid everywhere."""

import itertools
import random

import pytest

from memonger.graph.operator_dag import OperatorDag
from memonger.heuristics.tree_orders import liu_order, sethi_ullman_order
from memonger.instances.order_families import layered
from memonger.order_problem import Allocation, OrderProblem
from tests.order_oracles import least_peak, random_order_problem

ORDERS = (liu_order, sethi_ullman_order)


def random_tree(rng, count, largest=9, kept=0.0):
    """Return operators that each read some results that nobody has read yet."""
    free: list[int] = []
    readers: dict[int, int] = {}
    for v in range(count):
        taken = rng.sample(free, rng.randint(0, min(3, len(free))))
        if v == count - 1:
            taken = list(free)
        for u in taken:
            readers[u] = v
            free.remove(u)
        free.append(v)
    allocations = []
    for v in range(count):
        reader = () if v not in readers else (readers[v],)
        allocations.append(Allocation(f"result {v}", rng.randint(1, largest), v, reader))
        if rng.random() < kept:
            allocations.append(Allocation(f"kept {v}", rng.randint(1, 3), v, (), kept=True))
        if rng.random() < 0.5:
            allocations.append(Allocation(f"scratch {v}", rng.randint(1, largest), v, ()))
    return OrderProblem(tuple(map(str, range(count))), (), tuple(allocations))


def postorders(problem):
    """Yield every order of a tree that finishes a subtree before it begins another."""
    inputs: dict[int, list[int]] = {}
    for before, after in problem.precedence.tolist():
        inputs.setdefault(after, []).append(before)

    def below(v):
        for turn in itertools.permutations(inputs.get(v, [])):
            for parts in itertools.product(*(list(below(u)) for u in turn)):
                yield [*itertools.chain(*parts), v]

    yield from below(len(problem) - 1)


@pytest.mark.parametrize("seed", range(80))
def test_liu_is_the_best_order_of_a_tree(seed):
    rng = random.Random(seed)
    problem = random_tree(rng, rng.randint(1, 9), kept=rng.choice([0, 0.3]))
    assert problem.peak(liu_order(OperatorDag.of(problem))) == least_peak(problem)


@pytest.mark.parametrize("seed", range(80))
def test_sethi_ullman_is_the_best_postorder_of_a_tree(seed):
    rng = random.Random(seed)
    problem = random_tree(rng, rng.randint(1, 9), kept=rng.choice([0, 0.3]))
    found = problem.peak(sethi_ullman_order(OperatorDag.of(problem)))
    assert found == min(map(problem.peak, postorders(problem)))


def test_registers_of_a_complete_expression():
    """Depth d needs d registers for operands, d + 1 when a result may not overwrite one."""
    depth = 5
    count = 2**depth - 1  # in level order, turned round: children come first
    position = {node: count - 1 - node for node in range(count)}
    results = [
        Allocation(f"{node}", 1, position[node], (position[(node - 1) // 2],) if node else ())
        for node in range(count)
    ]
    problem = OrderProblem(tuple(map(str, range(count))), (), tuple(results))
    for order in ORDERS:
        assert problem.peak(order(OperatorDag.of(problem))) == depth + 1


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("seed", range(40))
def test_orders_are_valid_on_any_graph(order, seed):
    rng = random.Random(seed)
    for problem in (random_order_problem(rng, rng.randint(0, 12)), layered(40, 7, seed)):
        found = order(OperatorDag.of(problem)).tolist()
        assert sorted(found) == list(range(len(problem)))
        at = {operator: time for time, operator in enumerate(found)}
        assert all(at[before] < at[after] for before, after in problem.precedence.tolist())


@pytest.mark.parametrize("order", ORDERS)
def test_depth_has_no_limit(order):
    count = 30_000
    chain = [Allocation(f"{v}", 1, v, (v + 1,)) for v in range(count - 1)]
    problem = OrderProblem(tuple(map(str, range(count))), (), tuple(chain))
    assert order(OperatorDag.of(problem)).tolist() == list(range(count))
