from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memonger.errors import MemongerError, PlanError, ProblemError
from memonger.gaps import Gap
from memonger.instances.minimalloc_csv import (
    hints_from_csv,
    plan_to_csv,
    problem_from_csv,
    problem_to_csv,
)
from memonger.plan import ArenaPlan
from memonger.problem import Buffer, Problem, VectorTime
from memonger.rules import Rules
from memonger.solver.solve import solve
from tests.strategies import arena_problems, gapped_problems, problems

EXTRA = "id,lower,upper,size,alignment,hint,gaps,offset\n"
EXAMPLE = "id,lower,upper,size\nb1,0,3,4\nb2,3,9,4\n"


def test_an_example():
    problem = problem_from_csv(EXAMPLE, "example.csv")
    assert problem.buffers == (Buffer("b1", 4, 0, 3), Buffer("b2", 4, 3, 9))
    assert problem.name == "example.csv"
    assert problem_to_csv(problem) == EXAMPLE
    assert not problem.conflict(0, 1)


@settings(max_examples=120, deadline=None)
@given(problems())
def test_round_trip(problem):
    again = problem_from_csv(problem_to_csv(problem))
    assert again.starts.tolist() == problem.starts.tolist()
    assert again.ends.tolist() == problem.ends.tolist()
    assert again.sizes.tolist() == problem.sizes.tolist()
    assert [b.name for b in again.buffers] == [b.name for b in problem.buffers]


@pytest.mark.parametrize("name", ["a,b", 'a"b', "a\nb", "\u00e4", "1", "gpu_0/x", "a b"])
def test_names_are_quoted(name):
    problem = Problem((Buffer(name, 4, 0, 1),))
    assert problem_from_csv(problem_to_csv(problem)).buffers == problem.buffers


@pytest.mark.parametrize(
    "text",
    [
        "id,lower,upper,size,offset\nb1,0,3,4,\nb2,3,9,4, \n",
        "id,lower,upper,size,gaps,hint,alignment,kind\nb1,0,3,4,,,,x\nb2,3,9,4, ,-1,1,y\n",
        "size,upper,lower,id\n4,3,0,b1\n4,9,3,b2\n",
        "buffer,start,end,size\nb1,0,2,4\nb2,3,8,4",
        "buffer_id,start,upper,size\nb1,0,3,4\nb2,3,9,4",
        " ID , Begin,Upper, Size\n b1, 0, 3, 4\n\nb2 ,3 ,9 ,4\n",
        "id,lower,upper,size\r\nb1,0,3,4\r\nb2,3,9,4\r\n",
        '"id","lower","upper","size"\n"b1","0","3","4"\nb2,3,9,4\n',
        "id,lower,upper,size\rb1,0,3,4\rb2,3,9,4\r",
    ],
    ids=[
        "offset",
        "empty cells",
        "order",
        "synonyms",
        "buffer_id",
        "white space",
        "crlf",
        "quotes",
        "cr",
    ],
)
def test_variants(text):
    try:
        problem = problem_from_csv(text)
    except ProblemError:
        assert "\n" not in text  # lines that end in a bare CR may be refused, with one line
        return
    assert problem.buffers == (Buffer("b1", 4, 0, 3), Buffer("b2", 4, 3, 9))


def test_no_buffers():
    assert len(problem_from_csv("id,lower,upper,size\n")) == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "column 'id' is missing"),
        ("\n\n", "column 'id' is missing"),
        ("lower,upper,size\n0,1,2\n", "column 'id' is missing"),
        ("id,lower,upper\nb,0,1\n", "column 'size' is missing"),
        ("id;lower;upper;size\nb;0;1;4\n", "column 'id' is missing"),
        (EXAMPLE + "b3,1,2\n", "row 4 has 3 cells, not 4"),
        (EXAMPLE + "b3,1,2,3,4\n", "row 4 has 5 cells, not 4"),
        (EXAMPLE + "b3,1,2,x\n", "row 4 ('b3')"),
        (EXAMPLE + "b3,1,2,\n", "row 4 ('b3')"),
        (EXAMPLE + "b3,1,2,3.5\n", "row 4 ('b3')"),
        (EXAMPLE + "b3,1,2,-3\n", "'b3' has the negative size -3"),
        (EXAMPLE + "b3,2,2,3\n", "'b3' has the empty or negative live range [2, 2)"),
        (EXAMPLE + "b3,-1,2,3\n", "'b3'"),
        (EXAMPLE + "b1,1,2,3\n", "'b1' stands twice"),
        (EXAMPLE + ",1,2,3\n", "empty name"),
        ("id,lower,upper,size,end\nb,0,1,4,1\n", "both 'end' and 'upper'"),
        ("id,lower,start,upper,size\nb,0,0,1,4\n", "column 'lower' stands twice"),
        ("id,lower,upper,size,hint,hint\nb,0,1,4,0,0\n", "column 'hint' stands twice"),
        ("id,lower,end,size\nb,0,x,4\n", "row 2 ('b') has no integer for 'end'"),
        ("id,lower,end,size\nb,0,-1,4\n", "'b' has the empty or negative live range [0, 0)"),
        (EXTRA + "b,0,1,4,x,,,\n", "row 2 ('b') has no integer for 'alignment'"),
        (EXTRA + "b,0,1,4,0,,,\n", "'b' has the alignment 0, below 1"),
        (EXTRA + "b,0,1,4,,x,,\n", "row 2 ('b') has no integer for 'hint'"),
        (
            EXTRA + "a,0,1,4,,,,\nb,0,9,4,,,2,\n",
            "row 3 ('b') has no gap lower-upper[@low:high]: '2'",
        ),
        (EXTRA + "b,0,9,4,,,1-2-3,\n", "row 2 ('b') has no gap lower-upper[@low:high]: '1-2-3'"),
        (EXTRA + "b,0,9,4,,,A-B,\n", "row 2 ('b') has no gap"),
        (EXTRA + "b,0,9,4,,,-1-3,\n", "row 2 ('b') has no gap"),
        (EXTRA + "b,0,9,4,,,2-4@0,\n", "row 2 ('b') has no gap"),
        (EXTRA + "b,0,9,4,,,2-4@0:2@1:2,\n", "row 2 ('b') has no gap"),
        (EXTRA + f"b,0,9,4,,,2-{'9' * 5000},\n", "row 2 ('b') has no gap"),
        (EXTRA + "b,0,9,4,,,2-4 3-3@1:1,\n", "row 2 ('b') has an empty window: '3-3@1:1'"),
        (EXTRA + "b,0,9,4,,,2-2,\n", "'b' has the gap [2, 2), which is empty"),
        (EXTRA + "b,1,9,4,,,0-2,\n", "'b' has the gap [0, 2) outside its live range [1, 9)"),
        (EXTRA + "b,0,9,4,,,8-10,\n", "'b' has the gap [8, 10) outside its live range [0, 9)"),
        (EXTRA + "b,0,9,4,,,5-7 2-3,\n", "'b' has the gap [2, 3) before the end of another"),
        (EXTRA + "b,0,9,4,,,2-4 3-5,\n", "'b' has the gap [3, 5) before the end of another"),
        (
            EXTRA + "b,0,9,4,,,2-4@0:5,\n",
            "'b' has the gap [2, 4) with the window 0:5, not within 0:4",
        ),
        (
            EXTRA + "b,0,9,4,,,2-4@3:1,\n",
            "'b' has the gap [2, 4) with the window 3:1, not within 0:4",
        ),
        (EXTRA + "b,0,1,4,,,,x\n", "row 2 ('b') has no integer for 'offset'"),
        (EXTRA + "b,0,1,4,,,,-1\n", "'b' cannot be pinned to -1"),
        (EXTRA + "b,0,1,4,4,,,6\n", "'b' cannot be pinned to 6"),
        (EXAMPLE + f"b3,1,2,{2**62}\n", "2^62"),
        (EXAMPLE + f"b3,1,2,{'9' * 5000}\n", "row 4"),
    ],
)
def test_errors(text, message):
    with pytest.raises(ProblemError) as error:
        problem_from_csv(text, "file.csv")
    assert message in str(error.value)
    assert str(error.value).startswith("file.csv: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "id,lower\rupper,size\nb,0,1,4\n",
        EXAMPLE + "b3\r4,1,2,3\n",
        EXAMPLE + "b" * 200_000 + ",1,2,3",
    ],
    ids=["header", "row", "huge cell"],
)
def test_what_the_csv_module_refuses(text):
    with pytest.raises(ProblemError, match=r"file\.csv"):
        problem_from_csv(text, "file.csv")


CELLS = st.lists(st.text("0123456789-, \r\"'xb.", max_size=6), max_size=6).map(",".join)


@settings(max_examples=200, deadline=None)
@given(
    st.one_of(
        st.text(max_size=60),
        st.lists(CELLS, max_size=5).map(lambda rows: EXAMPLE + "\n".join(rows)),
    )
)
def test_any_text_is_a_problem_or_an_error_of_ours(text):
    try:
        problem = problem_from_csv(text, "file.csv")
    except MemongerError:
        return
    assert len(problem) >= 0


@given(arena_problems())
def test_problems_keep_their_alignments_and_pins(problem):
    text = problem_to_csv(problem)
    assert problem_from_csv(text).buffers == problem.buffers
    header = text.splitlines()[0]
    assert ("alignment" in header) == any(b.alignment > 1 for b in problem.buffers)
    assert ("offset" in header) == any(b.offset is not None for b in problem.buffers)


@given(arena_problems())
def test_a_solution_read_as_a_problem_pins_all(problem):
    plan = solve(problem, form="arena", workers=1).plan
    if plan is None:
        return
    pinned = problem_from_csv(plan_to_csv(problem, plan))
    assert [b.offset for b in pinned.buffers] == list(plan.offsets)
    assert [replace(b, offset=None) for b in pinned.buffers] == [
        replace(b, offset=None) for b in problem.buffers
    ]
    assert solve(pinned, form="arena", workers=1).plan == plan


def test_a_solution_as_minimalloc_writes_it():
    plan = ArenaPlan((0, 4))
    assert plan_to_csv(problem_from_csv(EXAMPLE), plan) == (
        "id,lower,upper,size,offset\nb1,0,3,4,0\nb2,3,9,4,4\n"
    )
    aligned = problem_from_csv("id,lower,upper,size,alignment\nb1,0,3,4,4\nb2,3,9,4,\n")
    assert plan_to_csv(aligned, plan) == (
        "id,lower,upper,size,alignment,offset\nb1,0,3,4,4,0\nb2,3,9,4,1,4\n"
    )


def test_a_plan_that_is_not_valid_is_not_written():
    both = Problem((Buffer("a", 4, 0, 2), Buffer("b", 4, 1, 3)))
    with pytest.raises(PlanError, match="overlap"):
        plan_to_csv(both, ArenaPlan((0, 2)))


PAIR = (Buffer("a", 4, 0, 2), Buffer("b", 4, 1, 3))


@pytest.mark.parametrize(
    ("problem", "what"),
    [
        (Problem((PAIR[0], replace(PAIR[1], device="x"))), "several devices"),
        (Problem(PAIR, in_place=((0, 1),)), "in-place pairs"),
        (Problem(PAIR, rules=Rules(at_most=1)), "rules"),
        (
            Problem(PAIR, vector_time=VectorTime.of(np.array([[0], [0]]), np.array([[1], [1]]))),
            "nets that run in parallel",
        ),
    ],
)
def test_what_the_format_has_no_room_for(problem, what):
    with pytest.raises(ProblemError, match=what):
        problem_to_csv(problem)
    if what == "several devices":
        with pytest.raises(ProblemError, match=what):
            plan_to_csv(problem, ArenaPlan((0, 0)))


HINTED = "id,lower,upper,size,alignment,hint\nb1,0,3,4,2,{}\nb2,2,9,4,1,{}\n"


@pytest.mark.parametrize(
    ("cells", "offsets"),
    [
        (("4", "0"), (4, 0)),
        (("0", "5"), (0, 5)),
        (("0", ""), None),
        (("0", "-1"), None),
        (("", ""), None),
        (("0", "3"), None),
        (("5", "0"), None),
    ],
)
def test_hints_are_taken_together_or_not_at_all(cells, offsets):
    text = HINTED.format(*cells)
    plan = hints_from_csv(text, problem_from_csv(text))
    assert plan == (None if offsets is None else ArenaPlan(offsets))


def test_no_hints():
    problem = problem_from_csv(EXAMPLE)
    assert hints_from_csv(EXAMPLE, problem) is None
    assert hints_from_csv(HINTED.format(0, 4), Problem(())) is None


GAPPED = (
    Buffer("0", 15, 5, 10),
    Buffer("1", 18, 6, 12, 2, gaps=(Gap(7, 8), Gap(9, 10, 1, 17))),
)


def test_gaps_as_minimalloc_writes_them():
    text = "id,lower,upper,size,alignment,gaps\n0,5,10,15,1,\n1,6,12,18,2,7-8 9-10@1:17\n"
    assert problem_from_csv(text).buffers == GAPPED
    assert problem_to_csv(Problem(GAPPED)) == text
    assert plan_to_csv(Problem(GAPPED), ArenaPlan((18, 0))) == (
        "id,lower,upper,size,alignment,gaps,offset\n0,5,10,15,1,,18\n1,6,12,18,2,7-8 9-10@1:17,0\n"
    )


def test_with_the_column_end_gaps_name_their_last_times():
    text = "start,size,buffer,end,alignment,gaps\n6,18,1,11,2, 7-7  9-9@1:17 \n5,15,0,9,1,\n"
    assert problem_from_csv(text).buffers == GAPPED[::-1]


@given(gapped_problems())
def test_gaps_survive(problem):
    text = problem_to_csv(problem)
    assert problem_from_csv(text).buffers == problem.buffers
    assert ("gaps" in text.splitlines()[0]) == bool(problem.gapped)


@given(gapped_problems())
def test_a_solution_with_gaps_read_as_a_problem_is_valid(problem):
    plan = solve(problem, form="arena", workers=1).plan
    if plan is None:
        return
    result = solve(problem_from_csv(plan_to_csv(problem, plan)), form="arena", workers=1)
    assert result.plan == plan
