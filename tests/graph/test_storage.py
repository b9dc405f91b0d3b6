import pytest

from memonger.graph.storage import storages
from memonger.net.defuse import analyse, outputs_of
from memonger.net.netdef_pb2 import NetDef
from tests.net.notation import net, operator, with_net, with_strings


def of(model, sizes=None, static=()):
    """Storage name -> storage; 4 bytes a blob unless told."""
    def_use = analyse(model)
    given = [(sizes or {}).get(version.blob, 4) for version in def_use.versions]
    found = storages(model, def_use, given, outputs_of(model, def_use), static)
    assert len({storage.name for storage in found}) == len(found)
    return {storage.name: storage for storage in found}


def ranges(model):
    return {name: (s.start, s.end) for name, s in of(model).items() if not s.pinned}


# One place in memory, and when it is in use.

RANGES = {
    "chain": ("Relu x > a; Tanh a > b; Copy b > y", {"a": (0, 2), "b": (1, 3)}),
    "several readers": ("Relu x > a; Tanh a > b; Add a b > y", {"a": (0, 3), "b": (1, 3)}),
    "in place": ("Relu x > a; Tanh a > a; Sin a > a; Copy a > y", {"a": (0, 4)}),
    "redefined": (
        "Relu x > a; Tanh a > b; Relu b > a; Copy a > y",
        {"a": (0, 2), "b": (1, 3), "a#1": (2, 4)},
    ),
    "redefined twice": (
        "Relu x > a; Copy a > b; Relu b > a; Copy a > b; Relu b > a; Copy a > y",
        {"a": (0, 2), "b": (1, 3), "a#1": (2, 4), "b#1": (3, 5), "a#2": (4, 6)},
    ),
    "dead output": ("Split x > a dead; Tanh a > y", {"a": (0, 2), "dead": (0, 1)}),
    "Free is an access": (
        "Relu x > a; Tanh a > b; Free a > a; Copy b > y",
        {"a": (0, 3), "b": (1, 4)},
    ),
    "a view prolongs the life of what it shows": (
        "Relu x > a; Alias a > v; Tanh v > b; Add b v > c; Copy c > y",
        {"a": (0, 4), "b": (2, 4), "c": (3, 5)},
    ),
    "a view of a view": (
        "Relu x > a; Alias a > v; Alias v > w; Tanh a > b; Add b w > c; Copy c > y",
        {"a": (0, 5), "b": (3, 5), "c": (4, 6)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", RANGES)
def test_storages_and_their_live_ranges(name):
    text, expected = RANGES[name]
    assert ranges(net(text)) == expected


def test_control_inputs_are_accesses_only_where_operators_run_in_parallel():
    text = "Relu x > a; Tanh a > b; Copy b > c | a; Copy c > y"
    assert ranges(net(text))["a"] == (0, 2)
    assert ranges(net(text, kind="dag"))["a"] == (0, 3)


def test_names_of_storages_are_unique_even_if_a_blob_has_such_a_name():
    of(net("Relu x > a; Tanh a > b; Relu b > a; Copy a > a#1; Add a#1 b > y"))


def test_the_size_is_that_of_the_largest_version():
    model = net("Relu x > a; Tanh a > a; Copy a > y")
    def_use = analyse(model)
    sizes = [0, 8, 24, 4]
    found = {s.name: s.size for s in storages(model, def_use, sizes, ["y"])}
    assert found["a"] == 24


# Why a storage stays where it is.

RECURRENT = with_strings(operator("RecurrentNetwork a > h last"), link_external="a h")
GRADIENT = operator("RecurrentNetworkGradient a > a_grad other")
IN_DO = net("Relu p > q", "p", "q")
STEP = net("Add t c > s", "t c", "s")
REASONS = {
    "external input": (net("Relu x > a; Copy a > y"), "x", "external input"),
    "undeclared external input": (net("Relu x > a; Copy a > y", ""), "x", "external input"),
    "later contents of an external input": (
        net("Relu x > a; Relu a > x; Copy x > y"), "x#1", "external input",
    ),
    "external output": (net("Relu x > a; Copy a > y"), "y", "external output"),
    "output by default": (net("Relu x > a; Copy a > y", outputs=""), "y", "external output"),
    "unknown size": (net("Relu x > unknown; Copy unknown > y"), "unknown", "unknown size"),
    "empty": (net("Relu x > nothing; Copy nothing > y"), "nothing", "empty"),
    "not a tensor": (net("CreateMutex > m; Relu x > a; Add a m > y"), "m", "not a tensor"),
    "communication, output": (
        net("Relu x > a; Broadcast w a > b; Copy b > y", "x w"), "b",
        "its address is kept by an operator",
    ),
    "communication, input": (
        net("Relu x > a; Broadcast w a > b; Copy b > y", "x w"), "a",
        "its address is kept by an operator",
    ),
    "aliased and redefined": (
        net("Relu x > a; Alias a > v; Copy v > b; Relu b > a; Add a b > y"), "a", "aliased",
    ),
    "aliased in a parallel net": (
        net("Relu x > a; Alias a > v; Copy v > b; Copy b > y", kind="dag"), "a", "aliased",
    ),
    "a view that is an output": (
        net("Relu x > a; Copy a > b; Alias b > y"), "b", "external output",
    ),
    "a partial write": (
        NetDef(
            op=[
                with_net(operator("If cond > d"), then_net=net("Relu x > d", "x", "d")),
                operator("Copy d > y"),
            ],
            external_input=["x", "cond"],
            external_output=["y"],
        ),
        "d",
        "may keep an older value",
    ),
    "states": (
        NetDef(op=[operator("Relu x > a"), RECURRENT, operator("Copy h > y")]), "h",
        "view of recurrent states",
    ),
    "a gradient found by its name": (
        NetDef(op=[operator("Relu x > a"), GRADIENT, operator("Add a_grad other > y")]), "a",
        "its gradient is found by its name",
    ),
    "the gradient itself may go": (
        NetDef(op=[operator("Relu x > a"), GRADIENT, operator("Add a_grad other > y")]), "a_grad",
        "",
    ),
    "named inside a step net only": (
        NetDef(
            op=[
                operator("Relu x > c"),
                with_net(operator("RecurrentNetwork x > h"), step_net=STEP),
                operator("Copy h > y"),
            ],
            external_input=["x", "t"],
        ),
        "c",
        "used inside another operator's net",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REASONS)
def test_reasons_to_stay(name):
    model, storage, reason = REASONS[name]
    assert of(model, {"unknown": None, "nothing": 0})[storage].pinned == reason


def test_static_blobs_stay():
    model = net("Relu x > a; Copy a > b; Copy b > y")
    assert of(model, static=["b", "unheard-of"])["b"].pinned == "static"
    assert of(model, static=["b"])["a"].pinned == ""


def test_earlier_contents_of_an_output_are_free_to_go():
    """Only what is in the blob at the end has to be found there (here the earlier is larger)."""
    model = net("Relu x > y; Tanh y > b; Copy b > y")
    def_use = analyse(model)
    found = {s.name: s.pinned for s in storages(model, def_use, [4, 100, 4, 4], ["y"])}
    assert found == {"x": "external input", "y": "", "b": "", "y#1": "external output"}


@pytest.mark.parametrize(("size", "stays"), [(4, True), (100, True), (101, False)])
def test_what_fits_in_a_blob_that_is_kept_anyway_stays_at_home(size, stays):
    model = net("Relu x > y; Tanh y > b; Copy b > y")
    def_use = analyse(model)
    found = {s.name: s.pinned for s in storages(model, def_use, [4, size, 4, 100], ["y"])}
    assert (found["y"] == "its name is kept anyway") is stays


REDEFINED_VIEWS = {
    "Relu x > a; Alias x > v; Tanh a > b; Tanh b > v; Add v b > y": {"a", "b"},
    "Relu x > a; Alias a > v; Copy v > b; Copy b > a; Add a v > y": {"b"},
    "Relu x > a; Alias a > v; Copy v > b; Copy b > v; Add a v > y": {"b"},
    "Relu x > a; Alias a > v; Copy a > b; Alias b > v; Copy v > c; Add c a > y": {"c"},
}


@pytest.mark.parametrize("text", REDEFINED_VIEWS)
def test_what_is_written_into_the_memory_of_a_view_stays(text):
    """Under the name of the view or of what it shows: elsewhere it would leave that unchanged."""
    found = of(net(text))
    assert {name for name in found if not found[name].pinned} == REDEFINED_VIEWS[text]


# Devices.


def test_devices():
    model = net("Relu x > a; Copy a > b; CopyGPUToCPU b > c; Copy c > d; Copy d > y")
    for index, device in ((0, (1, 0)), (1, (1, 3)), (2, (1, 3)), (3, (5, 0))):
        option = model.op[index].device_option
        option.device_type, option.device_id = device
    found = of(model)
    assert [found[name].device for name in "abcd"] == ["cuda:0", "cuda:3", "cpu", "ideep:0"]


def test_a_storage_on_several_devices_stays():
    model = net("Relu x > a; Tanh a > a; Copy a > y")
    model.op[1].device_option.device_type = 1
    assert of(model)["a"].pinned == "on several devices"


def test_redefinition_on_another_device_is_another_storage():
    model = net("Relu x > a; Copy a > b; Relu x > a; Add a b > y")
    model.op[2].device_option.device_type = 1
    found = of(model)
    assert (found["a"].device, found["a#1"].device) == ("cpu", "cuda:0")
    assert not found["a"].pinned
    assert not found["a#1"].pinned
