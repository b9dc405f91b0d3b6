import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memonger.analysis import analyse_net
from tests.net.notation import net, ones
from tests.rewrite.interpreter import dependencies
from tests.rewrite.random_nets import TRAITS, random_net, random_sizes


def problem(model, **options):
    return analyse_net(model, sizes=ones(model), **options).problem


def test_only_storages_that_may_move_are_planned():
    planned = analyse_net(
        net("Relu x > a; Tanh a > b; Copy b > y"), sizes={"a": 8, "b": 12}
    ).planned
    assert [(b.name, b.size, b.start, b.end) for b in planned.problem.buffers] == [
        ("a", 8, 0, 2), ("b", 12, 1, 3),
    ]  # fmt: skip
    assert [planned.storages[i].name for i in planned.planned] == ["a", "b"]


def test_a_net_that_runs_in_order_has_no_vector_time():
    assert problem(net("Relu x > a; Copy a > y")).vector_time is None
    assert problem(net("Relu x > a; Copy a > y", kind="async_scheduling")).vector_time is not None


@pytest.mark.parametrize("kind", ["dag", "async_dag", "async_scheduling", "unheard-of"])
def test_branches_that_may_run_at_once_conflict(kind):
    text = "Relu x > a; Tanh a > b; Relu x > c; Tanh c > d; Add b d > y"
    sequential, parallel = problem(net(text)), problem(net(text, kind=kind))
    index = {buffer.name: i for i, buffer in enumerate(parallel.buffers)}
    assert not sequential.conflict(index["a"], index["c"])
    assert parallel.conflict(index["a"], index["c"])


def test_a_control_input_orders_branches():
    text = "Relu x > a; Tanh a > b; Relu x > c | b; Tanh c > d; Add b d > y"
    parallel = problem(net(text, kind="dag"))
    index = {buffer.name: i for i, buffer in enumerate(parallel.buffers)}
    assert not parallel.conflict(index["a"], index["c"])


def test_devices_are_named_where_there_are_several():
    model = net("Relu x > a; Tanh a > b; Copy b > y")
    assert {buffer.device for buffer in problem(model).buffers} == {""}
    model.op[1].device_option.device_type = 1
    assert [buffer.device for buffer in problem(model).buffers] == ["cpu", "cuda:0"]


def test_alignment_pads_sizes():
    model = net("Relu x > a; Tanh a > b; Copy b > y")
    assert problem(model, alignment=64).sizes.tolist() == [64, 64]


@given(
    st.sampled_from([name for name in TRAITS if "dag" in name]),
    st.integers(0, 10**6),
    st.integers(1, 14),
)
def test_buffers_of_a_parallel_net_share_only_if_one_is_over_in_every_schedule(name, seed, size):
    """Against the closure of the dependencies: all accesses of one before the other's first."""
    rng = random.Random(seed)
    model = random_net(rng, TRAITS[name], size)
    planned = analyse_net(model, sizes=random_sizes(rng, model)).planned
    earlier = []
    for waits in dependencies(model):
        earlier.append(set(waits).union(*(earlier[before] for before in waits)))
    stored = [planned.storages[i] for i in planned.planned]

    def over(one, other):
        return all(op in earlier[other.start] for op in one.accesses)

    for (i, one), (j, other) in itertools.combinations(enumerate(stored), 2):
        free = over(one, other) or over(other, one)
        assert planned.problem.conflict(i, j) is not free, (one, other)
