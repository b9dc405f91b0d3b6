import pytest

import memonger
from memonger.errors import ProblemError
from memonger.instances.catalog import graphs
from memonger.instances.graph_json import problem_from_graph
from memonger.instances.loading import load
from memonger.result import Status
from tests.oracles import optimum


def graph(ops, sizes=None, alias=None, count=5):
    names = [f"t{i}" for i in range(count)]
    tensors = {
        "name": names,
        "bytes": sizes or [8] * count,
        "kind": ["i", *"a" * (count - 2), "o"],
        "alias": alias or [-1] * count,
    }
    return {"format": "memonger-graph/1", "meta": {}, "tensors": tensors, "ops": ops}


def pairs(data):
    problem = problem_from_graph(data, in_place=True)
    assert problem_from_graph(data).in_place == ()
    return [tuple(problem.buffers[i].name for i in pair) for pair in problem.in_place]


def op(kind, inputs, outputs, permitted=(), view=""):
    return [kind.lower(), kind, inputs, outputs, view, [list(pair) for pair in permitted]]


MAKE, LAST = op("Make", [0], [1]), op("Last", [3], [4])


def test_a_chain_in_place():
    data = graph([MAKE, op("Relu", [1], [2], [(0, 0)]), op("Relu", [2], [3], [(0, 0)]), LAST])
    assert pairs(data) == [("t1", "t2"), ("t2", "t3")]
    result = memonger.solve(problem_from_graph(data, in_place=True))
    assert (result.status, result.objective) == (Status.OPTIMAL, 8)
    assert memonger.solve(problem_from_graph(data)).objective == 16


@pytest.mark.parametrize(
    ("what", "data"),
    [
        (
            "it is read later",
            graph([MAKE, op("Relu", [1], [2], [(0, 0)]), op("Add", [1, 2], [3]), LAST]),
        ),
        (
            "another size",
            graph(
                [MAKE, op("Relu", [1], [2], [(0, 0)]), op("Add", [2], [3]), LAST], [8, 9, 8, 8, 8]
            ),
        ),
        ("an input", graph([op("Relu", [0], [1], [(0, 0)]), op("Add", [1], [3]), LAST])),
        (
            "nobody reads the output",
            graph([MAKE, op("Relu", [1], [2], [(0, 0)]), op("Make", [0], [3]), LAST]),
        ),
        (
            "a view that transposes",
            graph(
                [MAKE, op("permute", [1], [2], view="v"), op("Relu", [2], [3], [(0, 0)]), LAST],
                alias=[-1, -1, 1, -1, -1],
            ),
        ),
        (
            "a view of it is read too",
            graph(
                [MAKE, op("view", [1], [2], view="v"), op("Add", [1, 2], [3], [(0, 0)]), LAST],
                alias=[-1, -1, 1, -1, -1],
            ),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_permitted(what, data):
    assert pairs(data) == []


def test_a_view_that_keeps_the_order():
    data = graph(
        [MAKE, op("view", [1], [2], view="v"), op("Relu", [2], [3], [(0, 0)]), LAST],
        alias=[-1, -1, 1, -1, -1],
    )
    assert pairs(data) == [("t1", "t3")]


def test_two_inputs_may_be_taken_but_one_is():
    ops = [MAKE, op("Make", [0], [2]), op("Add", [1, 2], [3], [(0, 0), (0, 1), (0, 0)]), LAST]
    data = graph(ops)
    assert pairs(data) == [("t1", "t3"), ("t2", "t3")]
    problem = problem_from_graph(data, in_place=True)
    assert memonger.solve(problem).objective == optimum(problem) == 16


@pytest.mark.parametrize("pair", [[0], [0, 5], [1, 0], ["a", 0], [True, 0], None, [-1, 0]])
def test_impossible_pairs(pair):
    data = graph([MAKE, ["relu", "Relu", [1], [2], "", [pair]], op("Add", [2], [3]), LAST])
    with pytest.raises(ProblemError, match=r"m: operator 1 \('relu'\) permits"):
        problem_from_graph(data, "m", in_place=True)


@pytest.mark.parametrize("name", graphs())
def test_real_graphs(name):
    """A permission: nothing needs more than without it, and the bounds hold."""
    plain, permitted = load(name), load(name, in_place=True)
    assert plain.buffers == permitted.buffers
    one, other = (memonger.solve(p, "by-size") for p in (plain, permitted))
    assert other.bound <= one.objective
    assert other.objective <= plain.total
