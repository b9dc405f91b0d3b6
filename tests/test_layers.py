"""The layers of the package, over the syntax trees of its modules."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "memonger"
MAX_MODULE_LINES = 300
MAX_FUNCTION_LINES = 50

# What stands in a line may be imported by what stands in it or below it.
LAYERS = (
    (
        "problem",
        "order_problem",
        "order_flow",
        "order_certificate",
        "gaps",
        "plan",
        "result",
        "verify",
        "certificate",
        "collector",
        "lp_dual",
        "parameters",
        "registry",
        "rules",
        "stop",
        "errors",
        "forms",
        "vector_time",
    ),
    ("net", "graph"),
    ("instances", "rewrite"),
    ("heuristics",),
    ("solver",),
    (
        "pipeline",
        "analysis",
        "ordering",
        "interference",
        "recycling",
        "autopsy",
        "plan_layout",
        "plot",
        "plot_controls",
        "plot_html",
        "peaks",
        "explain",
        "bench",
        "tune",
    ),
    ("cli", "caffe2"),
)
# `import memonger` for the version, and the two doors of the package itself.
OPEN = {"", "__main__"}
ONLY_IN = {
    "ortools": {"solver"},
    "matplotlib": {"plot", "bench"},
    "bokeh": {"plot_html", "plot_controls"},
    "optuna": {"tune"},
    "typer": {"cli"},
    "rich": {"cli"},
}
INSIDE_FUNCTIONS_ONLY = {
    "matplotlib",
    "onnx",
    "onnxruntime",
    "flatbuffers",
    "tflite",
    "torch",
    "optuna",
    "dask",
    "bokeh",
}


def modules():
    """Return name -> path of every module, the three root directories under their real names."""
    found = {}
    for path in sorted(ROOT.rglob("*.py", recurse_symlinks=True) if _recurses() else _walk(ROOT)):
        if path.name.endswith("_pb2.py"):
            continue
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        found[name.removesuffix("__init__").removesuffix(".")] = path
    return found


def _recurses():
    return "recurse_symlinks" in (Path.rglob.__kwdefaults__ or {})


def _walk(directory):
    for path in directory.iterdir():
        if path.is_dir() and path.name != "__pycache__":
            yield from _walk(path)
        elif path.suffix == ".py":
            yield path


MODULES = modules()
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}


def layer(name):
    head = name.split(".")[0]
    for number, heads in enumerate(LAYERS):
        if head in heads:
            return number
    raise AssertionError(f"module {name!r} belongs to no layer")


def imports(tree, *, inside_functions=True):
    """Yield the modules that a tree imports, also those behind ``from x import y``.

    Without those inside functions, neither those for types only: what importing it loads.
    """
    stack = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module
            for alias in node.names:
                if f"{node.module}.{alias.name}".removeprefix("memonger.") in MODULES:
                    yield f"{node.module}.{alias.name}"
        if inside_functions or not _runs_later(node):
            stack.extend(ast.iter_child_nodes(node))


def _runs_later(node):
    """Return whether importing the module does not run this: a function, or what is for types."""
    if isinstance(node, ast.If):
        return ast.unparse(node.test) == "TYPE_CHECKING" and not node.orelse
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def own(name):
    """Return the name of an imported module inside memonger, ``None`` if it is of another."""
    if name == "memonger":
        return ""
    return name.removeprefix("memonger.") if name.startswith("memonger.") else None


def test_every_module_is_found():
    assert {"problem", "solver.solve", "heuristics.sweep", "instances.loading"} <= set(MODULES)
    assert len(MODULES) > 40


@pytest.mark.parametrize("name", [name for name in MODULES if name not in OPEN])
def test_imports_go_down(name):
    for imported in imports(TREES[name]):
        target = own(imported)
        if target in (None, ""):
            continue
        assert target not in OPEN
        assert layer(target) <= layer(name), f"{name} imports {target}"


def test_layers_of_one_rank_do_not_import_each_other_both_ways():
    """Layer 3 as an example: instances know of no rewriting, rewriting of no instances."""
    for name in MODULES:
        targets = {(own(i) or "").split(".")[0] for i in imports(TREES[name])}
        head = name.split(".")[0]
        if head == "instances":
            assert "rewrite" not in targets
        if head == "rewrite":
            assert "instances" not in targets
        if head == "net":
            assert "graph" not in targets


def test_the_verifier_is_independent():
    targets = {own(i) for i in imports(TREES["verify"])} - {None}
    assert targets <= {"problem", "order_problem", "plan", "errors"}


@pytest.mark.parametrize("package", ONLY_IN)
def test_third_parties_stay_where_they_belong(package):
    for name, tree in TREES.items():
        if any(i.split(".")[0] == package for i in imports(tree)):
            assert name.split(".")[0] in ONLY_IN[package], f"{name} imports {package}"


@pytest.mark.parametrize("name", MODULES)
def test_extras_are_imported_inside_functions(name):
    top = {i.split(".")[0] for i in imports(TREES[name], inside_functions=False)}
    assert not top & INSIDE_FUNCTIONS_ONLY


@pytest.mark.parametrize("name", MODULES)
def test_modules_are_short_and_documented(name):
    lines = MODULES[name].read_text(encoding="utf-8").splitlines()
    assert len(lines) <= MAX_MODULE_LINES
    assert ast.get_docstring(TREES[name])
    assert not {"utils", "helpers", "util", "helper", "common", "misc"} & set(name.split("."))


def functions():
    for name, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield name, node


def length(node):
    """Lines of a function without its docstring."""
    total = node.end_lineno - node.lineno + 1
    if ast.get_docstring(node) is not None:
        total -= node.body[0].end_lineno - node.body[0].lineno + 1
    return total


def is_kernel(node):
    return any("njit" in ast.unparse(decorator) for decorator in node.decorator_list)


def is_command(name, node):
    """Return whether a function is a command: its signature is the list of its options."""
    return name == f"cli.{node.name}"


def test_functions_are_short():
    long = {}
    for name, node in functions():
        total = length(node)
        if is_command(name, node):
            total -= node.body[0].lineno - node.lineno
        if not is_kernel(node) and total > MAX_FUNCTION_LINES:
            long[f"{name}.{node.name}"] = total
    assert long == {}


def test_public_functions_and_classes_are_documented():
    bare = []
    for name, tree in TREES.items():
        for node in tree.body:
            public = isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name[0] != "_"
            overload = "overload" in map(ast.unparse, getattr(node, "decorator_list", ()))
            if public and not overload and not ast.get_docstring(node):
                bare.append(f"{name}.{node.name}")
    assert bare == []


def test_asserts_are_for_types_only():
    """``python -O`` must not change what is refused: readers and verifiers raise."""
    for name in (
        "verify",
        "problem",
        "order_problem",
        "order_flow",
        "order_certificate",
        "vector_time",
        "plan",
        "instances.plan_json",
        "instances.problem_json",
    ):
        assert not any(isinstance(node, ast.Assert) for node in ast.walk(TREES[name])), name
