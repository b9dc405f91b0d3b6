import json

import pytest

from memonger.instances.catalog import graphs

GRAPH = "silero_vad_16k"


def test_a_graph_is_optimized_as_a_net(memonger, folder):
    assert memonger("convert", GRAPH, "net.pb", "--quiet").code == 0
    sizes = json.loads((folder / "net.sizes.json").read_text())
    assert all(type(size) is int for size in sizes.values())
    done = memonger("optimize", "net.pb", "--sizes", "net.sizes.json", "--json").data
    direct = memonger("optimize", graphs()[GRAPH], "-o", "out.pb", "--json").data
    assert done["objective"] == direct["objective"]
    assert (direct["status"], direct["verified"]) == ("optimal", True)
    assert memonger("check", "net.pb", "out.pb").code == 0
    assert memonger("check", GRAPH, "out.pb").code == 0


def test_nets_are_written_as_nets(memonger, folder):
    assert memonger("convert", "mlp", "mlp.pbtxt", "--quiet").code == 0
    assert "FC" in (folder / "mlp.pbtxt").read_text()
    done = memonger("optimize", "mlp.pbtxt", "--shapes", "mlp.shapes.json", "--json").data
    assert done["objective"] == memonger("optimize", "mlp", "--json").data["objective"]
    assert not (folder / "mlp.sizes.json").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("optimize", GRAPH, "--sizes", "s.json"), "this is a graph"),
        (("optimize", "churn-20"), "this is a problem, not a net"),
        (("optimize", "mlp", "--dim", "batch=1"), "ONNX models only"),
        (("convert", "churn-20", "x.pb"), "this is a problem"),
        (("convert", GRAPH, "x.pb", "--alignment", "64"), "a net is written as it is"),
    ],
)
def test_bad_usage(memonger, folder, contents, arguments, message):
    (folder / "s.json").write_text("{}")
    assert message in memonger(*arguments).is_error()
    assert set(contents()) == {"s.json"}


@pytest.mark.parametrize("out", ["c.json", "c.csv"])
def test_generated_problems_are_read_again(memonger, folder, out):
    assert memonger("generate", "churn", 60, "--seed", 2, "-o", out, "--quiet").code == 0
    first = memonger("solve", out, "--form", "arena", "--json").data
    again = memonger("solve", "churn-60-seed2", "--form", "arena", "--json").data
    assert (first["objective"], first["n"]) == (again["objective"], again["n"])


def test_generated_nets_come_with_their_shapes(memonger, folder):
    memonger("generate", "encoder-training", 60, "-o", "e.pb", "--quiet")
    done = memonger("optimize", "e.pb", "--shapes", "e.shapes.json", "--json").data
    again = memonger("optimize", "encoder-training-60", "--json").data
    assert done["objective"] == again["objective"] > 0
    assert done["status"] == "optimal"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("chrn", 5, "-o", "x.json"), "did you mean churn?"),
        (("churn", 0, "-o", "x.json"), "1 to 1000000 buffers"),
        (("churn", 5, "-o", "x.pb"), "makes problems, which are .json or .csv"),
        (("unet-net", 50, "-o", "x.json"), "makes nets, which are .pb or .pbtxt"),
        (("churn", 5, "-o", "away/x.json"), "there is no directory"),
        (("churn", 5, "-o", "x.json", "--seed", -1), "--seed"),
        (("churn", 5, "-o", "x.json", "--seed", 2**63), "--seed"),
    ],
)
def test_what_cannot_be_generated(memonger, folder, contents, arguments, message):
    assert message in memonger("generate", *arguments).is_error()
    assert contents() == {}


def test_lists(memonger):
    data = memonger("info", "--list", "--json").data
    assert set(data) == {"sets", "nets", "graphs", "generators"}
    assert len(data["sets"]["real-training"]["instances"]) == 11
    text = memonger("info", "--list").out
    assert all(name in text for name in ("smoke", "resnet50", "guillotine", "minimalloc"))
    solu = memonger("info", "--solu", "arena").out
    assert "=opt= guillotine/guillotine-30 16777216\n" in solu
    assert memonger("info", "--solu", "arena", "--json").data


def test_sets_are_benchmarked_and_what_is_better_kept(memonger, folder):
    arguments = ("bench", "smoke", "--algorithms", "optimal,by-size", "--forms", "sharing,arena")
    keep = ("--update-best-known", "--best-known", "known", "--quiet")
    assert memonger(*arguments, "-o", "runs.jsonl", *keep).code == 0
    values = json.loads((folder / "known" / "best_known.json").read_text())["values"]
    assert len(values) == 6
    assert all(entry["status"] == "optimal" for v in values.values() for entry in v.values())
    row = json.loads((folder / "runs.jsonl").read_text().splitlines()[0])
    assert row["best_known"] is not None
    message = memonger(*arguments, "-o", "r.jsonl", "--best-known", "known").is_error()
    assert "goes with --update-best-known" in message
