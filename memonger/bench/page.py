"""The page of a report: tables that sort, pictures; it needs nothing else."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

Cell = str | int | float | None

_STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #222; --line: #ccc; --head: #eee; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #181a1b; --ink: #ddd; --line: #444; --head: #26292b; }
}
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 75em; padding: 0 1em;
  background: var(--paper); color: var(--ink); }
div { overflow: auto; max-height: 40em; margin: 1em 0; }
table { border-collapse: separate; border-spacing: 0; font-variant-numeric: tabular-nums; }
th, td { border: solid var(--line); border-width: 0 1px 1px 0; padding: .2em .6em;
  text-align: right; background: var(--paper); white-space: nowrap; }
th { white-space: normal; }
th { background: var(--head); position: sticky; top: 0; z-index: 1; cursor: pointer; }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0; }
th:first-child { z-index: 2; }
th[aria-sort=ascending]::after { content: " \\2191"; }
th[aria-sort=descending]::after { content: " \\2193"; }
svg { max-width: 100%; height: auto; background: #fff; border-radius: 6px; }
"""
_SORT = """
const value = (row, column) => {
  const text = row.cells[column].textContent, number = Number(text.replaceAll(',', ''));
  return Number.isNaN(number) ? text : number;
};
const compare = (a, b) => typeof a === 'number' && typeof b === 'number' ? a - b
  : typeof a === 'number' ? -1 : typeof b === 'number' ? 1 : a.localeCompare(b);
for (const head of document.querySelectorAll('th')) {
  const sort = () => {
    const up = head.ariaSort !== 'ascending', body = head.closest('table').tBodies[0];
    for (const other of head.parentElement.cells) other.removeAttribute('aria-sort');
    head.setAttribute('aria-sort', up ? 'ascending' : 'descending');
    const column = head.cellIndex, rows = [...body.rows].sort(
      (a, b) => (up ? 1 : -1) * compare(value(a, column), value(b, column)));
    body.append(...rows);
  };
  head.tabIndex = 0;
  head.addEventListener('click', sort);
  head.addEventListener('keydown', (event) => { if (event.key === 'Enter') sort(); });
}
"""


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


def shown(cell: Cell) -> str:
    """Return a cell as people read it."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return "-"
    if isinstance(cell, float):
        return f"{cell:.4g}" if 0 < abs(cell) < 0.01 else f"{cell:,.3f}"
    return f"{cell:,}" if isinstance(cell, int) else cell


def page(sections: Sequence[Section]) -> str:
    """Return a report as one HTML page that needs nothing else; a click on a head sorts."""
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Benchmark</title>',
        '<meta name="viewport" content="width=device-width">',
        f"<style>{_STYLE}</style><h1>Benchmark</h1>",
    ]
    for section in sections:
        parts.append(f"<h2>{html.escape(section.title)}</h2>")
        parts += section.pictures
        for table in section.tables:
            parts.append(f"<h3>{html.escape(table.title)}</h3><p>{html.escape(table.note)}</p>")
            if not table.rows:
                parts.append("<p>none</p>")
                continue
            head = "".join(f"<th>{html.escape(column)}</th>" for column in table.columns)
            # Wide tables scroll in their box.
            parts.append(f"<div><table><thead><tr>{head}</tr></thead><tbody>")
            for row in table.rows:
                cells = "".join(f"<td>{html.escape(shown(cell))}</td>" for cell in row)
                parts.append(f"<tr>{cells}</tr>")
            parts.append("</tbody></table></div>")
    return "\n".join([*parts, f"<script>{_SORT}</script></html>", ""])
