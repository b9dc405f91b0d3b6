#!/usr/bin/env python3
"""Write the manifest of the named sets, `instances/data/manifest.json`.

    build_manifest.py [-o instances/data/manifest.json] [--check]

Run it after a generator has changed, or a graph was added. With `--check` nothing is written: the
exit code is 1 if the file is not what the script would write.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from memonger.instances.catalog import BUILT_IN, FORMAT, digest_of, graphs
from memonger.instances.generators import GENERATORS, parse_name
from memonger.instances.nets import NETS
from memonger.net.io import write_atomically

OUTPUT = Path(__file__).parents[1] / "instances" / "data" / "manifest.json"
SMALL = {"problem": (30, 100, 300), "net": (60, 200)}
LARGE = {"problem": (3_000, 20_000), "net": (3_000,)}
SMOKE = ("mlp", "lstm", "mobilenet_v2_b1", "random-30", "guillotine-30", "encoder-net-60")


def generated(sizes: dict[str, tuple[int, ...]]) -> list[str]:
    """Return the names of all families at some sizes, by their kind."""
    return [f"{g.name}-{size}" for g in GENERATORS.values() for size in sizes[g.kind]]


def sets() -> dict[str, tuple[str, list[str]]]:
    """Return set -> (one line, instances)."""
    train = [name for name in graphs() if "_train_" in name]
    return {
        "real-inference": (
            "graphs of published networks, inference",
            [name for name in graphs() if name not in train],
        ),
        "real-training": ("graphs of published networks, one training step", train),
        "nets": ("the built-in NetDefs", list(NETS)),
        "generated-small": ("every family of generators, 30 to 300", generated(SMALL)),
        "generated-large": ("every family of generators, 3,000 to 20,000", generated(LARGE)),
        "smoke": ("one of each kind, seconds in all", list(SMOKE)),
    }


def family_of(name: str, members: dict[str, tuple[str, list[str]]]) -> str:
    """Return what an instance is of."""
    if name in NETS:
        return BUILT_IN
    if name in graphs():
        return next(s for s in ("real-inference", "real-training") if name in members[s][1])
    parts = parse_name(name)
    assert parts is not None
    return parts[0]


def build() -> dict[str, Any]:
    """Return the manifest."""
    members = sets()
    names = sorted({name for _, instances in members.values() for name in instances})
    return {
        "format": FORMAT,
        "sets": {
            name: {"summary": summary, "instances": instances}
            for name, (summary, instances) in members.items()
        },
        "instances": {name: [family_of(name, members), digest_of(name)] for name in names},
    }


def main() -> int:
    """Write or check the manifest; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=OUTPUT)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    text = json.dumps(build(), indent=1) + "\n"
    if options.check:
        same = options.output.exists() and options.output.read_text() == text
        print("the manifest is as it should be" if same else "the manifest is out of date")
        return 0 if same else 1
    write_atomically(options.output, text.encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
