import inspect
import subprocess
import sys

import pytest

import memonger

PUBLIC = [
    "Allocation",
    "ArenaPlan",
    "Buffer",
    "Gap",
    "MemongerError",
    "OrderPlan",
    "OrderProblem",
    "Problem",
    "Proof",
    "Result",
    "SharingPlan",
    "Status",
    "from_torch",
    "load",
    "load_net",
    "optimal_order",
    "optimize",
    "save_net",
    "solve",
    "solve_order",
    "verify_arena",
    "verify_order",
    "verify_sharing",
]


def test_the_names_are_these():
    assert memonger.__all__ == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_every_name_is_there_and_documented(name):
    found = getattr(memonger, name)
    assert inspect.getdoc(found)
    assert found.__name__ == name
    assert found.__module__.startswith("memonger.")
    assert name in dir(memonger)


def test_star_import():
    names = {}
    exec("from memonger import *", names)
    assert set(PUBLIC) <= set(names)


def test_an_unknown_name():
    with pytest.raises(AttributeError, match="module 'memonger' has no attribute 'solved'"):
        memonger.solved  # noqa: B018


@pytest.mark.parametrize("call", ["optimize", "solve"])
def test_options_are_keywords(call):
    parameters = inspect.signature(getattr(memonger, call)).parameters
    for name in ("time_limit", "workers", "seed"):
        assert parameters[name].kind is inspect.Parameter.KEYWORD_ONLY
    assert parameters["time_limit"].default is None
    assert parameters["seed"].default == 0


def test_importing_memonger_loads_no_solver():
    code = (
        "import sys, memonger; memonger.Buffer, memonger.Status; "
        "print(sorted({'ortools', 'numba', 'matplotlib', 'rich'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
