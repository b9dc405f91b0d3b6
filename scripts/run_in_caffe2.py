#!/usr/bin/env python3
"""Run nets in a real Caffe2 and say which rewritten ones leave the same as their originals.

    run_in_caffe2.py TASKS.jsonl RESULTS.jsonl

For the interpreter of a real Caffe2 (Python 3.9, numpy, caffe2): it imports nothing of memonger.
Each line of TASKS is {"name", "original", "feeds": {blob: [shape, dtype, seed]}, "wanted": [blob],
"variants": {name: file}}; each task gives two lines of RESULTS, {"begin": name} and {"name",
"error": str | null, "variants": {name: null | what differs}}. Tasks that are in RESULTS already are
passed over, so that the program may be started again after a crash.

A net is created once and run twice in a workspace of its own. The wanted blobs and everything that
was fed are compared after each run, bit for bit. RecurrentNetwork runs without the threads of its
own executor, which may hang.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import numpy as np
from caffe2.proto import caffe2_pb2
from caffe2.python import workspace

LENGTH = "length"
VARIANCES = ("riv", "var")


def load(path: str) -> Any:  # noqa: ANN401
    """Return the net of a file."""
    net = caffe2_pb2.NetDef()
    with open(path, "rb") as file:
        net.ParseFromString(file.read())
    net.name = net.name or "net"
    for op in net.op:
        for arg in op.arg:
            if arg.name == "enable_rnn_executor":
                arg.i = 0
    return net


def values_of(feeds: dict[str, Any]) -> dict[str, np.ndarray]:
    """Return blob -> array: numbers of both signs (variances: above 0), true, zero, lengths."""
    steps = next((shape[0] for name, (shape, _, _) in feeds.items() if name == "input"), 1)
    found = {}
    for name, (shape, dtype, seed) in feeds.items():
        if dtype == "bool":
            found[name] = np.ones(shape, dtype=bool)
        elif "float" in dtype:
            numbers = np.random.RandomState(seed).rand(*shape)
            variance = name.endswith(VARIANCES)
            found[name] = np.asarray(numbers + 0.1 if variance else numbers - 0.4, dtype=dtype)
        elif LENGTH in name:
            found[name] = np.full(shape, seed or steps, dtype=dtype)
        else:
            found[name] = np.full(shape, seed, dtype=dtype)
    return found


def run(net: Any, values: dict[str, np.ndarray], wanted: list[str]) -> list[list[Any]]:  # noqa: ANN401
    """Return what is in the wanted and in the fed blobs after each of two runs."""
    workspace.ResetWorkspace()
    for name, value in values.items():
        workspace.FeedBlob(name, value)
    workspace.CreateNet(net, overwrite=True)
    results = []
    for _ in range(2):
        workspace.RunNet(net.name)
        results.append([workspace.FetchBlob(name) for name in (*wanted, *values)])
    return results


def same(one: object, other: object) -> bool:
    """Return whether two fetched blobs are equal bit for bit."""
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray) and one.dtype.kind != "O":
        equal = one.dtype == other.dtype and one.shape == other.shape
        return equal and one.tobytes() == other.tobytes()
    if isinstance(one, np.ndarray):
        return isinstance(other, np.ndarray) and one.tolist() == other.tolist()
    return repr(one) == repr(other)


def difference(expected: list[list[Any]], found: list[list[Any]], names: list[str]) -> str | None:
    """Return the first difference of two results, None if there is none."""
    for number, (one, other) in enumerate(zip(expected, found), start=1):  # noqa: B905 (3.9)
        for name, before, after in zip(names, one, other):  # noqa: B905
            if not same(before, after):
                return f"{name} differs after run {number}"
    return None


def first_line(error: Exception) -> str:
    """Return what an exception says, on one line."""
    text = str(error).replace("<omitting python frames>", "").split("Error from operator")[0]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith("frame #")]
    return " ".join(lines)[:110] or type(error).__name__


def check(task: dict[str, Any]) -> dict[str, Any]:
    """Return the result of one task."""
    values, wanted = values_of(task["feeds"]), task["wanted"]
    names = [*wanted, *values]
    try:
        expected = run(load(task["original"]), values, wanted)
        again = run(load(task["original"]), values, wanted)
    except Exception as error:  # whatever Caffe2 raises
        return {"name": task["name"], "error": first_line(error), "variants": {}}
    if difference(expected, again, names):
        return {"name": task["name"], "error": "not the same when run again", "variants": {}}
    variants = {}
    for name, path in task["variants"].items():
        try:
            variants[name] = difference(expected, run(load(path), values, wanted), names)
        except Exception as error:
            variants[name] = "does not run: " + first_line(error)
    return {"name": task["name"], "error": None, "variants": variants}


def main() -> None:
    """Run the tasks that have no result yet."""
    workspace.GlobalInit(["caffe2", "--caffe2_log_level=3"])
    tasks, results = sys.argv[1:]
    done = set()
    if os.path.exists(results):
        with open(results, encoding="utf-8") as file:
            done = {json.loads(line).get("begin") for line in file}
    with open(tasks, encoding="utf-8") as file, open(results, "a", encoding="utf-8") as out:
        for line in file:
            task = json.loads(line)
            if task["name"] in done:
                continue
            print(json.dumps({"begin": task["name"]}), file=out, flush=True)
            print(json.dumps(check(task)), file=out, flush=True)


if __name__ == "__main__":
    main()
