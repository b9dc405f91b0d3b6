"""Plan files of the arena form, before both checkers and a naive one."""

import json
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memonger.certificate import CliqueCertificate, DeviceCertificate, check_certificate
from memonger.cli.main import run as run_command
from memonger.errors import PlanError
from memonger.forms import ARENA_FORM, SHARING_FORM
from memonger.instances.plan_json import plan_from_json, plan_to_json
from memonger.instances.problem_json import problem_to_json
from memonger.lp_dual import LpDualCertificate
from memonger.problem import Buffer, Problem
from memonger.result import Status
from memonger.solver.solve import solve
from tests.oracles import smallest_peak
from tests.stand_alone import CHECKER, own_verdict, stand_alone_verdict
from tests.strategies import arena_problems

PROBLEM = Problem(
    (Buffer("a", 8, 0, 2), Buffer("b", 6, 1, 3, 4), Buffer("c", 8, 2, 4, 2, offset=6)), "three"
)
FORMAT = "memonger-certificate/1"
CLIQUE = {"format": FORMAT, "kind": "clique", "time": 1}
THRESHOLD = {"format": FORMAT, "kind": "threshold", "witness": [[8, 0], [6, 1]]}
PRICES = {"format": FORMAT, "kind": "lp-dual", "scale": 1, "y": [[8, 1, 8]]}


def by_device(**parts):
    return {"format": FORMAT, "kind": "by-device", "devices": parts}


def plan_of(problem, **options):
    """Return a plan file of the problem; ``None`` if its pins contradict each other."""
    result = solve(problem, form="arena", workers=1, **options)
    if result.status is Status.INFEASIBLE:
        return None
    return json.loads(json.dumps(plan_to_json(problem, result)))


def on_devices(problem, rng):
    """Return the problem with its buffers on two devices."""
    return replace(
        problem, buffers=tuple(replace(b, device=rng.choice(["", "x"])) for b in problem.buffers)
    )


def least_cost(problem):
    """Return the smallest cost of all arenas, by brute force."""
    return sum(
        smallest_peak(
            problem.subproblem([i for i, b in enumerate(problem.buffers) if b.device == d])
        )
        for d in problem.devices
    )


def truth(plan, problem, optimum=None):
    """Return whether what a plan file of certified claims says is so, by the definitions alone."""
    rows = {b.name: b for b in problem.buffers}
    offsets = plan["offsets"]
    facts = {b.name: [b.size, b.start, b.end] for b in problem.buffers}
    columns = {
        "devices": {b.name: b.device for b in problem.buffers if b.device},
        "alignments": {b.name: b.alignment for b in problem.buffers if b.alignment != 1},
        "pinned": {b.name: b.offset for b in problem.buffers if b.offset is not None},
    }
    plain = {"devices": "", "alignments": 1, "pinned": None}
    same = all(
        {n: v for n, v in plan.get(key, {}).items() if v != plain[key]} == column
        for key, column in columns.items()
    )
    if not same or plan["buffers"] != facts or offsets.keys() != facts.keys():
        return False
    for one in rows.values():
        at = offsets[one.name]
        if at < 0 or at % one.alignment or one.offset not in (None, at):
            return False
        for other in rows.values():
            together = one.start < other.end and other.start < one.end
            apart = at + one.size <= offsets[other.name] or offsets[other.name] + other.size <= at
            if (
                one.size
                and other.size
                and one.name < other.name
                and one.device == other.device
                and together
                and not apart
            ):
                return False
    cost = sum(
        max(
            (offsets[b.name] + b.size for b in rows.values() if b.size and b.device == d), default=0
        )
        for d in problem.devices
    )
    fits = {"optimal": plan["bound"] == cost, "feasible": plan["bound"] <= cost}
    best = least_cost(problem) if optimum is None else optimum
    return plan["objective"] == cost and fits[plan["status"]] and plan["bound"] <= best


def mutate(plan, rng):
    """Change one thing in a plan file."""
    names = sorted(plan["buffers"])
    spot = rng.choice(["offsets"] * 3 + ["buffers", "objective", "bound", "time", "column", "free"])
    change = rng.choice([-4, -1, 1, 2, 4])
    if spot == "offsets":
        plan["offsets"][rng.choice(names)] += change
        if rng.random() < 0.5:  # its price is right
            where = plan.get("devices", {})
            tops = {}
            for name, (size, _, _) in plan["buffers"].items():
                top = plan["offsets"][name] + size
                tops[where.get(name, "")] = max(top, tops.get(where.get(name, ""), 0))
            plan["objective"] = sum(tops.values())
            plan["status"] = "feasible"
    elif spot == "buffers":
        plan["buffers"][rng.choice(names)][rng.randrange(3)] += change
    elif spot in ("objective", "bound"):
        plan[spot] += change
        plan["status"] = rng.choice(["optimal", "feasible"])
    elif spot == "time":
        parts = [plan["certificate"], *plan["certificate"].get("devices", {}).values()]
        rng.choice([p for p in parts if "time" in p])["time"] += change
    elif spot == "column":
        key = rng.choice(["devices", "alignments", "pinned"])
        column = plan.setdefault(key, {})
        column[rng.choice(names)] = {"devices": "y", "alignments": 2, "pinned": 4}[key]
    else:
        for key in ("alignments", "pinned"):
            plan.get(key, {}).pop(rng.choice(names), None)


@settings(max_examples=150)
@given(arena_problems(min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_both_checkers_tell_what_is_true(problem, rng):
    """A changed plan is accepted only where all that it claims is so."""
    if rng.random() < 0.5:
        problem = on_devices(problem, rng)
    plan = plan_of(problem)
    if plan is None or plan["certificate"] is None:
        return
    original = json.loads(json.dumps(problem_to_json(problem)))
    assert truth(plan, problem)
    assert own_verdict(plan, problem)
    assert stand_alone_verdict(plan, original)
    for _ in range(12):
        changed = json.loads(json.dumps(plan))
        mutate(changed, rng)
        verdict = own_verdict(changed, problem)
        assert verdict == stand_alone_verdict(changed, original)
        if verdict:
            assert truth(changed, problem)
        elif truth(changed, problem):  # the certificate alone can be too weak
            assert changed["certificate"] != plan["certificate"]


def test_mutations_are_of_both_kinds():
    """Else the test above would show nothing."""
    rng = random.Random(3)
    kept = caught = 0
    for seed in range(30):
        buffers = tuple(Buffer(f"b{i}", 1 + seed % 7 + i, i, i + 3, 1 + i % 2) for i in range(5))
        problem = on_devices(Problem(buffers), rng)
        plan = plan_of(problem, algorithm="optimal")
        if plan["certificate"] is None:
            continue
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
@given(arena_problems(min_size=1, max_size=5), st.integers(-1, 9))
def test_both_add_up_the_same_at_any_time(problem, time):
    plan = plan_of(problem)
    if plan is None:
        return
    bound = CliqueCertificate(time).bound(problem)
    certificate = {"format": FORMAT, "kind": "clique", "time": time}
    claim = {"certificate": certificate, "proof": "clique", "status": "feasible", "bound": bound}
    original = problem_to_json(problem)
    for more, holds in ((0, True), (1, False)):
        claimed = {**plan, **claim, "bound": bound + more}
        assert own_verdict(claimed, problem) is holds
        assert stand_alone_verdict(claimed, original) is holds


CLAIMS = [  # what is changed in a plan, and the exit code of both checkers
    ({}, 0),
    ({"certificate": by_device(**{"": CLIQUE})}, 0),
    ({"certificate": None, "proof": "search"}, 0),
    ({"certificate": None, "proof": "cp-sat"}, 0),
    ({"certificate": None, "proof": None, "status": "feasible"}, 0),
    ({"certificate": None, "proof": None}, 3),
    ({"certificate": None}, 3),
    ({"certificate": None, "proof": "threshold"}, 3),
    ({"proof": "search"}, 3),
    ({"certificate": THRESHOLD, "proof": "threshold"}, 3),
    ({"certificate": PRICES, "proof": "lp-dual"}, 3),
    ({"certificate": by_device(**{"": THRESHOLD}), "proof": "threshold"}, 3),
    ({"certificate": by_device(**{"": CLIQUE, "x": THRESHOLD}), "proof": "threshold"}, 3),
    ({"certificate": by_device(**{"": CLIQUE, "x": PRICES}), "proof": "lp-dual"}, 3),
    ({"certificate": {**CLIQUE, "time": 3}}, 3),
    ({"certificate": {**CLIQUE, "time": 1.0}}, 2),
    ({"certificate": {**CLIQUE, "time": None}}, 2),
    ({"certificate": {"format": FORMAT, "kind": "clique"}}, 2),
    ({"certificate": {**CLIQUE, "kind": "cut"}}, 2),
    ({"objective": 15}, 3),
    ({"bound": 13}, 3),
    ({"bound": 13, "status": "feasible"}, 0),
    ({"bound": 15, "status": "feasible"}, 3),
    ({"status": "infeasible"}, 3),
    ({"offsets": {"a": 6, "b": 0}}, 2),
    ({"offsets": {"a": 6, "b": 0, "c": 6, "d": 0}}, 2),
    ({"offsets": {"a": 6, "b": -4, "c": 6}}, 2),
    ({"offsets": {"a": 6, "b": False, "c": 6}}, 2),
    ({"offsets": {"a": 6, "b": 0.0, "c": 6}}, 2),
    ({"offsets": None}, 2),
    ({"offsets": {"a": 6, "b": 2, "c": 6}}, 3),
    ({"offsets": {"a": 6, "b": 4, "c": 6}}, 3),
    ({"offsets": {"a": 5, "b": 0, "c": 6}}, 3),
    ({"offsets": {"a": 6, "b": 0, "c": 4}}, 3),
    ({"alignments": {"b": 4}}, 3),
    ({"alignments": {"b": 2, "c": 2}}, 3),
    ({"alignments": {"a": 3, "b": 4, "c": 2}}, 3),
    ({"alignments": {"b": 0, "c": 2}}, 2),
    ({"alignments": {"b": "4", "c": 2}}, 2),
    ({"alignments": {"b": 4, "c": 2, "x": 2}}, 2),
    ({"alignments": []}, 2),
    ({"pinned": {}}, 3),
    ({"pinned": {"c": 8}}, 3),
    ({"pinned": {"c": 7}}, 2),
    ({"pinned": {"c": -2}}, 2),
    ({"pinned": {"c": None}}, 2),
    ({"pinned": {"c": 6, "a": 6}}, 3),
    ({"pinned": {"c": 6, "x": 6}}, 2),
    ({"devices": {"a": "gpu"}}, 3),
    ({"certificate": {**CLIQUE, "devices": {"": THRESHOLD}}}, 0),
    ({"certificate": {**CLIQUE, "devices": {"": THRESHOLD}}, "proof": "threshold"}, 3),
    ({"vector_time": {"a": [], "b": [], "c": []}}, 2),
    ({"vector_time": {"a": [[], []], "b": [[], []], "c": [[], []]}}, 2),
    ({"vector_time": {"a": [[0], [2]], "b": [[1], [3]], "c": [[2], [4]]}}, 3),
    ({"buffers": {"a": [8, 0, 2], "b": [8, 1, 3], "c": [8, 2, 4]}}, 3),
    ({"buffers": {"a": [8, 0, 2], "b": [6, 1, 3], "c": [8, 2]}}, 2),
    ({"buffers": {"a": [8, 0, 2], "b": [6, 1, 3], "c": [8, 2, 4, 5]}}, 2),
    ({"form": "sharing"}, 2),
    ({"form": "pile"}, 2),
    ({"form": ["arena"]}, 2),
]


@pytest.mark.parametrize(("changes", "code"), CLAIMS, ids=lambda value: str(value)[:70])
def test_both_checkers_answer_alike(tmp_path, capfd, changes, code):
    plan = plan_of(PROBLEM)
    assert (plan["offsets"], plan["certificate"]) == ({"a": 6, "b": 0, "c": 6}, CLIQUE)
    (tmp_path / "problem.json").write_text(json.dumps(problem_to_json(PROBLEM)))
    (tmp_path / "plan.json").write_text(json.dumps({**plan, **changes}))
    arguments = [str(tmp_path / "problem.json"), str(tmp_path / "plan.json")]
    assert run_command(["check", *arguments]) == code
    if code:
        assert len(capfd.readouterr().err.splitlines()) == 1
        with pytest.raises(SystemExit) as end:
            CHECKER.main(arguments)
        assert end.value.code == code
        assert len(capfd.readouterr().err.splitlines()) == 1
    else:
        CHECKER.main(arguments)


def test_a_clique_on_one_device_hides_behind_nothing():
    """In place the time point counts what need not be there: it proves nothing for sharing."""
    problem = Problem(
        (Buffer("p", 8, 0, 3), Buffer("o", 8, 2, 4), Buffer("x", 4, 0, 1, device="x")),
        in_place=((0, 1),),
    )
    prices = LpDualCertificate(1, ((4, 0, 4),))
    mixed = DeviceCertificate({"": CliqueCertificate(2), "x": prices})
    assert mixed.kind == "lp-dual"
    for form in (SHARING_FORM, ARENA_FORM):
        with pytest.raises(PlanError, match="proves nothing here"):
            check_certificate(problem, mixed, 1, form.certificates)


def test_each_device_has_a_topmost_buffer():
    """One time point for two devices would round up one of their topmost buffers for nothing."""
    problem = Problem(
        (
            Buffer("a", 5, 0, 1, 8, device="A"),
            Buffer("b", 5, 0, 1, 8, device="B"),
            Buffer("c", 1, 1, 2, device="A"),
        )
    )
    plan = plan_of(problem)
    assert (
        (plan["status"], plan["objective"]) == ("optimal", least_cost(problem)) == ("optimal", 10)
    )
    worse = {**plan, "offsets": {"a": 0, "b": 0, "c": 7}, "objective": 13, "bound": 13}
    for certificate in ({**CLIQUE, "time": 0}, plan["certificate"]):
        claimed = {**worse, "certificate": certificate}
        assert not own_verdict(claimed, problem)
        assert not stand_alone_verdict(claimed, problem_to_json(problem))


def test_a_buffer_that_stands_twice_in_a_problem():
    original = problem_to_json(PROBLEM)
    twice = {**original, "buffers": [*original["buffers"], original["buffers"][0]]}
    assert not stand_alone_verdict(plan_of(PROBLEM), twice)


def test_a_plan_without_buffers():
    plan = plan_of(Problem(()))
    assert CHECKER.check(plan, problem_to_json(Problem(())))
    assert plan_from_json(plan).objective == 0


@pytest.mark.parametrize("seed", range(3))
def test_overlaps_anywhere_are_found(seed):
    """Offsets at random, about half of which leave two buffers on each other."""
    rng = random.Random(seed)
    verdicts = []
    for _ in range(60):
        rows = []
        for i in range(12):
            start = rng.randrange(40)
            size, end, device = rng.randint(0, 9), start + rng.randint(1, 6), rng.choice("xy")
            rows.append((Buffer(f"b{i}", size, start, end, device=device), rng.randrange(60)))
        problem = Problem(tuple(buffer for buffer, _ in rows))
        plan = plan_of(problem, time_limit=0)
        plan["offsets"] = {buffer.name: at for buffer, at in rows}
        plan |= {"status": "feasible", "bound": 0, "certificate": None, "proof": None}
        plan["objective"] = sum(
            max((at + b.size for b, at in rows if b.size and b.device == d), default=0)
            for d in problem.devices
        )
        verdicts.append(truth(plan, problem, optimum=0))
        assert own_verdict(plan, problem) == verdicts[-1]
        assert stand_alone_verdict(plan, problem_to_json(problem)) == verdicts[-1]
    assert 10 < sum(verdicts) < 50
