"""Running the command line inside the test."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from memonger.cli.main import run

NET = """
name: "four"
op { input: "x" output: "a" type: "Relu" }
op { input: "a" output: "b" type: "Tanh" }
op { input: "b" output: "c" type: "Sigmoid" }
op { input: "c" output: "y" type: "Relu" }
external_input: "x"
external_output: "y"
"""
SHAPES = '{"x": [2, 3]}'
LOOSE = [(6, 0, 5), (5, 0, 1), (2, 3, 7), (3, 6, 8), (4, 1, 3), (4, 5, 6)]


@dataclass(frozen=True)
class Answer:
    """What a run of the command line gave back."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> dict:
        """The one JSON object on stdout."""
        assert self.out.count("\n") == 1
        assert self.out.endswith("\n")
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found

    def is_error(self, code: int = 2) -> str:
        """Check that this is an error of one line, and return it."""
        assert self.code == code, self
        assert self.out == ""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("memonger: error: ")
        assert self.err.endswith("\n")
        return lines[0].removeprefix("memonger: error: ")


@pytest.fixture
def memonger(capfd):
    """Return a function that runs the command line."""

    def call(*arguments: object) -> Answer:
        capfd.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        return Answer(code, captured.out, captured.err)

    return call


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Return an empty folder that is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def net(folder) -> Path:
    """Return a net of four operators; `shapes.json` stands beside it."""
    (folder / "shapes.json").write_text(SHAPES)
    path = folder / "four.pbtxt"
    path.write_text(NET)
    return path


@pytest.fixture
def problem(folder) -> Path:
    """Return a problem file whose best plan costs 12 bytes."""
    path = folder / "problem.json"
    path.write_text(
        json.dumps(
            {
                "format": "memonger-problem/1",
                "name": "three",
                "buffers": [
                    {"name": "a", "size": 8, "start": 0, "end": 2},
                    {"name": "b", "size": 4, "start": 1, "end": 3},
                    {"name": "c", "size": 8, "start": 2, "end": 4},
                ],
            }
        )
    )
    return path


@pytest.fixture
def contents(folder):
    """Return a function that returns the files of the folder and what is in them."""

    def read() -> dict[str, bytes]:
        return {
            str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }

    return read
