"""Nets whose operators are put in another order, against the interpreter."""

import random
from functools import partial

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import memonger.caffe2 as caffe2
from memonger.analysis import analyse_net
from memonger.cli.main import run
from memonger.errors import EquivalenceError, InputError
from memonger.graph.dataflow import interference_graph
from memonger.graph.operator_order import order_problem_of_net, reordered
from memonger.instances.nets import NETS, build
from memonger.net.io import save_net
from memonger.net.schema import is_sequential
from memonger.net.subnets import has_nets
from memonger.ordering import optimal_order
from memonger.pipeline import optimize
from memonger.registry import ORDER
from memonger.rewrite.equivalence import verify_equivalence
from memonger.rewrite.matching import matching_order
from memonger.solver.order import solve_order
from tests.golden import MALFORMED, original, records
from tests.net.notation import net, ones
from tests.rewrite.interpreter import observed
from tests.rewrite.random_nets import TRAITS, random_net, random_sizes

SEQUENTIAL = [name for name in TRAITS if "dag" not in name]
FORK = "Relu x > a; Relu x > b; Sum a > c; Sum b > d; Add c d > y"


def check(model, result):
    """Check that a reordered net does the same, and that its order is found again."""
    assert result.choice is not None
    assert observed(result.net, model) == observed(model)
    again = matching_order(model, result.net)
    verify_equivalence(model, result.net, result.analysis.outputs, order=again)
    assert [op.type for op in result.net.op] == [
        model.op[index].type for index in result.choice.order
    ]


@pytest.mark.parametrize("name", NETS)
def test_built_in_nets_need_no_more_memory_in_the_best_order(name):
    built = build(name)
    before = optimize(built.net, shapes=built.types, time_limit=30)
    after = optimize(built.net, shapes=built.types, order="optimal", time_limit=30)
    assert after.objective <= before.objective
    assert after.baseline == before.baseline
    assert after.choice.lowest.bound <= after.choice.lowest.objective <= after.objective
    if not any(has_nets(op) for op in built.net.op):
        check(built.net, after)


def test_a_training_net_needs_less_memory_in_another_order():
    built = build("cnn-train")
    before = optimize(built.net, shapes=built.types).objective
    after = optimize(built.net, shapes=built.types, order="optimal")
    assert after.status == "optimal"
    assert after.objective < 0.85 * before


@pytest.mark.parametrize("name", records())
def test_recorded_nets(name):
    record, model = records()[name], original(name)
    if name in MALFORMED or not is_sequential(model.type):
        pytest.skip("cannot be reordered")
    sizes = record["blob_sizes"]
    before = optimize(model, sizes=sizes)
    after = optimize(model, sizes=sizes, order="optimal", time_limit=20)
    assert after.objective <= before.objective
    print(f"{name:28} {before.objective:>12} {after.objective:>12} {after.choice.source}")
    if not any(has_nets(op) for op in model.op):
        check(model, after)


@pytest.mark.parametrize("traits", SEQUENTIAL)
@settings(max_examples=40)
@given(
    seed=st.integers(0, 10**6), operators=st.integers(1, 12), order=st.sampled_from(ORDER.names())
)
def test_random_nets_in_any_order(traits, seed, operators, order):
    rng = random.Random(seed)
    model = random_net(rng, TRAITS[traits], operators)
    sizes = random_sizes(rng, model)
    result = optimize(model, sizes=sizes, order=order)
    if order == "program":
        assert result.choice is None
        return
    check(model, result)
    if order in ("optimal", "min-memory"):
        assert result.objective <= optimize(model, sizes=sizes).objective


def test_the_peak_of_the_problem_is_the_load_of_the_net():
    """The order problem and the live ranges of the reordered net say the same of an order."""
    for seed in range(60):
        rng = random.Random(seed)
        model = random_net(rng, TRAITS["ssa"], 12)
        sizes = random_sizes(rng, model)
        analysis = analyse_net(model, sizes=sizes)
        problem = order_problem_of_net(analysis.net, analysis.def_use, analysis.planned)
        plan = solve_order(problem, rng.choice(ORDER.names())).plan
        live = analyse_net(reordered(model, plan.order), sizes=sizes).problem
        loads = [0] * (len(model.op) + 1)
        for buffer in live.buffers:
            for time in range(buffer.start, buffer.end):
                loads[time] += buffer.padded_size
        assert plan.cost(problem) == max(loads, default=0)


def test_caffe2s_longest_path_order_where_caffe2_raises():
    model = net("Sum x > b0; Sum x > b1; Sum b0 b1 > b2; Sum b1 b2 > b3; Sum b2 b0 b3 > y")
    for order in ("longest-path", "optimal"):
        check(model, optimize(model, sizes=ones(model), order=order))


def test_operators_with_effects_keep_their_order():
    sizes = {"a": 90, "b": 90, "c": 1, "d": 1, "x": 1, "y": 1}
    free = optimize(net(FORK), sizes=sizes, order="optimal")
    assert free.choice.order != (0, 1, 2, 3, 4)
    for kind in ("Dropout", "UniformFill", "Print", "EnqueueBlobs", "CreateMutex", "Allreduce"):
        text = FORK.replace("Sum", kind).replace("Relu", kind)
        problem = optimize(net(text), sizes=sizes, order="optimal")
        assert problem.choice.order == (0, 1, 2, 3, 4), kind


def test_the_best_order_goes_where_caffe2s_orders_go():
    sizes = {"a": 90, "b": 90, "c": 1, "d": 1, "x": 1, "y": 1}
    best = partial(optimal_order, sizes=sizes)
    done = caffe2.optimize_interference(net(FORK), ["x", "y"], best, sizes)
    assert [op.type for op in done.net.op] == ["Relu", "Sum", "Relu", "Sum", "Add"]
    assert observed(done.net, net(FORK)) == observed(net(FORK))
    graph = interference_graph(net(FORK).op)
    assert sorted(optimal_order(graph)) == list(range(5))
    assert optimal_order(nx.DiGraph()) == []
    with pytest.raises(InputError, match="its operator as 'op'"):
        optimal_order(nx.DiGraph([(0, 1)]))
    with pytest.raises(InputError, match="in program order"):
        optimal_order(nx.DiGraph([(3, 7)]))


def test_nets_that_run_in_parallel_have_no_order():
    with pytest.raises(InputError, match="'dag' runs in parallel"):
        optimize(net(FORK, kind="dag"), sizes={}, order="optimal")


def test_a_net_whose_operators_do_something_else_has_no_matching_order():
    model = net(FORK)
    assert matching_order(model, reordered(model, [1, 3, 0, 2, 4])) == [1, 3, 0, 2, 4]
    with pytest.raises(EquivalenceError, match="does what none"):
        matching_order(model, net(FORK.replace("Sum a > c", "Sum b > c")))


def test_the_command_line_reorders_and_checks(tmp_path, capsys):
    source, target = tmp_path / "fork.pb", tmp_path / "out.pb"
    sizes = tmp_path / "sizes.json"
    save_net(net(FORK), source)
    sizes.write_text('{"a": 90, "b": 90, "c": 1, "d": 1, "x": 1, "y": 1}')
    arguments = ["optimize", str(source), "--sizes", str(sizes), "--order", "optimal"]
    assert run([*arguments, "-o", str(target), "--json"]) == 0
    assert '"operators": [' in capsys.readouterr().out
    assert run([*arguments]) == 0
    assert "least peak, any order" in capsys.readouterr().out
    assert run(["check", str(source), str(target)]) == 0
    assert "in another order" in capsys.readouterr().out
    wrong = tmp_path / "wrong.pb"
    save_net(net(FORK.replace("Sum a > c", "Sum b > c")), wrong)
    assert run(["check", str(source), str(wrong)]) == 3
    assert "reads another value" in capsys.readouterr().err
    assert run([*arguments[:-1], "fast"]) == 2
    assert "known: program" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "order", "message"),
    [
        ("UniformFill x > a; UniformFill x > b; Sub a b > y", [1, 0, 2], "has effects beyond"),
        ("Dropout x > a; Dropout x > b; Sub a b > y", [1, 0, 2], "has effects beyond"),
        ("Relu x > a; Tanh x > b | a; Sub a b > y", [1, 0, 2], "must wait for"),
        ("CreateMutex > m; Lock m > a; Look m > b; Sub a b > y", [0, 2, 1, 3], "effects"),
        ("Relu x > y; Stop x >; Halt x >", [0, 2, 1], "has effects beyond"),
    ],
)
def test_the_verifier_sees_what_values_do_not_show(text, order, message):
    """Written against nets put in that order by hand, not by an order of ours."""
    model = net(text)
    with pytest.raises(EquivalenceError, match=message):
        verify_equivalence(model, reordered(model, order), order=order)
    result = optimize(model, sizes=ones(model), order="frees-reverse")
    assert [result.choice.order.index(v) for v in order] != sorted(range(len(order)))
    verify_equivalence(model, result.net, order=result.choice.order)


@pytest.mark.parametrize("kind", ["IndexSize", "StoreGet", "ReservoirSampling", "WallClockTime"])
def test_operators_on_stores_and_handles_stay_behind_each_other(kind):
    model = net(f"IndexGet h v > i; {kind} h > n; Add i n > y", inputs="h v")
    sizes = {"h": 1, "v": 90, "i": 90, "n": 60, "y": 1}
    assert optimize(model, sizes=sizes, order="optimal").choice.order == (0, 1, 2)
