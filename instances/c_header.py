"""Arena plans as C headers: an array, and where in it each buffer lies."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator

from memonger.errors import ProblemError
from memonger.plan import ArenaPlan
from memonger.problem import Problem
from memonger.verify import verify_arena

_STATIC = """\
#if defined(__cplusplus)
#define ARENA_STATIC(bytes) alignas(bytes) static
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define ARENA_STATIC(bytes) static _Alignas(bytes)
#elif defined(_MSC_VER)
#define ARENA_STATIC(bytes) static __declspec(align(bytes))
#else
#define ARENA_STATIC(bytes) static __attribute__((aligned(bytes)))
#endif
"""


def plan_to_header(problem: Problem, plan: ArenaPlan) -> str:
    """Return a plan as a C header (C99, C11 or C++11).

    ``ARENA_BYTES`` is the size of the arena, ``OFFSET_<NAME>`` where a buffer begins; unless
    ``ARENA_NO_ARRAY`` is defined, ``arena`` is a static array of that size, aligned as the buffers
    need it. Where there are several devices each has its own: ``ARENA_BYTES_<DEVICE>`` and
    ``arena_<device>``. Equal plans give equal text.

    Parameters
    ----------
    problem, plan
        The buffers and where they lie. Whatever in their names C does not allow becomes an
        underscore, letters become capital, and a number is appended where names become equal.

    Raises
    ------
    ProblemError
        If a buffer is aligned to what is no power of two: no array of C can be.
    PlanError
        If the plan is not valid.
    """
    verify_arena(problem, plan)
    several = len(problem.devices) > 1
    suffixes = [""] * len(problem.devices)
    if several:
        suffixes = [f"_{name}" for name in identifiers(d or "host" for d in problem.devices)]
    peaks = plan.peaks(problem)
    lines = [
        f"/* {len(problem)} buffers, {plan.cost(problem)} bytes. Made by memonger. */",
        "#ifndef MEMONGER_ARENA_H",
        "#define MEMONGER_ARENA_H",
        "",
    ]
    arrays = []
    for device, suffix in zip(problem.devices or ("",), suffixes or ("",), strict=True):
        size, step = peaks.get(device, 0), _alignment(problem, device)
        lines.append(f"#define ARENA_BYTES{suffix} {_constant(size)}")
        if size:  # C has no empty arrays
            name = f"arena{suffix.lower()}"
            arrays.append(f"ARENA_STATIC({step}) unsigned char {name}[ARENA_BYTES{suffix}];")
    lines.append("")
    names = identifiers(buffer.name for buffer in problem.buffers)
    for buffer, name, offset in zip(problem.buffers, names, plan.offsets, strict=True):
        where = f", {_comment(buffer.device)}" if several else ""
        about = f"{buffer.size} bytes, [{buffer.start}, {buffer.end}){where}"
        lines.append(
            f"#define OFFSET_{name} {_constant(offset)} /* {_comment(buffer.name)}: {about} */"
        )
    if arrays:
        lines += ["", "#ifndef ARENA_NO_ARRAY", *_STATIC.splitlines(), *arrays, "#endif"]
    return "\n".join([*lines, "", "#endif", ""])


def identifiers(names: Iterable[str]) -> Iterator[str]:
    """Yield for each name the end of a C identifier, all of them different.

    Examples
    --------
    >>> list(identifiers(["gpu_0/x", "gpu_0:X", "x_2", "x", "X"]))
    ['GPU_0_X', 'GPU_0_X_2', 'X_2', 'X', 'X_3']
    """
    plain = ["_".join(re.findall("[A-Za-z0-9]+", name)).upper() or "BUFFER" for name in names]
    taken, counts = set(plain), dict.fromkeys(plain, 0)
    for name in plain:
        counts[name] += 1
        if counts[name] == 1:
            yield name
            continue
        while f"{name}_{counts[name]}" in taken:
            counts[name] += 1
        taken.add(f"{name}_{counts[name]}")
        yield f"{name}_{counts[name]}"


def _alignment(problem: Problem, device: str) -> int:
    step = 1
    for buffer in problem.buffers:
        if buffer.device == device:
            if buffer.alignment & (buffer.alignment - 1):
                raise ProblemError(
                    f"buffer {buffer.name!r} is aligned to {buffer.alignment} bytes: in C that "
                    "must be a power of two"
                )
            step = math.lcm(step, buffer.alignment)
    return step


def _constant(number: int) -> str:
    return f"{number}{'UL' if number < 2**32 else 'ULL'}"


def _comment(text: str) -> str:
    """Return a text that can stand in a comment, in ASCII."""
    return ascii(text)[1:-1].replace("*/", "* /").replace("/*", "/ *").replace("?", "\\x3f")
