"""Assemble the commands; turn errors into one line and an exit code."""

from __future__ import annotations

import io
import os
import sys

import typer
from typer.exceptions import TyperException

import memonger
from memonger.cli.autopsy import autopsy
from memonger.cli.bench import bench
from memonger.cli.check import check
from memonger.cli.convert import convert
from memonger.cli.explain import explain
from memonger.cli.generate import generate
from memonger.cli.info import info
from memonger.cli.optimize import optimize
from memonger.cli.report import report
from memonger.cli.show import show
from memonger.cli.solve import solve
from memonger.cli.start import INTERRUPTED
from memonger.cli.tune import tune
from memonger.errors import MemongerError

app = typer.Typer(
    name="memonger",
    add_completion=False,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Plan the memory of neural networks, and prove the plans optimal.

    Exit codes: 0 a valid plan, or a passed check; 2 bad usage or input; 3 verification failed;
    4 proven infeasible; 5 nothing found in the time; 10 (only with --require-optimal) valid, but
    not proven optimal; 130 interrupted. Ctrl-C while a plan is searched for only ends the
    search: the best plan so far is verified and written, with the exit codes of any other.""",
)
COMMANDS = (
    optimize, solve, check, convert, info, generate, show, bench, report, autopsy, tune, explain
)  # fmt: skip
for command in COMMANDS:
    app.command()(command)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"memonger {memonger.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    del version
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(2)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line as a program; return the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names that the terminal cannot show
            stream.reconfigure(errors="backslashreplace")
    return run(arguments)


def run(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code.

    Parameters
    ----------
    arguments
        What follows the program's name; ``sys.argv`` by default.
    """
    try:
        code = app(arguments, standalone_mode=False)
        if sys.stdout is not None:  # it may be closed
            sys.stdout.flush()  # here, where a reader that has gone is no surprise
        if code == INTERRUPTED:
            return _fail("interrupted", INTERRUPTED)
        return code if isinstance(code, int) else 0
    except MemongerError as error:
        return _fail(str(error), error.exit_code)
    except TyperException as error:
        return _fail(error.format_message().replace(": Value error, ", ": "), 2)
    except (typer.Abort, KeyboardInterrupt):
        return _fail("interrupted", INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output has gone (`memonger info x | head`): nothing left to say.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except SystemExit:
        return 0  # typer's answer to a reader that has gone
    except OSError as error:
        return _fail(f"cannot write: {error.strerror or error}", 2)
    except RecursionError:
        return _fail("the input is nested too deeply", 2)
    except MemoryError:
        return _fail("out of memory", 2)


def _fail(message: str, code: int) -> int:
    if sys.stderr is not None:
        sys.stderr.write(f"memonger: error: {' '.join(message.split())}\n")
    return code
