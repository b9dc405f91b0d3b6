import ast
import json
import random
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memonger.certificate import (
    CERTIFIED,
    FORMAT,
    DeviceCertificate,
    ThresholdCertificate,
    certificate_from_json,
    certificate_to_json,
    check_certificate,
)
from memonger.cli.main import run as run_command
from memonger.errors import PlanError
from memonger.instances.plan_json import plan_to_json
from memonger.instances.problem_json import problem_to_json
from memonger.problem import Buffer, Problem, VectorTime
from memonger.result import Proof
from memonger.rules import Rules
from memonger.solver.bounds import threshold_bound
from memonger.solver.solve import solve
from tests import oracles
from tests.solver.test_in_place import random_in_place
from tests.solver.test_rules import random_rules
from tests.stand_alone import CHECKER, PATH, own_verdict, stand_alone_verdict
from tests.strategies import parallel_problems, problems, problems_of_devices, random_problem

PROBLEM = Problem((Buffer("a", 8, 0, 2), Buffer("b", 4, 1, 3), Buffer("c", 8, 2, 4)))


def proven(certificate, problem):
    """Return the bound that a certificate proves, 0 where it is not valid."""
    try:
        return certificate.bound(problem)
    except PlanError:
        return 0


@settings(max_examples=100, deadline=None)
@given(st.one_of(problems(max_size=6), parallel_problems()))
def test_certificate_of_the_threshold_bound(problem):
    bound, certificate = threshold_bound(problem)
    assert bound == oracles.threshold_bound(problem)
    assert certificate.bound(problem) == bound
    assert bound <= oracles.optimum(problem)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_no_witness_whatsoever_proves_more_than_the_optimum(data):
    problem = data.draw(st.one_of(problems(max_size=6), parallel_problems()))
    witness = data.draw(st.lists(st.tuples(st.integers(-2, 70), st.integers(-1, 9)), max_size=5))
    best = oracles.optimum(problem)
    assert proven(ThresholdCertificate(tuple(witness)), problem) <= best
    witness.sort(reverse=True)
    assert proven(ThresholdCertificate(tuple(witness)), problem) <= best


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_changed_witness_never_proves_more_than_the_optimum(data):
    problem = data.draw(problems(min_size=1, max_size=6))
    witness = [list(pair) for pair in threshold_bound(problem)[1].witness]
    best = oracles.optimum(problem)
    for _ in range(data.draw(st.integers(1, 3))):
        if not witness:
            break
        at = data.draw(st.integers(0, len(witness) - 1))
        change = data.draw(st.sampled_from(["size", "time", "drop", "repeat"]))
        if change == "drop":
            del witness[at]
        elif change == "repeat":
            witness.insert(at, list(witness[at]))
        else:
            witness[at][change == "time"] += data.draw(st.sampled_from([-4, -1, 1, 3, 2**40]))
    certificate = ThresholdCertificate(tuple((size, time) for size, time in witness))
    assert proven(certificate, problem) <= best


@pytest.mark.parametrize(
    ("witness", "bound"),
    [
        ((), 0),
        (((8, 0),), 8),
        (((8, 0), (4, 1)), 12),
        (((8, 0), (4, 2)), 12),
        (((8, 9), (4, 1)), 8),
        (((4, 1),), 8),
        (((3, 1),), 6),
        (((9, 0),), 0),
        (((8, 1), (5, 1), (1, 1)), 3 + 4 + 2),
    ],
)
def test_bound_is_the_abel_sum(witness, bound):
    assert ThresholdCertificate(witness).bound(PROBLEM) == bound


@pytest.mark.parametrize(
    "witness", [((4, 0), (8, 0)), ((8, 0), (8, 1)), ((8, 0), (0, 0)), ((-1, 0),), ((0, 0),)]
)
def test_sizes_must_descend_and_be_positive(witness):
    with pytest.raises(PlanError, match="do not descend"):
        ThresholdCertificate(witness).bound(PROBLEM)


@settings(max_examples=60, deadline=None)
@given(problems_of_devices(max_size=6))
def test_bounds_of_devices_add_up(problem):
    parts, total = {}, 0
    for device in problem.devices:
        own = [i for i, b in enumerate(problem.buffers) if b.device == device]
        bound, parts[device] = threshold_bound(problem.subproblem(own))
        total += bound
    certificate = DeviceCertificate(parts)
    assert certificate.bound(problem) == total <= oracles.optimum(problem)
    assert (
        certificate_from_json(json.loads(json.dumps(certificate_to_json(certificate))))
        == certificate
    )
    other = {f"not {device}": part for device, part in parts.items()}
    assert DeviceCertificate(other).bound(problem) == 0


@settings(max_examples=60, deadline=None)
@given(problems(max_size=6))
def test_json_round_trip(problem):
    certificate = threshold_bound(problem)[1]
    data = json.loads(json.dumps(certificate_to_json(certificate)))
    assert data["format"] == FORMAT
    assert certificate_from_json(data) == certificate


def test_solver_gives_a_certificate_a_device():
    problem = Problem(
        (Buffer("a", 8, 0, 2, device="x"), Buffer("b", 4, 1, 3, device="y"), PROBLEM.buffers[2])
    )
    result = solve(problem)
    assert isinstance(result.certificate, DeviceCertificate)
    assert sorted(result.certificate.parts) == ["", "x", "y"]
    assert result.certificate.bound(problem) == result.bound == 20


@pytest.mark.parametrize(("claimed", "holds"), [(0, True), (11, True), (12, True), (13, False)])
def test_check_against_a_claim(claimed, holds):
    certificate = ThresholdCertificate(((8, 0), (4, 1)))
    if holds:
        assert check_certificate(PROBLEM, certificate, claimed, CERTIFIED) == 12
    else:
        with pytest.raises(PlanError, match="proves 12 bytes, 13 are claimed"):
            check_certificate(PROBLEM, certificate, claimed, CERTIFIED)


def threshold(**changes):
    return {"format": FORMAT, "kind": "threshold", "witness": [[8, 0]], **changes}


MALFORMED = [
    None,
    [],
    "threshold",
    3,
    {},
    {"format": FORMAT},
    threshold(format="memonger-certificate/2"),
    threshold(kind="lp-dual"),
    threshold(kind=None),
    threshold(kind=[]),
    threshold(witness=None),
    threshold(witness=3),
    threshold(witness="ab"),
    threshold(witness=[[8]]),
    threshold(witness=[[8, 0, 1]]),
    threshold(witness=[8, 0]),
    threshold(witness=[["8", 0]]),
    threshold(witness=[[8.0, 0]]),
    threshold(witness=[[8, 0.5]]),
    threshold(witness=[[True, 0]]),
    threshold(witness=[[8, None]]),
    threshold(witness={"ab": 1}),
    {"format": FORMAT, "kind": "threshold"},
    {"format": FORMAT, "kind": "by-device"},
    {"format": FORMAT, "kind": "by-device", "devices": []},
    {"format": FORMAT, "kind": "by-device", "devices": {"cpu": None}},
    {"format": FORMAT, "kind": "by-device", "devices": {"cpu": {}}},
    {"format": FORMAT, "kind": "by-device", "devices": {"cpu": threshold(witness=[[1.5, 0]])}},
]


@pytest.mark.parametrize("data", MALFORMED, ids=repr)
def test_malformed_json(data):
    with pytest.raises(PlanError) as error:
        certificate_from_json(data)
    assert "\n" not in str(error.value)


def test_vector_time_must_have_the_conflicts_that_the_witness_counts():
    time = VectorTime.of(np.array([[0], [5]]), np.array([[5], [6]]))
    problem = Problem((Buffer("a", 4, 0, 2), Buffer("b", 4, 1, 3)), vector_time=time)
    assert not problem.conflict(0, 1)
    with pytest.raises(PlanError, match="'a' and 'b' are live together in program order"):
        ThresholdCertificate(((4, 1),)).bound(problem)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_stand_alone_checker_agrees(data):
    """On plans as written, and with a number changed somewhere."""
    problem = data.draw(
        st.one_of(problems(max_size=5), problems_of_devices(max_size=5), parallel_problems())
    )
    solved = solve(problem, data.draw(st.sampled_from(["by-size", "best-fit", "none"])))
    plan = json.loads(json.dumps(plan_to_json(problem, solved)))
    original = json.loads(json.dumps(problem_to_json(problem)))
    assert own_verdict(plan, problem)
    assert stand_alone_verdict(plan, original)
    names = list(plan["buffers"])
    spot = data.draw(st.sampled_from(["objective", "bound", "sharing", "buffers", "witness"]))
    change = data.draw(st.sampled_from([-1, 1, 4]))
    if spot in ("objective", "bound"):
        plan[spot] += change
    elif spot == "sharing" and names:
        one, other = (data.draw(st.sampled_from(names)) for _ in range(2))
        plan["sharing"][one] = plan["sharing"][other]
    elif spot == "buffers" and names:
        plan["buffers"][data.draw(st.sampled_from(names))][data.draw(st.integers(0, 2))] += change
    elif spot == "witness" and plan["certificate"].get("witness"):
        plan["certificate"]["witness"][0][data.draw(st.integers(0, 1))] += change
    assert own_verdict(plan, problem) == stand_alone_verdict(plan, original)


def problems_that_need_prices(seed, wanted, devices=("",)):
    """Return random problems whose optimum is proven by prices, with their results."""
    rng = random.Random(seed)
    found = []
    while len(found) < wanted:
        problem = random_problem(rng, 8)
        if oracles.threshold_bound(problem) == oracles.optimum(problem):
            continue
        others = [Buffer(f"c{i}", 5, i, i + 2, device=d) for i, d in enumerate(devices) if d]
        problem = Problem((*problem.buffers, *others))
        result = solve(problem, workers=1)
        if result.proof is Proof.LP_DUAL:
            found.append((problem, result))
    return found


def numbers_in(data, path=()):
    """Yield the paths to all integers in JSON data."""
    if type(data) is int:
        yield path
    elif isinstance(data, list | dict):
        for key, value in data.items() if isinstance(data, dict) else enumerate(data):
            yield from numbers_in(value, (*path, key))


@pytest.mark.parametrize("devices", [("",), ("x", "y")])
def test_stand_alone_checker_agrees_on_prices(devices):
    """On optimal plans as written, and with any one number changed."""
    accepted = refused = 0
    for problem, result in problems_that_need_prices(5, 6, devices):
        plan = json.loads(json.dumps(plan_to_json(problem, result)))
        assert ("devices" in plan["certificate"]) == (len(devices) > 1)
        original = json.loads(json.dumps(problem_to_json(problem)))
        assert own_verdict(plan, problem)
        assert stand_alone_verdict(plan, original)
        for *path, last in numbers_in(plan["certificate"]):
            for change in (-1, 1, 2**63):
                changed = json.loads(json.dumps(plan))
                place = changed["certificate"]
                for key in path:
                    place = place[key]
                place[last] += change
                verdict = own_verdict(changed, problem)
                assert verdict == stand_alone_verdict(changed, original)
                accepted += verdict
                refused += not verdict
        too_much = {**plan, "bound": plan["bound"] + 1}
        assert not own_verdict(too_much, problem)
        assert not stand_alone_verdict(too_much, original)
    assert accepted > 20
    assert refused > 20


@pytest.mark.parametrize("seed", range(2))
def test_stand_alone_checker_agrees_on_pairs_and_rules(seed):
    """In-place pairs and rules of the problem, with one thing changed in the plan."""
    rng = random.Random(seed)
    accepted = refused = used = 0
    for _ in range(60):
        problem = random_in_place(rng, rng.randint(3, 7))
        if rng.random() < 0.7:
            problem = replace(problem, rules=random_rules(rng, problem))
        result = solve(problem, rng.choice(["optimal", "cp-sat-binpacking"]), workers=1)
        if result.plan is None:
            continue
        plan = json.loads(json.dumps(plan_to_json(problem, result)))
        original = json.loads(json.dumps(problem_to_json(problem)))
        assert own_verdict(plan, problem)
        assert stand_alone_verdict(plan, original)
        used += any(result.plan.shared[p] == result.plan.shared[o] for p, o in problem.in_place)
        for _ in range(12):
            changed = json.loads(json.dumps(plan))
            spot = rng.choice(["sharing", "sharing", "in_place", "rules", "buffers", "bound"])
            names = sorted(changed["buffers"])
            if spot == "sharing":
                changed["sharing"][rng.choice(names)] = changed["sharing"][rng.choice(names)]
                changed |= {"status": "feasible", "certificate": None, "bound": 0}
                shared = [changed["sharing"][b.name] for b in problem.buffers]
                changed["objective"] = oracles.cost_of(problem, shared)
            elif spot == "in_place":
                pair = [rng.choice(names), rng.choice(names)]
                pairs = changed.get("in_place", [])
                changed["in_place"] = rng.choice(([], pairs[1:], [pair]))
            elif spot == "rules":
                changed["rules"] = rng.choice(({}, {"at_most": rng.randint(0, 4)}))
            elif spot == "bound":
                changed["bound"] += rng.choice((-1, 1))
                changed["status"] = "feasible"
            else:
                changed["buffers"][rng.choice(names)][rng.randrange(3)] += rng.choice((-1, 1))
            verdict = own_verdict(changed, problem)
            assert verdict == stand_alone_verdict(changed, original)
            accepted += verdict
            refused += not verdict
    assert min(accepted, refused) > 100
    assert used > 5


def test_stand_alone_checker_takes_pairs_and_rules_of_the_problem():
    """A plan cannot bring its own; what is proven without pairs is not proven with them."""
    buffers = (Buffer("p", 8, 0, 3), Buffer("o", 8, 2, 4))
    plain, both = Problem(buffers), Problem(buffers, in_place=((0, 1),))
    plan, shared = (plan_to_json(problem, solve(problem)) for problem in (plain, both))
    assert (plan["objective"], shared["objective"]) == (16, 8)
    for problem, data, holds in [
        (plain, plan, True),
        (both, plan, False),
        (plain, shared, False),
        (both, shared, True),
        (replace(both, rules=Rules(apart=((0, 1),))), shared, False),
        (replace(both, rules=Rules(together=((0, 1),))), plan, False),
        (replace(plain, rules=Rules(at_most=1)), plan, False),
        (replace(plain, rules=Rules(at_most=2)), plan, True),
        (replace(both, rules=Rules(at_most=1)), shared, True),
    ]:
        assert own_verdict(data, problem) is holds
        assert stand_alone_verdict(data, problem_to_json(problem)) is holds
    # A bound without the pair is none with it.
    cheat = {**shared, "certificate": plan["certificate"], "objective": 16, "bound": 16}
    cheat |= {"sharing": {"p": 0, "o": 1}}
    assert not own_verdict(cheat, both)
    assert not stand_alone_verdict(cheat, problem_to_json(both))


def test_stand_alone_checker_compares_vector_times():
    """A plan cannot bring its own: with those in it, a and b could share."""
    problem = Problem((Buffer("a", 8, 0, 2), Buffer("b", 8, 1, 3)))
    plan = plan_to_json(problem, solve(problem))
    original = problem_to_json(problem)
    assert stand_alone_verdict(plan, original)
    plan |= {"sharing": {"a": 0, "b": 0}, "objective": 8, "bound": 0, "status": "feasible"}
    plan |= {"vector_time": {"a": [[0], [1]], "b": [[1], [2]]}, "certificate": None}
    assert not own_verdict(plan, problem)
    assert not stand_alone_verdict(plan, original)


def test_stand_alone_checker_imports_the_standard_library_alone():
    source = PATH.read_text(encoding="utf-8")
    assert len(source.splitlines()) <= 300
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            assert {name.name.split(".")[0] for name in node.names} <= sys.stdlib_module_names
        if isinstance(node, ast.ImportFrom):
            assert node.module.split(".")[0] in sys.stdlib_module_names


def test_stand_alone_checker_from_a_shell(tmp_path):
    plan = plan_to_json(PROBLEM, solve(PROBLEM))
    prices = plan_to_json(*problems_that_need_prices(6, 1)[0])
    no_integer = {**prices["certificate"], "scale": None}
    files = {
        "good.json": (plan, 0),
        "prices.json": (prices, 0),
        "bad.json": ({**plan, "bound": plan["bound"] + 1}, 3),
        "malformed.json": ({**prices, "certificate": no_integer}, 2),
        "missing.json": (None, 2),
    }
    for name, (data, code) in files.items():
        if data is not None:
            (tmp_path / name).write_text(json.dumps(data))
        run = subprocess.run(
            [sys.executable, "-I", PATH, tmp_path / name],
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == code, name
        assert len((run.stdout + run.stderr).splitlines()) == 1
        assert "Traceback" not in run.stderr


THRESHOLD = {"format": "memonger-certificate/1", "kind": "threshold", "witness": [[8, 0], [4, 1]]}
DEVICES = {"format": "memonger-certificate/1", "kind": "by-device", "devices": {"": THRESHOLD}}
CLIQUE = {"format": "memonger-certificate/1", "kind": "clique", "time": 1}
CLAIMS = [  # what is changed in a plan, and the exit code of both checkers
    ({}, 0),
    ({"certificate": DEVICES}, 0),
    ({"certificate": None, "proof": "cp-sat"}, 0),
    ({"certificate": None, "proof": None, "status": "feasible"}, 0),
    ({"certificate": None, "proof": None}, 3),
    ({"certificate": None}, 3),
    ({"certificate": None, "proof": "lp-dual"}, 3),
    ({"proof": "lp-dual"}, 3),
    ({"proof": "cp-sat"}, 3),
    ({"proof": None}, 3),
    ({"proof": "lp-dual", "certificate": DEVICES}, 3),
    ({"proof": "guessed"}, 2),
    ({"proof": 3}, 2),
    ({"proof": ["threshold"]}, 2),
    ({"objective": 20}, 3),
    ({"objective": "12"}, 2),
    ({"bound": 11}, 3),
    ({"bound": 11, "status": "feasible"}, 0),
    ({"bound": None}, 2),
    ({"status": "proven"}, 3),
    ({"sharing": {"a": 0, "b": 0, "c": 0}}, 3),
    ({"sharing": {"a": 0, "b": 1, "c": 2}}, 3),
    ({"sharing": {"a": 0, "b": 1}}, 2),
    ({"sharing": {"a": 0, "b": 1, "c": -1}}, 2),
    ({"sharing": None}, 2),
    ({"buffers": {"a": [8, 0, 2], "b": [4, 1, 3], "c": [8, 2]}}, 2),
    ({"buffers": {"a": [8, 0, 2], "b": [4, 1, 3], "c": [8, 4, 4]}}, 2),
    ({"buffers": {"a": [8, 0, 2], "b": [4, 1, 3], "c": [8, 2, 9]}}, 3),
    ({"buffers": {"a": [8, 0, 2], "b": [4, 1, 3], "c": [8.0, 2, 4]}}, 2),
    ({"devices": {"b": "gpu"}}, 3),
    ({"in_place": [["a", "c"]]}, 2),
    ({"rules": {"apart": [["a", "c"]]}}, 3),
    ({"rules": {"apart": [["a", "x"]]}}, 2),
    ({"certificate": 3}, 2),
    ({"certificate": {**THRESHOLD, "format": "?"}}, 2),
    ({"certificate": {**THRESHOLD, "kind": "cut"}}, 2),
    ({"certificate": {**THRESHOLD, "witness": [[8, "0"]]}}, 2),
    ({"certificate": {**THRESHOLD, "witness": [[8, 9], [4, 1]]}}, 3),
    ({"format": "memonger-plan/2"}, 2),
    ({"form": "arena"}, 2),
    ({"alignments": {"a": 4}}, 2),
    ({"pinned": {"a": 0}}, 2),
    ({"devices": {"x": "gpu"}}, 2),
    ({"certificate": CLIQUE, "proof": "clique"}, 3),
    ({"certificate": {**DEVICES, "devices": {"": THRESHOLD, "x": CLIQUE}}}, 3),
    ({"certificate": None, "proof": "search"}, 0),
]


@pytest.mark.parametrize(("changes", "code"), CLAIMS, ids=lambda value: str(value)[:60])
def test_both_checkers_take_the_same_arguments_and_answer_alike(tmp_path, capfd, changes, code):
    """FILE PLAN: malformed input is exit code 2, a claim that does not hold 3."""
    plan = {**plan_to_json(PROBLEM, solve(PROBLEM)), **changes}
    (tmp_path / "problem.json").write_text(json.dumps(problem_to_json(PROBLEM)))
    (tmp_path / "plan.json").write_text(json.dumps(plan))
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
