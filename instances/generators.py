"""Every family of generated instances by name: ``FAMILY-N`` or ``FAMILY-N-seedS``."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Callable
from dataclasses import dataclass

from memonger.errors import InputError
from memonger.instances.arena_families import ARENA_FAMILIES, TILING_SIDE
from memonger.instances.families import FAMILIES
from memonger.instances.net_families import BODIES, UNTRAINED, net_of
from memonger.instances.nets import BuiltNet
from memonger.problem import Problem

MAX_OPERATORS = 1_000_000
MAX_SEED = 2**63
_NAME = re.compile(r"(?P<family>[a-z][a-z0-9-]*?)-(?P<size>\d{1,19})(-seed(?P<seed>\d{1,19}))?")


@dataclass(frozen=True)
class Generator:
    """A family of generated instances.

    Parameters
    ----------
    name
        As in `GENERATORS`.
    kind
        ``problem``: live ranges, of exactly N buffers; ``net``: a NetDef of about N operators.
    summary
        One line.
    build
        Called with the number and a seed.
    optimum
        Bytes of the lowest arena, if that is known by construction.
    """

    name: str
    kind: str
    summary: str
    build: Callable[[int, int], Problem | BuiltNet]
    optimum: int | None = None

    def __call__(self, size: int, seed: int = 0) -> Problem | BuiltNet:
        """Return the instance of that size; it depends on family, size and seed alone.

        Raises
        ------
        InputError
            If the size is not between 1 and 1,000,000, or the seed not from 0 to below 2^63.
        """
        if not 1 <= size <= MAX_OPERATORS:
            unit = "buffers" if self.kind == "problem" else "operators"
            raise InputError(f"{self.name} has 1 to {MAX_OPERATORS} {unit}, not {size}")
        if not 0 <= seed < MAX_SEED:
            raise InputError(f"{self.name}: a seed is from 0 to below 2^63, not {seed}")
        return self.build(size, seed)


_TRACES = {
    "uniform": "uniform sizes, live ranges of all lengths",
    "log-uniform": "sizes from 1 byte to 1 MiB, each power of two as likely",
    "zipf": "sizes by Zipf's law, many small ones",
    "bimodal": "one buffer in ten is about a hundred times as large as the others",
    "guillotine": "tiling by straight cuts, shuffled: the lowest arena is the load, 16 MiB",
    "pinwheel": "tiling by pinwheels, shuffled: the lowest arena is the load, 16 MiB",
    "churn": "100 bytes are live at all times: what ends makes room",
}


def _generators() -> list[Generator]:
    found = [Generator(f.name, "problem", f.summary, f) for f in FAMILIES.values()]
    for name, build in ARENA_FAMILIES.items():
        known = TILING_SIDE if name in ("guillotine", "pinwheel") else None
        found.append(Generator(name, "problem", _TRACES[name], build, known))
    for name, (summary, _) in BODIES.items():
        found.append(Generator(f"{name}-net", "net", summary, functools.partial(net_of, name)))
        if name not in UNTRAINED:
            train = functools.partial(net_of, name, train=True)
            text = f"{summary}; loss, gradients, descent"
            found.append(Generator(f"{name}-training", "net", text, train))
    return found


GENERATORS: dict[str, Generator] = {generator.name: generator for generator in _generators()}
"""The families by name, problems first."""


def parse_name(name: str) -> tuple[str, int, int] | None:
    """Return (family, size, seed) of a name of that form, whether the family exists or not.

    Examples
    --------
    >>> parse_name("churn-1000-seed3"), parse_name("unet-net-500"), parse_name("unet")
    (('churn', 1000, 3), ('unet-net', 500, 0), None)
    """
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    return match["family"], int(match["size"]), int(match["seed"] or 0)


def generated(name: str) -> Problem | BuiltNet:
    """Return the generated instance of that name.

    Raises
    ------
    InputError
        If it is no name of one; similar families are named.
    """
    parts = parse_name(name)
    if parts is None:
        raise InputError(f"{name}: no name of a generated instance, like churn-1000-seed3")
    family, size, seed = parts
    if family not in GENERATORS:
        near = difflib.get_close_matches(family, GENERATORS, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "see memonger info --list"
        raise InputError(f"{name}: there is no family {family!r}; {hint}")
    return GENERATORS[family](size, seed)
