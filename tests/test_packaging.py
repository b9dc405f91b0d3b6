import importlib.metadata
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import memonger

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
MAPPED = ("heuristics", "instances", "solver")


def packages_on_disk(directory, name):
    if not (directory / "__init__.py").exists():
        return
    yield name
    for path in sorted(directory.iterdir()):
        if path.is_dir():
            yield from packages_on_disk(path, f"{name}.{path.name}")


def test_packages_are_those_on_disk():
    declared = PYPROJECT["tool"]["setuptools"]["packages"]
    assert sorted(declared) == sorted(packages_on_disk(ROOT / "memonger", "memonger"))
    assert len(declared) == len(set(declared))


def test_root_directories_are_mapped():
    mapped = PYPROJECT["tool"]["setuptools"]["package-dir"]
    assert mapped == {
        "memonger": "memonger",
        **{f"memonger.{name}": name for name in MAPPED},
    }
    for name in MAPPED:
        assert not any(
            path.is_dir() and (path / "__init__.py").exists() for path in (ROOT / name).iterdir()
        )


@pytest.mark.parametrize("name", MAPPED)
def test_symlinks_are_relative_and_right(name):
    link = ROOT / "memonger" / name
    assert link.is_symlink()
    assert os.readlink(link) == f"../{name}"
    assert link.resolve() == (ROOT / name).resolve()


@pytest.mark.parametrize("name", MAPPED)
def test_root_directories_are_no_packages_of_their_own(name):
    code = f"import {name}"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 1
    last = run.stderr.strip().splitlines()[-1]
    assert last == f"ImportError: import memonger.{name}, not {name}: see pyproject.toml"


def test_one_version():
    assert PYPROJECT["project"]["version"] == memonger.__version__
    assert importlib.metadata.version("memonger") == memonger.__version__


def test_package_data_exists():
    for package, patterns in PYPROJECT["tool"]["setuptools"]["package-data"].items():
        directory = ROOT / Path(*package.split("."))
        for pattern in patterns:
            assert list(directory.glob(pattern)), (package, pattern)
    assert (ROOT / "memonger" / "py.typed").read_bytes() == b""


def test_entry_point():
    (entry,) = importlib.metadata.entry_points(group="console_scripts", name="memonger")
    assert entry.value == PYPROJECT["project"]["scripts"]["memonger"] == "memonger.cli.start:main"
    assert callable(entry.load())


def test_licence_is_there():
    for name in PYPROJECT["project"]["license-files"]:
        assert (ROOT / name).is_file()
    assert (ROOT / PYPROJECT["project"]["readme"]).is_file()
