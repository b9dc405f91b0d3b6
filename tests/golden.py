"""What the real Caffe2 memonger did, recorded: nets, rewrites and whether they were right.

The archive is no part of the repository. It is read in place from ``$MEMONGER_DATA/caffe2``, or
from ``shared/data/caffe2`` beside the repository; tests that need it are skipped without it.
"""

import json
import os
import tarfile
from functools import cache
from pathlib import Path
from typing import Any

from memonger.net.netdef_pb2 import NetDef

Record = dict[str, Any]

# Nets that are not well formed: an operator reads what nobody has written or declared.
MALFORMED = ("edge_read_before_write", "edge_undeclared_input")


def folder() -> Path:
    """Return the folder that the recordings are in, if they are anywhere."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("MEMONGER_DATA", beside)) / "caffe2"


@cache
def members() -> dict[str, bytes]:
    """Return file name -> contents of the archive; empty where there is none."""
    path = folder() / "golden.tgz"
    if not path.is_file():
        return {}
    found = {}
    with tarfile.open(path) as archive:
        for member in archive:
            file = archive.extractfile(member)
            if file is not None:
                found[member.name.removeprefix("./").removeprefix("golden/")] = file.read()
    return found


@cache
def records() -> dict[str, Record]:
    """Return net name -> its record; the keys are those of the recordings' README."""
    if "index.json" not in members():
        return {}
    return {record["name"]: record for record in json.loads(members()["index.json"])["nets"]}


def net_of(file: str) -> NetDef:
    """Return the net in a file of the archive."""
    net = NetDef()
    net.ParseFromString(members()[file])
    return net


def original(name: str) -> NetDef:
    """Return a recorded input net."""
    return net_of(records()[name]["file"])


def is_wrong(case: Record) -> bool:
    """Return whether the recording says that a rewrite does not compute the same."""
    runs = case.get("exec")
    if runs and not (
        runs["ran"] and runs["run1"]["identical_mapped"] and runs["run2"]["identical_mapped"]
    ):
        return True
    soundness = case["soundness"]
    return not soundness["reads_ok"] or bool(soundness["protected_lost"])
