"""Problems as MiniMalloc's CSV: ``id,lower,upper,size[,offset]``, half-open ranges."""

from __future__ import annotations

import csv
import io

from memonger.errors import ProblemError
from memonger.problem import Buffer, Problem

_COLUMNS = ("id", "lower", "upper", "size")


def problem_from_csv(text: str, source: str = "csv") -> Problem:
    """Return the problem in a CSV file of MiniMalloc.

    Parameters
    ----------
    text
        The file. Columns may stand in any order; ``start``, ``begin`` and ``end`` are understood
        for ``lower`` and ``upper``; a column ``offset`` is no concern of the sharing form.
    source
        What to call it in an error.

    Raises
    ------
    ProblemError
        If a column is missing or a value is no integer; names the row.
    """
    try:
        return _problem(text, source)
    except csv.Error as error:
        raise ProblemError(f"{source}: not a CSV file: {error}") from None


def _problem(text: str, source: str) -> Problem:
    rows = csv.reader(io.StringIO(text))
    header = [cell.strip().lower() for cell in next(rows, [])]
    synonyms = {"start": "lower", "begin": "lower", "end": "upper", "buffer": "id"}
    header = [synonyms.get(cell, cell) for cell in header]
    for column in _COLUMNS:
        if column not in header:
            raise ProblemError(f"{source}: column {column!r} is missing")
    where = [header.index(column) for column in _COLUMNS]
    buffers = []
    for number, row in enumerate(rows, start=2):
        if not row:
            continue
        if len(row) != len(header):
            raise ProblemError(f"{source}: row {number} has {len(row)} cells, not {len(header)}")
        name, *numbers = (row[column].strip() for column in where)
        try:
            lower, upper, size = (int(cell) for cell in numbers)
        except ValueError:
            raise ProblemError(f"{source}: row {number} ({name!r}) has no integers") from None
        buffers.append(Buffer(name, size, lower, upper))
    try:
        return Problem(tuple(buffers), source)
    except ProblemError as error:
        raise ProblemError(f"{source}: {error}") from None


def problem_to_csv(problem: Problem) -> str:
    """Return a problem as a CSV file of MiniMalloc."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for buffer in problem.buffers:
        writer.writerow([buffer.name, buffer.start, buffer.end, buffer.padded_size])
    return out.getvalue()
