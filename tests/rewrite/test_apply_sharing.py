import pytest

from memonger.analysis import analyse_net
from memonger.net.netdef_pb2 import NetDef
from memonger.plan import SharingPlan
from memonger.rewrite.apply_sharing import apply_sharing
from tests.net.notation import net, ones, operator, short, with_net


def applied(model, *groups):
    """Apply the plan in which the storages of each group share; the others are alone."""
    analysis = analyse_net(model, sizes=ones(model))
    number = {name: index for index, group in enumerate(groups) for name in group.split()}
    names = [buffer.name for buffer in analysis.problem.buffers]
    assert set(number) <= set(names)
    plan = SharingPlan.of(number.get(name, len(groups) + i) for i, name in enumerate(names))
    before = model.SerializeToString(deterministic=True)
    result = apply_sharing(analysis.net, analysis.def_use, analysis.planned, plan)
    assert model.SerializeToString(deterministic=True) == before
    return result


CHAIN = "Relu x > a; Tanh a > b; Sin b > c; Cos c > d; Copy d > y"
TABLE = {
    "nothing shares": (CHAIN, [], CHAIN),
    "two share": (
        CHAIN, ["a c"],
        "Relu x > __m0_shared; Tanh __m0_shared > b; Sin b > __m0_shared; "
        "Cos __m0_shared > d; Copy d > y",
    ),
    "numbers follow the plan": (
        CHAIN, ["a c", "b d"],
        "Relu x > __m0_shared; Tanh __m0_shared > __m1_shared; Sin __m1_shared > __m0_shared; "
        "Cos __m0_shared > __m1_shared; Copy __m1_shared > y",
    ),
    "in place stays in place": (
        "Relu x > a; Tanh a > a; Sin a > b; Copy b > c; Copy c > y", ["a c"],
        "Relu x > __m0_shared; Tanh __m0_shared > __m0_shared; Sin __m0_shared > b; "
        "Copy b > __m0_shared; Copy __m0_shared > y",
    ),
    "storages of one blob keep its name": (
        "Relu x > a; Tanh a > b; Sin b > a; Copy a > y", ["a a#1"],
        "Relu x > a; Tanh a > b; Sin b > a; Copy a > y",
    ),
    "a redefined blob goes two ways": (
        "Relu x > a; Tanh a > b; Sin b > c; Cos c > a; Copy a > y", ["a c", "b a#1"],
        "Relu x > __m0_shared; Tanh __m0_shared > __m1_shared; Sin __m1_shared > __m0_shared; "
        "Cos __m0_shared > __m1_shared; Copy __m1_shared > y",
    ),
    "a view keeps its name": (
        "Relu x > a; Alias a > v; Tanh v > b; Sin b > c; Copy c > y", ["a c"],
        "Relu x > __m0_shared; Alias __m0_shared > v; Tanh v > b; Sin b > __m0_shared; "
        "Copy __m0_shared > y",
    ),
    "Free follows": (
        "Relu x > a; Tanh a > b; Free a > a; Sin b > c; Copy c > y", ["a c"],
        "Relu x > __m0_shared; Tanh __m0_shared > b; Free __m0_shared > __m0_shared; "
        "Sin b > __m0_shared; Copy __m0_shared > y",
    ),
    "control inputs follow (B14)": (
        "Relu x > a; Tanh a > b; Sin b > c | a; Copy c > d | a b; Copy d > y | x", ["a d"],
        "Relu x > __m0_shared; Tanh __m0_shared > b; Sin b > c | __m0_shared; "
        "Copy c > __m0_shared | __m0_shared b; Copy __m0_shared > y | x",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLE)
def test_sharing_is_renaming(name):
    text, groups, expected = TABLE[name]
    assert short(applied(net(text), *groups)) == expected


@pytest.mark.parametrize(
    "taken",
    [
        net(CHAIN, inputs="x __m0_shared __m1_shared"),
        net(CHAIN.replace("d", "__m0_shared").replace("b", "__m1_shared")),
        NetDef(
            op=[
                *net(CHAIN).op,
                with_net(operator("If y >"), then_net=net("Relu x > __m0_shared; A > __m1_shared")),
            ],
            external_input=["x"],
            external_output=["y"],
        ),
    ],
    ids=["declared", "written", "inside a net"],
)
def test_names_that_are_taken_are_not_given_again(taken):
    assert short(applied(taken, "a c")).startswith("Relu x > __m2_shared; ")


def test_header_and_declarations_stay():
    model = net(CHAIN, inputs="x unused", kind="async_scheduling")
    model.name, model.num_workers = "n", 4
    model.arg.add(name="a", s=b"a")
    result = applied(model, "a c")
    del result.op[:]
    del model.op[:]
    assert result == model
