import json

import pytest

from memonger.gaps import Gap
from memonger.instances.nets import NETS
from memonger.plan import ArenaPlan, SharingPlan
from memonger.plan_layout import rectangles_of
from memonger.plot import _bytes, draw_plan
from memonger.problem import Buffer, Problem
from memonger.registry import ARENA, ORDER, SHARING


def test_info_json(memonger, problem):
    data = memonger("info", problem, "--json").data
    assert data["buffers"] == 3
    assert data["distinct_sizes"] == 2
    assert data["total_bytes"] == 20
    assert data["load_bound"] == data["sharing_threshold_bound"] == 12
    assert data["peak_time"] == 1
    assert [entry["name"] for entry in data["peak_buffers"]] == ["a", "b"]
    assert data["parallel"] is False
    assert data["devices"] == []


def test_info_of_a_net(memonger, net):
    data = memonger("info", net, "--shapes", "shapes.json", "--json").data
    assert (data["net"], data["operators"], data["blobs"], data["outputs"]) == ("four", 4, 5, ["y"])
    assert data["external_inputs"] == 1
    assert data["total_bytes"] == 72
    assert data["kept_bytes"] == 24
    assert data["left_alone"] == {"external input": 1, "external output": 1}


def test_info_for_people(memonger, net):
    answer = memonger("info", net)
    assert answer.code == 0
    assert "unknown size: 'a' of operator 0" in answer.out
    many = {
        "format": "memonger-problem/1",
        "buffers": [{"name": f"b{i}", "size": i, "start": 0, "end": 1} for i in range(15)],
    }
    (net.parent / "many.json").write_text(json.dumps(many))
    answer = memonger("info", "many.json")
    assert "and 5 more" in answer.out
    assert "b14" in answer.out


def test_info_of_devices(memonger, folder):
    buffers = [
        {"name": f"b{i}", "size": 4, "start": 0, "end": 1, "device": "xy"[i % 2]} for i in range(3)
    ]
    data = {"format": "memonger-problem/1", "buffers": buffers}
    (folder / "p.json").write_text(json.dumps(data))
    found = memonger("info", "p.json", "--json").data
    assert found["devices"] == ["x", "y"]
    assert found["sharing_threshold_bound"] == 12


def test_info_of_nothing(memonger, folder):
    (folder / "p.json").write_text('{"format": "memonger-problem/1", "buffers": []}')
    data = memonger("info", "p.json", "--json").data
    assert data["buffers"] == data["load_bound"] == data["sharing_threshold_bound"] == 0
    assert memonger("info", "p.json").code == 0


def test_lists(memonger):
    nets = memonger("info", "--list", "--json").data["nets"]
    assert list(nets) == list(NETS)
    assert all(nets.values())
    told = memonger("info", "--list")
    assert told.code == 0
    assert all(name in told.out for name in NETS)
    algorithms = memonger("info", "--algorithms", "--json").data["sharing"]
    assert list(algorithms) == SHARING.names()
    abilities = memonger("info", "--algorithms", "--json").data["abilities"]
    keys = ("proves", "vector_time", "in_place", "rules")
    assert abilities == {a.name: {key: getattr(a, key) for key in keys} for a in SHARING}
    assert abilities["optimal"] == dict.fromkeys(keys, True)
    assert abilities["equality"] == dict.fromkeys(keys, False)
    told = memonger("info", "--algorithms").out
    assert all(name in told for name in abilities)  # none is cut short
    sharing, others = told.split("algorithms (arena)")
    assert sharing.count("proofs") == sum(able["proves"] for able in abilities.values())
    assert " ".join(sharing.splitlines()[-5:]).count("rules") == 1
    assert all(name in others for name in (*ARENA.names(), *ORDER.names()))


# show


@pytest.fixture
def plan(memonger, problem):
    assert memonger("solve", problem, "--output", "plan.json").code == 0
    return problem.parent / "plan.json"


@pytest.mark.parametrize(("suffix", "head"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_show(memonger, plan, suffix, head):
    target = plan.parent / f"out.{suffix}"
    answer = memonger("show", plan, "--output", target)
    assert (answer.code, answer.out, answer.err) == (0, "", f"wrote {target}\n")
    assert target.read_bytes().startswith(head)


def test_show_beside_the_plan(memonger, plan):
    assert memonger("show", plan, "--quiet").err == ""
    assert (plan.parent / "plan.png").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("plan.json", "-o", "out.pdf"),
        ("plan.json", "-o", "no/such/out.png"),
        ("missing.json",),
    ],
    ids=" ".join,
)
def test_show_errors(memonger, plan, contents, arguments):
    before = contents()
    memonger("show", *arguments).is_error()
    assert contents() == before


def test_a_problem_cannot_be_shown(memonger, problem, contents):
    before = contents()
    memonger("show", problem).is_error(2)
    assert contents() == before


@pytest.mark.parametrize(
    "problem",
    [
        Problem(()),
        Problem((Buffer("a", 0, 0, 1),)),
        Problem((Buffer("a", 5, 0, 1),), "$a_b^c [x]"),
        Problem(tuple(Buffer(f"b{i}", 2**40 + i, i, i + 2) for i in range(30)), "many"),
    ],
    ids=["empty", "no bytes", "mathematical name", "large"],
)
def test_pictures(problem):
    plan = SharingPlan(tuple(range(len(problem))))
    one = draw_plan(problem, plan, "svg")
    assert one.startswith(b"<?xml")
    assert draw_plan(problem, plan, "png").startswith(b"\x89PNG")


def test_what_is_drawn_of_gaps():
    half = Buffer("a", 8, 0, 6, gaps=(Gap(1, 2), Gap(2, 4, 4, 8)))
    problem = Problem((half, Buffer("b", 3, 2, 4, device="x")))
    owners, *sides = rectangles_of(problem, [10, 20], ArenaPlan((10, 0)))
    assert owners.tolist() == [0, 0, 0, 1]
    assert [side.tolist() for side in sides] == [  # start, end, lower, upper
        [0, 2, 4, 2],
        [1, 4, 6, 4],
        [10, 14, 10, 20],
        [18, 18, 18, 23],
    ]
    assert draw_plan(problem, ArenaPlan((10, 0)), "svg").startswith(b"<?xml")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (1536, "1.5 KiB"), (2**31, "2 GiB"),
     (2**50, "1.04858e+06 GiB")],
)  # fmt: skip
def test_units(value, text):
    assert _bytes(value) == text


def test_pages(memonger, problem):
    pytest.importorskip("bokeh")
    memonger("solve", problem, "--form", "arena", "-o", "arena.json", "--quiet")
    memonger("solve", problem, "-o", "sharing.json", "--quiet")
    answer = memonger("show", "arena.json", "sharing.json", "-o", "both.html")
    assert (answer.code, answer.err) == (0, "wrote both.html\n")
    assert "<html" in (problem.parent / "both.html").read_text()[:200]
    message = memonger("show", "arena.json", "sharing.json", "-o", "both.png").is_error()
    assert "several plans are shown in an .html" in message
    assert "a page an .html" in memonger("show", "arena.json", "-o", "both.txt").is_error()
