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


GAPPED = "id,lower,upper,size,gaps\na,0,6,8,2-4@0:4\nb,2,4,8,\n"


def test_gaps_are_made_use_of(memonger, folder):
    (folder / "p.csv").write_text(GAPPED)
    arguments = ("solve", "p.csv", "--form", "arena", "--json")
    data = memonger(*arguments, "--output", "plan.json").data
    assert (data["objective"], data["status"], data["proof"]) == (12, "optimal", "clique")
    assert memonger("check", "p.csv", "plan.json", "--require-optimal").code == 0
    (folder / "whole.csv").write_text(GAPPED.replace("2-4@0:4", ""))
    assert memonger("solve", "whole.csv", *arguments[2:]).data["objective"] == 16
    error = memonger("check", "whole.csv", "plan.json").is_error(3)
    assert "gaps) (8, 0, 6, '', 1, None, [])" in error


@pytest.mark.parametrize(("capacity", "code", "fits"), [(12, 0, "yes"), (11, 4, "no, proven")])
def test_a_capacity_with_gaps(memonger, folder, capacity, code, fits):
    (folder / "p.csv").write_text(GAPPED)
    got = memonger("solve", "p.csv", "--form", "arena", "--capacity", capacity, "--json")
    assert (got.code, got.data["fits"]) == (code, fits)


def test_the_sharing_form_refuses_gaps(memonger, folder):
    (folder / "p.csv").write_text(GAPPED)
    error = memonger("solve", "p.csv").is_error(2)
    assert "buffer 'a' has gaps" in error
    assert "--form arena" in error


def test_gaps_go_from_format_to_format(memonger, folder):
    (folder / "p.csv").write_text(GAPPED)
    memonger("solve", "p.csv", "--form", "arena", "--output", "plan.json", "--quiet")
    assert memonger("convert", "p.csv", "p.json").code == 0
    assert memonger("convert", "p.json", "again.csv").code == 0
    assert (folder / "again.csv").read_text() == GAPPED
    for target in ("s.csv", "a.h", "a.bin", "a.perfetto.json", "b.json"):
        assert memonger("convert", "plan.json", target).code == 0
    assert memonger("check", "b.json", "plan.json", "--require-optimal").code == 0
    assert memonger("solve", "s.csv", "--form", "arena", "--json").data["objective"] == 12
    assert memonger("show", "plan.json", "--output", "a.svg").code == 0


def test_info_of_gaps(memonger, folder):
    (folder / "p.csv").write_text(GAPPED)
    data = memonger("info", "p.csv", "--json").data
    assert (data["load_bound"], data["with_gaps"]) == (12, 1)
    assert data["sharing_threshold_bound"] is None
    assert [(b["name"], b["bytes"]) for b in data["peak_buffers"]] == [("b", 8), ("a", 4)]
    assert "buffers with gaps" in memonger("info", "p.csv").out


@pytest.mark.parametrize(("cell", "message"), [("x", "no gap"), ("5-9", "outside its live range")])
def test_gaps_that_are_none(memonger, folder, cell, message):
    (folder / "p.csv").write_text(GAPPED.replace("2-4@0:4", cell))
    assert message in memonger("solve", "p.csv", "--form", "arena").is_error(2)
