"""Graphs of PyTorch, by objects that look like its own; one test with torch itself, if at hand."""

import operator
from types import SimpleNamespace

import pytest

import memonger
from memonger.errors import InputError, ProblemError
from memonger.instances.torch_graph import from_torch, graph_from_torch, order_from_torch


class Fake:
    """A fake tensor."""

    def __init__(self, *shape, dtype="torch.float32", width=4, contiguous=True):
        self.shape, self.dtype, self.width, self.contiguous = shape, dtype, width, contiguous

    def element_size(self):
        return self.width

    def is_contiguous(self):
        return self.contiguous


class Node:
    def __init__(self, op, name, target="", args=(), val=None, **kwargs):
        self.op, self.name, self.target, self.args, self.kwargs = op, name, target, args, kwargs
        self.meta = {} if val is None else {"val": val}


def alias(text):
    if not text:
        return None
    if text == "[]":  # how torch gives the letter of a list of tensors: not at all
        return SimpleNamespace(before_set=set(), after_set=set())
    return SimpleNamespace(before_set={text[0]}, after_set={text[-1]})


def aten(name, arguments=("",), returns=("",)):
    """An operator with a schema: the aliases of its arguments (x0, x1, ...) and of its results."""
    schema = SimpleNamespace(
        name=f"aten::{name}",
        arguments=[
            SimpleNamespace(name=f"x{i}", alias_info=alias(a)) for i, a in enumerate(arguments)
        ],
        returns=[SimpleNamespace(alias_info=alias(a)) for a in returns],
    )
    return SimpleNamespace(_schema=schema, __name__=f"{name}.default")


def module(*nodes):
    return SimpleNamespace(graph=SimpleNamespace(nodes=list(nodes)))


def program(weights, *nodes):
    signature = SimpleNamespace(inputs_to_parameters=dict.fromkeys(weights, "w"))
    return SimpleNamespace(graph_module=module(*nodes), graph_signature=signature)


def call(name, target, *args, val=None, **kwargs):
    return Node("call_function", name, target, args, val, **kwargs)


def ranges(exported, **options):
    return {b.name: (b.size, b.start, b.end) for b in from_torch(exported, **options).buffers}


RELU, ADD = aten("relu"), aten("add", ("", ""))
VIEW = aten("view", ("a", ""), ("a",))


def small():
    w = Node("placeholder", "w", val=Fake(4))
    x = Node("placeholder", "x", val=Fake(2, 4))
    a = call("a", RELU, x, val=Fake(2, 4))
    v = call("v", VIEW, a, [8], val=Fake(8))
    b = call("b", aten("mul", ("", "")), x, w, val=Fake(2, 4))
    c = call("c", ADD, v, b, val=Fake(8))
    d = call("d", aten("sum"), c, val=Fake())
    return program(["w"], w, x, a, v, b, c, d, Node("output", "output", args=((d,),)))


def test_a_program():
    assert ranges(small()) == {"a": (32, 0, 4), "b": (32, 2, 4), "c": (32, 3, 5)}
    assert ranges(small(), planned="activations+outputs")["d"] == (4, 4, 5)
    assert ranges(small(), mode="training")["d"] == (4, 4, 5)
    assert memonger.from_torch is from_torch


def test_weights_inputs_and_what_may_be_in_place():
    found = graph_from_torch(small())
    kinds = dict(zip(found["tensors"]["name"], found["tensors"]["kind"], strict=True))
    assert (kinds["w"], kinds["x"], kinds["a"], kinds["d"]) == ("w", "i", "a", "o")
    assert {op[0]: op[4] for op in found["ops"]}["v"] == "v"
    assert {op[0]: op[5] for op in found["ops"]} == {
        "a": [],
        "v": [],
        "b": [],
        "c": [[0, 0], [0, 1]],
        "d": [],
    }


def test_orders():
    problem = order_from_torch(small())
    assert len(problem) == 5
    assert problem.peak(range(5)) == 96


def test_several_outputs_and_items_that_nobody_wants():
    x = Node("placeholder", "x", val=Fake(8))
    many = call("many", aten("max", ("",), ("", "", "")), x, val=(Fake(2), None, Fake(3)))
    first = call("first", operator.getitem, many, 0)
    last = call("last", operator.getitem, many, 2)
    middle = call("middle", operator.getitem, many, 1)
    y = call("y", ADD, first, middle, val=Fake(2))
    z = call("z", ADD, y, last, val=Fake(5))
    found = ranges(module(x, many, first, last, middle, y, z, Node("output", "o", args=((z,),))))
    assert found == {"many.0": (8, 0, 2), "many.2": (12, 0, 3), "y": (8, 1, 3)}


@pytest.mark.parametrize("mark", ["a", "[]"])
def test_lists_of_views(mark):
    x = Node("placeholder", "x", val=Fake(8))
    a = call("a", RELU, x, val=Fake(8))
    parts = call("parts", aten("split", ("a",), (mark,)), a, val=[Fake(4), Fake(4)])
    one = call("one", operator.getitem, parts, 1)
    y = call("y", RELU, one, val=Fake(4))
    z = call("z", RELU, y, val=Fake(4))
    nodes = (x, a, parts, one, y, z, Node("output", "o", args=(z,)))
    assert ranges(module(*nodes)) == {"a": (32, 0, 3), "y": (16, 2, 4)}


def test_joins_read_lists_and_keywords():
    x = Node("placeholder", "x", val=Fake(8))
    a = call("a", RELU, x, val=Fake(8))
    b = call("b", RELU, x, val=Fake(8))
    c = call("c", aten("cat"), [a, x], val=Fake(16))
    d = call("d", aten("index", ("", "")), c, val=Fake(8), x1=[None, b])
    e = call("e", RELU, d, val=Fake(8))
    found = ranges(module(x, a, b, c, d, e, Node("output", "o", args=([e],))))
    assert found == {"a": (32, 0, 3), "b": (32, 1, 4), "c": (64, 2, 4), "d": (32, 3, 5)}


@pytest.mark.parametrize(
    ("kind", "given", "made", "is_view"),
    [
        ("reshape", Fake(8), Fake(8), True),
        ("reshape", Fake(8, contiguous=False), Fake(8), False),
        ("to", Fake(8), Fake(8, dtype="torch.float16", width=2), False),
        ("to", Fake(8), Fake(8), True),
        ("_unsafe_view", Fake(8), Fake(8), True),
        ("add_", Fake(8), Fake(8), True),
        ("clone", Fake(8), Fake(8), False),
    ],
)
def test_what_is_a_view(kind, given, made, is_view):
    marks = {"reshape": ("a",), "to": ("a",), "add_": ("a",)}.get(kind, ("",))
    x = Node("placeholder", "x", val=Fake(8))
    a = call("a", RELU, x, val=given)
    v = call("v", aten(kind, marks, marks), a, val=made)
    y = call("y", RELU, v, val=Fake(8))
    found = ranges(module(x, a, v, y, Node("output", "o", args=(y,))))
    assert ("v" not in found) == is_view
    assert found["a"] == (32, 0, 3 if is_view else 2)


def test_attributes_are_constants():
    held = Node("get_attr", "held")
    a = call("a", RELU, held, val=Fake(2))
    y = call("y", RELU, a, val=Fake(2))
    assert ranges(module(held, a, y, Node("output", "o", args=(y,)))) == {"a": (8, 0, 2)}


def symbolic():
    x = Node("placeholder", "x", val=Fake(8))
    return module(x, call("a", RELU, x, val=Fake("s0", 8)))


def unordered():
    x = Node("placeholder", "x", val=Fake(8))
    late = call("late", RELU, x, val=Fake(8))
    return module(x, call("a", RELU, late, val=Fake(8)), late)


def huge():
    x = Node("placeholder", "x", val=Fake(8))
    return module(x, call("a", RELU, x, val=Fake(2**40, 2**40)))


def negative():
    x = Node("placeholder", "x", val=Fake(8))
    return module(x, call("a", RELU, x, val=Fake(-8)))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (symbolic, "s0 is not fixed"),
        (unordered, "is read before it is made"),
        (huge, "the limit is 2^62"),
        (negative, "dimension -8"),
        (lambda: 7, "a int is no graph"),
        (lambda: module(Node("call_module", "layer")), "'layer' is a 'call_module'"),
    ],
)
def test_bad_graphs(make, said):
    with pytest.raises((InputError, ProblemError)) as error:
        from_torch(make())
    assert said in str(error.value)
    assert str(error.value).startswith("torch: ")
    assert "\n" not in str(error.value)


def test_torch_itself():
    torch = pytest.importorskip("torch")

    class Small(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = torch.nn.Linear(4, 8)

        def forward(self, x):
            y = torch.relu(self.linear(x))
            return (y.reshape(-1) + 1).sum()

    found = from_torch(torch.export.export(Small(), (torch.zeros(2, 4),)).run_decompositions({}))
    assert {b.size for b in found.buffers} >= {64}
    assert len(found) >= 2
