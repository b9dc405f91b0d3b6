import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memonger.errors import MemongerError, ProblemError
from memonger.instances.minimalloc_csv import problem_from_csv, problem_to_csv
from memonger.problem import Buffer, Problem
from tests.strategies import problems

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
        "id,lower,upper,size,offset\nb1,0,3,4,0\nb2,3,9,4,0\n",
        "size,upper,lower,id\n4,3,0,b1\n4,9,3,b2\n",
        "buffer,start,end,size\nb1,0,3,4\nb2,3,9,4",
        " ID , Begin,End, Size\n b1, 0, 3, 4\n\nb2 ,3 ,9 ,4\n",
        "id,lower,upper,size\r\nb1,0,3,4\r\nb2,3,9,4\r\n",
        '"id","lower","upper","size"\n"b1","0","3","4"\nb2,3,9,4\n',
        "id,lower,upper,size\rb1,0,3,4\rb2,3,9,4\r",
    ],
    ids=["offset", "order", "synonyms", "white space", "crlf", "quotes", "cr"],
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
