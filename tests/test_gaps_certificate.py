"""Plan files with gaps before both checkers, and what is true of them by the definitions."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memonger.certificate import CliqueCertificate
from memonger.gaps import Gap
from memonger.instances.plan_json import plan_from_json, plan_to_json
from memonger.instances.problem_json import gaps_to_json, problem_to_json
from memonger.problem import Buffer, Problem
from memonger.solver.solve import solve
from tests.oracles import smallest_peak_with_gaps, taken_bytes
from tests.stand_alone import CHECKER, own_verdict, stand_alone_verdict
from tests.strategies import gapped_problems

PROBLEM = Problem(
    (Buffer("a", 8, 0, 6, gaps=(Gap(1, 2), Gap(2, 4, 0, 4))), Buffer("b", 8, 2, 4)), "two"
)


def plan_of(problem, **options):
    """Return a plan file of the problem; ``None`` if its pins contradict each other."""
    result = solve(problem, form="arena", workers=1, **options)
    return None if result.plan is None else json.loads(json.dumps(plan_to_json(problem, result)))


def least_cost(problem):
    """Return the smallest cost of all arenas, by brute force."""
    parts = [
        problem.subproblem([i for i, b in enumerate(problem.buffers) if b.device == device])
        for device in problem.devices
    ]
    return sum(map(smallest_peak_with_gaps, parts))


def truth(plan, problem, optimum):
    """Return whether what a plan file of certified claims says is so, by the definitions alone."""
    offsets, buffers = plan["offsets"], problem.buffers
    if plan["buffers"] != {b.name: [b.size, b.start, b.end] for b in buffers}:
        return False
    if plan.get("gaps", {}) != {b.name: gaps_to_json(b.gaps) for b in buffers if b.gaps}:
        return False
    if plan.get("pinned", {}) != {b.name: b.offset for b in buffers if b.offset is not None}:
        return False
    if any(offsets[b.name] < 0 or offsets[b.name] % b.alignment for b in buffers):
        return False
    if any(b.offset not in (None, offsets[b.name]) for b in buffers):
        return False
    cells = [
        (time, b.device, offsets[b.name] + byte)
        for i, b in enumerate(buffers)
        for time in range(8)
        for byte in taken_bytes(problem, i, time)
    ]
    cost = sum(
        max(offsets[b.name] + b.size for b in buffers if b.device == device)
        for device in problem.devices
    )
    fits = {"optimal": plan["bound"] == cost, "feasible": plan["bound"] <= cost}
    right = plan["objective"] == cost and fits[plan["status"]] and plan["bound"] <= optimum
    return right and len(set(cells)) == len(cells)


def mutate(plan, rng):
    """Change one thing in a plan file."""
    names = sorted(plan["buffers"])
    spot = rng.choice(["offsets"] * 3 + ["gaps"] * 3 + ["objective", "bound", "time", "free"])
    change = rng.choice([-4, -1, 1, 2, 4])
    if spot == "offsets":
        plan["offsets"][rng.choice(names)] += change
        if rng.random() < 0.7:  # its price is right
            where, tops = plan.get("devices", {}), {}
            for name, (size, _, _) in plan["buffers"].items():
                top = plan["offsets"][name] + size
                tops[where.get(name, "")] = max(top, tops.get(where.get(name, ""), 0))
            plan["objective"] = sum(tops.values())
            plan["status"] = "feasible"
    elif spot == "gaps" and plan.get("gaps"):
        rows = plan["gaps"][rng.choice(sorted(plan["gaps"]))]
        numbers = rng.choice(rows)
        numbers[rng.randrange(len(numbers))] += rng.choice([-1, 1])
    elif spot in ("objective", "bound"):
        plan[spot] += change
        plan["status"] = rng.choice(["optimal", "feasible"])
    elif spot == "time":
        parts = [plan["certificate"], *plan["certificate"].get("devices", {}).values()]
        rng.choice([p for p in parts if "time" in p])["time"] += change
    else:
        for key in ("gaps", "pinned"):
            plan.get(key, {}).pop(rng.choice(names), None)


@settings(max_examples=150)
@given(
    gapped_problems(min_size=1, max_size=5, largest=5, devices=("", "", "x")),
    st.randoms(use_true_random=False),
)
def test_both_checkers_tell_what_is_true(problem, rng):
    """A changed plan is accepted only where all that it claims is so."""
    plan = plan_of(problem)
    if plan is None:
        return
    original, optimum = json.loads(json.dumps(problem_to_json(problem))), least_cost(problem)
    assert truth(plan, problem, optimum)
    assert own_verdict(plan, problem)
    assert stand_alone_verdict(plan, original)
    if plan["certificate"] is None:
        return
    for _ in range(12):
        changed = json.loads(json.dumps(plan))
        mutate(changed, rng)
        verdict = own_verdict(changed, problem)
        assert verdict == stand_alone_verdict(changed, original)
        if verdict:
            assert truth(changed, problem, optimum)
        elif truth(changed, problem, optimum):  # the certificate alone can be too weak
            assert changed["certificate"] != plan["certificate"]


def test_mutations_are_of_both_kinds():
    """Else the test above would show nothing."""
    rng = random.Random(3)
    kept = caught = 0
    for size in range(4, 24):
        buffers = (
            *(Buffer(f"b{i}", size, i, i + 4, gaps=(Gap(i + 1, i + 3, 0, 2),)) for i in range(4)),
            Buffer("c", 3 * size, 0, 9),
        )
        problem = Problem(buffers)
        plan = plan_of(problem, algorithm="canonical-a")
        for _ in range(20):
            changed = json.loads(json.dumps(plan))
            mutate(changed, rng)
            verdict = own_verdict(changed, problem)
            assert verdict == stand_alone_verdict(
                changed, json.loads(json.dumps(problem_to_json(problem)))
            )
            kept += verdict
            caught += not verdict
    assert kept > 20
    assert caught > 100


@settings(max_examples=100)
@given(gapped_problems(min_size=1, max_size=5, largest=5), st.integers(-1, 7))
def test_both_add_up_the_same_at_any_time(problem, time):
    plan = plan_of(problem)
    if plan is None:
        return
    bound = CliqueCertificate(time).bound(problem)
    certificate = {"format": "memonger-certificate/1", "kind": "clique", "time": time}
    claim = {"certificate": certificate, "proof": "clique", "status": "feasible"}
    for more, holds in ((0, True), (1, False)):
        claimed = {**plan, **claim, "bound": bound + more}
        assert own_verdict(claimed, problem) is holds
        assert stand_alone_verdict(claimed, problem_to_json(problem)) is holds


@given(gapped_problems(devices=("", "x")))
def test_plan_files_keep_gaps(problem):
    plan = plan_of(problem)
    if plan is None:
        return
    again = plan_from_json(plan)
    assert again.problem.buffers == problem.buffers
    assert ("gaps" in plan) == bool(problem.gapped)


CLAIMS = [  # gaps of a in a plan, whether both checkers take them for those of the problem
    ([[1, 2], [2, 4, 0, 4]], True),
    ([[1, 2], [2, 4, 0, 5]], False),
    ([[2, 4, 0, 4]], False),
    ([[1, 2], [2, 4]], False),
    ([[1, 2], [2, 4, 0, 4, 0]], False),
    ([[1, 2], [2, 4, 0]], False),
    ([[1, 2], [2, 4, 0, "4"]], False),
    ([[1, 2], [2, 4, 0, 4.0]], False),
    ([[1, 2], [2, 9, 0, 4]], False),
    ([[2, 4, 0, 4], [1, 2]], False),
    ([[1, 1], [1, 2], [2, 4, 0, 4]], False),
    ([1, 2], False),
    (None, False),
    ([], False),
]


@pytest.mark.parametrize(("gaps", "valid"), CLAIMS, ids=lambda value: str(value)[:40])
def test_gaps_of_another_problem(gaps, valid):
    plan = plan_of(PROBLEM)
    assert plan["gaps"] == {"a": [[1, 2], [2, 4, 0, 4]]}
    plan["gaps"] = {"a": gaps}
    assert own_verdict(plan, PROBLEM) is valid
    assert stand_alone_verdict(plan, problem_to_json(PROBLEM)) is valid


def test_a_plan_cannot_bring_its_own_gaps():
    whole = Problem((Buffer("a", 8, 0, 6), Buffer("b", 8, 2, 4)))
    plan = plan_of(PROBLEM)
    assert CHECKER.check(plan)
    assert not own_verdict(plan, whole)
    assert not stand_alone_verdict(plan, problem_to_json(whole))


@pytest.mark.parametrize("offset", range(8))
def test_an_overlap_in_a_window_is_found(offset):
    plan = plan_of(PROBLEM)
    plan |= {"offsets": {"a": offset, "b": 4}, "objective": max(offset + 8, 12), "bound": 0}
    plan |= {"status": "feasible", "certificate": None, "proof": None}
    assert own_verdict(plan, PROBLEM) is (offset == 0)
    assert stand_alone_verdict(plan, problem_to_json(PROBLEM)) is (offset == 0)


def test_sharing_plans_have_no_gaps():
    whole = Problem((Buffer("a", 8, 0, 6), Buffer("b", 8, 2, 4)))
    plan = json.loads(json.dumps(plan_to_json(whole, solve(whole))))
    for problem, gaps in ((PROBLEM, {}), (PROBLEM, {"a": [[1, 2], [2, 4, 0, 4]]})):
        claimed = {**plan, "gaps": gaps}
        assert not own_verdict(claimed, problem)
        assert not stand_alone_verdict(claimed, problem_to_json(problem))
    assert stand_alone_verdict(plan, problem_to_json(whole))
