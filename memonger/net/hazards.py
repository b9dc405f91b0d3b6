"""Hazards: which operators must run before which."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import NamedTuple

from memonger.net.defuse import EXTERNAL
from memonger.net.subnets import Operands


class HazardKind(StrEnum):
    """Why one operator must wait for another."""

    RAW = "read after write"
    WAR = "write after read"
    WAW = "write after write"
    CONTROL = "control input"


class Hazard(NamedTuple):
    """Operator ``after`` must wait for operator ``before`` because of a blob."""

    before: int
    after: int
    kind: HazardKind
    blob: str


def hazards(
    operands: Iterable[Operands], external: Iterable[str], *, declared: bool = False
) -> Iterator[Hazard]:
    """Yield the direct hazards between the operators of a net.

    A reader waits for the last writer (RAW), a writer for the readers of the value before (WAR)
    and, where that has none, for its writer (WAW), and an operator for the last writers of its
    control inputs. All other pairs follow by transitivity. Hazards of an operator with itself are
    left out.

    Parameters
    ----------
    operands
        What each operator touches, in program order.
    external
        The external inputs that the net declares.
    declared
        Only what inputs, outputs and control inputs say: these are the edges that Caffe2's
        parallel executors work with. Blobs that only nets inside an operator name are left out.

    Yields
    ------
    Hazard
        In the order of ``after``; linear in the number of reads and writes.
    """
    return map(Hazard._make, hazard_rows(operands, external, declared=declared))


def hazard_rows(
    operands: Iterable[Operands], external: Iterable[str], *, declared: bool = False
) -> Iterator[tuple[int, int, HazardKind, str]]:
    """Yield what `hazards` does as plain tuples, which are made much faster."""
    last: dict[str, tuple[int, list[int]]] = {name: (EXTERNAL, []) for name in external}
    seen: list[Operands] = []
    for index, touched in enumerate(operands):
        seen.append(touched)
        hidden = touched.undeclared if declared else ()
        for name, (writer, readers) in _read(touched, last):
            readers.append(index)
            if writer != EXTERNAL and name not in hidden:
                yield writer, index, HazardKind.RAW, name
        for name in touched.controls:
            writer, _ = last[name]
            if writer != EXTERNAL:
                yield writer, index, HazardKind.CONTROL, name
        for name in touched.writes:
            before = last.get(name)
            last[name] = (index, [])
            if before is None or name in hidden:
                continue
            writer, readers = before
            waits = [
                reader
                for reader in readers
                if reader != index and not (declared and name in seen[reader].undeclared)
            ]
            for reader in waits:
                yield reader, index, HazardKind.WAR, name
            if not waits and index not in readers and writer != EXTERNAL:
                yield writer, index, HazardKind.WAW, name


def _read(
    touched: Operands, last: dict[str, tuple[int, list[int]]]
) -> list[tuple[str, tuple[int, list[int]]]]:
    """Return the names that an operator reads, each with its last writer and its readers."""
    found = []
    for name in touched.reads:
        value = last.get(name)
        if value is None:
            if name in touched.undeclared:  # a temporary of a net inside, written there first
                continue
            value = last[name] = (EXTERNAL, [])
        found.append((name, value))
    for name in touched.partial:  # what may stay in place is read
        if name in last and name not in touched.reads:
            found.append((name, last[name]))
    return found
