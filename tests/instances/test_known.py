import gzip
import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from memonger.errors import InputError
from memonger.instances import known
from memonger.instances.catalog import data_path, digest_of
from memonger.instances.loading import load
from memonger.instances.plan_json import plan_to_json
from memonger.problem import Buffer, Problem
from memonger.solver.solve import solve
from tests.stand_alone import CHECKER, ORDER_CHECKER

ENTRIES = [
    (label, form, entry)
    for label, forms in known.known_values().items()
    for form, entry in forms.items()
]


def plan_of(entry, folder):
    return json.loads(gzip.decompress((folder / known.PLANS / entry.plan).read_bytes()))


@pytest.mark.parametrize(("label", "form", "entry"), ENTRIES, ids=lambda value: str(value)[:50])
def test_what_is_known_holds(label, form, entry):
    """Every plan and certificate, before the stand-alone checkers."""
    assert digest_of(label.partition("/")[2]) == entry.digest
    assert 0 <= entry.bound <= entry.objective
    assert (entry.status == "optimal") is (entry.bound == entry.objective)
    if entry.plan is None:
        return
    plan = plan_of(entry, data_path())
    assert (plan["form"], plan["objective"], plan["bound"]) == (form, entry.objective, entry.bound)
    assert (plan["status"], plan["proof"]) == (entry.status, entry.proof)
    certificate = plan["certificate"]
    digest = None if certificate is None else known.digest_of(certificate)
    assert digest == entry.certificate
    assert (ORDER_CHECKER if form == "order" else CHECKER).check(plan)


def test_plans_are_all_known():
    files = {path.name for path in (data_path() / known.PLANS).glob("*")}
    assert files == {entry.plan for *_, entry in ENTRIES if entry.plan is not None}


def test_optima_that_are_known_by_construction():
    for label, form, entry in ENTRIES:
        if form == "arena" and label.startswith(("guillotine/", "pinwheel/")):
            assert entry.objective == entry.bound == 1 << 24


PROBLEM = Problem((Buffer("a", 8, 0, 2), Buffer("b", 6, 1, 3), Buffer("c", 8, 2, 4)))


def made(objective=14, bound=14, certificate=True):
    plan = plan_to_json(PROBLEM, solve(PROBLEM, form="arena"))
    proven = objective == bound
    return {
        **plan,
        "objective": objective,
        "bound": bound,
        "status": "optimal" if proven else "feasible",
        "certificate": plan["certificate"] if certificate else None,
        "proof": "clique" if certificate else "search",
    }


def test_it_only_ever_improves(tmp_path):
    def offer(*values, digest="d"):
        return known.offer(tmp_path, "x/y", digest, made(*values))

    def kept():
        (entry,) = (forms["arena"] for forms in known.known_values(tmp_path).values())
        plan = plan_of(entry, tmp_path)
        assert (plan["objective"], plan["bound"]) == (entry.objective, entry.bound)
        assert (plan["status"], plan["proof"]) == (entry.status, entry.proof)
        return entry.objective, entry.bound

    assert offer(20, 10)
    assert not offer(20, 10)
    assert not offer(21, 9)
    assert offer(21, 12)  # a better bound, for the cheaper plan
    assert kept() == (20, 12)
    assert offer(16, 11)  # a cheaper plan; the better bound stays
    assert kept() == (16, 12)
    assert not offer(17, 12)
    assert offer(14, 14, False)
    assert not offer(15, 14, False)
    assert offer(15, 14)  # its certificate, for the cheaper plan
    assert kept() == (14, 14)
    assert not offer(14, 14)
    assert not offer(14, 14, False)
    (entry,) = (forms["arena"] for forms in known.known_values(tmp_path).values())
    assert (entry.objective, entry.bound, entry.status) == (14, 14, "optimal")
    assert plan_of(entry, tmp_path) == made()
    assert offer(20, 10, digest="other")  # another instance of that name


def test_a_plan_that_is_too_large_is_not_kept(tmp_path, monkeypatch):
    known.offer(tmp_path, "x/y", "d", made(15, 13))
    monkeypatch.setattr(known, "MAX_PLAN_BYTES", 10)
    assert known.offer(tmp_path, "x/y", "d", made())
    assert list((tmp_path / known.PLANS).iterdir()) == []
    assert known.known_values(tmp_path)["x/y"]["arena"].plan is None


def test_nothing_is_lost_when_many_write(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda i: known.offer(tmp_path, f"x/{i}", "d", made()), range(40)))
    assert all(done)
    assert set(known.known_values(tmp_path)) == {f"x/{i}" for i in range(40)}


def test_solu_lines(tmp_path, monkeypatch):
    known.offer(tmp_path, "x/a", "d", made())
    known.offer(tmp_path, "x/b", "d", made(15, 13))
    values = known.known_values(tmp_path)
    monkeypatch.setattr(known, "_shipped", lambda: values)
    assert list(known.solu_lines("arena")) == [
        "=opt= x/a 14",
        "=best= x/b 15",
        "=bestdual= x/b 13",
    ]
    assert list(known.solu_lines("order")) == []


@pytest.mark.parametrize("content", ["[]", "{}", '{"format": "memonger-known/1", "values": [1]}'])
def test_malformed_files(tmp_path, content):
    (tmp_path / known.FILE).write_text(content)
    with pytest.raises(InputError, match=known.FILE):
        known.known_values(tmp_path)


def test_best_known_of_an_instance():
    label, form, entry = ENTRIES[0]
    assert known.best_known(label, form, entry.digest) == entry
    assert known.best_known(label, form, "another") is None
    assert known.best_known("no/such", form, entry.digest) is None
    assert load(label.partition("/")[2]) is not None
