#!/usr/bin/env python3
"""Write docs/instances.md: what is in the named sets, and what is known of it.

    build_instances_table.py [-o docs/instances.md]

The sizes and bounds are worked out anew; the best known values are those of
`instances/data/best_known.json`, which `memonger bench SET... --algorithms optimal
--forms sharing,arena,order --update-best-known` improves.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from memonger.bench.instances import Instance, read_buffers, read_operators, resolve
from memonger.cli.info import describe_problem
from memonger.errors import InputError
from memonger.graph.profile import size_profile
from memonger.instances.catalog import set_names
from memonger.instances.generators import GENERATORS
from memonger.instances.known import best_known
from memonger.net.io import write_atomically

OUTPUT = Path(__file__).parents[1] / "docs" / "instances.md"
SETS = ("real-inference", "real-training", "nets", "generated-small")
HEAD = """# Instances

Made by `scripts/build_instances_table.py`. Bytes throughout. *Load*: the bytes live at once, which
no arena is below; *threshold*: a bound for sharing that takes no search. The last columns are the
best known cost of shared buffers, of an arena, and the least peak over all orders of the operators,
with what proves it: `threshold`, `clique`, `lp-dual`, `cut`, `kept`, `probe` have a certificate in
`instances/data/plans/` that `scripts/check_certificate.py` or
`scripts/check_order_certificate.py` adds up; `search` and `cp-sat` do not. Where no proof is known,
the lower bound stands behind the cost. All values are those of program order but for the last.

Every instance is known to all commands by its name: `memonger info resnet50`.
"""


def operators_of(instance: Instance) -> str:
    """Return how many operators an instance has, if it has any."""
    try:
        return f"{len(read_operators(instance)):,}"
    except InputError:
        return "-"


def value(instance: Instance, form: str) -> str:
    """Return the best known value of an instance in a form, and its proof."""
    known = best_known(instance.name, form, instance.digest)
    if known is None:
        return "-"
    if known.objective == known.bound:
        return f"{known.objective:,} {known.proof}"
    return f"{known.objective:,} (>= {known.bound:,})"


def rows(name: str) -> Iterator[str]:
    """Yield the lines of the table of a set."""
    yield (
        "| instance | operators | buffers | sizes | max live | total | load | threshold "
        "| sharing | arena | order |"
    )
    yield "| --- |" + " ---: |" * 10
    for instance in resolve([name]):
        problem = read_buffers(instance, "arena")
        data = describe_problem(problem)
        cells = (
            instance.name.partition("/")[2],
            operators_of(instance),
            f"{data['buffers']:,}",
            f"{data['distinct_sizes']:,}",
            f"{int(size_profile(problem).counts.max(initial=0)):,}",
            f"{data['total_bytes']:,}",
            f"{data['load_bound']:,}",
            f"{data['sharing_threshold_bound']:,}",
            *(value(instance, form) for form in ("sharing", "arena", "order")),
        )
        yield f"| {' | '.join(cells)} |"


def document() -> str:
    """Return the whole document."""
    lines = [HEAD]
    summaries = set_names()
    for name in SETS:
        lines += [f"## {name}", "", f"{summaries[name].capitalize()}.", "", *rows(name), ""]
    others = [name for name in summaries if name not in SETS]
    lines += ["## Other sets", ""]
    lines += [f"* `{name}`: {summaries[name]}" for name in others]
    lines += ["", "## Generators", ""]
    lines += ["Any size up to 1,000,000, any seed: `NAME-N` or `NAME-N-seedS`.", ""]
    lines += ["| name | makes a | description |", "| --- | --- | --- |"]
    lines += [f"| {g.name} | {g.kind} | {g.summary} |" for g in GENERATORS.values()]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the document."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=OUTPUT)
    write_atomically(parser.parse_args().output, document().encode())


if __name__ == "__main__":
    main()
