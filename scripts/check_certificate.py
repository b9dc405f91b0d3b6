#!/usr/bin/env python3
"""Check a plan and its certificate, with nothing but Python's standard library.

    check_certificate.py PLAN.json [PROBLEM.json]

Imports nothing of memonger, so that nobody has to trust it. Reads a `memonger-plan/1` file (plain
or .gz), works out from its buffers alone

  * whether the plan is valid: buffers that share memory are never live at the same time, and of
    one device;
  * what the plan costs: the sum over the shared buffers of their largest member;
  * what the certificate proves: see `threshold_bound`.

With a `memonger-problem/1` file besides, also whether the plan is for that problem; without one
the plan is only shown to be consistent with the buffers that it lists itself. Prints one line;
exit code 0 if everything that the plan claims holds, 3 if not, 2 if a file cannot be read.
"""

import gzip
import json
import sys
import zlib
from bisect import bisect_left, insort
from itertools import pairwise, permutations
from pathlib import Path
from typing import Any, NoReturn

Buffer = tuple[int, int, int]  # size in bytes, start, end: live in [start, end)


class Refuted(Exception):
    """A claim that does not hold."""


def require(condition: bool, message: str) -> None:
    """Raise `Refuted` unless the condition holds."""
    if not condition:
        raise Refuted(message)


def integer(value: object, what: str) -> int:
    """Return the value if it is an integer (JSON's true and false are not)."""
    require(type(value) is int, f"{what} is no integer: {value!r}")
    assert isinstance(value, int)
    return value


def read_buffers(plan: dict[str, Any]) -> dict[str, Buffer]:
    """Return name -> buffer, checked."""
    buffers = {}
    for name, entry in plan["buffers"].items():
        require(isinstance(entry, list) and len(entry) == 3, f"buffer {name!r} is malformed")
        size, start, end = (integer(value, f"buffer {name!r}") for value in entry)
        require(size >= 0 and 0 <= start < end, f"buffer {name!r} has an impossible size or range")
        buffers[name] = (size, start, end)
    return buffers


def check_sharing(plan: dict[str, Any], buffers: dict[str, Buffer]) -> int:
    """Check that the plan is valid; return its cost."""
    require(plan["sharing"].keys() == buffers.keys(), "the plan places other buffers than it lists")
    devices = plan.get("devices", {})
    groups: dict[int, list[str]] = {}
    for name, number in plan["sharing"].items():
        require(integer(number, f"placement of {name!r}") >= 0, f"{name!r} is not placed")
        groups.setdefault(number, []).append(name)
    cost = 0
    for names in groups.values():
        require(len({devices.get(name, "") for name in names}) == 1, f"{names[0]!r}: two devices")
        names.sort(key=lambda name: buffers[name][1])
        for one, other in pairwise(names):
            require(
                over_before(plan, buffers, one, other), f"{one!r} and {other!r} are live together"
            )
        cost += max(buffers[name][0] for name in names)
    return cost


def over_before(plan: dict[str, Any], buffers: dict[str, Buffer], one: str, other: str) -> bool:
    """Return whether one buffer is over before the other begins.

    This is transitive, so that checking neighbours in time covers all pairs. In a net that runs
    in parallel a buffer has a vector of times, a component for each chain of operators: one is
    over before the other begins if it is so in every component.
    """
    vectors = plan.get("vector_time")
    if vectors is None:
        return buffers[one][2] <= buffers[other][1]
    for start, end in zip(*vectors[one], strict=True):  # else `over` would not be transitive
        require(start <= end, f"{one!r} ends before it starts")
    ends, starts = vectors[one][1], vectors[other][0]
    require(len(ends) == len(starts), f"{one!r} and {other!r} have times of different lengths")
    return all(end <= start for end, start in zip(ends, starts, strict=True))


def threshold_bound(
    plan: dict[str, Any], witness: list[list[int]], buffers: dict[str, Buffer]
) -> int:
    """Return the lower bound that a threshold certificate proves.

    For each of its sizes w_1 > ... > w_D the certificate names a time. The n_k buffers of at
    least w_k bytes that are live then need n_k shared buffers of at least w_k bytes each. So many
    shared buffers of so many bytes cost sum_k (w_k - w_(k+1)) n_k or more, with w_(D+1) = 0.

    In a net that runs in parallel this holds if the buffers counted conflict in vector time too,
    which is checked pair by pair.
    """
    sizes = [integer(size, "a size of the certificate") for size, _ in witness]
    steps = [one - other for one, other in zip(sizes, [*sizes[1:], 0], strict=False)]
    require(all(step > 0 for step in steps), "the sizes of the certificate do not descend")
    rows = [
        (integer(time, "a time of the certificate"), size, step)
        for (size, time), step in zip(witness, steps, strict=True)
    ]
    if plan.get("vector_time") is not None:
        check_conflicts(plan, rows, buffers)
    # A sweep through time: the sizes of the live buffers, sorted, are counted by bisection.
    starts = sorted((start, size) for size, start, _ in buffers.values())
    ends = sorted((end, size) for size, _, end in buffers.values())
    live: list[int] = []
    born = dead = total = 0
    for time, size, step in sorted(rows):
        while born < len(starts) and starts[born][0] <= time:
            insort(live, starts[born][1])
            born += 1
        while dead < len(ends) and ends[dead][0] <= time:
            del live[bisect_left(live, ends[dead][1])]
            dead += 1
        total += step * (len(live) - bisect_left(live, size))
    return total


def check_conflicts(
    plan: dict[str, Any], rows: list[tuple[int, int, int]], buffers: dict[str, Buffer]
) -> None:
    """Check that the buffers that a certificate counts conflict in vector time."""
    smallest: dict[int, int] = {}  # time -> smallest size that is counted there
    for time, size, _ in rows:
        smallest[time] = min(size, smallest.get(time, size))
    for time, least in smallest.items():
        live = [n for n, b in buffers.items() if b[0] >= least and b[1] <= time < b[2]]
        for one, other in permutations(live, 2):
            conflict = not over_before(plan, buffers, one, other)
            require(conflict, f"{one!r} and {other!r} do not conflict in vector time")


def certified_bound(plan: dict[str, Any], buffers: dict[str, Buffer]) -> int | None:
    """Return the bound that the plan's certificate proves, ``None`` if it has none."""
    certificate = plan.get("certificate")
    if certificate is None:
        return None
    require(certificate.get("format") == "memonger-certificate/1", "unknown certificate format")
    if certificate["kind"] == "threshold":
        return threshold_bound(plan, certificate["witness"], buffers)
    require(certificate["kind"] == "by-device", f"unknown certificate {certificate['kind']!r}")
    devices = plan.get("devices", {})
    total = 0
    for device, part in certificate["devices"].items():  # devices never share: bounds add up
        require(part["kind"] == "threshold", f"unknown certificate {part['kind']!r}")
        own = {n: b for n, b in buffers.items() if devices.get(n, "") == device}
        total += threshold_bound(plan, part["witness"], own)
    return total


def check_problem(problem: dict[str, Any], plan: dict[str, Any]) -> None:
    """Check that the plan is for this problem."""
    require(problem.get("format") == "memonger-problem/1", "unknown problem format")
    expected = {}
    for entry in problem["buffers"]:
        alignment = entry.get("alignment", 1)
        padded = -(-entry["size"] // alignment) * alignment
        expected[entry["name"]] = [padded, entry["start"], entry["end"]]
        device = plan.get("devices", {}).get(entry["name"], "")
        require(device == entry.get("device", ""), f"{entry['name']!r} is on another device")
        if "vector_start" in entry:
            vectors = plan.get("vector_time", {}).get(entry["name"])
            require(
                vectors == [entry["vector_start"], entry["vector_end"]],
                f"{entry['name']!r} has other vector times in the problem",
            )
    require(expected == plan["buffers"], "the buffers of the plan are not those of the problem")


def check(plan: dict[str, Any], problem: dict[str, Any] | None) -> str:
    """Check everything; return what holds, in words."""
    require(plan.get("format") == "memonger-plan/1", "unknown plan format")
    require(plan.get("form") == "sharing", f"cannot check the form {plan.get('form')!r}")
    buffers = read_buffers(plan)
    if problem is not None:
        check_problem(problem, plan)
    cost = check_sharing(plan, buffers)
    objective, bound = (integer(plan[key], key) for key in ("objective", "bound"))
    require(cost == objective, f"the plan costs {cost} bytes, {objective} are claimed")
    require(plan["status"] in ("optimal", "feasible"), f"unknown status {plan['status']!r}")
    require(bound <= cost, f"the bound {bound} is above the cost {cost}")
    if plan["status"] == "optimal":
        require(bound == cost, f"'optimal' is claimed with the bound {bound} and the cost {cost}")
    proven = certified_bound(plan, buffers)
    if proven is None:
        return f"valid plan of {cost} bytes; the bound {bound} has no certificate"
    require(proven >= bound, f"the certificate proves {proven} bytes, {bound} are claimed")
    if proven == cost:
        return f"valid plan of {cost} bytes; the certificate proves that no plan costs less"
    return f"valid plan of {cost} bytes; the certificate proves a bound of {proven}"


def read(path: str) -> dict[str, Any]:
    """Read a JSON object from a file, plain or compressed."""
    data = Path(path).read_bytes()
    loaded = json.loads(gzip.decompress(data) if path.endswith(".gz") else data)
    if not isinstance(loaded, dict):
        raise ValueError("not a JSON object")
    return loaded


def fail(message: str, code: int) -> NoReturn:
    """Say why on stderr and exit."""
    print(f"not valid: {message}" if code == 3 else f"error: {message}", file=sys.stderr)
    sys.exit(code)


def main(arguments: list[str]) -> None:
    """Check the files named on the command line."""
    if arguments in (["-h"], ["--help"]):
        print(__doc__)
        return
    if len(arguments) not in (1, 2):
        fail("usage: check_certificate.py PLAN.json [PROBLEM.json]", 2)
    try:
        files = [read(path) for path in arguments]
    except (OSError, ValueError, EOFError, zlib.error, RecursionError) as error:
        fail(str(error), 2)
    try:
        print(check(files[0], files[1] if len(files) > 1 else None))
    except Refuted as error:
        fail(str(error), 3)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        fail(f"malformed: {type(error).__name__} {error}", 3)


if __name__ == "__main__":
    main(sys.argv[1:])
