"""The best plan and bound of a run, as they improve."""

from memonger.certificate import ThresholdCertificate
from memonger.plan import SharingPlan
from memonger.problem import Buffer, Problem
from memonger.registry import Run
from memonger.result import Proof
from memonger.solver.incumbent import Incumbent
from memonger.stop import Deadline

PROBLEM = Problem((Buffer("a", 8, 0, 2), Buffer("b", 4, 1, 3), Buffer("c", 8, 2, 4)))
ALONE, SHARED = SharingPlan((0, 1, 2)), SharingPlan((0, 1, 0))


def incumbent_of(hint=None):
    seen = []
    run = Run(Deadline(None), hint=hint, report=seen.append)
    return Incumbent(PROBLEM, run), seen


def test_it_begins_without_sharing():
    incumbent, seen = incumbent_of()
    assert (incumbent.plan, incumbent.source, incumbent.cost) == (ALONE, "none", 20)
    assert (incumbent.bound, incumbent.proof, incumbent.certificate) == (0, None, None)
    assert not incumbent.closed
    assert seen == []


def test_it_begins_with_the_hint():
    incumbent, _ = incumbent_of(SHARED)
    assert (incumbent.plan, incumbent.source, incumbent.cost) == (SHARED, "hint", 12)


def test_only_cheaper_plans_are_taken():
    incumbent, seen = incumbent_of()
    incumbent.offer(None, "nobody")
    incumbent.offer(ALONE, "as dear")
    assert incumbent.source == "none"
    assert seen == []
    incumbent.offer(SHARED, "cheaper")
    assert (incumbent.plan, incumbent.source, incumbent.cost) == (SHARED, "cheaper", 12)
    incumbent.offer(SharingPlan((0, 1, 0)), "later")
    incumbent.offer(ALONE, "dearer")
    assert incumbent.source == "cheaper"
    assert [(state.objective, state.bound) for state in seen] == [(12, 0)]


def test_only_better_bounds_are_taken():
    incumbent, seen = incumbent_of()
    certificate = ThresholdCertificate(((8, 0),))
    incumbent.prove(8, Proof.THRESHOLD, certificate)
    incumbent.prove(8, Proof.CP_SAT)
    incumbent.prove(7, Proof.LP_DUAL)
    assert (incumbent.bound, incumbent.proof) == (8, Proof.THRESHOLD)
    assert incumbent.certificate is certificate
    incumbent.prove(12, Proof.CP_SAT)  # without a certificate: that of 8 proves less
    assert (incumbent.bound, incumbent.proof, incumbent.certificate) == (12, Proof.CP_SAT, None)
    assert [(state.objective, state.bound) for state in seen] == [(20, 8), (20, 12)]


def test_closed():
    incumbent, _ = incumbent_of()
    incumbent.prove(12, Proof.THRESHOLD)
    assert not incumbent.closed
    incumbent.offer(SHARED, "cheaper")
    assert incumbent.closed


def test_progress_of_a_search_under_way_never_falls_behind_what_is_known():
    incumbent, seen = incumbent_of(SHARED)
    incumbent.prove(8, Proof.THRESHOLD)
    seen.clear()
    for objective, bound in [(None, None), (14, 5), (11, 10)]:
        incumbent.tell(objective, bound)
    assert [(state.objective, state.bound) for state in seen] == [(12, 8), (12, 8), (11, 10)]
    assert incumbent.cost == 12
    assert [state.seconds for state in seen] == sorted(state.seconds for state in seen)


def test_outcome():
    incumbent, _ = incumbent_of()
    certificate = ThresholdCertificate(((8, 0), (4, 1)))
    incumbent.offer(SHARED, "cheaper")
    incumbent.prove(12, Proof.THRESHOLD, certificate)
    incumbent.solve_seconds += 1.5
    outcome = incumbent.outcome()
    assert (outcome.plan, outcome.source) == (SHARED, "cheaper")
    assert (outcome.bound, outcome.proof) == (12, Proof.THRESHOLD)
    assert outcome.certificate is certificate
    assert outcome.solve_seconds == 1.5
