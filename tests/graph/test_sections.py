import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from memonger.graph.sections import FREE, components, sections_of
from memonger.problem import Buffer, Problem
from tests.strategies import problems


@given(problems(max_size=8))
def test_two_buffers_conflict_iff_their_sections_intersect(problem):
    sections = sections_of(problem)
    for i, one in enumerate(sections.indices.tolist()):
        for j, other in enumerate(sections.indices.tolist()):
            together = sections.begin[i] < sections.end[j] and sections.begin[j] < sections.end[i]
            assert together == (one == other or problem.conflict(one, other))


@given(problems(max_size=8))
def test_the_load_is_what_is_live_and_sections_are_maximal(problem):
    sections = sections_of(problem)
    live = [
        {b.name for b in problem.buffers if b.size and b.start <= time < b.end}
        for time in sections.times.tolist()
    ]
    loads = [sum(b.size for b in problem.buffers if b.name in names) for names in live]
    assert (sections.load * sections.unit).tolist() == loads
    assert not any(one <= other for one in live for other in live if one is not other)


@given(problems(max_size=8))
def test_components_are_parts_that_nothing_connects(problem):
    sections = sections_of(problem)
    parts = components(sections)
    assert sorted(np.concatenate(parts).tolist() if parts else []) == list(range(len(sections)))
    reached = [set(part.tolist()) for part in parts]
    for part in reached:
        seen, todo = set(), [min(part)]
        while todo:
            i = todo.pop()
            if i not in seen:
                seen.add(i)
                todo += [
                    j
                    for j in range(len(sections))
                    if sections.begin[i] < sections.end[j] and sections.begin[j] < sections.end[i]
                ]
        assert seen == part


def test_the_unit_takes_in_pins_and_alignments():
    def unit(*rows):
        found = sections_of(
            Problem(tuple(Buffer(f"b{i}", s, 0, 1, a, "", o) for i, (s, a, o) in enumerate(rows)))
        )
        return found.unit, found.alignment.tolist(), found.pinned.tolist()

    assert unit((8, 1, None), (12, 1, None)) == (4, [1, 1], [FREE, FREE])
    assert unit((1024, 64, None), (2048, 1, None)) == (1024, [1, 1], [FREE, FREE])
    assert unit((24, 16, None), (48, 1, None)) == (8, [2, 1], [FREE, FREE])
    assert unit((24, 1, 16), (48, 1, None)) == (8, [1, 1], [2, FREE])
    assert unit((6, 4, None), (6, 9, None)) == (1, [4, 9], [FREE, FREE])
    assert unit() == (1, [], [])


@given(problems(min_size=2, max_size=8), st.data())
def test_a_subset_has_its_own_sections(problem, data):
    sections = sections_of(problem)
    members = sorted(data.draw(st.sets(st.integers(0, len(sections) - 1)))) if len(sections) else []
    part = sections.subset(np.array(members, dtype=np.int64))
    chosen = Problem(tuple(problem.buffers[i] for i in part.indices.tolist()))
    own = sections_of(chosen)
    assert part.begin.tolist() == own.begin.tolist()
    assert part.end.tolist() == own.end.tolist()
    assert (part.size * part.unit).tolist() == (own.size * own.unit).tolist()
    assert (part.load * part.unit).tolist() == (own.load * own.unit).tolist()
