import itertools

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memonger.graph.concurrency import clocks_of, vector_clocks
from memonger.net.defuse import analyse
from tests.net.notation import net


@st.composite
def dags(draw):
    size = draw(st.integers(0, 14))
    pairs = [(i, j) for j in range(size) for i in range(j)]
    edges = draw(st.lists(st.sampled_from(pairs), max_size=30)) if pairs else []
    return size, edges


@given(dags())
def test_precedes_is_the_transitive_closure(dag):
    size, edges = dag
    graph = nx.DiGraph(edges)
    graph.add_nodes_from(range(size))
    closure = nx.transitive_closure_dag(graph)
    clocks = vector_clocks(size, edges)
    for one in range(size):
        for other in range(size):
            assert clocks.precedes(one, other) == closure.has_edge(one, other)


@given(dags())
def test_chains_are_paths_of_the_closure_and_cover_every_operator_once(dag):
    size, edges = dag
    clocks = vector_clocks(size, edges)
    places = set(zip(clocks.chain.tolist(), clocks.position.tolist(), strict=True))
    assert len(places) == size
    for number in range(size and clocks.num_chains):
        chain = np.flatnonzero(clocks.chain == number)
        assert clocks.position[chain].tolist() == list(range(len(chain)))
        assert all(clocks.precedes(a, b) for a, b in itertools.pairwise(chain))


@pytest.mark.parametrize(
    ("size", "edges", "chains"),
    [
        (0, [], 1),
        (1, [], 1),
        (5, [(i, i + 1) for i in range(4)], 1),
        (4, [(0, 1), (0, 2), (1, 3), (2, 3)], 2),
        (4, [], 4),
        (5, [(0, 4), (1, 4), (2, 4), (3, 4)], 4),
    ],
)
def test_the_number_of_chains_is_small(size, edges, chains):
    assert vector_clocks(size, edges).num_chains == chains


def test_hazards_of_every_kind_order_the_operators_of_a_net():
    text = "Relu x > a; Tanh a > b; Copy z > a; Copy z > c | b"
    clocks = clocks_of(analyse(net(text, inputs="x z", outputs="c")))
    before = {(i, j) for i in range(4) for j in range(4) if clocks.precedes(i, j)}
    assert before == {(0, 1), (0, 2), (1, 2), (0, 3), (1, 3)}


@pytest.mark.parametrize(("length", "dtype"), [(254, np.uint8), (255, np.uint8), (256, np.uint16)])
def test_long_chains_are_counted_in_wider_numbers(length, dtype):
    """Two chains side by side, the second one fed by the first one halfway."""
    first = [(2 * i, 2 * i + 2) for i in range(length - 1)]
    second = [(2 * i + 1, 2 * i + 3) for i in range(length - 1)]
    half = 2 * (length // 2)
    edges = [*first, *second, (half - 2, half + 1)]
    clocks = vector_clocks(2 * length, edges)
    assert clocks.num_chains == 2
    assert clocks.before.dtype == dtype
    closure = nx.transitive_closure_dag(nx.DiGraph(edges))
    ends = [0, 1, half - 2, half + 1, 2 * length - 2, 2 * length - 1]
    for one, other in itertools.product(ends, range(2 * length)):
        assert clocks.precedes(one, other) == closure.has_edge(one, other)
        assert clocks.precedes(other, one) == closure.has_edge(other, one)


def test_very_long_chains():
    size = 70_000
    clocks = vector_clocks(size, [(i, i + 1) for i in range(size - 1)])
    assert clocks.num_chains == 1
    assert clocks.before[:, 0].tolist() == list(range(size))
