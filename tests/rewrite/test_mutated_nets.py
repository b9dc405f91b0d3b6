"""The verifier never accepts what the interpreter shows to be different."""

import random
from collections import Counter

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from memonger.analysis import analyse_net
from memonger.errors import EquivalenceError, MemongerError, NetError
from memonger.net.netdef_pb2 import NetDef
from memonger.net.schema import is_sequential
from memonger.net.subnets import has_nets
from memonger.pipeline import optimize
from memonger.plan import SharingPlan
from memonger.rewrite.apply_sharing import apply_sharing
from memonger.rewrite.equivalence import verify_equivalence
from memonger.verify import verify_sharing
from tests.golden import MALFORMED, original, records
from tests.rewrite.interpreter import external_inputs, observed, races, wanted_outputs
from tests.rewrite.mutations import MUTATIONS, names_of, rename
from tests.rewrite.random_nets import TRAITS, random_net, random_sizes

SEEDS = st.integers(0, 10**6)


def accepted(net, mutated):
    try:
        verify_equivalence(net, mutated)
    except EquivalenceError:
        return False
    return True


def same_to_a_user(net, mutated):
    if observed(mutated, net) != observed(net):
        return False
    return is_sequential(net.type) or bool(races(net)) or not races(mutated)


def copy_of(net):
    copy = NetDef()
    copy.CopyFrom(net)
    return copy


@pytest.mark.parametrize("mutation", MUTATIONS)
@pytest.mark.parametrize("traits", TRAITS)
def test_no_wrong_mutant_of_a_random_net_is_accepted(traits, mutation):
    counts = Counter()
    for seed in range(40):
        rng = random.Random(seed)
        net = random_net(rng, TRAITS[traits], rng.randint(2, 10))
        mutated = copy_of(net)
        for _ in range(rng.choice([1, 1, 2])):
            MUTATIONS[mutation](mutated, rng)
            if not mutated.op:
                break
        verdict, same = accepted(net, mutated), same_to_a_user(net, mutated)
        counts[verdict, same] += 1
        assert same or not verdict, (seed, str(net), str(mutated))
    print(traits, mutation, dict(counts))


@pytest.mark.parametrize("traits", TRAITS)
@settings(max_examples=50)
@given(seed=SEEDS, operators=st.integers(1, 12))
def test_renaming_a_blob_that_no_user_sees_is_accepted(traits, seed, operators):
    rng = random.Random(seed)
    net = random_net(rng, TRAITS[traits], operators)
    seen = {*external_inputs(net), *wanted_outputs(net)}
    hidden = [name for name in names_of(net) if name not in seen]
    assume(hidden)
    mutated = copy_of(net)
    for name in hidden:
        if rng.random() < 0.7:
            rename(mutated, name, f"{name}_renamed")
    verify_equivalence(net, mutated)


@pytest.mark.parametrize("traits", TRAITS)
@settings(max_examples=60)
@given(seed=SEEDS, operators=st.integers(2, 12))
def test_plans_right_or_wrong(traits, seed, operators):
    """A valid plan gives an accepted net; an accepted net of a wrong plan is right by luck."""
    rng = random.Random(seed)
    net = random_net(rng, TRAITS[traits], operators)
    analysis = analyse_net(net, sizes=random_sizes(rng, net))
    size = len(analysis.problem)
    assume(size > 1)
    groups = rng.randint(1, size)
    plan = SharingPlan.of([rng.randrange(groups) for _ in range(size)])
    try:
        verify_sharing(analysis.problem, plan)
        valid = True
    except MemongerError:
        valid = False
    try:
        rewritten = apply_sharing(analysis.net, analysis.def_use, analysis.planned, plan)
    except NetError:
        assert not valid
        return
    verdict = accepted(net, rewritten)
    assert verdict or not valid
    assert not verdict or same_to_a_user(net, rewritten)


def is_flat(net):
    return not any(has_nets(op) for op in net.op)


RECORDED = [
    name
    for name, record in records().items()
    if name not in MALFORMED and record["n_ops"] < 150 and record["n_ops"] > 1
]


@pytest.mark.parametrize("name", RECORDED)
def test_no_wrong_mutant_of_an_optimized_recorded_net_is_accepted(name):
    net = original(name)
    if not is_flat(net):
        pytest.skip("the interpreter knows no nets inside operators")
    result = optimize(net, sizes=records()[name]["blob_sizes"]).net
    assert accepted(net, result)
    for seed in range(30):
        rng = random.Random(seed)
        mutated = copy_of(result)
        MUTATIONS[rng.choice(list(MUTATIONS))](mutated, rng)
        if accepted(net, mutated):
            assert same_to_a_user(net, mutated), (seed, str(mutated))
