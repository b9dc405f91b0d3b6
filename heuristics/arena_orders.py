"""Orders in which arena planners take the buffers, named by codes such as ``TWA`` or ``Zl``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from memonger.errors import InputError
from memonger.graph.sections import Sections
from memonger.problem import IntArray

Values = npt.NDArray[Any]


class Key(NamedTuple):
    """What a letter of a code stands for: in words, and the value of each buffer."""

    meaning: str
    values: Callable[[Sections], Values]


def order(sections: Sections, code: str) -> IntArray:
    """Return the buffers in the order of a code.

    Parameters
    ----------
    sections
        The buffers.
    code
        Letters of `KEYS`, the one that counts most first: a capital puts large values first, a
        small letter small ones. ``Zl`` is largest size first and, of one size, earliest start.

    Returns
    -------
    IntArray
        Buffer indices, shape (buffers,). Ties end in the index.

    Raises
    ------
    InputError
        If a letter stands for nothing, or the code is empty.

    Notes
    -----
    O(n log n + s log s) for s sections, in memory O(n + s).

    Examples
    --------
    >>> from memonger.graph.sections import sections_of
    >>> from memonger.problem import Buffer, Problem
    >>> problem = Problem((Buffer("a", 4, 0, 1), Buffer("b", 8, 0, 2), Buffer("c", 4, 1, 4)))
    >>> order(sections_of(problem), "ZC").tolist(), order(sections_of(problem), "zl").tolist()
    ([1, 0, 2], [0, 2, 1])
    """
    if not code or any(letter.upper() not in KEYS for letter in code):
        raise InputError(
            f"no order is called {code!r}; codes are made of the letters {''.join(KEYS)}, "
            "capital for large values first, small for small values first"
        )
    columns = []
    for letter in code:
        values = KEYS[letter.upper()].values(sections)
        columns.append(-values if letter.isupper() else values)
    return np.lexsort(columns[::-1])


def ranks(buffers: IntArray) -> IntArray:
    """Return the position of each buffer in an order: the inverse permutation."""
    rank = np.empty(len(buffers), dtype=np.int64)
    rank[buffers] = np.arange(len(buffers))
    return rank


def conflicts(sections: Sections) -> IntArray:
    """Return the number of buffers that each one conflicts with, counted by sorting."""
    begins, ends = np.sort(sections.begin), np.sort(sections.end)
    before_end = np.searchsorted(begins, sections.end, side="left")
    over = np.searchsorted(ends, sections.begin, side="right")
    count: IntArray = before_end - over - 1
    return count


def tightest(values: Values, sections: Sections) -> Values:
    """Return the largest of the values of the sections that each buffer is live in.

    Parameters
    ----------
    values
        One value a section, shape (sections,).
    sections
        The buffers.

    Notes
    -----
    A sparse table of which one row is kept at a time: O(s log s + n), in memory O(n + s).
    """
    result = np.empty(len(sections), dtype=values.dtype)
    power = np.frexp(sections.end - sections.begin)[1] - 1  # floor of the logarithm
    row = values
    for k in range(int(power.max(initial=-1)) + 1):
        own = np.flatnonzero(power == k)
        result[own] = np.maximum(row[sections.begin[own]], row[sections.end[own] - (1 << k)])
        row = np.maximum(row[: -(1 << k)], row[1 << k :])
    return result


def _float(values: IntArray) -> npt.NDArray[np.float64]:
    return values.astype(np.float64)


KEYS: dict[str, Key] = {
    "W": Key("duration, in the time of the problem", lambda s: s.duration),
    "C": Key("number of sections", lambda s: s.end - s.begin),
    "Z": Key("size", lambda s: s.size),
    "A": Key("area: size x duration", lambda s: _float(s.size) * _float(s.duration)),
    "B": Key("size x number of sections", lambda s: _float(s.size) * _float(s.end - s.begin)),
    "T": Key("largest load of a section that it is live in", lambda s: tightest(s.load, s)),
    "O": Key("number of buffers that conflict with it", conflicts),
    "L": Key("start", lambda s: s.begin),
    "U": Key("end", lambda s: s.end),
}
"""The letters of codes. Products are floats, so that sizes of up to 2^62 do not overflow."""
