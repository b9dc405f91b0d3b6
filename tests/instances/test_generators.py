import hashlib
import subprocess
import sys

import pytest

import memonger
from memonger.errors import InputError
from memonger.instances.catalog import digest_of
from memonger.instances.generators import GENERATORS, MAX_OPERATORS, generated, parse_name
from memonger.instances.net_families import BODIES, UNTRAINED
from memonger.instances.nets import BuiltNet
from memonger.problem import Problem
from memonger.result import Status

PROBLEMS = [name for name, g in GENERATORS.items() if g.kind == "problem"]
MADE_NETS = [name for name, g in GENERATORS.items() if g.kind == "net"]
KNOWN = [name for name, g in GENERATORS.items() if g.optimum is not None]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("churn-1000", ("churn", 1000, 0)),
        ("churn-1000-seed3", ("churn", 1000, 3)),
        ("log-uniform-7", ("log-uniform", 7, 0)),
        ("recurrent-lstm-net-20", ("recurrent-lstm-net", 20, 0)),
        ("churn", None),
        ("churn-", None),
        ("churn-x", None),
        ("churn-10-seed", None),
        ("churn--10", None),
        ("churn-10-seed-1", None),
        ("7-7", None),
        ("churn-1e3", None),
        ("churn-10.json", None),
        ("CHURN-10", None),
    ],
)
def test_names(name, expected):
    found = parse_name(name)
    assert found == expected or (found is not None and found[0] not in GENERATORS)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("chrn-30", "did you mean churn?"),
        ("qqqqqq-30", "memonger info --list"),
        ("churn-0", "1 to 1000000 buffers, not 0"),
        ("unet-net-0", "1 to 1000000 operators, not 0"),
        (f"churn-{MAX_OPERATORS + 1}", "not 1000001"),
        (f"churn-3-seed{2**63}", "a seed is"),
        ("churn", "like churn-1000-seed3"),
    ],
)
def test_errors(name, message):
    with pytest.raises(InputError) as error:
        generated(name)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_every_family_is_there_once():
    assert all(g.name == name and "\n" not in g.summary for name, g in GENERATORS.items())
    trained = {name.removesuffix("-training") for name in GENERATORS if name.endswith("-training")}
    assert trained == BODIES.keys() - set(UNTRAINED)


@pytest.mark.parametrize("family", PROBLEMS)
@pytest.mark.parametrize("size", [1, 2, 7, 500])
def test_problems_have_the_size_asked_for(family, size):
    problem = generated(f"{family}-{size}-seed5")
    assert isinstance(problem, Problem)
    assert len(problem) == size


@pytest.mark.parametrize("family", MADE_NETS)
@pytest.mark.parametrize("size", [1, 60, 700])
def test_nets_have_about_the_size_asked_for(family, size):
    built = generated(f"{family}-{size}")
    assert isinstance(built, BuiltNet)
    assert set(built.net.external_input) == set(built.types)
    if size == 700:
        assert len(built.net.op) == pytest.approx(size, rel=0.1)


@pytest.mark.parametrize("family", MADE_NETS)
def test_nets_go_through_the_pipeline(family):
    """The optimum is proven, and the rewritten net verified: `optimize` raises if it is not."""
    built = generated(f"{family}-60-seed1")
    done = memonger.optimize(built.net, shapes=built.types, time_limit=60)
    assert done.status is Status.OPTIMAL
    assert {cause.reason for cause in done.analysis.sizes.unknown} <= {"not a tensor"}


@pytest.mark.parametrize("family", KNOWN)
@pytest.mark.parametrize("size", [5, 20, 40])
def test_known_optima(family, size):
    result = memonger.solve(generated(f"{family}-{size}"), form="arena", time_limit=60, workers=1)
    assert (result.status, result.objective) == (Status.OPTIMAL, GENERATORS[family].optimum)


def test_seeds_make_a_difference():
    for family in GENERATORS:
        if family not in ("recurrent-lstm-net",):
            digests = {digest_of(f"{family}-90-seed{seed}") for seed in range(4)}
            assert len(digests) > 1, family


def test_another_process_makes_the_same():
    names = [f"{family}-40-seed2" for family in GENERATORS]
    code = (
        "import sys; from memonger.instances.catalog import digest_of\n"
        "print(*map(digest_of, sys.argv[1:]))"
    )
    run = [sys.executable, "-c", code, *names]
    other = subprocess.run(run, capture_output=True, text=True, check=True).stdout.split()
    assert other == [digest_of(name) for name in names]
    assert all(len(bytes.fromhex(d)) == hashlib.sha256().digest_size // 4 for d in other)
