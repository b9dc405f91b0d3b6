import gzip
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memonger.errors import InputError, MemongerError, PlanError, ProblemError
from memonger.instances.graph_json import FORMAT as GRAPH
from memonger.instances.graph_json import problem_from_graph
from memonger.instances.loading import load, load_plan, read_json
from memonger.instances.nets import BuiltNet
from memonger.instances.plan_json import FORMAT as PLAN
from memonger.instances.plan_json import plan_from_json, plan_to_json
from memonger.instances.problem_json import FORMAT as PROBLEM
from memonger.instances.problem_json import problem_from_json, problem_to_json
from memonger.net.io import save_net
from memonger.net.netdef_pb2 import NetDef
from memonger.net.type_files import read_sizes
from memonger.problem import Buffer, Problem
from memonger.solver.solve import solve

SMALL = Problem((Buffer("a", 8, 0, 2), Buffer("b", 4, 1, 3)), "small")


def write(path, data):
    path.write_bytes(data if isinstance(data, bytes) else json.dumps(data).encode())
    return path


def test_built_in_nets():
    built = load("mlp")
    assert isinstance(built, BuiltNet)
    assert built.net.op


def test_a_file_of_the_name_of_a_net_wins(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    net = NetDef(name="mine")
    net.op.add(type="Relu", input=["x"], output=["y"])
    save_net(net, tmp_path / "mlp")
    assert load("mlp") == net


@pytest.mark.parametrize("suffix", ["json", "json.gz"])
def test_problems_and_plans(tmp_path, suffix):
    for data in (problem_to_json(SMALL), plan_to_json(SMALL, solve(SMALL))):
        content = json.dumps(data).encode()
        path = write(
            tmp_path / f"p.{suffix}", gzip.compress(content) if suffix == "json.gz" else content
        )
        assert load(path).buffers == SMALL.buffers


def test_a_csv_file_with_a_byte_order_mark(tmp_path):
    path = write(tmp_path / "p.csv", b"\xef\xbb\xbfid,lower,upper,size\nb,0,1,4\n")
    assert load(path).buffers == (Buffer("b", 4, 0, 1),)


@pytest.mark.parametrize("suffix", ["pb", "pbtxt", "anything"])
def test_nets(tmp_path, suffix):
    net = NetDef(name="n")
    net.op.add(type="Relu", input=["x"], output=["y"])
    save_net(net, tmp_path / f"n.{suffix}")
    assert load(tmp_path / f"n.{suffix}") == net


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("resnet", "did you mean resnet50"),
        ("RESNET50", "did you mean resnet50"),
        ("mlp2", "did you mean mlp"),
        ("vit_b16", "vit_b_16_b8"),
        ("xyzzy", "memonger info --list"),
        ("", ""),
    ],
)
def test_unknown_names_hint_at_the_known_ones(name, hint):
    with pytest.raises(InputError) as error:
        load(name)
    assert hint in str(error.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.json", b""),
        ("p.json", b"{"),
        ("p.json", b"\xff\xfe\x00"),
        ("p.json", b"[" * 100_000),
        ("p.json", b"{}"),
        ("p.json", b"[]"),
        ("p.json", b"null"),
        ("p.json", b'{"format": null}'),
        ("p.json", b'{"format": "memonger-plan/9"}'),
        ("p.json", b'{"format": []}'),
        ("p.json", b'{"format": {"a": 1}}'),
        ("p.json", b'{"format": "memonger-problem/1", "buffers": ' + b"[" * 100_000),
        (
            "p.json",
            b'{"format": "memonger-problem/1", "buffers": [{"size": ' + b"9" * 5000 + b"}]}",
        ),
        ("p.json.gz", b"no gzip"),
        ("p.json.gz", b""),
        ("p.json.gz", gzip.compress(b"{}" * 1000)[:-9]),
        ("p.json.gz", gzip.compress(b"{}")[:5]),
        ("p.json.gz", b"\x1f\x8b" + bytes(30)),
        ("p.json.gz", gzip.compress(b"{}")[:-8] + bytes(8)),
        ("p.json.gz", gzip.compress(b"not json")),
        ("p.csv", b""),
        ("p.csv", b"\xff\xfe"),
        ("p.csv", b"id,lower,upper,size\nb\r1,0,1,4\n"),
        ("p.pb", b""),
        ("p.pb", b"\xff" * 40),
        ("p.pbtxt", b"op { type: }"),
        ("p.pb", gzip.compress(b"{}")),
    ],
    ids=range(27),
)
def test_bad_files_are_one_line_that_names_them(tmp_path, name, content):
    path = write(tmp_path / name, content)
    with pytest.raises(MemongerError) as error:
        load(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 1000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "line 1, column 2: "),
        (b'{"a": 1,\n "a"}', "line 2, column 5: "),
        (b"\xff", "no UTF-8 text"),
        (b"[" * 100_000, "nested too deeply"),
        (b"9" * 5000, "a number of thousands of digits"),
    ],
    ids=range(5),
)
def test_what_is_no_json(tmp_path, content, message):
    path = write(tmp_path / "p.json", content)
    with pytest.raises(MemongerError) as error:
        load(path)
    assert str(error.value).startswith(f"{path}: not JSON: {message}")
    with pytest.raises(MemongerError) as error:
        read_sizes(path)
    assert str(error.value).startswith(f"{path}: not JSON: {message}")


@pytest.mark.parametrize(
    "name", ["missing.json", "missing.pb", "no/such/folder/x.csv", ".", "x" * 5000, "a\0b.pb"]
)
def test_paths_that_cannot_be_read(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as error:
        load(name)
    assert "\n" not in str(error.value)


def test_load_plan(tmp_path):
    path = write(tmp_path / "plan.json", plan_to_json(SMALL, solve(SMALL)))
    assert load_plan(path).problem.buffers == SMALL.buffers
    with pytest.raises(InputError, match=r"problem\.json: expected the format"):
        load_plan(write(tmp_path / "problem.json", problem_to_json(SMALL)))


def test_read_json_takes_a_byte_order_mark(tmp_path):
    assert read_json(write(tmp_path / "x.json", b"\xef\xbb\xbf[1]")) == [1]


# Fuzzing: data like ours in shape, with anything in it.

NUMBERS = st.one_of(
    st.integers(-3, 9), st.sampled_from([2**62, 2**64, -(2**63), 1.5, float("inf"), float("nan")])
)
NAMES = st.sampled_from(["a", "b", "", "x", "[/x]", "\ud800", "a\nb"])
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, NAMES)
WORDS = """
    format form name size start end alignment device vector_start vector_end buffers sharing
    objective bound status proof certificate witness kind devices vector_time instance tensors
    ops meta alias bytes in_place mode a b x
"""
KEYS = st.sampled_from(WORDS.split())
JSON = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.one_of(KEYS, NAMES), inner, max_size=6)
    ),
    max_leaves=25,
)
BUFFER = st.fixed_dictionaries(
    {"name": NAMES, "size": NUMBERS, "start": NUMBERS, "end": NUMBERS},
    optional={
        "alignment": SCALARS,
        "device": SCALARS,
        "vector_start": st.lists(NUMBERS, max_size=2),
        "vector_end": st.lists(NUMBERS, max_size=2),
    },
)
PROBLEMS = st.fixed_dictionaries(
    {"format": st.just(PROBLEM), "buffers": st.one_of(st.lists(BUFFER, max_size=4), JSON)},
    optional={"name": JSON, "in_place": JSON},
)
PLANS = st.fixed_dictionaries(
    {
        "format": st.just(PLAN),
        "form": st.just("sharing"),
        "buffers": st.one_of(
            st.dictionaries(NAMES, st.lists(NUMBERS, min_size=3, max_size=3), max_size=3), JSON
        ),
        "sharing": st.one_of(st.dictionaries(NAMES, NUMBERS, max_size=3), JSON),
        "objective": NUMBERS,
        "bound": NUMBERS,
        "status": SCALARS,
    },
    optional={"certificate": JSON, "devices": JSON, "vector_time": JSON, "instance": JSON},
)
COLUMN = st.lists(SCALARS, max_size=4)
GRAPHS = st.fixed_dictionaries(
    {
        "format": st.just(GRAPH),
        "tensors": st.one_of(
            st.fixed_dictionaries(
                {
                    "name": st.lists(NAMES, min_size=3, max_size=3),
                    "bytes": st.lists(NUMBERS, min_size=3, max_size=3),
                    "kind": st.lists(st.sampled_from("iwao"), min_size=3, max_size=3),
                    "alias": st.lists(st.integers(-2, 3), min_size=3, max_size=3),
                }
            ),
            st.fixed_dictionaries(
                {"name": COLUMN, "bytes": COLUMN, "kind": COLUMN, "alias": COLUMN}
            ),
        ),
        "ops": st.lists(
            st.tuples(
                NAMES,
                SCALARS,
                st.lists(st.integers(-4, 3), max_size=2),
                st.lists(st.integers(-4, 3), max_size=2),
                JSON,
            ),
            max_size=4,
        ),
    },
    optional={"meta": JSON},
)


def survives(reader, data):
    """Read data; whatever comes out must be usable, whatever is raised must be ours."""
    try:
        found = reader(data, "file")
    except MemongerError as error:
        assert "\n" not in str(error)  # noqa: PT017
        return
    problem = getattr(found, "problem", found)
    assert problem.total >= 0
    assert all(type(b.name) is str and type(b.size) is int for b in problem.buffers)
    assert all(type(b.start) is int and type(b.end) is int for b in problem.buffers)
    assert len(problem.starts) == len(problem.ends) == len(problem)


FUZZ = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@FUZZ
@given(st.one_of(PROBLEMS, JSON))
def test_fuzz_problems(data):
    survives(problem_from_json, data)


@FUZZ
@given(st.one_of(PLANS, JSON))
def test_fuzz_plans(data):
    survives(plan_from_json, data)


@FUZZ
@given(st.one_of(GRAPHS, JSON))
def test_fuzz_graphs(data):
    survives(problem_from_graph, data)


@settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(
    st.sampled_from(["f.json", "f.json.gz", "f.csv", "f.pb", "f.pbtxt"]),
    st.one_of(st.binary(max_size=60), st.text(max_size=60).map(lambda t: t.encode("utf-8"))),
    st.booleans(),
)
def test_fuzz_files(tmp_path, name, content, squeeze):
    path = write(tmp_path / name, gzip.compress(content) if squeeze else content)
    try:
        load(path)
    except MemongerError as error:
        assert "\n" not in str(error)  # noqa: PT017


def test_error_classes():
    assert issubclass(ProblemError, InputError)
    assert not issubclass(PlanError, InputError)
