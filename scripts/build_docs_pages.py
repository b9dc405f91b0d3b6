#!/usr/bin/env python3
"""Write docs/cli.md and docs/api.md from the help texts and the public names.

    build_docs_pages.py [--check]

With `--check` nothing is written: the exit code is 1 if a page is not what it would be.
"""

from __future__ import annotations

import argparse
import inspect
import sys
from pathlib import Path

import typer.main

import memonger
from memonger.cli.main import app
from memonger.net.io import write_atomically

DOCS = Path(__file__).parents[1] / "docs"


def cli_page() -> str:
    """Return the commands with their options."""
    group = typer.main.get_command(app)
    lines = ["# Commands", "", "Made by `scripts/build_docs_pages.py`.", ""]
    lines += ["```text", inspect.cleandoc(group.help or ""), "```", ""]
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        arguments = [p for p in command.params if not p.opts[0].startswith("-")]
        usage = " ".join(p.metavar or p.name.upper() for p in arguments)
        lines += [f"## memonger {name} {usage}".rstrip(), ""]
        lines += ["```text", inspect.cleandoc(command.help or ""), "```", ""]
        lines += ["| option | what it does |", "| --- | --- |"]
        for parameter in command.params:
            names = [*parameter.opts, *parameter.secondary_opts]
            if names[0].startswith("-"):
                text = " ".join((parameter.help or "").split()).replace("|", "\\|")
                lines.append(f"| `{', '.join(names)}` | {text} |")
        lines.append("")
    return "\n".join(lines)


def api_page() -> str:
    """Return the public names, each where it is defined."""
    lines = ["# Python", "", "Made by `scripts/build_docs_pages.py`.", ""]
    lines += ["`import memonger` has these names; each is loaded when it is first used.", ""]
    for name in sorted(memonger.__all__, key=str.lower):
        home = getattr(memonger, name).__module__
        lines += [f"::: {home}.{name}", ""]
    lines += ["## Under Caffe2's names", "", "::: memonger.caffe2", ""]
    return "\n".join(lines)


def main() -> int:
    """Write or check the pages; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    stale = 0
    for name, text in (("cli.md", cli_page()), ("api.md", api_page())):
        path = DOCS / name
        if check and (not path.exists() or path.read_text(encoding="utf-8") != text):
            print(f"{path}: out of date")
            stale += 1
        elif not check:
            write_atomically(path, text.encode())
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
