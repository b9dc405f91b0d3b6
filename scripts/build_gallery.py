#!/usr/bin/env python3
"""Write docs/gallery.md: the smallest problems that heuristics miss.

    build_gallery.py [-o docs/gallery.md] [--time-limit 60]

What `memonger autopsy` finds for each algorithm that does not prove its plans; those of which none
is found in the time are listed at the end.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from memonger.autopsy import Autopsy, autopsy, picture
from memonger.bench.trial import REGISTRIES
from memonger.cli.autopsy import bytes_of, described
from memonger.net.io import write_atomically

OUTPUT = Path(__file__).parents[1] / "docs" / "gallery.md"
FIRST = "caffe2-dp"
LEFT_OUT = ("none",)
HEAD = """# Where heuristics fail

Made by `scripts/build_gallery.py`: for each algorithm a smallest problem that it misses, as
`memonger autopsy ALGORITHM` finds it. A row of a picture is a byte, the lowest at the bottom, three
columns are a time, a letter is a buffer; of orders, a letter is what an operator allocates, and the
last row is the operators as they run. Every optimum is proven.

All problems are gone through, fewest buffers first, then smallest sizes, then fewest times: those
of up to four buffers, of sizes up to three bytes, whose live ranges begin and end at as many times
as there are buffers; in each the buffers are in the order of their live ranges. Of the form order:
those of up to four operators that allocate up to three bytes each. "Smallest" means: of these.
Larger counterexamples were drawn and made smaller until no step made them smaller, or the time was
up.

"""
INTRODUCTION = {
    FIRST: "Caffe2's documentation calls its dynamic program optimal. It is a recursion over the "
    "blobs whose time grows exponentially, and yet it misses optima."
}


def section(found: Autopsy) -> str:
    """Return what is told of one algorithm."""
    miss = found.miss
    assert miss is not None
    rows = "; ".join(described(miss.problem))
    lines = [f"### {found.algorithm}", ""]
    if found.algorithm in INTRODUCTION:
        lines += [INTRODUCTION[found.algorithm], ""]
    how = "made smaller as long as the time lasted"
    if found.smallest or found.minimal:
        how = "smallest" if found.smallest else "made smaller until no step was left"
    lines += [
        f"{bytes_of(miss.cost)} where {miss.best.objective} would do, "
        f"{len(miss.problem)} {found.subject.noun} ({how}; {found.tried:,} problems): {rows}",
        "",
        "```",
        side_by_side(
            f"{found.algorithm}\n{picture(miss.problem, miss.plan)}",
            f"optimal\n{picture(miss.problem, miss.best.plan)}",
        ),
        "```",
        "",
    ]
    return "\n".join(lines)


def side_by_side(left: str, right: str) -> str:
    """Return two texts in columns, their last lines beside each other."""
    (head, *rows), (other_head, *other) = left.splitlines(), right.splitlines()
    height, width = max(len(rows), len(other)), max(map(len, (head, *rows))) + 4
    rows, other = [""] * (height - len(rows)) + rows, [""] * (height - len(other)) + other
    pairs = zip((head, *rows), (other_head, *other), strict=True)
    return "\n".join(f"{one:{width}}{two}".rstrip() for one, two in pairs)


def document(time_limit: float) -> str:
    """Return the page."""
    text, whole = HEAD, []
    for form, registry in REGISTRIES.items():
        names = [a.name for a in registry if not a.proves and a.name not in LEFT_OUT]
        names.sort(key=lambda name: name != FIRST)
        text += f"## {form.capitalize()}\n\n"
        for name in names:
            found = autopsy(name, form, time_limit=time_limit)
            print(f"{form} {name}: {found.claim}", flush=True)
            if found.miss is None:
                whole.append(f"* {form}: {found.claim}.")
            else:
                text += section(found) + "\n"
    if whole:
        text += "## None found\n\n" + "\n".join(whole) + "\n"
    return text


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=OUTPUT)
    parser.add_argument("--time-limit", type=float, default=60.0)
    options = parser.parse_args()
    write_atomically(options.output, document(options.time_limit).encode())


if __name__ == "__main__":
    main()
