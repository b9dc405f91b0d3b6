import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memonger.errors import EquivalenceError
from memonger.net.defuse import analyse, outputs_of
from memonger.net.netdef_pb2 import NetDef, OperatorDef
from memonger.rewrite.release import release_blobs
from memonger.rewrite.release_check import verify_release
from tests.net.notation import net
from tests.rewrite.interpreter import observed
from tests.rewrite.random_nets import TRAITS, random_net

CHAIN = "Relu x > a; Tanh a > b; Sin b > c; Add c a > y"


def with_free(model, index, blob):
    """Return the net with a ``Free`` before an operator."""
    result = NetDef()
    result.CopyFrom(model)
    result.op.insert(index, OperatorDef(type="Free", input=[blob], output=[blob]))
    return result


@pytest.mark.parametrize("traits", TRAITS)
@settings(max_examples=50)
@given(seed=st.integers(0, 10**6), operators=st.integers(1, 12))
def test_what_release_does_is_right(traits, seed, operators):
    model = random_net(random.Random(seed), TRAITS[traits], operators)
    released = release_blobs(model, outputs_of(model, analyse(model)), views=True)
    verify_release(model, released)
    verify_release(model, model)


@pytest.mark.parametrize("traits", [name for name in TRAITS if "undeclared" not in name])
@settings(max_examples=60)
@given(seed=st.integers(0, 10**6), operators=st.integers(2, 10), data=st.data())
def test_one_more_free_that_is_accepted_does_no_harm(traits, seed, operators, data):
    model = random_net(random.Random(seed), TRAITS[traits], operators)
    if not model.external_output:
        return
    blobs = sorted({name for op in model.op for name in op.output})
    index = data.draw(st.integers(0, len(model.op)))
    written = [b for b in blobs if any(b in op.output for op in model.op[:index])]
    if not written:
        return
    changed = with_free(model, index, data.draw(st.sampled_from(written)))
    if observed(changed, model) != observed(model):
        with pytest.raises(EquivalenceError):
            verify_release(model, changed)


@pytest.mark.parametrize(
    ("index", "blob", "message"),
    [
        (2, "a", "operator 3 .Add. reads what was freed"),
        (4, "y", "'y' is freed"),
        (4, "x", "'x' is freed"),
    ],
)
def test_what_is_needed_must_not_be_freed(index, blob, message):
    model = net(CHAIN)
    with pytest.raises(EquivalenceError, match=message):
        verify_release(model, with_free(model, index, blob))


def test_other_operators_are_not_accepted():
    model = net(CHAIN)
    for text, message in [
        ("Relu x > a; Tanh a > b; Sin b > c", "operator 3 .Add. is missing"),
        ("Relu x > a; Tanh a > b; Cos b > c; Add c a > y", "operator 2 is another"),
        (f"{CHAIN}; Copy y > z", "operator 4 is another"),
    ]:
        with pytest.raises(EquivalenceError, match=message):
            verify_release(model, net(text))
