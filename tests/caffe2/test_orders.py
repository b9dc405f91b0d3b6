"""Interference graphs and the two orders of a net, down to the exact lists."""

import networkx as nx
import pytest

import memonger.caffe2 as caffe2
from memonger.errors import NetError
from tests.caffe2.scenarios import branches, check_same, crossing_tree, two_entries
from tests.net.notation import net
from tests.rewrite.interpreter import dependencies

PROGRAM = caffe2.topological_sort_traversal
LONGEST = caffe2.topological_sort_traversal_longest_path

# A net whose inputs are prepared by operators of their own, off the main path.
PREPARED = "Copy u > w0; Conv x w0 > c; Copy v > v; Conv c v > y"
# Several sources and several sinks.
MEETING = "Relu x > a; Relu z > b; Add a b > c; Tanh c > d; Sin c > e"
PARALLEL = "Relu x > a; Relu z > b; Tanh b > d; Sin d > e; Cos a > f"


def graph(text):
    return caffe2.compute_interference_graph(net(text, inputs="").op)


def edges(text, **options):
    found = caffe2.compute_interference_graph(net(text, inputs="").op, **options)
    return [(i, j, data["deps"]) for i, j, data in found.edges(data=True)]


def test_a_diamond():
    """The two sides do not wait for each other; whoever joins them waits for both."""
    assert edges("Relu x > a; Tanh a > b; Sin a > c; Add b c > y") == [
        (0, 1, ["a"]),
        (0, 2, ["a"]),
        (1, 3, ["b"]),
        (2, 3, ["c"]),
    ]


def test_several_blobs_on_one_edge_and_one_blob_on_several():
    assert edges("Split x > b a; Add a b > c; Add a c > y") == [
        (0, 1, ["a", "b"]),
        (0, 2, ["a"]),
        (1, 2, ["c"]),
    ]


def test_operators_in_place():
    """Three writes in place make a chain; the edge that follows from the others may be had too."""
    text = "Copy b > b; Copy b > b; Copy b > b"
    assert edges(text) == [(0, 1, ["b"]), (1, 2, ["b"])]
    in_caffe2 = [(0, 1), (0, 2), (1, 2)]
    assert [edge[:2] for edge in edges(text, overwritten=True)] == in_caffe2
    assert list(nx.transitive_closure(graph(text)).edges) == in_caffe2


def test_nodes_carry_their_operators():
    model = net("Relu x > a; Tanh a > y")
    found = caffe2.compute_interference_graph(model.op)
    assert [found.nodes[index]["op"] for index in found] == list(model.op)
    assert nx.is_directed_acyclic_graph(found)


@pytest.mark.parametrize(
    ("text", "order", "longest"),
    [
        (PREPARED, [2, 0, 1, 3], [0, 1, 2, 3]),
        # A second piece, with a target of its own: the longer path stands in front.
        (PREPARED + "; Copy p > q; Copy q > r", [4, 5, 2, 0, 1, 3], [0, 1, 2, 3, 4, 5]),
        ("Copy p > q; Copy q > r; " + PREPARED, [4, 2, 3, 5, 0, 1], [2, 3, 4, 5, 0, 1]),
        ("Copy u > w0", [0], [0]),
        ("", [], []),
        (
            "Relu x > a; Relu z > b; Add a b > c; Tanh c > d; Sin c > e",
            [1, 0, 2, 4, 3],
            [1, 0, 2, 4, 3],
        ),
        (
            "Relu x > a; Relu z > b; Tanh b > d; Sin d > e; Cos a > f",
            [1, 2, 3, 0, 4],
            [1, 2, 3, 0, 4],
        ),
    ],
)
def test_exact_orders(text, order, longest):
    """Those of the original with networkx 2.5."""
    assert list(PROGRAM(graph(text))) == order
    assert list(LONGEST(graph(text))) == longest


@pytest.mark.parametrize("ordering", [PROGRAM, LONGEST])
@pytest.mark.parametrize(
    "builder", [crossing_tree(), crossing_tree(hidden=None), two_entries(), branches(3, 4)]
)
def test_orders_of_trees_respect_every_dependency(builder, ordering):
    order = list(ordering(caffe2.compute_interference_graph(builder.net.op)))
    place = {index: position for position, index in enumerate(order)}
    assert sorted(order) == list(range(len(builder.net.op)))
    for index, waits in enumerate(dependencies(builder.net)):
        assert all(place[before] < place[index] for before in waits)
    done = caffe2.optimize_interference(builder.net, list(builder.types), ordering)
    model = builder.net
    for changed in (model, done.net):
        changed.type = "simple"
    wanted = list(model.external_output) or ["site/loss1", "site/loss2"]
    check_same(model, done.net, wanted, order)


def test_a_longest_path_is_not_cut_by_depth():
    """The original gives up beyond some 500 operators, with a RecursionError (B10)."""
    text = "; ".join(f"Relu b{index} > b{index + 1}" for index in range(3000))
    assert list(LONGEST(graph(text))) == list(range(3000))


def test_a_cycle_is_refused():
    for ordering in (PROGRAM, LONGEST):
        with pytest.raises(NetError, match="cycle"):
            ordering(nx.DiGraph([(0, 1), (1, 2), (2, 0)]))
