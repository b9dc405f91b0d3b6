import importlib.util
import json
from pathlib import Path

import pytest

from memonger.errors import InputError
from memonger.instances import catalog
from memonger.instances.loading import load, load_order_problem
from memonger.instances.nets import NETS, BuiltNet
from memonger.order_problem import OrderProblem
from memonger.problem import Problem

SCRIPT = Path(__file__).parents[2] / "scripts" / "build_manifest.py"


def test_the_manifest_is_what_its_script_makes():
    spec = importlib.util.spec_from_file_location("build_manifest", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.build() == catalog.manifest()


@pytest.mark.parametrize("name", catalog.graphs())
def test_real_graphs_load_by_name(name):
    problem, operators = load(name), load_order_problem(name)
    assert isinstance(problem, Problem)
    assert isinstance(operators, OrderProblem)
    assert len(problem) > 0
    assert operators.in_order(range(len(operators))).total == problem.total


def test_sets_have_what_they_say():
    sizes = {name: len(catalog.entries_of(name)) for name in catalog.manifest()["sets"]}
    assert sizes["real-inference"] + sizes["real-training"] == len(catalog.graphs()) == 51
    assert sizes["nets"] == len(NETS)
    for name in sizes:
        entries = catalog.entries_of(name)
        assert len({entry.label for entry in entries}) == len(entries)
        assert all(catalog.find(entry.name) == entry and entry.digest for entry in entries)


def test_names_of_each_kind():
    assert isinstance(load("mlp"), BuiltNet)
    assert isinstance(load("encoder-net-30"), BuiltNet)
    assert isinstance(load("churn-30"), Problem)
    assert catalog.find("churn-31").label == "churn/churn-31"
    assert catalog.find("mobilenet_v2_b1").family == "real-inference"
    assert catalog.find("no_such_thing") is None
    assert not NETS.keys() & catalog.graphs().keys()


def test_a_file_goes_before_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("churn-30").write_bytes(b"\x0a\x01n")  # a net of the name n
    assert load("churn-30").name == "n"


def test_sets_whose_files_lie_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setenv("MEMONGER_DATA", str(tmp_path))
    with pytest.raises(InputError, match="MEMONGER_DATA names the directory"):
        catalog.entries_of("minimalloc")
    (tmp_path / "minimalloc").mkdir()
    (tmp_path / "minimalloc" / "A.csv").write_text("id,lower,upper,size\na,0,2,8\n")
    (entry,) = catalog.entries_of("minimalloc")
    assert (entry.label, len(load(entry.source))) == ("minimalloc/A", 1)
    with pytest.raises(InputError, match="no such set; there are: real-inference"):
        catalog.entries_of("minimaloc")


def test_a_broken_manifest_is_named(tmp_path, monkeypatch):
    (tmp_path / catalog.MANIFEST).write_text(json.dumps({"format": "another"}))
    monkeypatch.setattr(catalog, "data_path", lambda: tmp_path)
    with pytest.raises(InputError, match="no manifest"):
        catalog.manifest.__wrapped__()
