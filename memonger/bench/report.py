"""The report of a benchmark: Markdown, CSV and one HTML page, all of the same tables."""

from __future__ import annotations

import csv
import html
import io
import math
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from memonger.bench.page import Cell, Section, Table, page, shown
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

FAILED = (Outcome.CRASHED, Outcome.OUT_OF_MEMORY, Outcome.TIMED_OUT, Outcome.INVALID)


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
        write_atomically(directory / name, text.encode(errors="backslashreplace"))
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
        "Gaps are to the best bound that is proven, by these runs or before; where that is the "
        "cost of a plan, to the optimum. Means of several seeds. Shifted geometric means: shift "
        "1 % and 1 s. The primal integral is the mean share of the time limit, weighted by how far "
        "the plan of the moment was from the best. Smallest miss: the smallest instance on which "
        "it is not as good "
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


def markdown(sections: Sequence[Section]) -> str:
    """Return the report as Markdown, without its pictures."""
    lines = ["# Benchmark", ""]
    for section in sections:
        lines += [f"## {section.title}", ""]
        for table in section.tables:
            lines += [f"### {table.title}", "", *([table.note, ""] if table.note else [])]
            if not table.rows:
                lines += ["none", ""]
                continue
            lines.append("| " + " | ".join(map(_cell, table.columns)) + " |")
            lines.append("| --- |" + " ---: |" * (len(table.columns) - 1))
            for row in table.rows:
                lines.append("| " + " | ".join(_cell(shown(cell)) for cell in row) + " |")
            lines.append("")
    return "\n".join(lines)


def _cell(text: str) -> str:
    """Return a text that cannot break a table of Markdown."""
    plain = " ".join(text.split())
    return html.escape(plain, quote=False).replace("|", "\\|")


def _csv(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()
