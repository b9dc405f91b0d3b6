"""Where `memonger solve` starts from, what it may do in place, and what it says on its way."""

import json

import pytest

from tests.cli.conftest import LOOSE
from tests.cli.test_solve_check import problem_data, write


@pytest.fixture
def loose(folder):
    """Return a problem whose optimum lies above the threshold bound."""
    return write(folder / "loose.json", problem_data(LOOSE))


def test_hint(memonger, loose, folder):
    best = memonger("solve", loose, "--output", "plan.json", "--json").data
    assert best["status"] == "optimal"
    alone = memonger("solve", loose, "--algorithm", "equality", "--json").data
    assert alone["objective"] > best["objective"]
    started = memonger("solve", loose, "--algorithm", "equality", "--hint", "plan.json", "--json")
    assert started.data["objective"] == best["objective"]
    assert started.data["source"] == "hint"


def test_hints_that_do_not_fit(memonger, loose, folder):
    other = write(folder / "other.json", problem_data(LOOSE[:4]))
    memonger("solve", other, "-o", "short.json")
    assert "does not place 'b4'" in memonger("solve", loose, "--hint", "short.json").is_error()
    memonger("solve", loose, "-o", "long.json")
    assert "other buffers besides" in memonger("solve", other, "--hint", "long.json").is_error()
    assert "no such file" in memonger("solve", loose, "--hint", "none.json").is_error().lower()
    data = json.loads((folder / "long.json").read_text())
    data["sharing"] = dict.fromkeys(data["sharing"], 0)
    write(folder / "wrong.json", data)
    answer = memonger("solve", loose, "--hint", "wrong.json")
    assert "no plan for this problem: buffers" in answer.is_error()
    broken = memonger("solve", other, "--hint", "short.json", "--max-buffers", "0").is_error()
    assert "at most 0 are allowed" in broken


def test_json_lines(memonger, loose):
    answer = memonger("solve", loose, "--json-lines", "--workers", "1")
    *steps, last = [json.loads(line) for line in answer.out.splitlines()]
    assert steps
    assert all(set(step) == {"objective", "bound", "seconds"} for step in steps)
    objectives = [step["objective"] for step in steps]
    assert objectives == sorted(objectives, reverse=True)
    assert steps[-1]["bound"] <= last["bound"] == last["objective"] <= objectives[-1]
    assert last["status"] == "optimal"


def test_in_place(memonger, folder):
    data = problem_data([(8, 0, 3), (8, 2, 4)])
    data["in_place"] = [["b0", "b1"]]
    pair = write(folder / "pair.json", data)
    assert memonger("solve", pair, "--no-in-place", "--json").data["objective"] == 16
    answer = memonger("solve", pair, "--json", "-o", "plan.json").data
    assert (answer["objective"], answer["status"]) == (8, "optimal")
    assert memonger("check", pair, "plan.json").code == 0
    assert memonger("solve", pair, "--alignment", "64", "--json").data["objective"] == 64


def test_check_knows_the_pairs(memonger, folder):
    """A plan is checked for the input: with its pairs, whatever pairs the plan was made with."""
    data = problem_data([(8, 0, 3), (8, 2, 4)])
    plain = write(folder / "plain.json", data)
    pair = write(folder / "pair.json", {**data, "in_place": [["b0", "b1"]]})
    memonger("solve", pair, "-o", "both.json")
    memonger("solve", pair, "--no-in-place", "-o", "none.json")
    assert memonger("check", pair, "both.json").code == 0
    assert memonger("check", plain, "none.json").code == 0
    assert "proves 8 bytes, 16 are claimed" in memonger("check", pair, "none.json").is_error(3)
    assert "live at the same time" in memonger("check", plain, "both.json").is_error(3)


def test_rules(memonger, loose, folder):
    free = memonger("solve", loose, "--json").data
    few = memonger("solve", loose, "--max-buffers", "3", "--json", "-o", "few.json").data
    assert (few["status"], few["objective"] >= free["objective"]) == ("optimal", True)
    assert memonger("check", loose, "few.json").code == 0
    none = memonger("solve", loose, "--max-buffers", "1", "--json", "-o", "none.json")
    assert (none.code, none.data["status"], none.data["objective"]) == (4, "infeasible", None)
    assert not (folder / "none.json").exists()
    fits = memonger("solve", loose, "--max-buffers", "1", "--capacity", "99", "--json")
    assert (fits.code, fits.data["fits"]) == (4, "no, proven")
    assert "infeasible" in memonger("solve", loose, "--max-buffers", "1").out
    assert (
        "cannot keep rules"
        in memonger("solve", loose, "--max-buffers", "1", "--algorithm", "by-size").is_error()
    )


def test_rules_in_files(memonger, folder):
    data = problem_data([(8, 0, 2), (4, 1, 3), (8, 2, 4), (2, 3, 5)])
    plain = write(folder / "plain.json", data)
    rules = {"at_most": 4, "apart": [["b0", "b2"]], "together": [["b1", "b3"]]}
    ruled = write(folder / "ruled.json", {**data, "rules": rules})
    answer = memonger("solve", ruled, "--json", "-o", "ruled.plan.json").data
    assert (answer["status"], answer["objective"]) == ("optimal", 20)
    memonger("solve", plain, "-o", "plain.plan.json")
    assert memonger("check", ruled, "ruled.plan.json").code == 0
    assert memonger("check", plain, "ruled.plan.json").code == 0
    assert "must not share" in memonger("check", ruled, "plain.plan.json").is_error(3)
    for wrong in ({"apart": [["b0"]]}, {"together": [["b0", "x"]]}, {"most": 1}, {"at_most": "2"}):
        write(folder / "wrong.json", {**data, "rules": wrong})
        memonger("solve", "wrong.json").is_error()
