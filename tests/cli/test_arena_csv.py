"""MiniMalloc's CSV on the command line: pins, hints, gaps."""

import pytest

import memonger.solver.solve as solver
from memonger.plan import ArenaPlan

PINNED = "id,lower,upper,size,offset\na,0,2,8,20\nb,1,3,4,16\nc,2,4,8,20\n"
HINTED = "id,lower,upper,size,hint\na,0,2,8,0\nb,1,3,4,8\nc,2,4,8,{}\n"


@pytest.fixture
def pinned(folder):
    """Return a solution of MiniMalloc in 28 bytes where 12 suffice."""
    path = folder / "solution.csv"
    path.write_text(PINNED)
    return path


@pytest.fixture
def hints(monkeypatch):
    """Return a list of the hints that the solver was started with."""
    found = []
    run = solver.solve

    def spy(*arguments, **options):
        found.append(options["hint"])
        return run(*arguments, **options)

    monkeypatch.setattr(solver, "solve", spy)
    return found


def test_a_solution_leaves_nothing_to_decide(memonger, pinned):
    data = memonger("solve", pinned, "--form", "arena", "--json").data
    assert (data["objective"], data["status"]) == (28, "optimal")


def test_unpin(memonger, pinned):
    arguments = (pinned, "--form", "arena", "--unpin", "--json", "--output", "plan.json")
    assert memonger("solve", *arguments).data["objective"] == 12
    assert memonger("check", pinned, "plan.json", "--unpin").code == 0
    assert "is (size, start, end" in memonger("check", pinned, "plan.json").is_error(3)
    assert "--unpin" in memonger("solve", "--help").out


def test_the_sharing_form_pays_no_heed_to_pins(memonger, pinned):
    arguments = (pinned, "--form", "sharing", "--json", "--output", "plan.json")
    assert memonger("solve", *arguments).data["objective"] == 12
    assert memonger("check", pinned, "plan.json", "--require-optimal").code == 0


@pytest.mark.parametrize(("cell", "start"), [("0", ArenaPlan((0, 8, 0))), ("", None), ("5", None)])
def test_hints_start_the_search(memonger, folder, hints, cell, start):
    (folder / "p.csv").write_text(HINTED.format(cell))
    assert memonger("solve", "p.csv", "--form", "arena", "--json").data["objective"] == 12
    assert hints == [start]
    hints.clear()
    assert memonger("solve", "p.csv", "--json").data["objective"] == 12
    assert hints == [None]


def test_a_hint_of_the_command_line_comes_first(memonger, folder, hints):
    (folder / "p.csv").write_text(HINTED.format("0"))
    arguments = ("solve", "p.csv", "--form", "arena", "--output", "plan.json", "--json")
    memonger(*arguments)
    (folder / "p.csv").write_text(HINTED.format("100"))
    memonger(*arguments, "--hint", "plan.json")
    assert max(hints[1].offsets) < 100


def test_hints_that_an_alignment_makes_invalid_are_left(memonger, folder, hints):
    (folder / "p.csv").write_text(HINTED.format("0"))
    arguments = ("solve", "p.csv", "--form", "arena", "--alignment", "16", "--json")
    assert memonger(*arguments).data["objective"] == 20
    assert hints == [None]


def test_gaps_are_refused(memonger, folder):
    (folder / "p.csv").write_text("id,lower,upper,size,gaps\na,0,2,8,\nb,1,9,4,2-4@0:2\n")
    for form in ("arena", "sharing"):
        error = memonger("solve", "p.csv", "--form", form).is_error(2)
        assert error == "p.csv: row 3 ('b') has gaps, which cannot be planned: '2-4@0:2'"
