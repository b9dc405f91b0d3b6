"""Files of rows, that benchmarks append to."""

from __future__ import annotations

import fcntl
import json
import os
import stat
from dataclasses import asdict
from pathlib import Path

from memonger.bench.rows import Key, Row
from memonger.errors import InputError
from memonger.net.io import read_bytes


def read_rows(path: str | Path) -> list[Row]:
    """Return the rows of a file; a last line that is torn is left out.

    Raises
    ------
    InputError
        If the file cannot be read, or a line is no row; names the line.
    """
    *lines, _ = read_bytes(path).split(b"\n")  # what follows the last newline is torn
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            rows.append(Row.from_data(json.loads(line)))
        except (ValueError, TypeError, AttributeError, RecursionError):
            raise InputError(f"{path}: line {number} is no row of a benchmark") from None
    return rows


_HEAD = b'{"instance": '
"""What every row begins with."""


class RowFile:
    """A file of rows that one benchmark at a time appends to.

    Every row is one write of a whole line. A last line that was torn is removed.

    Raises
    ------
    InputError
        If the file cannot be opened, holds something else, or another benchmark writes to it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise InputError(f"{path}: {error.strerror or error}") from None
        try:
            if not stat.S_ISREG(os.fstat(self._handle).st_mode):
                raise InputError(f"{path}: rows are added to regular files only")
            try:
                fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise InputError(f"{path}: another benchmark writes to it") from None
            self.rows = read_rows(path)
            self._cut_torn_line()
        except BaseException:
            os.close(self._handle)
            raise

    def _cut_torn_line(self) -> None:
        content = read_bytes(self.path)
        whole = content.rfind(b"\n") + 1
        torn = content[whole : whole + len(_HEAD)]
        if torn != _HEAD[: len(torn)]:
            raise InputError(f"{self.path}: it ends in what is no row of a benchmark")
        if torn:
            os.ftruncate(self._handle, whole)

    def done(self) -> set[Key]:
        """Return the keys of the runs that need not be run again."""
        return {row.key for row in self.rows}

    def append(self, row: Row) -> None:
        """Add a row; nothing of it stays in the file where it does not fit on the disk."""
        line = json.dumps(asdict(row)).encode() + b"\n"
        before = os.fstat(self._handle).st_size
        try:
            written = os.write(self._handle, line)
        except OSError as error:
            raise InputError(f"{self.path}: cannot write: {error.strerror or error}") from None
        if written < len(line):
            os.ftruncate(self._handle, before)
            raise InputError(f"{self.path}: cannot write: no space left")
        self.rows.append(row)

    def close(self) -> None:
        """Close the file, and let other benchmarks write to it."""
        os.close(self._handle)
