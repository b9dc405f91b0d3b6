import pytest

from memonger.errors import InputError
from memonger.registry import SHARING, Algorithm, Outcome, Progress, Registry, Run, ignore
from memonger.stop import Deadline


def nothing(problem, run):
    return Outcome(None)


def test_names_keep_the_order_of_registration():
    registry = Registry()
    for name in ("b", "a", "c"):
        assert registry.add(Algorithm(name, "", nothing)).name == name
    assert registry.names() == ["b", "a", "c"]
    assert [algorithm.name for algorithm in registry] == ["b", "a", "c"]
    assert registry.get("a").run is nothing


def test_a_name_that_is_taken():
    registry = Registry()
    registry.add(Algorithm("a", "", nothing))
    with pytest.raises(ValueError, match="'a' is registered already"):
        registry.add(Algorithm("a", "another", nothing))


def test_an_unknown_name_lists_the_known_ones():
    registry = Registry()
    registry.add(Algorithm("one", "", nothing))
    registry.add(Algorithm("two", "", nothing))
    with pytest.raises(InputError, match=r"unknown algorithm 'three'; known: one, two"):
        registry.get("three")


def test_the_sharing_registry():
    import memonger.solver.solve  # noqa: F401  (registers)

    names = SHARING.names()
    assert {"none", "caffe2-greedy", "caffe2-greedy-unsized", "by-size", "optimal"} <= set(names)
    assert SHARING.get("optimal").proves
    assert all(algorithm.summary for algorithm in SHARING)
    exact = {"optimal", "cp-sat", "cp-sat-binpacking"}
    assert {a.name for a in SHARING if a.proves} == exact


def test_defaults():
    run = Run(Deadline(None))
    assert run.workers == 1
    assert run.hint is None
    assert run.report is ignore
    run.report(Progress(None, 0, 0.0))
    assert Outcome(None).proof is None
