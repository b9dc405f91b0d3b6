"""Orders that evolve, by how well they are sorted, and in the search for placements."""

import numpy as np
import pytest

from memonger.graph.sections import sections_of
from memonger.plan import ArenaPlan
from memonger.problem import Buffer, Problem
from memonger.solver import evolved_orders, placement_search
from memonger.solver.arena_race import Descent
from memonger.solver.evolved_orders import POPULATION, EvolvedOrders, ranks_of
from memonger.solver.placement_kernel import FITS, GAVE_UP
from memonger.solver.placement_search import PlacementSearch
from memonger.stop import Deadline
from memonger.verify import verify_arena
from tests.strategies import constant_load


def depth_of(ranks):
    """Return how many places there are, less the mean distance of a buffer from its own."""
    place = np.argsort(np.argsort(-ranks))
    return int(10 * (len(ranks) - np.abs(place - np.arange(len(ranks))).mean()))


def evolve(tries, seed, *, learns=True, count=40):
    """Return the depths of the candidates, one after the other."""
    rng = np.random.default_rng(seed)
    orders = EvolvedOrders(lambda: rng.random(count), rng)
    depths = []
    for _ in range(tries):
        candidate = orders.propose(100)
        depths.append(depth_of(candidate.ranks))
        orders.learn(candidate, 100, depths[-1] if learns else 0)
    return depths


def test_ranks_are_a_permutation_and_keep_the_order():
    keys = np.random.default_rng(0).integers(0, 5, 40).astype(float)
    ranks = ranks_of(keys)
    assert sorted((ranks * 40).round().astype(int).tolist()) == list(range(40))
    assert np.argsort(-ranks).tolist() == np.argsort(-keys, kind="stable").tolist()


@pytest.mark.parametrize("seed", range(4))
def test_what_leads_deeper_is_bred_from(seed):
    bred, blind = (np.mean(evolve(600, seed, learns=learns)[300:]) for learns in (True, False))
    assert bred > blind + 20


def test_orders_of_another_capacity_are_tried_again_before_they_have_children():
    rng = np.random.default_rng(1)
    orders = EvolvedOrders(lambda: rng.random(9), rng)
    tried = []
    for depth in range(POPULATION):
        tried.append(orders.propose(50))
        orders.learn(tried[-1], 50, depth)
    again = {id(orders.propose(49)) for _ in range(200)}
    old = {id(candidate) for candidate in tried}
    assert again & old
    children = [orders.propose(50) for _ in range(200)]
    assert not {id(candidate) for candidate in children} & old
    assert all(candidate.capacity == candidate.depth == -1 for candidate in children)


def test_without_progress_all_begins_anew(monkeypatch):
    monkeypatch.setattr(evolved_orders, "PATIENCE", 50)
    rng = np.random.default_rng(2)
    new = []

    def newcomer():
        new.append(rng.random(9))
        return new[-1]

    orders = EvolvedOrders(newcomer, rng)
    counts = []
    for k in range(120):
        before = len(new)
        orders.learn(orders.propose(7), 7, max(0, POPULATION - k))
        counts.append(len(new) - before)
    assert counts[:POPULATION] == [1] * POPULATION
    assert sum(counts[POPULATION:50]) < 20
    assert counts[51 : 51 + POPULATION] == [1] * POPULATION


def tight():
    """Return buffers of a constant load, which no order that one thinks of places in it."""
    return sections_of(constant_load(7, 90, 1000))


def placed(sections, offsets):
    """Return the peak of a placement, checked by the verifier."""
    buffers = tuple(
        Buffer(f"b{i}", int(size), int(begin), int(end))
        for i, (size, begin, end) in enumerate(
            zip(sections.size, sections.begin, sections.end, strict=True)
        )
    )
    return verify_arena(Problem(buffers), ArenaPlan(tuple(offsets.tolist())))


def descend(seed, rounds):
    """Return the peaks that a descent passes through, and its search."""
    sections = tight()
    descent = Descent(sections, seed)
    descent.search._turn = len(placement_search.SCHEDULE)
    descent.search.nodes = 1
    known = np.cumsum(sections.size) - sections.size
    lower, upper = int(sections.load.max()), int(sections.size.sum())
    peaks = []
    for _ in range(rounds):
        found = descent.next(lower, upper, known, Deadline(None))
        if found.offsets is not None:
            known, peak = found.offsets, placed(sections, found.offsets)
            assert lower <= peak < upper
            upper = peak
        peaks.append(upper)
        if upper == lower:
            break
    return peaks, descent.search


def test_a_descent_is_valid_never_below_the_load_and_the_same_again(monkeypatch):
    monkeypatch.setattr(placement_search, "EVOLVED_SHARE", float("inf"))
    peaks, search = descend(0, 20)
    assert peaks[-1] < peaks[0]
    assert search._evolved == search.nodes - 1 > 0
    again, other = descend(0, 20)
    assert (peaks, search.nodes) == (again, other.nodes)
    assert np.array_equal(search.offsets, other.offsets)


def test_evolved_orders_alone_place_all(monkeypatch):
    monkeypatch.setattr(placement_search, "EVOLVED_SHARE", float("inf"))
    sections = tight()
    capacity = int(sections.load.max()) * 3 // 2
    search = PlacementSearch(sections, 0)
    monkeypatch.setattr(search, "_try", lambda *_: GAVE_UP)
    search._turn = len(placement_search.SCHEDULE)
    search.nodes = 1
    assert search.fits(capacity, Deadline(None), 10**6) == FITS
    assert placed(sections, search.offsets) <= capacity
    assert search._evolved == search.nodes - 1


def test_the_order_of_a_known_placement_is_tried_first():
    sections = tight()
    search = PlacementSearch(sections, 0)
    search.fits(int(sections.load.max()) * 2, Deadline(None))
    known = search.offsets
    other = PlacementSearch(sections, 1)
    other._turn = len(placement_search.SCHEDULE)
    other.nodes = 1
    other.offsets = known
    capacity = int((known + sections.size).max())
    assert other.fits(capacity, Deadline(None), 10**4) == FITS
    assert other.nodes - 1 <= len(sections)


def test_limits_hold_for_orders_that_evolve():
    sections = tight()
    search = PlacementSearch(sections, 0)
    search._turn = len(placement_search.SCHEDULE)
    search.nodes = 1
    assert search.fits(int(sections.load.max()), Deadline(None), 1200) == GAVE_UP
    assert search.nodes <= 1200 + 10
    assert search.fits(int(sections.load.max()), Deadline(0), 10**6) == GAVE_UP
    assert search.nodes <= 1200 + 10 + max(placement_search.EVOLVED_NODES, len(sections) * 5 // 4)


def test_a_halted_search_gives_up_after_a_try():
    sections = tight()
    search = PlacementSearch(sections, 0)
    search._turn, search.nodes = len(placement_search.SCHEDULE), 1
    asked = []

    def halted():
        asked.append(search.nodes)
        return len(asked) == 3

    assert search.fits(int(sections.load.max()), Deadline(None), 10**9, halted) == GAVE_UP
    assert len(asked) == 3
    assert asked[-1] == search.nodes


def test_a_descent_asks_below_what_it_has_found_before_the_others_know():
    sections = tight()
    descent = Descent(sections, 0)
    known = np.cumsum(sections.size) - sections.size
    lower, upper = int(sections.load.max()), int(sections.size.sum())
    peaks = []
    for _ in range(8):  # nobody takes what it finds: ``upper`` and ``known`` stay as they were
        found = descent.next(lower, upper, known, Deadline(None))
        if found.offsets is not None:
            peaks.append(placed(sections, found.offsets))
    assert len(peaks) > 2
    assert peaks == sorted(set(peaks), reverse=True)


def test_a_descent_that_is_halted_does_not_try_harder():
    sections = tight()
    descent = Descent(sections, 0)
    known = np.cumsum(sections.size) - sections.size
    lower = int(sections.load.max())
    descent.search._turn, descent.search.nodes = len(placement_search.SCHEDULE), 1
    nodes = descent.nodes
    for _ in range(3):
        found = descent.next(lower, lower + 1, known, Deadline(None), lambda: True)
        assert found.offsets is None
        assert (found.lower, descent.nodes) == (0, nodes)
