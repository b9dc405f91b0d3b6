import copy
import gzip
import json
import random
import re
from pathlib import Path

import pytest

from memonger.errors import ProblemError
from memonger.graph.profile import peak
from memonger.instances.graph_json import FORMAT, problem_from_graph
from memonger.instances.loading import load
from memonger.solver.bounds import threshold_bound

GRAPHS = Path(__file__).parents[3] / "shared" / "data" / "graphs"

# name: (buffers, MiB in all, load bound, threshold bound), as published with the graphs.
KNOWN = {
    "silero_vad_16k": (27, 0.0, 0.01, 0.01),
    "paper_mobilenet_v1_224": (30, 19.2, 4.59, 4.59),
    "vgg16_b16": (36, 1749.7, 392.00, 392.00),
    "paper_mobilenet_v2_224": (65, 26.3, 5.74, 6.60),
    "paper_deeplabv3_257": (69, 43.6, 7.64, 8.80),
    "mobilenetv1_100_b1": (82, 57.7, 6.12, 6.12),
    "mp_blazeface_short": (84, 9.1, 1.31, 1.34),
    "basic_pitch": (116, 27.3, 5.54, 6.82),
    "r2plus1d_18_b1": (117, 748.4, 67.38, 67.38),
    "mixer_b16_224_b8": (123, 997.0, 41.34, 41.34),
    "sd_vae_decoder_64_b1": (132, 7432.1, 768.00, 784.00),
    "vit_b_16_b8": (136, 1182.0, 41.55, 41.55),
    "segformer_b0_512_b1": (144, 370.8, 128.00, 128.75),
    "dpn68_b1": (261, 152.7, 6.70, 8.61),
    "levit_128s_b1": (261, 24.7, 1.95, 2.51),
    "dla60_res2next_b1": (612, 257.6, 14.93, 20.00),
    "swin_t_b1": (482, 174.3, 10.34, 13.39),
    "hrnet_w18_b1": (1143, 221.8, 9.19, 10.30),
    "vgg16_train_b16": (122, 4215.3, 1613.42, 1972.37),
    "unet_resnet34_256_train_b4": (742, 1223.9, 398.65, 417.47),
    "mobilenet_v2_train_b32": (763, 5564.4, 2388.54, 2528.04),
    "vit_b_16_train_b16": (684, 7923.5, 1833.42, 1835.93),
}


@pytest.mark.skipif(not GRAPHS.is_dir(), reason="the graphs are not at hand")
@pytest.mark.parametrize("name", KNOWN)
def test_real_graphs(name):
    buffers, total, load_bound, threshold = KNOWN[name]
    problem = load(GRAPHS / f"{name}.json.gz")
    assert problem.name
    assert len(problem) == buffers
    mib = 2**20
    assert problem.total / mib == pytest.approx(total, abs=0.051)
    assert peak(problem).bytes / mib == pytest.approx(load_bound, abs=0.0051)
    assert threshold_bound(problem)[0] / mib == pytest.approx(threshold, abs=0.0051)


@pytest.mark.skipif(not GRAPHS.is_dir(), reason="the graphs are not at hand")
def test_every_graph_can_be_read():
    paths = sorted(GRAPHS.glob("*.json.gz"))
    assert len(paths) > 40
    for path in paths:
        if path.stat().st_size < 200_000:
            assert len(load(path)) > 0


def graph(ops, rows, **meta):
    """Return a graph of operators (name, inputs, outputs) and rows (name, bytes, kind, alias)."""
    columns = list(zip(*rows, strict=True)) if rows else [(), (), (), ()]
    return {
        "format": FORMAT,
        "meta": {"name": "g", **meta},
        "tensors": dict(zip(("name", "bytes", "kind", "alias"), map(list, columns), strict=True)),
        "ops": [[name, "Op", list(i), list(o), "", []] for name, i, o in ops],
    }


SMALL = graph(
    [("op0", [0, 1], [2]), ("op1", [2], [3]), ("view", [2], [4]), ("op3", [3, 4], [5])],
    [("x", 8, "i", -1), ("w", 8, "w", -1), ("a", 4, "a", -1), ("b", 6, "a", -1),
     ("v", 4, "a", 2), ("y", 2, "o", -1)],
)  # fmt: skip


def ranges(problem):
    return {b.name: (b.size, b.start, b.end) for b in problem.buffers}


def test_activations():
    assert ranges(problem_from_graph(SMALL)) == {"a": (4, 0, 4), "b": (6, 1, 4)}


def test_outputs_live_to_the_end():
    longer = copy.deepcopy(SMALL)
    longer["ops"].append(["op4", "Op", [0], [], "", []])
    planned = problem_from_graph(longer, planned="activations+outputs")
    assert ranges(planned) == {"a": (4, 0, 4), "b": (6, 1, 4), "y": (2, 3, 5)}
    training = copy.deepcopy(longer)
    training["meta"]["mode"] = "training"
    assert ranges(problem_from_graph(training)) == ranges(planned)
    assert "y" not in ranges(problem_from_graph(training, planned="activations"))


def test_a_buffer_whose_view_is_an_output_is_an_output():
    data = copy.deepcopy(SMALL)
    data["tensors"]["kind"][4] = "o"
    assert set(ranges(problem_from_graph(data))) == {"b"}


def test_views_of_weights_and_empty_tensors_are_no_buffers():
    data = copy.deepcopy(SMALL)
    data["tensors"]["alias"][4] = 1
    data["tensors"]["bytes"][3] = 0
    assert ranges(problem_from_graph(data)) == {"a": (4, 0, 3)}


def test_a_result_that_nobody_reads_lives_for_one_operator():
    data = graph([("op0", [], [0]), ("op1", [], [1])], [("a", 1, "a", -1), ("b", 2, "a", -1)])
    assert ranges(problem_from_graph(data)) == {"a": (1, 0, 1), "b": (2, 1, 2)}


def changed(*path, value):
    data = copy.deepcopy(SMALL)
    at = data
    for key in path[:-1]:
        at = at[key]
    if value is ...:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return data


ERRORS = {
    "none": None,
    "list": [],
    "format": changed("format", value="memonger-graph/2"),
    "no tensors": changed("tensors", value=...),
    "no operators": changed("ops", value=...),
    "tensors are a list": changed("tensors", value=[]),
    "meta is a list": changed("meta", value=[]),
    "no aliases": changed("tensors", "alias", value=...),
    "few kinds": changed("tensors", "kind", value=["i"]),
    "unknown kind": changed("tensors", "kind", 2, value="z"),
    "few bytes": changed("tensors", "bytes", value=[1]),
    "bytes are text": changed("tensors", "bytes", 2, value="4"),
    "bytes are a fraction": changed("tensors", "bytes", 2, value=4.5),
    "bytes are infinite": changed("tensors", "bytes", 2, value=float("inf")),
    "bytes are true": changed("tensors", "bytes", 2, value=True),
    "bytes are negative": changed("tensors", "bytes", 2, value=-4),
    "bytes are too many": changed("tensors", "bytes", 2, value=2**63),
    "name is a number": changed("tensors", "name", 2, value=5),
    "name is empty": changed("tensors", "name", 2, value=""),
    "two of a name": changed("tensors", "name", 3, value="a"),
    "alias of itself": changed("tensors", "alias", 2, value=2),
    "alias in a circle": changed("tensors", "alias", 2, value=4),
    "alias of nothing": changed("tensors", "alias", 4, value=99),
    "alias is a fraction": changed("tensors", "alias", 4, value=2.5),
    "operator is short": changed("ops", 1, value=["op1", "Op"]),
    "operator is a number": changed("ops", 1, value=3),
    "input is unknown": changed("ops", 1, 2, value=[99]),
    "input is negative": changed("ops", 1, 2, value=[-2]),
    "output is negative": changed("ops", 1, 3, value=[-3]),
    "input is text": changed("ops", 1, 2, value="ab"),
    "read before produced": changed("ops", 0, 2, value=[3]),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    with pytest.raises(ProblemError) as error:
        problem_from_graph(ERRORS[name], "file.json")
    assert str(error.value).startswith("file.json: ")
    assert "\n" not in str(error.value)
    assert not re.search(
        r"Error|object is not|unpack|subscript|attribute|NoneType", str(error.value)
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no tensors", "'tensors' must be an object"),
        ("no operators", "'ops' must be a list"),
        ("meta is a list", "'meta' must be an object, got []"),
        ("no aliases", "'tensors' must have a list 'alias'"),
        ("few kinds", "entries in 'kind'"),
        ("unknown kind", "tensor 'a' has the kind 'z'"),
        ("bytes are a fraction", "tensor 'a' has the size 4.5"),
        ("alias of nothing", "has the alias 99"),
        ("operator is short", "operator 1 must be [name, type, inputs, outputs"),
        ("input is unknown", "operator 1 names the tensor 99"),
        ("input is text", "operator 1: the inputs must be a list"),
    ],
)
def test_errors_name_the_field(name, message):
    with pytest.raises(ProblemError) as error:
        problem_from_graph(ERRORS[name], "file.json")
    assert message in str(error.value)


def test_the_error_names_the_operator_and_the_tensor():
    with pytest.raises(ProblemError, match=r"operator 0 \('op0'\) reads 'b' before it is produced"):
        problem_from_graph(ERRORS["read before produced"])


def test_one_number_changed_at_random_raises_only_our_errors():
    """Every place of the data in turn, with a strange value in it."""
    values = [None, True, -1, 99, 1.5, "x", [], {}, [[]]]

    def places(node, path=()):
        yield path
        items = node.items() if isinstance(node, dict) else enumerate(node)
        for key, child in items:
            if isinstance(child, dict | list):
                yield from places(child, (*path, key))
            else:
                yield (*path, key)

    rng = random.Random(0)
    for path in places(SMALL):
        if not path:
            continue
        for value in rng.sample(values, 5):
            try:
                problem_from_graph(changed(*path, value=value), "file.json")
            except ProblemError:
                continue


def test_a_compressed_file(tmp_path):
    path = tmp_path / "g.json.gz"
    path.write_bytes(gzip.compress(json.dumps(SMALL).encode()))
    assert ranges(load(path)) == {"a": (4, 0, 4), "b": (6, 1, 4)}


def test_a_long_chain_of_views():
    """Linear: each view is resolved through the one before it."""
    count = 5_000
    data = graph([("op0", [], [0]), ("op1", [count - 1], [])], [])
    data["tensors"] = {
        "name": [f"t{i}" for i in range(count)],
        "bytes": [4] * count,
        "kind": ["a"] * count,
        "alias": [i - 1 for i in range(count)],
    }
    assert ranges(problem_from_graph(data)) == {"t0": (4, 0, 2)}
