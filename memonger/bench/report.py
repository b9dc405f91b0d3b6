"""The report of a benchmark: Markdown, CSV and one HTML page, all of the same tables."""

from __future__ import annotations

import csv
import html
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from memonger.bench.pictures import draw_gaps, draw_profiles
from memonger.bench.rows import Outcome, Row
from memonger.bench.scores import (
    Case,
    Score,
    algorithms_of,
    cases_of,
    paired_tests,
    scores_of,
    solvable,
)
from memonger.bench.statistics import LEVEL
from memonger.errors import InputError, MissingExtraError
from memonger.net.io import write_atomically

Cell = str | int | float | None
FAILED = (Outcome.CRASHED, Outcome.OUT_OF_MEMORY, Outcome.TIMED_OUT, Outcome.INVALID)
_STYLE = """body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:75em;padding:0 1em}
div{overflow-x:auto;max-height:40em}
table{border-collapse:collapse;margin:1em 0;font-variant-numeric:tabular-nums}
th,td{border:1px solid #ccc;padding:.2em .6em;text-align:right}
th:first-child,td:first-child{text-align:left;position:sticky;left:0;background:#fff}
th,th:first-child{background:#eee}svg{max-width:100%;height:auto}"""


@dataclass(frozen=True)
class Table:
    """A table of the report.

    Parameters
    ----------
    name
        Of its CSV file.
    title, note
        Above it.
    columns, rows
        What is in it; ``None`` and ``nan`` are shown as a dash.
    """

    name: str
    title: str
    note: str
    columns: tuple[str, ...]
    rows: list[tuple[Cell, ...]]


@dataclass(frozen=True)
class Section:
    """The tables and pictures (SVG) of one form."""

    title: str
    tables: list[Table]
    pictures: list[str]


def write_report(rows: Sequence[Row], directory: Path) -> list[Path]:
    """Write the report of rows; return the files.

    Without matplotlib there are no pictures.

    Raises
    ------
    InputError
        If there are no rows, or a file cannot be written.
    """
    if not rows:
        raise InputError("no rows to report on")
    sections = [_section(form, order, cases) for (form, order), cases in cases_of(rows).items()]
    sections.append(Section("Runs without a result", [_failures(rows)], []))
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{directory}: cannot make it: {error.strerror or error}") from None
    files = {"report.md": markdown(sections), "report.html": page(sections)}
    for section in sections:
        for table in section.tables:
            files[f"{table.name}.csv"] = _csv(table.columns, table.rows)
    names = tuple(each.name for each in fields(Row) if each.name not in _NESTED)
    flat = [tuple(getattr(row, name) for name in names) for row in rows]
    files["runs.csv"] = _csv(names, flat)
    for name, text in files.items():
        write_atomically(directory / name, text.encode())
    return [directory / name for name in files]


_NESTED = ("parameters", "history", "environment")


def _section(form: str, order: str, cases: list[Case]) -> Section:
    title = form if order in ("", "program") else f"{form}, in the order {order}"
    name = title.replace(", in the order ", "-")
    scores = scores_of(cases)
    tables = [
        _summary(name, scores),
        _families(name, cases, scores),
        _tests(name, cases, scores),
        _cases(name, cases),
    ]
    try:
        pictures = [draw_profiles(cases, scores), draw_gaps(scores)]
    except MissingExtraError:
        pictures = []
    return Section(title, tables, pictures)


def _summary(name: str, scores: Sequence[Score]) -> Table:
    columns = (
        *("algorithm", "cases", "with plan", "skipped", "best", "best alone", "proven optimal"),
        *("mean gap %", "shifted mean gap %", "worst gap %", "seconds", "primal integral"),
        *("smallest miss", "its n"),
    )
    rows: list[tuple[Cell, ...]] = [
        (
            *(s.algorithm, s.cases, s.solved, s.skipped, s.best, s.alone, s.optimal),
            *(s.mean_gap, s.shifted_gap, max(s.gaps, default=math.nan), s.seconds, s.integral),
            None if s.smallest_miss is None else s.smallest_miss.instance,
            None if s.smallest_miss is None else s.smallest_miss.n,
        )
        for s in scores
    ]
    note = (
        "Gaps are to the best bound that any run has proven; where that is the cost of a plan, to "
        "the optimum. Means of several seeds. Shifted geometric means: shift 1 % and 1 s. The "
        "primal integral is the mean share of the time limit, weighted by how far the plan of the "
        "moment was from the best. Smallest miss: the smallest instance on which it is not as good "
        "as the best that is known."
    )
    return Table(f"{name}-summary", "Algorithms", note, columns, rows)


def _families(name: str, cases: Sequence[Case], scores: Sequence[Score]) -> Table:
    families = sorted({case.family for case in solvable(cases)})
    rows: list[tuple[Cell, ...]] = []
    for score in scores:
        cells: list[Cell] = [score.algorithm]
        for family in families:
            gaps = [
                case.gap(score.algorithm)
                for case in solvable(cases)
                if case.family == family and case.cost(score.algorithm) < math.inf
            ]
            cells.append(math.fsum(gaps) / len(gaps) if gaps else None)
        rows.append(tuple(cells))
    note = "Mean gap in per cent, over the instances with a plan."
    return Table(f"{name}-families", "Families", note, ("algorithm", *families), rows)


def _tests(name: str, cases: Sequence[Case], scores: Sequence[Score]) -> Table:
    columns = ("algorithm", "against", "pairs", "better", "worse", "mean difference %")
    rows: list[tuple[Cell, ...]] = []
    for test in paired_tests(cases, scores):
        found = test.comparison
        rows.append(
            (
                *(test.algorithm, test.against, found.pairs, found.better, found.worse),
                *(found.mean, found.effect, test.p),
                "a difference" if test.p < LEVEL else "may be noise",
            )
        )
    note = (
        "Every algorithm against the first, over instances and seeds: Wilcoxon's signed-rank test, "
        "two-sided, p corrected after Holm; the effect is the rank-biserial correlation, -1 where "
        "the algorithm is always cheaper, 1 where it is always dearer. Seeds of one instance are "
        "not independent: few instances with many seeds say less than p does."
    )
    return Table(f"{name}-tests", "Is it noise?", note, (*columns, "effect", "p", "verdict"), rows)


def _cases(name: str, cases: Sequence[Case]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for case in cases:
        best = case.best if case.best < math.inf else None
        found = [a for a in algorithms_of([case]) if best is not None and case.cost(a) == best]
        rows.append(
            (
                *(case.instance, case.n, None if best is None else int(best), case.bound),
                "proven" if case.proven else "open",
                ", ".join(found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else ""),
            )
        )
    columns = ("instance", "n", "best cost", "best bound", "optimum", "found by")
    return Table(f"{name}-cases", "Instances", "", columns, rows)


def _failures(rows: Sequence[Row]) -> Table:
    found: list[tuple[Cell, ...]] = [
        (row.instance, row.form, row.algorithm, row.seed, row.status, row.reason)
        for row in rows
        if row.status in FAILED
    ]
    columns = ("instance", "form", "algorithm", "seed", "status", "reason")
    return Table("failures", "Ended, crashed or invalid", "", columns, found)


def _text(cell: Cell) -> str:
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return "-"
    if isinstance(cell, float):
        return f"{cell:.4g}" if 0 < abs(cell) < 0.01 else f"{cell:,.3f}"
    return f"{cell:,}" if isinstance(cell, int) else cell


def markdown(sections: Sequence[Section]) -> str:
    """Return the report as Markdown, without its pictures."""
    lines = ["# Benchmark", ""]
    for section in sections:
        lines += [f"## {section.title}", ""]
        for table in section.tables:
            lines += [f"### {table.title}", "", *([table.note, ""] if table.note else [])]
            lines.append("| " + " | ".join(map(_cell, table.columns)) + " |")
            lines.append("| --- |" + " ---: |" * (len(table.columns) - 1))
            for row in table.rows:
                lines.append("| " + " | ".join(_cell(_text(cell)) for cell in row) + " |")
            lines.append("")
    return "\n".join(lines)


def _cell(text: str) -> str:
    """Return a text that cannot break a table of Markdown."""
    plain = " ".join(text.split())
    return html.escape(plain, quote=False).replace("|", "\\|")


def page(sections: Sequence[Section]) -> str:
    """Return the report as one HTML page that needs nothing else."""
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Benchmark</title>',
        f"<style>{_STYLE}</style><h1>Benchmark</h1>",
    ]
    for section in sections:
        parts.append(f"<h2>{html.escape(section.title)}</h2>")
        parts += section.pictures
        for table in section.tables:
            parts.append(f"<h3>{html.escape(table.title)}</h3><p>{html.escape(table.note)}</p>")
            head = "".join(f"<th>{html.escape(column)}</th>" for column in table.columns)
            parts.append(f"<div><table><tr>{head}</tr>")  # wide ones scroll in their box
            for row in table.rows:
                cells = "".join(f"<td>{html.escape(_text(cell))}</td>" for cell in row)
                parts.append(f"<tr>{cells}</tr>")
            parts.append("</table></div>")
    return "\n".join([*parts, "</html>", ""])


def _csv(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()
