"""What people see: progress on stderr, tables on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from memonger.registry import Progress, ignore
from memonger.result import ArenaResult, OrderResult, SharingResult, Status

AnyResult = SharingResult | ArenaResult | OrderResult


class _Console(Console):
    """Shows names of blobs and files as they are; lets the caller see that a reader has gone."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=True)

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


out = _Console()
err = _Console(stderr=True)


def note(text: str, *, quiet: bool) -> None:
    """Say something on stderr."""
    if not quiet:
        err.print(printable(text))


def print_json(data: dict[str, Any]) -> None:
    """Print one JSON object on stdout."""
    sys.stdout.write(json.dumps(data) + "\n")


def json_line(state: Progress) -> None:
    """Print progress as a JSON object on a line of its own, at once."""
    data = {"objective": state.objective, "bound": state.bound, "seconds": round(state.seconds, 3)}
    print_json(data)
    sys.stdout.flush()


@contextmanager
def progress(what: str, *, quiet: bool) -> Iterator[Any]:
    """Show objective, bound, gap and time on a terminal; nothing where stderr is piped.

    Yields
    ------
    callable
        To be called with each `Progress`.
    """
    if quiet or not err.is_terminal:
        yield ignore
        return
    with err.status(Text(f"{what} ...")) as status:

        def show(state: Progress) -> None:
            gap = ""
            if state.objective:
                gap = f", gap {100 * (state.objective - state.bound) / state.objective:.3f} %"
            objective = "none" if state.objective is None else f"{state.objective:,}"
            line = f"objective {objective}, bound {state.bound:,}{gap}, {state.seconds:.1f} s"
            status.update(Text(f"{what}: {line}"))

        yield show


def printable(text: str) -> str:
    """Return a text with its control characters spelled out: names may hold any."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


class _Table(Table):
    """A table whose cells cannot upset the terminal."""

    def add_row(self, *cells: Any, **options: Any) -> None:  # noqa: ANN401
        super().add_row(
            *(printable(cell) if isinstance(cell, str) else cell for cell in cells), **options
        )


def table(title: str, *columns: str) -> Table:
    """Return an empty table: the first column on the left, the others on the right."""
    result = _Table(title=printable(title), title_justify="left")
    for number, column in enumerate(columns):
        result.add_column(column, justify="left" if number == 0 else "right")
    return result


def verdict(result: AnyResult) -> str:
    """Return in words what was proven."""
    if result.status is Status.OPTIMAL:
        certified = "certificate" if result.certificate is not None else "no certificate"
        proof = "" if result.proof is None else f" by {result.proof.value}"
        return f"optimal, proven{proof} ({certified})"
    if result.objective is not None and result.bound:
        above = 100 * (result.objective - result.bound) / result.bound
        return f"{result.status.value}, at most {above:.3f} % above the optimum"
    return result.status.value


def result_json(instance: str, form: str, size: int, result: AnyResult) -> dict[str, Any]:
    """Return what every command says of a result with ``--json``."""
    return {
        "instance": instance,
        "form": form,
        "algorithm": result.algorithm,
        "status": result.status.value,
        "objective": result.objective,
        "bound": result.bound,
        "gap": result.gap,
        "proof": None if result.proof is None else result.proof.value,
        "certified": result.certificate is not None,
        "source": result.source,
        "seconds": round(result.seconds, 3),
        "n": size,
        "seed": result.seed,
        "workers": result.workers,
        "versions": result.versions,
    }


def exit_code(result: AnyResult, *, require_optimal: bool) -> int:
    """Return the exit code for a result."""
    if result.status is Status.INFEASIBLE:
        return 4
    if result.plan is None:
        return 5
    return 10 if require_optimal and result.status is not Status.OPTIMAL else 0
