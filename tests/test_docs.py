"""What the documentation shows is so: commands, links, pages made by scripts, examples."""

import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from memonger.cli.main import app, run

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def steps():
    """Yield (command, lines of its output that are shown) of the tutorial."""
    text = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *shown = part.strip().splitlines()
            yield command, shown


def words_of(text):
    """Return the words of a text, without the lines of tables."""
    return " ".join(re.sub(r"[│┃]", " ", text).split())


def test_the_tutorial(tmp_path, monkeypatch, capfd):
    """Its commands run one after the other in one folder, and print what is shown of them."""
    monkeypatch.chdir(tmp_path)
    count = 0
    for command, shown in steps():
        program, *arguments = shlex.split(command)
        assert program == "memonger"
        capfd.readouterr()
        code = run(arguments)
        out = words_of(capfd.readouterr().out)
        expected = next((int(s.split()[-1]) for s in shown if s.startswith("exit code")), 0)
        assert code == expected, command
        for line in shown:
            assert line.startswith("exit code") or words_of(line) in out, (command, line, out)
        count += 1
    assert count > 15


def test_includes():
    """Files that pages include are there; the mark of an include is what it must be."""
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    included = re.findall(r'^--8<-- "(.+)"$', text, re.MULTILINE)
    assert included
    assert all((ROOT / path).is_file() for path in included)
    assert len(included) == len(re.findall(r"--8", text))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_examples(example, tmp_path):
    run_it = [sys.executable, str(example)]
    done = subprocess.run(run_it, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert len(example.read_text(encoding="utf-8").splitlines()) < 60


def anchors(path):
    """Return the places of a page that can be linked to."""
    heads = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), target
        assert not anchor or anchor in anchors(found), target


def test_every_page_is_in_the_navigation():
    config = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    named = set(re.findall(r"[\w/-]+\.md", config))
    assert named == {str(p.relative_to(ROOT / "docs")) for p in (ROOT / "docs").rglob("*.md")}


def test_pages_made_by_the_script():
    path = ROOT / "scripts" / "build_docs_pages.py"
    spec = importlib.util.spec_from_file_location("build_docs_pages", path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert (ROOT / "docs" / "cli.md").read_text(encoding="utf-8") == script.cli_page()
    assert (ROOT / "docs" / "api.md").read_text(encoding="utf-8") == script.api_page()


def commands_of(page):
    """Yield the words of the commands in the indented blocks of a page."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    for line in re.findall(r"^    \.venv/bin/(memonger .*)$", text, re.MULTILINE):
        yield shlex.split(line, comments=True)[1:]


def test_commands_of_the_readme_exist():
    group = typer.main.get_command(app)
    found = list(commands_of(ROOT / "README.md"))
    assert len(found) > 12
    for name, *words in found:
        options = {o for p in group.commands[name].params for o in (*p.opts, *p.secondary_opts)}
        given = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        assert given <= options, (name, words)
