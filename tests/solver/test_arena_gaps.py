"""The arena form where buffers have gaps, against all placements."""

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import memonger.solver.arena_gaps as module
from memonger.gaps import Gap
from memonger.graph.sections import sections_of
from memonger.graph.spans import spans_of, whole_spans
from memonger.heuristics.arena_boxes import pins_clash
from memonger.heuristics.arena_orders import order
from memonger.heuristics.canonical_gaps import canonical_with_gaps
from memonger.heuristics.first_fit_gaps import fit_into_gaps, pins_contradict
from memonger.plan import ArenaPlan
from memonger.problem import Buffer, Problem
from memonger.registry import ARENA
from memonger.result import Proof, Status
from memonger.solver.arena_bounds import load_bound
from memonger.solver.arena_gaps import nearer_and_nearer
from memonger.solver.no_overlap import decide
from memonger.solver.placement_kernel import FITS, FULL
from memonger.solver.solve import solve
from memonger.stop import Deadline
from memonger.verify import verify_arena
from tests.oracles import smallest_peak, smallest_peak_with_gaps, taken_bytes
from tests.strategies import gapped_problems

SMALL = {"max_size": 6, "largest": 5}


def whole(problem):
    """Return a problem without its gaps."""
    return Problem(tuple(replace(b, gaps=()) for b in problem.buffers))


@settings(max_examples=250)
@given(gapped_problems(**SMALL), st.sampled_from([1, 1, 2]))
def test_the_optimum_is_that_of_all_placements(problem, workers):
    best = smallest_peak_with_gaps(problem)
    result = solve(problem, form="arena", workers=workers)
    if best is None:
        assert (result.status, result.plan) == (Status.INFEASIBLE, None)
        return
    assert (result.status, result.objective, result.bound) == (Status.OPTIMAL, best, best)
    assert verify_arena(problem, result.plan) == best
    assert (result.certificate is not None) == (result.proof is Proof.CLIQUE)


@settings(max_examples=150)
@given(gapped_problems(min_size=1, **SMALL), st.integers(-3, 2))
def test_both_answers_to_a_capacity_are_right(problem, slack):
    best = smallest_peak_with_gaps(problem)
    if best is None or best + slack < 0:
        return
    result = solve(problem, form="arena", workers=1, capacity=best + slack)
    if slack >= 0:
        assert result.objective <= best + slack
    else:
        assert result.bound > best + slack


@settings(max_examples=60)
@given(gapped_problems(max_size=5, largest=4), st.sampled_from([3, 4]))
def test_sizes_and_windows_have_one_unit(problem, factor):
    """All numbers times a factor: the optimum too."""
    buffers = tuple(
        replace(
            b,
            size=factor * b.size,
            alignment=factor * b.alignment,
            offset=None if b.offset is None else factor * b.offset,
            gaps=tuple(Gap(g.start, g.end, factor * g.lower, factor * g.upper) for g in b.gaps),
        )
        for b in problem.buffers
    )
    best = smallest_peak_with_gaps(problem)
    result = solve(Problem(buffers), form="arena", workers=1)
    assert result.objective == (None if best is None else factor * best)
    if len(problem):
        assert sections_of(Problem(buffers)).unit % factor == 0


@given(gapped_problems(**SMALL))
def test_gaps_never_cost_anything(problem):
    without = smallest_peak(whole(problem))
    if without is not None:
        assert solve(problem, form="arena", workers=1).objective <= without


def test_gaps_that_are_full_windows_change_nothing():
    rng = random.Random(1)
    for _ in range(20):
        rows = []
        for i in range(6):
            start = rng.randrange(5)
            end = start + rng.randint(1, 4)
            size = rng.randint(1, 5)
            rows.append(Buffer(f"b{i}", size, start, end, gaps=(Gap(start, end, 0, size),)))
        problem = Problem(tuple(rows))
        one, two = (solve(p, form="arena", workers=1) for p in (problem, whole(problem)))
        assert (one.objective, one.status) == (two.objective, two.status)


EXAMPLES = [  # buffers, the optimum, and that without gaps
    ((Buffer("a", 8, 0, 6, gaps=(Gap(2, 4),)), Buffer("b", 8, 2, 4)), 8, 16),
    ((Buffer("a", 8, 0, 6, gaps=(Gap(2, 4, 4, 8),)), Buffer("b", 8, 2, 4)), 12, 16),
    ((Buffer("a", 8, 0, 6, gaps=(Gap(2, 4, 0, 3),)), Buffer("b", 5, 2, 4)), 8, 13),
    # Both lie at 0: each takes the upper half while the other has the lower one.
    (
        (
            Buffer("a", 8, 0, 4, gaps=(Gap(0, 2, 0, 4), Gap(2, 4, 4, 8))),
            Buffer("b", 8, 0, 4, gaps=(Gap(0, 2, 4, 8), Gap(2, 4, 0, 4))),
        ),
        8,
        16,
    ),
    # The middle of a is free, but where it is does not suit the alignment of b.
    ((Buffer("a", 9, 0, 2, gaps=(Gap(0, 2, 0, 1),)), Buffer("b", 8, 0, 2, 8)), 16, 17),
    # Never taken, yet the arena must hold it.
    ((Buffer("a", 8, 0, 2, gaps=(Gap(0, 2),)), Buffer("b", 3, 0, 2)), 8, 11),
    # Pinned where without gaps no plan is.
    (
        (Buffer("a", 8, 0, 6, offset=0, gaps=(Gap(2, 4),)), Buffer("b", 4, 2, 4, offset=2)),
        8,
        None,
    ),
]


@pytest.mark.parametrize(("buffers", "best", "without"), EXAMPLES)
def test_examples(buffers, best, without):
    problem = Problem(buffers)
    assert smallest_peak_with_gaps(problem) == best
    assert smallest_peak(whole(problem)) == without
    result = solve(problem, form="arena", workers=1)
    assert (result.status, result.objective) == (Status.OPTIMAL, best)
    assert solve(whole(problem), form="arena", workers=1).objective == without


def test_pins_that_contradict_in_spite_of_gaps():
    pins = (Buffer("a", 4, 0, 6, offset=0, gaps=(Gap(1, 2, 0, 3),)), Buffer("b", 4, 1, 2, offset=2))
    assert pins_contradict(Problem(pins))
    result = solve(Problem(pins), form="arena")
    assert (result.status, result.plan) == (Status.INFEASIBLE, None)
    assert not pins_contradict(Problem((pins[0], replace(pins[1], offset=3))))


@pytest.mark.parametrize("name", ARENA.names())
@settings(max_examples=15)
@given(problem=gapped_problems(max_size=5, largest=4))
def test_every_algorithm_gives_valid_plans_and_bounds(name, problem):
    best = smallest_peak_with_gaps(problem)
    seen = []
    result = solve(problem, name, form="arena", workers=1, report=seen.append)
    if best is None:
        assert result.plan is None
        return
    assert result.bound <= best
    assert all(state.bound <= best for state in seen)
    if result.plan is None:  # without gaps the pins contradict each other
        assert smallest_peak(whole(problem)) is None
    else:
        assert result.objective == verify_arena(problem, result.plan) >= best


@settings(max_examples=60)
@given(gapped_problems(min_size=2, max_size=6), st.sampled_from(["A", "Zl", "TWA", "l"]))
def test_greedies_place_by_their_rules(problem, code):
    """First fit leaves no lower place free, and both are valid."""
    sections = sections_of(problem)
    if pins_contradict(problem):
        return
    spans = spans_of(problem, sections)
    buffers = order(sections, code)
    fitted = fit_into_gaps(sections, spans, buffers)
    canonical = canonical_with_gaps(sections, spans, buffers)
    for offsets in (fitted, canonical):
        verify_arena(problem, ArenaPlan(tuple((offsets * sections.unit).tolist())))
    turn = [i for i in buffers.tolist() if problem.buffers[i].offset is None]
    before = {i for i in range(len(problem)) if problem.buffers[i].offset is not None}
    for i in turn:
        part = [*before, i]
        at = int(fitted[i]) * sections.unit
        for lower in range(0, at, problem.buffers[i].alignment):
            assert clash(problem, fitted * sections.unit, part, i, lower)
        before.add(i)


def clash(problem, offsets, part, i, place):
    """Return whether buffer i at a place takes a byte that another one of a part takes."""
    return any(
        {place + byte for byte in taken_bytes(problem, i, time)}
        & {int(offsets[j]) + byte for byte in taken_bytes(problem, j, time)}
        for j in part
        if j != i
        for time in range(8)
    )


def test_a_canonical_greedy_gives_up_at_a_limit():
    problem = Problem(tuple(Buffer(f"b{i}", 4, 0, 2, gaps=(Gap(0, 1),)) for i in range(3)))
    sections = sections_of(problem)
    spans = spans_of(problem, sections)
    unit = sections.unit
    buffers = order(sections, "A")
    assert canonical_with_gaps(sections, spans, buffers, below=12 // unit) is None
    assert canonical_with_gaps(sections, spans, buffers, below=12 // unit + 1) is not None
    assert canonical_with_gaps(sections, spans, buffers, deadline=Deadline(0)) is None
    assert fit_into_gaps(sections, spans, buffers, Deadline(0)) is None


@settings(max_examples=100)
@given(gapped_problems(min_size=1, max_size=5, largest=5), st.integers(-2, 1))
def test_cp_sat_answers_by_the_definition(problem, slack):
    best = smallest_peak_with_gaps(problem)
    if best is None or best + slack < 0:
        return
    sections = sections_of(problem)
    spans = spans_of(problem, sections)
    capacity = (best + slack) // sections.unit
    found = decide(sections, capacity, deadline=Deadline(None), spans=spans)
    assert found.verdict == (FITS if capacity * sections.unit >= best else FULL)
    if found.offsets is not None:
        offsets = [b.offset or 0 for b in problem.buffers]
        for index, offset in zip(sections.indices.tolist(), found.offsets.tolist(), strict=True):
            offsets[index] = offset * sections.unit
        assert verify_arena(problem, ArenaPlan(tuple(offsets))) <= capacity * sections.unit


@given(gapped_problems(min_size=1))
def test_spans_in_sections(problem):
    sections = sections_of(problem)
    spans = spans_of(problem, sections)
    most = max(
        sum(len(taken_bytes(problem, i, time)) for i in range(len(problem))) for time in range(8)
    )
    assert int(spans.load.max(initial=0)) * sections.unit == most
    for k, time in enumerate(spans.times.tolist()):
        live = {
            int(spans.owner[s]) for s in range(len(spans)) if spans.begin[s] <= k < spans.end[s]
        }
        assert live == {i for i in range(len(problem)) if taken_bytes(problem, i, time)}
    bound, certificate = load_bound(problem)
    assert bound >= most
    assert certificate.bound(problem) == bound


def test_without_gaps_spans_are_whole():
    problem = Problem((Buffer("a", 4, 0, 3), Buffer("b", 6, 1, 5), Buffer("c", 0, 1, 2)))
    sections = sections_of(problem)
    spans, same = spans_of(problem, sections), whole_spans(sections)
    assert spans.upper.tolist() == same.upper.tolist() == sections.size.tolist()
    assert spans.load.tolist() == sections.load.tolist()


def many(count, seed, share):
    """Return a problem of many buffers, a share of them with a gap, half of these with a window."""
    rng = random.Random(seed)
    rows = []
    for i in range(count):
        start = rng.randrange(count)
        end = start + rng.randint(3, 12)
        size = 2 * rng.randint(1, 40)
        gaps = ()
        if rng.random() < share:
            first = rng.randint(start, end - 1)
            window = rng.choice([(0, 0), (0, size // 2)])
            gaps = (Gap(first, rng.randint(first + 1, end), *window),)
        rows.append(Buffer(f"b{i}", size, start, end, gaps=gaps))
    return Problem(tuple(rows))


@pytest.mark.parametrize("seed", range(4))
def test_larger_problems_are_closed(seed):
    problem = many(40, seed, 0.5)
    one = solve(problem, form="arena", workers=1, time_limit=60)
    two = solve(problem, form="arena", workers=2, time_limit=60)
    assert one.status is two.status is Status.OPTIMAL
    assert one.objective == two.objective
    assert solve(problem, form="arena", workers=1, time_limit=60).plan == one.plan


def test_components_with_and_without_gaps_side_by_side():
    problem = many(30, 3, 0.6)
    later = tuple(
        replace(b, name=f"w{b.name}", start=b.start + 100, end=b.end + 100, gaps=())
        for b in problem.buffers
    )
    both = Problem((*problem.buffers, *later))
    parts = [
        solve(Problem(part), form="arena", workers=1).objective for part in (problem.buffers, later)
    ]
    result = solve(both, form="arena", workers=1)
    assert (result.status, result.objective) == (Status.OPTIMAL, max(parts))


@pytest.mark.parametrize("seed", range(6))
def test_pins_that_only_gaps_keep_apart(seed):
    """Most of a plan that makes use of gaps is pinned: the rest finds its place."""
    problem = many(24, seed, 0.9)
    plan = solve(problem, "greedy-gaps", form="arena", workers=1).plan
    rng = random.Random(seed)
    pinned = Problem(
        tuple(
            replace(b, offset=offset) if rng.random() < 0.8 else b
            for b, offset in zip(problem.buffers, plan.offsets, strict=True)
        )
    )
    assert pins_clash(sections_of(pinned))
    result = solve(pinned, form="arena", workers=1, time_limit=20)
    assert result.bound <= result.objective <= plan.cost(problem)
    assert solve(pinned, "canonical-a", form="arena", workers=1).plan is None


def test_a_hint_that_makes_use_of_gaps_is_kept():
    problem = many(40, 2, 0.9)
    best = solve(problem, form="arena", workers=1)
    for name in ("optimal", "canonical-a"):
        again = solve(problem, name, form="arena", hint=best.plan, time_limit=0, workers=1)
        assert again.objective == best.objective


def test_the_time_limit_holds_and_what_is_found_is_valid():
    problem = many(3000, 1, 0.3)
    result = solve(problem, form="arena", workers=1, time_limit=2)
    assert result.objective == verify_arena(problem, result.plan) >= result.bound
    assert result.seconds < 2 * 1.1 + 1


@pytest.mark.parametrize("capacity", [None, 17])
def test_what_is_too_large_for_cp_sat_ends_without_a_proof(monkeypatch, capacity):
    """Then nothing above the load is proven, and a run without a time limit ends all the same."""
    monkeypatch.setattr(module, "is_too_large", lambda *_: True)
    monkeypatch.setattr(module.placement_search, "is_too_large", lambda _: True)
    problem = Problem((Buffer("a", 9, 0, 2, gaps=(Gap(0, 2, 0, 1),)), Buffer("b", 8, 0, 2, 8)))
    whole_best = solve(problem, form="arena", workers=1, capacity=capacity)
    assert whole_best.status in (Status.FEASIBLE, Status.OPTIMAL)
    assert whole_best.bound <= 16 <= whole_best.objective


def test_questions_come_nearer_to_both_ends():
    for lower in range(4):
        for upper in range(lower + 1, 30):
            found = nearer_and_nearer(lower, upper)
            assert found[-1] == lower
            assert len(set(found)) == len(found)
            assert all(lower <= capacity < upper for capacity in found)
            assert {lower, upper - 1} <= set(found)
