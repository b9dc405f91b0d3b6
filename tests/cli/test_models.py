"""ONNX and TensorFlow Lite models on the command line."""

import pytest


@pytest.fixture
def onnx_file(folder):
    pytest.importorskip("onnx")
    from tests import onnx_models as build

    return build.save(build.residual(), folder / "m.onnx")


@pytest.fixture
def tflite_file(folder):
    pytest.importorskip("tflite")
    from tests import tflite_models as build

    path = folder / "m.tflite"
    path.write_bytes(build.model(build.SMALL, build.BODY))
    return path


@pytest.mark.parametrize("form", ["sharing", "arena", "order"])
def test_solve_onnx(memonger, onnx_file, form):
    data = memonger("solve", onnx_file, "--form", form, "--dim", "batch=2", "--json").data
    assert (data["status"], data["objective"]) == ("optimal", 288)


@pytest.mark.parametrize("form", ["sharing", "arena", "order"])
def test_solve_tflite(memonger, tflite_file, form):
    data = memonger("solve", tflite_file, "--form", form, "--json").data
    assert (data["status"], data["objective"]) == ("optimal", 192)


def test_plans_are_checked_against_their_model(memonger, onnx_file):
    args = ("--dim", "batch=2", "--order", "optimal", "--form", "arena")
    assert memonger("solve", onnx_file, *args, "-o", "plan.json", "-q").code == 0
    assert memonger("check", onnx_file, "plan.json", "--dim", "batch=2").code == 0
    assert memonger("check", onnx_file, "plan.json", "--dim", "batch=3").code == 3


def test_convert_info_and_optimal_orders(memonger, tflite_file):
    assert memonger("convert", tflite_file, "p.csv", "--alignment", "16").code == 0
    assert memonger("info", "p.csv", "--json").data["load_bound"] == 192
    assert memonger("info", tflite_file, "--json").data["load_bound"] == 192
    body = memonger("info", tflite_file, "--subgraph", "1", "--json").data
    assert body["load_bound"] == 32
    outputs = memonger("solve", tflite_file, "--planned", "activations+outputs", "--json").data
    assert outputs["n"] == 4


def test_the_format_can_be_said(memonger, folder, tflite_file):
    tflite_file.rename(folder / "model")
    assert memonger("solve", "model", "--json").code == 2
    assert memonger("solve", "model", "--format", "tflite", "--json").data["objective"] == 192
    (folder / "table").write_text("id,lower,upper,size\na,0,2,8\nb,1,3,4\n")
    assert memonger("solve", "table", "--format", "csv", "--json").data["objective"] == 12
    assert memonger("solve", "table", "--format", "json").code == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "--dim NAME=VALUE sets batch"),
        (("--dim", "height=2"), "no input has the open dimension 'height'; open: batch"),
        (("--dim", "batch"), "expected NAME=VALUE"),
        (("--dim", "batch=-1"), "expected NAME=VALUE"),
        (("--dim", "batch=2", "--subgraph", "1"), "no subgraph 1"),
    ],
)
def test_what_is_said_of_bad_options(memonger, onnx_file, options, said):
    answer = memonger("solve", onnx_file, *options)
    assert answer.code == 2
    assert said in " ".join(answer.err.split())


def test_options_of_models_are_for_models(memonger, folder):
    (folder / "p.csv").write_text("id,lower,upper,size\na,0,2,8\n")
    for options in (("--dim", "batch=2"), ("--subgraph", "1")):
        assert memonger("solve", "p.csv", *options).code == 2
        assert memonger("solve", "mlp", *options).code == 2


def test_the_largest_file_that_is_read(memonger, folder, monkeypatch):
    import gzip

    (folder / "p.csv").write_text("id,lower,upper,size\na,0,2,8\n")
    monkeypatch.setenv("MEMONGER_MAX_BYTES", "10")
    answer = memonger("solve", "p.csv")
    assert answer.code == 2
    assert "p.csv: more than 10 bytes" in " ".join(answer.err.split())
    monkeypatch.setenv("MEMONGER_MAX_BYTES", "1000")
    assert memonger("solve", "p.csv").code == 0
    (folder / "p.json.gz").write_bytes(gzip.compress(b" " * 2000 + b"{}"))
    answer = memonger("solve", "p.json.gz")
    assert "p.json.gz: more than 1000 bytes" in " ".join(answer.err.split())
    monkeypatch.setenv("MEMONGER_MAX_BYTES", "many")
    assert "MEMONGER_MAX_BYTES=many" in " ".join(memonger("solve", "p.csv").err.split())
