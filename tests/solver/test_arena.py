"""The exact algorithm of the arena form."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memonger.certificate import CliqueCertificate
from memonger.errors import InputError, PlanError, ProblemError
from memonger.graph.sections import sections_of
from memonger.plan import ArenaPlan, SharingPlan
from memonger.problem import Buffer, Problem
from memonger.result import Proof, Status
from memonger.solver import arena_refuter, placement_search
from memonger.solver.arena_incumbent import stacked
from memonger.solver.no_overlap import Decision
from memonger.solver.placement_kernel import FULL, GAVE_UP
from memonger.solver.solve import solve
from memonger.solver.windows import clip, windows
from memonger.stop import Deadline
from memonger.verify import verify_arena
from tests.oracles import smallest_peak
from tests.solver.test_placement import churn
from tests.strategies import arena_problems


@settings(max_examples=100)
@given(arena_problems(), st.sampled_from([1, 2]))
def test_the_optimum_is_that_of_all_orders(problem, workers):
    best = smallest_peak(problem)
    result = solve(problem, form="arena", workers=workers)
    if best is None:
        assert (result.status, result.plan) == (Status.INFEASIBLE, None)
        return
    assert (result.status, result.objective, result.bound) == (Status.OPTIMAL, best, best)
    assert (result.certificate is not None) == (result.proof is Proof.CLIQUE)


@settings(max_examples=60)
@given(arena_problems(min_size=1), st.integers(-2, 2))
def test_both_answers_to_a_capacity_are_right(problem, slack):
    best = smallest_peak(problem)
    if best is None or best + slack < 0:
        return
    result = solve(problem, form="arena", workers=1, capacity=best + slack)
    if slack >= 0:
        assert result.objective is not None
        assert result.objective <= best + slack
    else:
        assert result.bound > best + slack


@pytest.mark.parametrize("seed", range(6))
def test_bounds_above_the_load(seed):
    problem = churn(seed, 22)
    one = solve(problem, form="arena", workers=1, time_limit=60)
    two = solve(problem, form="arena", workers=2, time_limit=60)
    assert one.status is two.status is Status.OPTIMAL
    assert one.objective == two.objective
    if one.objective > 24:
        assert one.proof in (Proof.SEARCH, Proof.CP_SAT)
        assert one.certificate is None


def test_one_worker_and_one_seed_give_one_plan():
    problem = churn(5, 30)
    plans = {solve(problem, form="arena", workers=1, seed=3).plan for _ in range(2)}
    assert len(plans) == 1


@given(arena_problems(min_size=1), st.randoms(use_true_random=False))
def test_names_and_the_order_of_buffers_do_not_matter(problem, rng):
    order = list(range(len(problem)))
    rng.shuffle(order)
    other = Problem(
        tuple(
            Buffer(f"n{k}", b.size, b.start + 7, b.end + 7, b.alignment, "", b.offset)
            for k, b in enumerate(problem.buffers[i] for i in order)
        )
    )
    one, two = (solve(p, form="arena", workers=1) for p in (problem, other))
    assert (one.status, one.objective) == (two.status, two.objective)


def test_devices_have_arenas_of_their_own():
    buffers = [Buffer(f"b{i}", 4, 0, 2, device=f"cuda:{i % 2}") for i in range(4)]
    result = solve(Problem(tuple(buffers)), form="arena")
    assert (result.objective, result.status) == (16, Status.OPTIMAL)
    assert sorted(result.plan.offsets) == [0, 0, 4, 4]
    assert result.plan.peaks(Problem(tuple(buffers))) == {"cuda:0": 8, "cuda:1": 8}


def test_a_hint_is_never_made_worse():
    problem = churn(1, 30)
    best = solve(problem, form="arena", time_limit=30)
    again = solve(problem, form="arena", hint=best.plan, time_limit=0)
    assert again.objective <= best.objective
    with pytest.raises(InputError, match="no plan of the form"):
        solve(problem, form="arena", hint=SharingPlan.of(range(len(problem))))
    with pytest.raises(PlanError, match="overlap"):
        solve(problem, form="arena", hint=ArenaPlan((0,) * len(problem)))


def test_what_the_arena_cannot_do_is_said():
    pair = (Buffer("a", 4, 0, 2), Buffer("b", 4, 1, 3))
    with pytest.raises(InputError, match="--no-in-place"):
        solve(Problem(pair, in_place=((0, 1),)), form="arena")
    with pytest.raises(InputError, match="unknown form"):
        solve(Problem(pair), form="pile")
    with pytest.raises(InputError, match="unknown algorithm"):
        solve(Problem(pair), "caffe2-dp", form="arena")


def test_pins_that_contradict_leave_no_plan():
    pins = (Buffer("a", 4, 0, 2, offset=0), Buffer("b", 4, 1, 3, offset=2))
    result = solve(Problem(pins), form="arena")
    assert (result.status, result.plan) == (Status.INFEASIBLE, None)


@given(arena_problems(min_size=1))
def test_the_stacked_placement_is_valid(problem):
    if smallest_peak(problem) is None:
        return
    sections = sections_of(problem)
    offsets = stacked(sections) * sections.unit
    assert verify_arena(problem, ArenaPlan(tuple(offsets.tolist()))) >= 0


@given(arena_problems(min_size=1), st.data())
def test_a_window_takes_no_more_than_the_whole(problem, data):
    best = smallest_peak(problem)
    if best is None:
        return
    sections = sections_of(problem)
    left = data.draw(st.integers(0, sections.num_sections - 1))
    right = data.draw(st.integers(left + 1, sections.num_sections))
    window = clip(sections, left, right)
    assert window.load.max() == sections.load[left:right].max()
    rows = zip(window.begin, window.end, window.indices, strict=True)
    buffers = (
        Buffer(
            problem.buffers[i].name,
            problem.buffers[i].size,
            int(a),
            int(e),
            problem.buffers[i].alignment,
            "",
            problem.buffers[i].offset,
        )
        for a, e, i in rows
    )
    assert smallest_peak(Problem(tuple(buffers))) <= best


def test_windows_cover_all_of_time():
    sections = sections_of(churn(2, 60))
    for width in (3, 8):
        seen = set()
        for window in windows(sections, width):
            assert window.num_sections <= width
            seen.update(window.indices.tolist())
        assert seen == set(range(len(sections)))
    assert list(windows(sections, sections.num_sections)) == []


@given(arena_problems(min_size=1, pins=False))
def test_the_clique_bound_by_the_definition(problem):
    for time in range(8):
        live = [b for b in problem.buffers if b.start <= time < b.end]
        alone = [Buffer(b.name, b.size, 0, 1, b.alignment) for b in live]
        assert CliqueCertificate(time).bound(problem) <= smallest_peak(Problem(tuple(alone)))


def test_a_shuffled_tiling_is_closed():
    rng = random.Random(4)
    pieces = [(0, 64, 0, 64)]
    while len(pieces) < 40:
        pieces.sort(key=lambda p: -(p[1] - p[0]) * (p[3] - p[2]))
        a, b, low, high = pieces.pop(0)
        if b - a > high - low:
            cut = rng.randint(a + 1, b - 1)
            pieces += [(a, cut, low, high), (cut, b, low, high)]
        else:
            cut = rng.randint(low + 1, high - 1)
            pieces += [(a, b, low, cut), (a, b, cut, high)]
    rng.shuffle(pieces)
    buffers = tuple(Buffer(f"b{i}", high - low, a, b) for i, (a, b, low, high) in enumerate(pieces))
    result = solve(Problem(buffers), form="arena", time_limit=60)
    assert (result.objective, result.status) == (64, Status.OPTIMAL)


def test_a_bound_that_rises_meanwhile_proves_no_more_than_was_asked(monkeypatch):
    """Another thread may raise the bound while a question is open."""
    sections = sections_of(churn(5, 60))
    refuter = arena_refuter.Refuter(sections, 24, 40, 0)
    asked = []

    def decided(window, capacity, **_):
        asked.append(capacity)
        refuter.lower = 35  # by the other thread
        return Decision(FULL)

    monkeypatch.setattr(arena_refuter, "decide", decided)
    monkeypatch.setattr(arena_refuter.PlacementSearch, "fits", lambda *_: GAVE_UP)
    findings = refuter.findings(Deadline(None), lambda: False)
    assert next(findings).lower == asked[0] + 1 == 25
    assert refuter.lower == 35


def test_components_that_are_too_large_go_to_the_dives(monkeypatch):
    problem = churn(1, 60)
    monkeypatch.setattr(placement_search, "SLICE_WORK", 0)
    assert placement_search.is_too_large(sections_of(problem))
    result = solve(problem, form="arena", workers=1, time_limit=2)
    assert verify_arena(problem, result.plan) == result.objective


def test_pins_that_would_overflow_are_refused():
    with pytest.raises(ProblemError, match="2\\^62"):
        Problem((Buffer("a", 4, 0, 1, offset=2**62),))


def test_a_buffer_without_bytes_takes_no_room_wherever_it_is_pinned():
    problem = Problem((Buffer("a", 0, 0, 1, offset=100), Buffer("b", 8, 0, 1)))
    result = solve(problem, form="arena")
    assert (result.objective, result.status) == (8, Status.OPTIMAL)
    assert result.plan.offsets[0] == 100


def test_a_hint_beyond_all_numbers_is_of_no_use():
    problem = Problem((Buffer("a", 8, 0, 2), Buffer("b", 8, 0, 2)))
    result = solve(problem, form="arena", hint=ArenaPlan((10**30, 0)))
    assert (result.objective, result.status) == (16, Status.OPTIMAL)
