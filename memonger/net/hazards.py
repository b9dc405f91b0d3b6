"""Hazards: which operators must run before which."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

from memonger.net.defuse import EXTERNAL, DefUse


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


def hazards(def_use: DefUse, *, declared: bool = False) -> Iterator[Hazard]:
    """Yield the direct hazards between the operators of a net.

    A reader
    waits for the last writer (RAW), a writer for the readers of the version before (WAR) and,
    where that has none, for its writer (WAW), and an operator for the last writers of its control
    inputs. All other pairs follow by transitivity. Hazards of an operator with itself are left
    out.

    Parameters
    ----------
    def_use
        From `memonger.net.defuse.analyse`.
    declared
        Only what inputs, outputs and control inputs say: these are the edges that Caffe2's
        parallel executors work with. Blobs that only nets inside an operator name are left out.

    Yields
    ------
    Hazard
        In the order of ``after``; linear in the number of reads and writes.
    """
    versions = def_use.versions
    current: dict[str, int] = {}
    for version_id, version in enumerate(versions):
        if version.writer == EXTERNAL:
            current[version.blob] = version_id
    for index, (reads, writes) in enumerate(zip(def_use.reads, def_use.writes, strict=True)):
        hidden = def_use.operands[index].undeclared if declared else ()
        for blob, version_id in reads.items():
            if blob in hidden:
                continue
            writer = versions[version_id].writer
            if writer != EXTERNAL:
                yield Hazard(writer, index, HazardKind.RAW, blob)
        for version_id in def_use.controls[index]:
            version = versions[version_id]
            if version.writer != EXTERNAL:
                yield Hazard(version.writer, index, HazardKind.CONTROL, version.blob)
        for blob, version_id in writes.items():
            if blob in hidden:
                continue
            before = versions[current[blob]] if blob in current else None
            current[blob] = version_id
            if before is None:
                continue
            waits = [
                reader
                for reader in before.readers
                if reader != index
                and not (declared and blob in def_use.operands[reader].undeclared)
            ]
            for reader in waits:
                yield Hazard(reader, index, HazardKind.WAR, blob)
            if not waits and index not in before.readers and before.writer != EXTERNAL:
                yield Hazard(before.writer, index, HazardKind.WAW, blob)
