import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memonger.errors import InputError
from memonger.graph.sections import sections_of
from memonger.heuristics.arena_orders import KEYS, conflicts, order, ranks, tightest
from memonger.problem import Buffer, Problem
from tests.strategies import problems


def plain_values(problem):
    """Restate every key with loops over the sections; letter -> values."""
    sections = sections_of(problem)
    spans = list(zip(sections.begin.tolist(), sections.end.tolist(), strict=True))
    sizes, load = sections.size.tolist(), sections.load.tolist()

    lasting = [problem.buffers[i].end - problem.buffers[i].start for i in sections.indices]
    return {
        "W": lasting,
        "C": [end - begin for begin, end in spans],
        "Z": sizes,
        "A": [float(size) * width for size, width in zip(sizes, lasting, strict=True)],
        "B": [float(z) * (end - begin) for z, (begin, end) in zip(sizes, spans, strict=True)],
        "T": [max(load[begin:end]) for begin, end in spans],
        "O": [sum(a < d and c < b for c, d in spans) - 1 for a, b in spans],
        "L": [begin for begin, _ in spans],
        "U": [end for _, end in spans],
    }


@given(problems(max_size=9, horizon=12), st.text("WCZABTOLUwczabtolu", min_size=1, max_size=4))
def test_orders_against_a_plain_sort(problem, code):
    values = plain_values(problem)
    assert set(values) == set(KEYS)
    expected = sorted(
        range(len(sections_of(problem))),
        key=lambda i: [-values[c][i] if c.isupper() else values[c.upper()][i] for c in code],
    )
    assert order(sections_of(problem), code).tolist() == expected


@given(problems(max_size=9, horizon=12))
def test_values(problem):
    sections = sections_of(problem)
    values = plain_values(problem)
    assert sections.duration.tolist() == values["W"]
    assert conflicts(sections).tolist() == values["O"]
    assert tightest(sections.load, sections).tolist() == values["T"]
    found = order(sections, "TWA")
    assert found[ranks(found)].tolist() == list(range(len(sections)))


@pytest.mark.parametrize("code", ["", "Q", "TX", "T W"])
def test_unknown_codes_are_refused(code):
    with pytest.raises(InputError, match="no order is called"):
        order(sections_of(Problem(())), code)


def test_large_areas_do_not_overflow():
    spans = ((2**40, 2**41), (0, 2**41), (0, 2**40))
    problem = Problem(tuple(Buffer(f"b{i}", 2**50, *span) for i, span in enumerate(spans)))
    assert order(sections_of(problem), "A").tolist() == [1, 0, 2]
    assert order(sections_of(Problem(())), "TWABCOULZ").dtype == np.int64
