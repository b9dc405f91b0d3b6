"""Problems as JSON: ``memonger-problem/1``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from reprlib import repr as shown
from typing import Any

import numpy as np

from memonger.errors import ProblemError
from memonger.gaps import Gap
from memonger.problem import MAX_TOTAL_BYTES, Buffer, Problem, VectorTime
from memonger.rules import Pairs, Rules

FORMAT = "memonger-problem/1"

_TOP = frozenset({"format", "name", "horizon", "buffers", "in_place", "rules"})
_NUMBERS = ("size", "start", "end", "alignment", "offset")
_KEYS = frozenset(["name", "device", "gaps", "vector_start", "vector_end", *_NUMBERS])


def problem_to_json(problem: Problem) -> dict[str, Any]:
    """Return a problem as JSON data.

    Buffers of a problem in vector time carry ``vector_start`` and ``vector_end`` besides.
    """
    buffers = []
    for index, buffer in enumerate(problem.buffers):
        entry: dict[str, Any] = {
            "name": buffer.name,
            "size": buffer.size,
            "start": buffer.start,
            "end": buffer.end,
        }
        if buffer.alignment != 1:
            entry["alignment"] = buffer.alignment
        if buffer.offset is not None:
            entry["offset"] = buffer.offset
        if buffer.device:
            entry["device"] = buffer.device
        if buffer.gaps:
            entry["gaps"] = gaps_to_json(buffer.gaps)
        if problem.vector_time is not None:
            entry["vector_start"] = problem.vector_time.start[index].tolist()
            entry["vector_end"] = problem.vector_time.end[index].tolist()
        buffers.append(entry)
    horizon = max((buffer.end for buffer in problem.buffers), default=0)
    data = {"format": FORMAT, "name": problem.name, "horizon": horizon, "buffers": buffers}
    if problem.in_place:
        data["in_place"] = names_of(problem, problem.in_place)
    if problem.rules:
        data["rules"] = rules_to_json(problem)
    return data


def gaps_to_json(gaps: Sequence[Gap]) -> list[list[int]]:
    """Return gaps as [start, end], with a window as [start, end, lower, upper]."""
    return [
        [gap.start, gap.end, gap.lower, gap.upper] if gap.upper else [gap.start, gap.end]
        for gap in gaps
    ]


def names_of(problem: Problem, pairs: Pairs) -> list[list[str]]:
    """Return pairs of buffers by their names."""
    return [[problem.buffers[i].name for i in pair] for pair in pairs]


def rules_to_json(problem: Problem) -> dict[str, Any]:
    """Return the rules of a problem as JSON data."""
    rules = problem.rules
    data: dict[str, Any] = {} if rules.at_most is None else {"at_most": rules.at_most}
    for key, pairs in (("together", rules.together), ("apart", rules.apart)):
        if pairs:
            data[key] = names_of(problem, pairs)
    return data


def problem_from_json(data: object, source: str = "problem") -> Problem:
    """Return the problem that JSON data describe.

    Raises
    ------
    ProblemError
        If they describe none; names the field and the buffer.
    """
    if not isinstance(data, Mapping) or data.get("format") != FORMAT:
        raise ProblemError(f"{source}: expected the format {FORMAT!r}")
    unknown = sorted(map(str, set(data) - _TOP))
    if unknown:
        raise ProblemError(f"{source}: {unknown[0]!r} is no field of {FORMAT}")
    entries = data.get("buffers")
    if not isinstance(entries, list):
        raise ProblemError(f"{source}: 'buffers' must be a list")
    name = data.get("name", "")
    if not isinstance(name, str):
        raise ProblemError(f"{source}: 'name' must be a string, got {shown(name)}")
    buffers, vectors = [], []
    for number, entry in enumerate(entries):
        buffers.append(_buffer(entry, f"{source}: buffer {number}"))
        vectors.append((entry.get("vector_start"), entry.get("vector_end")))
    try:
        vector_time = _vector_time(vectors)
        index = {buffer.name: i for i, buffer in enumerate(buffers)}
        _check_horizon(data, buffers)
        in_place = _pairs(data.get("in_place", []), index, "in_place")
        rules = _rules(data.get("rules", {}), index)
        problem = Problem(tuple(buffers), name, vector_time, in_place, rules)
    except ProblemError as error:
        raise ProblemError(f"{source}: {error}") from None
    _check_order(problem, source)
    return problem


def _check_horizon(data: Mapping[str, Any], buffers: list[Buffer]) -> None:
    """Refuse a horizon before the last end."""
    if "horizon" not in data:
        return
    last = max(buffers, key=lambda buffer: buffer.end, default=None)
    if type(data["horizon"]) is not int or data["horizon"] < 0:
        raise ProblemError(f"'horizon' must be an integer >= 0, got {shown(data['horizon'])}")
    if last is not None and data["horizon"] < last.end:
        raise ProblemError(
            f"'horizon' is {shown(data['horizon'])}, but {last.name!r} ends at {last.end}"
        )


def _check_order(problem: Problem, source: str) -> None:
    """Refuse vector times in which buffers share that are live together in program order."""
    time = problem.vector_time
    if time is None:
        return
    for index, buffer in enumerate(problem.buffers):
        together = np.flatnonzero((problem.starts < buffer.end) & (buffer.start < problem.ends))
        over = time.over_before_all(index, together)
        if over.size:
            other = problem.buffers[int(over[0])].name
            raise ProblemError(
                f"{source}: {buffer.name!r} and {other!r} are live together by 'start' and 'end', "
                "but not by their vector times"
            )


def _pairs(names: object, index: Mapping[str, int], key: str) -> Pairs:
    if not isinstance(names, list):
        raise ProblemError(f"{key!r} must be a list of pairs of names")
    pairs = []
    for pair in names:
        if not isinstance(pair, list) or len(pair) != 2:
            raise ProblemError(f"{key!r} must be a list of pairs of names")
        for name in pair:
            if not isinstance(name, str) or name not in index:
                raise ProblemError(f"{key!r}: there is no buffer {shown(name)}")
        pairs.append((index[pair[0]], index[pair[1]]))
    return tuple(pairs)


def _rules(data: object, index: Mapping[str, int]) -> Rules:
    if not isinstance(data, Mapping) or set(data) - {"at_most", "together", "apart"}:
        raise ProblemError("'rules' must be an object with 'at_most', 'together' or 'apart'")
    at_most = data.get("at_most")
    if at_most is not None and type(at_most) is not int:
        raise ProblemError(f"'at_most' must be an integer, got {shown(at_most)}")
    together, apart = (_pairs(data.get(key, []), index, key) for key in ("together", "apart"))
    return Rules(at_most, together, apart)


def _buffer(entry: object, where: str) -> Buffer:
    if not isinstance(entry, Mapping):
        raise ProblemError(f"{where}: expected an object")
    unknown = sorted(map(str, set(entry) - _KEYS))
    if unknown:
        raise ProblemError(f"{where}: {unknown[0]!r} is not supported by this version")
    name = entry.get("name")
    if not isinstance(name, str):
        raise ProblemError(f"{where}: 'name' must be a string")
    where = f"{where} ({name!r})"
    numbers: dict[str, Any] = {"alignment": 1}
    keys = ("size", "start", "end", "alignment", *(key for key in ("offset",) if key in entry))
    for key in keys:
        value = entry.get(key, numbers.get(key))
        if value is None and key not in entry:
            raise ProblemError(f"{where}: {key!r} is missing")
        if type(value) is not int:
            raise ProblemError(f"{where}: {key!r} must be an integer, got {shown(value)}")
        if value >= MAX_TOTAL_BYTES:
            raise ProblemError(f"{where}: {key!r} must be below 2^62, got {shown(value)}")
        numbers[key] = value
    device = entry.get("device", "")
    if not isinstance(device, str):
        raise ProblemError(f"{where}: 'device' must be a string, got {shown(device)}")
    return Buffer(name, **numbers, device=device, gaps=_gaps(entry.get("gaps", []), where))


def _gaps(data: object, where: str) -> tuple[Gap, ...]:
    if not isinstance(data, list):
        raise ProblemError(f"{where}: 'gaps' must be a list")
    gaps = []
    for numbers in data:
        right = isinstance(numbers, list) and len(numbers) in (2, 4)
        if not right or not all(type(number) is int for number in numbers):
            raise ProblemError(
                f"{where}: a gap must be [start, end] or [start, end, lower, upper], integers; "
                f"got {shown(numbers)}"
            )
        gaps.append(Gap(*numbers))
    return tuple(gaps)


def _vector_time(vectors: list[tuple[object, object]]) -> VectorTime | None:
    given = [pair for pair in vectors if pair != (None, None)]
    if not given:
        return None
    for pair in given:
        for vector in pair:
            if not isinstance(vector, list) or not all(type(x) is int for x in vector):
                raise ProblemError("vector times must be lists of integers")
    try:
        arrays = [np.array([pair[side] for pair in vectors], dtype=np.int64) for side in (0, 1)]
    except (TypeError, ValueError, OverflowError):
        raise ProblemError("vector times must be lists of one length") from None
    if arrays[0].ndim != 2 or arrays[0].shape != arrays[1].shape:
        raise ProblemError("vector times must be lists of one length")
    return VectorTime.of(*arrays)
