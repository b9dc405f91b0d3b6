import pytest

import memonger
from memonger.analysis import analyse_net
from memonger.errors import ProblemError
from memonger.graph.profile import peak, size_profile
from memonger.instances.catalog import graphs
from memonger.instances.graph_json import problem_from_graph
from memonger.instances.graph_net import net_of_graph
from memonger.instances.loading import load_graph_net, read_json
from memonger.result import Status


def figures(problem):
    return len(problem), problem.total, peak(problem).bytes, size_profile(problem).bound


@pytest.mark.parametrize("name", graphs())
def test_real_graphs_need_the_same_as_nets(name):
    data = read_json(graphs()[name])
    found = net_of_graph(data, name)
    analysis = analyse_net(found.net, sizes=found.sizes)
    assert figures(analysis.problem) == figures(problem_from_graph(data, name, "activations"))
    assert not analysis.sizes.unknown


@pytest.mark.parametrize("name", ["silero_vad_16k", "mobilenet_v2_b1", "mp_blazeface_short"])
def test_they_go_through_the_pipeline(name):
    """Planned, rewritten, verified: at the cost of the graph."""
    found = load_graph_net(name)
    done = memonger.optimize(found.net, sizes=found.sizes)
    problem = memonger.load(name)
    assert done.status is Status.OPTIMAL
    assert done.objective == memonger.solve(problem).objective
    assert done.blobs_after < done.blobs_before


def graph(ops, kinds="iaao", alias=(-1, -1, -1, -1)):
    names = [f"t{i}" for i in range(len(kinds))]
    tensors = {"name": names, "bytes": [8] * len(kinds), "kind": list(kinds), "alias": list(alias)}
    return {"format": "memonger-graph/1", "meta": {"source": "x"}, "tensors": tensors, "ops": ops}


def test_views_and_writes_in_place():
    data = graph(
        [
            ["a", "Make", [0], [1], "", []],
            ["b", "View", [1], [2], "v", []],
            ["c", "Add_", [2], [3], "", []],
            ["d", "Read", [2, 3], [4], "", []],
        ],
        "iaaao",
        (-1, -1, 1, 1, -1),
    )
    net = net_of_graph(data).net
    assert [(op.type, list(op.input), list(op.output)) for op in net.op] == [
        ("x:Make", ["t0"], ["t1"]),
        ("Alias", ["t1"], ["t2"]),
        ("x:Add_", ["t2"], ["t1"]),
        ("x:Read", ["t2", "t1"], ["t4"]),
    ]
    assert (list(net.external_input), list(net.external_output)) == (["t0"], ["t4"])


def test_two_tensors_of_one_name():
    data = graph([["a", "Make", [0], [1], "", []]])
    data["tensors"]["name"][2] = "t1"
    with pytest.raises(ProblemError, match="two tensors are called 't1'"):
        net_of_graph(data)
