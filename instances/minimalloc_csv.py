"""Problems and plans as MiniMalloc's CSV: ``id,lower,upper,size``, half-open ranges, and more."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping

from memonger.errors import PlanError, ProblemError
from memonger.gaps import Gap
from memonger.plan import ArenaPlan
from memonger.problem import Buffer, Problem
from memonger.verify import verify_arena

_SYNONYMS = {"start": "lower", "begin": "lower", "buffer": "id", "buffer_id": "id"}
_REQUIRED = ("id", "lower", "upper", "size")
_OPTIONAL = ("alignment", "hint", "offset")
_GAP = re.compile(r"([0-9]{1,19})-([0-9]{1,19})(?:@([0-9]{1,19}):([0-9]{1,19}))?")

Row = Mapping[str, str]


def problem_from_csv(text: str, source: str = "csv") -> Problem:
    """Return the problem in a CSV file of MiniMalloc.

    Parameters
    ----------
    text
        The file. Columns may stand in any order:

        * ``id`` (or ``buffer``, ``buffer_id``), ``lower`` (``start``, ``begin``), ``upper`` and
          ``size``; in place of ``upper``, ``end`` is the **last** time of the live range, as it is
          for MiniMalloc;
        * ``alignment`` of the offset, bytes; 1 where the cell is empty;
        * ``offset``: where the buffer is pinned to in the arena, which the sharing form pays no
          heed to. The solutions that MiniMalloc writes have this column: read as a problem they
          leave nothing to decide;
        * ``hint``: see `hints_from_csv`;
        * ``gaps``: stretches of the live range in which the buffer takes no memory, as
          ``lower-upper``, or only the part [offset + low, offset + high) of its space, as
          ``lower-upper@low:high``; with blanks between them. Where the column ``end`` is in place
          of ``upper``, the gaps name their last times, too.

        Other columns are of no concern.
    source
        What to call it in an error.

    Raises
    ------
    ProblemError
        If a column is missing or stands twice, a value is no integer, or a cell of ``gaps`` has
        another form; names the row. If a gap cannot be one of its buffer; names the buffer.
    """
    buffers = []
    for where, row in _rows(text, source):
        given = _integers(row, where)
        buffers.append(
            Buffer(
                row["id"],
                given["size"],
                given["lower"],
                given["upper"],
                alignment=given.get("alignment", 1),
                offset=given.get("offset"),
                gaps=_gaps(row, where),
            )
        )
    try:
        return Problem(tuple(buffers), source)
    except ProblemError as error:
        raise ProblemError(f"{source}: {error}") from None


def hints_from_csv(text: str, problem: Problem, source: str = "csv") -> ArenaPlan | None:
    """Return the placement that a CSV file of MiniMalloc hints at.

    Parameters
    ----------
    text
        The file, as for `problem_from_csv`; empty or negative cells of ``hint`` are no hints.
    problem
        The problem in the file, in the order of its rows.
    source
        What to call it in an error.

    Returns
    -------
    ArenaPlan or None
        ``None`` unless every buffer has a hint, and the hints are a valid plan of the problem.

    Raises
    ------
    ProblemError
        As `problem_from_csv`.
    """
    hints = [_integers(row, where).get("hint", -1) for where, row in _rows(text, source)]
    if len(hints) != len(problem) or min(hints, default=0) < 0:
        return None
    plan = ArenaPlan(tuple(hints))
    try:
        verify_arena(problem, plan)
    except PlanError:
        return None
    return plan


def _rows(text: str, source: str) -> Iterator[tuple[str, Row]]:
    """Yield for each row what to call it, and its cells by their columns."""
    records = csv.reader(io.StringIO(text))
    try:
        header = [cell.strip().lower() for cell in next(records, [])]
        columns = [_SYNONYMS.get(cell, cell) for cell in header]
        _check_columns(columns, source)
        for number, record in enumerate(records, start=2):
            if not record:
                continue
            if len(record) != len(columns):
                raise ProblemError(
                    f"{source}: row {number} has {len(record)} cells, not {len(columns)}"
                )
            row = dict(zip(columns, (cell.strip() for cell in record), strict=True))
            yield f"{source}: row {number} ({row['id']!r})", row
    except csv.Error as error:
        raise ProblemError(f"{source}: not a CSV file: {error}") from None


def _check_columns(columns: list[str], source: str) -> None:
    for column in _REQUIRED:
        if column not in columns and not (column == "upper" and "end" in columns):
            raise ProblemError(f"{source}: column {column!r} is missing")
    for column in (*_REQUIRED, "end", "gaps", *_OPTIONAL):
        if columns.count(column) > 1:
            raise ProblemError(f"{source}: column {column!r} stands twice")
    if "end" in columns and "upper" in columns:
        raise ProblemError(f"{source}: both 'end' and 'upper' are given")


def _integers(row: Row, where: str) -> dict[str, int]:
    """Return the numbers of a row; optional ones only where the cell is not empty."""
    numbers = {}
    last = "end" if "end" in row else "upper"
    try:
        for column in ("lower", last, "size"):
            numbers[column] = int(row[column])
        for column in _OPTIONAL:
            if row.get(column):
                numbers[column] = int(row[column])
    except ValueError:
        raise ProblemError(f"{where} has no integer for {column!r}") from None
    if last == "end":
        numbers["upper"] = numbers["end"] + 1
    return numbers


def _gaps(row: Row, where: str) -> tuple[Gap, ...]:
    """Return the gaps of a row; in the dialect of ``end`` their ends are inclusive, too."""
    after = 1 if "end" in row else 0
    gaps = []
    for entry in row.get("gaps", "").split():
        found = _GAP.fullmatch(entry)
        if found is None:
            raise ProblemError(f"{where} has no gap lower-upper[@low:high]: {entry[:40]!r}")
        start, end, lower, upper = (int(number or 0) for number in found.groups())
        if found[3] is not None and lower == upper:
            raise ProblemError(f"{where} has an empty window: {entry[:40]!r}")
        gaps.append(Gap(start, end + after, lower, upper))
    return tuple(gaps)


def problem_to_csv(problem: Problem) -> str:
    """Return a problem as a CSV file of MiniMalloc.

    Columns ``alignment``, ``gaps`` and ``offset`` are there where a buffer has an alignment above
    1, has gaps, or is pinned; cells of ``offset`` are empty where others are not. (MiniMalloc
    itself reads the column only if no cell is empty, and names without commas, quotes and line
    ends.)

    Raises
    ------
    ProblemError
        If the format cannot say it: several devices, vector time, in-place pairs, rules.
    """
    what = (
        (len(problem.devices) > 1, "several devices"),
        (problem.vector_time is not None, "nets that run in parallel"),
        (bool(problem.in_place), "in-place pairs"),
        (bool(problem.rules), "rules"),
    )
    for there, name in what:
        if there:
            raise ProblemError(f"MiniMalloc's CSV has no room for {name}")
    pins = [buffer.offset for buffer in problem.buffers]
    return _to_csv(problem, pins if any(pin is not None for pin in pins) else None)


def plan_to_csv(problem: Problem, plan: ArenaPlan) -> str:
    """Return a plan as MiniMalloc writes its solutions: the problem with a column ``offset``.

    Raises
    ------
    ProblemError
        If there are several devices: the format knows one arena.
    PlanError
        If the plan is not valid.
    """
    if len(problem.devices) > 1:
        raise ProblemError("MiniMalloc's CSV has no room for several devices")
    verify_arena(problem, plan)
    return _to_csv(problem, plan.offsets)


def _to_csv(problem: Problem, offsets: list[int | None] | tuple[int, ...] | None) -> str:
    aligned = any(buffer.alignment != 1 for buffer in problem.buffers)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    gapped = bool(problem.gapped)
    more = ["alignment"] * aligned + ["gaps"] * gapped + ["offset"] * (offsets is not None)
    writer.writerow([*_REQUIRED, *more])
    for index, buffer in enumerate(problem.buffers):
        row: list[object] = [buffer.name, buffer.start, buffer.end, buffer.size]
        if aligned:
            row.append(buffer.alignment)
        if gapped:
            row.append(" ".join(map(_gap_to_csv, buffer.gaps)))
        if offsets is not None:
            row.append(offsets[index])  # None is an empty cell
        writer.writerow(row)
    return out.getvalue()


def _gap_to_csv(gap: Gap) -> str:
    window = f"@{gap.lower}:{gap.upper}" if gap.upper else ""
    return f"{gap.start}-{gap.end}{window}"
