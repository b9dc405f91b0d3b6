#!/usr/bin/env python3
"""Check a plan and its certificate, with nothing but Python's standard library.

    check_certificate.py [PROBLEM.json] PLAN.json

Imports nothing of memonger, so that nobody has to trust it. Works out from a `memonger-plan/1` file
(plain or .gz) alone whether the plan is valid (buffers that share memory are of one device and not
live at once, or may be in place), what it costs, and what its certificate proves; with a problem,
whether it is for that. Exit code 0 if all it claims holds, 3 if not, 2 if a file is malformed.
"""

import gzip
import json
import math
import sys
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterator
from itertools import accumulate, pairwise, permutations
from pathlib import Path
from typing import Any

Json = dict[str, Any]
Buffer = tuple[int, int, int]  # size in bytes, start, end: live in [start, end)
Buffers = dict[str, Buffer]


class Refuted(Exception):
    """A claim that does not hold."""


def require(condition: bool, message: str, error: type[Exception] = Refuted) -> None:
    """Raise `Refuted`, or for malformed data a `ValueError`, unless the condition holds."""
    if not condition:
        raise error(message)


def integer(value: Any, what: str = "an entry of the certificate") -> int:  # noqa: ANN401
    """Return the value if it is an integer (JSON's true and false are not)."""
    require(type(value) is int, f"{what} is no integer: {value!r}", ValueError)
    return value


def read_buffers(plan: Json) -> Buffers:
    """Return name -> buffer, checked."""
    buffers = {}
    for name, entry in plan["buffers"].items():
        size, start, end = (integer(value, f"buffer {name!r}") for value in entry)
        require(size >= 0 and 0 <= start < end, f"impossible buffer {name!r}", ValueError)
        buffers[name] = (size, start, end)
    return buffers


def check_sharing(plan: Json, buffers: Buffers, given: Json) -> int:
    """Check that the plan is valid for the pairs in place and the rules given; return its cost."""
    sharing, devices = plan["sharing"], plan.get("devices", {})
    require(sharing.keys() == buffers.keys(), "other buffers are placed than listed", ValueError)
    pairs = pairs_in_place(given, buffers)
    require(not (pairs and plan.get("vector_time")), "pairs in place in vector time", ValueError)
    groups: dict[int, list[str]] = {}
    for name, number in sharing.items():
        require(integer(number, f"{name!r}'s") >= 0, f"{name!r} is not placed", ValueError)
        groups.setdefault(number, []).append(name)
    cost, used = 0, Counter[str]()  # of each device, the shared buffers that hold a byte
    for names in groups.values():
        require(len({devices.get(name, "") for name in names}) == 1, f"{names[0]!r}: two devices")
        names.sort(key=lambda name: buffers[name][1])
        for one, other in pairwise(names):
            fine = (one, other) in pairs or over_before(plan, buffers, one, other)
            require(fine, f"{one!r} and {other!r} conflict")
        cost += max(buffers[name][0] for name in names)
        used[devices.get(names[0], "")] += any(buffers[name][0] for name in names)
    rules = given.get("rules") or {}
    for key in ("together", "apart"):
        for one, other in rules.get(key, []):
            require((sharing[one] == sharing[other]) == (key == "together"), f"{one!r}: not {key}")
    most = rules.get("at_most")
    require(most is None or max([0, *used.values()]) <= integer(most), "too many shared buffers")
    return cost


def pairs_in_place(given: Json, buffers: Buffers) -> set[tuple[str, str]]:
    """Return the pairs of which the second may take over the memory of the first, checked."""
    pairs = {(taken, over) for taken, over in given.get("in_place") or []}
    for taken, over in pairs:  # it is written by the last operator that reads the first
        (_, start, end), (_, begin, last) = buffers[taken], buffers[over]
        require(start < begin == end - 1 and end < last, f"{over!r} in {taken!r}?", ValueError)
    return pairs


def over_before(plan: Json, buffers: Buffers, one: str, other: str) -> bool:
    """Return whether one buffer is over before the other begins, in every component of time.

    This is transitive: checking neighbours in time covers all pairs.
    """
    if not (vectors := plan.get("vector_time")):
        return buffers[one][2] <= buffers[other][1]
    for start, end in zip(*vectors[one], strict=True):  # else `over` would not be transitive
        require(start <= end, f"{one!r} ends before it starts", ValueError)
    return all(end <= start for end, start in zip(vectors[one][1], vectors[other][0], strict=True))


def steps_of(values: list[int]) -> list[int]:
    """Return v_k - v_(k+1) for the values v_1, ..., v_D, with v_(D+1) = 0."""
    return [one - other for one, other in zip(values, [*values[1:], 0], strict=False)]


def threshold_bound(plan: Json, certificate: Json, buffers: Buffers) -> int:
    """Return the lower bound that a threshold certificate proves.

    For each of its sizes w_1 > ... > w_D the certificate names a time. The n_k buffers of at least
    w_k bytes that are live then (and conflict in vector time, if there is one) need n_k shared
    buffers of at least w_k bytes, which cost sum_k (w_k - w_(k+1)) n_k or more, w_(D+1) = 0.
    """
    witness = [(integer(size), integer(time)) for size, time in certificate["witness"]]
    steps = steps_of([size for size, _ in witness])
    require(all(step > 0 for step in steps), "the sizes of the certificate do not descend")
    if plan.get("vector_time"):
        for time, least in {time: size for size, time in witness}.items():  # the last, smallest
            live = [n for n, b in buffers.items() if b[0] >= least and b[1] <= time < b[2]]
            over = any(over_before(plan, buffers, *pair) for pair in permutations(live, 2))
            require(not over, f"what is live at {time} does not conflict in vector time")
    # A sweep through time: the sizes of the live buffers, sorted, are counted by bisection.
    events = [(time, 2, size, step) for (size, time), step in zip(witness, steps, strict=True)]
    for size, start, end in buffers.values():
        events += [(end, 0, size, 0), (start, 1, size, 0)]
    counted, total = list[int](), 0
    for _, kind, size, step in sorted(events):
        if kind == 0:
            del counted[bisect_left(counted, size)]
        elif kind == 1:
            insort(counted, size)
        else:
            total += step * (len(counted) - bisect_left(counted, size))
    return total


def price_bound(plan: Json, certificate: Json, buffers: Buffers) -> int:
    """Return the lower bound that the prices of an "lp-dual" certificate prove.

    Let a plan have N_c shared buffers of exactly w_c bytes, w_1 > ... > w_D the sizes: class c.
    A buffer is in a class of at least its size, and never are more than N_c live in class c. So
    with any prices y[c, q] >= 0 of class c at time q, in 1 / scale bytes, and their sums Y_c,

        scale cost >= sum_c (scale w_c - Y_c) N_c + sum_buffers sum_{q while live} y[its class, q],

    where a buffer pays at least what it would in its cheapest class. Let Y_c <= scale w_c; or, with
    `below`, speak of plans that cost less alone. They keep to `limits`: where high_k buffers of at
    least w_k are live, smaller ones find no room up to class k. Rents R_c >= Y_c may replace Y_c;
    with v_c = scale w_c - R_c, M_k = N_1 + ... + N_k the first sum is sum_k (v_k - v_(k+1)) M_k.
    """
    require(not plan.get("vector_time"), "prices prove nothing in vector time")
    live = [buffer for buffer in buffers.values() if buffer[0] > 0]
    sizes = sorted({size for size, _, _ in live}, reverse=True)
    scale, below = integer(certificate["scale"]), certificate.get("below")
    require(scale > 0, "the scale is not positive")
    prices: dict[int, list[tuple[int, int]]] = {size: [] for size in sizes}
    for size, time, price in certificate["y"]:
        fine = integer(price) > 0 and 0 <= integer(time) < 2**62 and integer(size) in prices
        require(fine, f"the price {price} of size {size} at {time}")
        prices[size].append((time, price))
    sums = {size: sum(price for _, price in pairs) for size, pairs in prices.items()}
    rents = sums | {integer(size): integer(r) for size, r in certificate.get("rents", [])}
    low, high, total = [0] * len(sizes), [len(live) + 1] * len(sizes), 0
    if below is None:
        require(all(sums[w] <= scale * w for w in sizes), "prices that add up to above the size")
    else:
        require(rents.keys() == sums.keys(), "a rent for an unknown size")
        require(all(rents[w] >= sums[w] for w in sizes), "a rent below the sum of the prices")
        low, high = limits(live, sizes, integer(below))
        if low > high:
            return below
        slopes = steps_of([scale * w - rents[w] for w in sizes])
        total = sum(min(s * lo, s * hi) for s, lo, hi in zip(slopes, low, high, strict=True))
    nowhere = sum(sums.values()) + 1
    least = dict.fromkeys(live, nowhere)  # what a buffer pays in its cheapest class
    for k, (size, counts) in enumerate(live_counts(live, sizes)):
        full = [time for time, count in counts.items() if count >= high[k]]
        times = [time for time, _ in sorted(prices[size])]
        before = [0, *accumulate(price for _, price in sorted(prices[size]))]
        for own, start, end in least:
            if own < size and bisect_left(full, start) < bisect_left(full, end):
                least[own, start, end] = nowhere
            elif own <= size and (k == 0 or high[k] > low[k - 1]):  # else the class is empty
                paid = before[bisect_left(times, end)] - before[bisect_left(times, start)]
                least[own, start, end] = min(least[own, start, end], paid)
    if nowhere in least.values():
        return below
    total += sum(least[buffer] for buffer in live)
    unit = math.gcd(*sizes) or 1  # every cost is a multiple of it
    proven = max(0, -(-total // (scale * unit)) * unit)
    return proven if below is None else min(proven, below)


def limits(live: list[Buffer], sizes: list[int], below: int) -> tuple[list[int], list[int]]:
    """Return low_k <= M_k <= high_k for plans of less than `below` bytes; low > high: none.

    M_k is no less than such buffers ever live at once, no more than all, and each costs its step.
    """
    steps = steps_of(sizes)
    low = [max(counts.values()) for _, counts in live_counts(live, sizes)]
    slack = below - 1 - sum(step * n for step, n in zip(steps, low, strict=True))
    most = [sum(buffer[0] >= size for buffer in live) for size in sizes]
    high = [min(m, n + slack // step) for m, n, step in zip(most, low, steps, strict=True)]
    return low, list(accumulate(reversed(high), min))[::-1]


def live_counts(live: list[Buffer], sizes: list[int]) -> Iterator[tuple[int, dict[int, int]]]:
    """Yield for each size, descending, time -> buffers of at least that size live then."""
    change = dict.fromkeys(sorted({time for _, *ends in live for time in ends}), 0)
    for size in sizes:
        for own, start, end in live:
            change[start] += own == size
            change[end] -= own == size
        yield size, dict(zip(change, accumulate(change.values()), strict=True))


def certified_bound(plan: Json, certificate: Json, buffers: Buffers, given: Json) -> int:
    """Return the bound that the plan's certificate proves, with the pairs that are given."""
    require(certificate["format"] == "memonger-certificate/1", "unknown format", ValueError)
    early = {taken for taken, _ in pairs_in_place(given, buffers)}  # count one operator less
    buffers = {n: (size, start, end - (n in early)) for n, (size, start, end) in buffers.items()}
    parts, devices, total = {"": certificate}, {}, 0
    if certificate["kind"] == "by-device":  # devices never share: bounds add up
        parts, devices = certificate["devices"], plan.get("devices", {})
    for device, part in parts.items():
        own = {n: b for n, b in buffers.items() if devices.get(n, "") == device}
        require(part["kind"] in ("threshold", "lp-dual"), "unknown kind", ValueError)
        total += (price_bound if part["kind"] == "lp-dual" else threshold_bound)(plan, part, own)
    return total


def check_problem(problem: Json, plan: Json) -> None:
    """Check that the plan is for this problem."""
    require(problem.get("format") == "memonger-problem/1", "unknown problem format", ValueError)
    expected, none = {}, [None, None]
    devices, vectors = plan.get("devices", {}), plan.get("vector_time", {})
    for entry in problem["buffers"]:
        name, alignment = entry["name"], entry.get("alignment", 1)
        expected[name] = [-(-entry["size"] // alignment) * alignment, entry["start"], entry["end"]]
        require(devices.get(name, "") == entry.get("device", ""), f"{name!r} is on another device")
        same = vectors.get(name, none) == [entry.get("vector_start"), entry.get("vector_end")]
        require(same, f"{name!r} has other vector times in the problem")
    require(expected == plan["buffers"], "the buffers of the plan are not those of the problem")


def check_proof(plan: Json) -> None:
    """Check that the proof that is named goes with the status and the certificate."""
    proof, certificate = plan.get("proof"), plan.get("certificate")
    kinds = ["cp-sat"] if plan["status"] == "optimal" else ["cp-sat", None]
    if certificate is not None:  # of the weakest kind among those of the devices
        parts = [part["kind"] for part in certificate.get("devices", {"": certificate}).values()]
        kinds = [min(parts, key=("lp-dual", "threshold").index, default="threshold")]
    require(proof in kinds, f"the proof {proof!r} does not go with the certificate")


def check(plan: Json, problem: Json | None = None) -> str:
    """Check everything; return what holds, in words."""
    known = plan.get("format") == "memonger-plan/1" and plan.get("form") == "sharing"
    known &= plan.get("proof") in (None, "cp-sat", "threshold", "lp-dual")
    require(known, "unknown format, form or proof", ValueError)
    buffers = read_buffers(plan)
    if problem is not None:
        check_problem(problem, plan)
    cost = check_sharing(plan, buffers, plan)
    check_sharing(plan, buffers, problem or plan)  # its pairs and rules may be others
    objective, bound = (integer(plan[key], key) for key in ("objective", "bound"))
    require(cost == objective, f"the plan costs {cost} bytes, {objective} are claimed")
    require(plan["status"] in ("optimal", "feasible"), f"unknown status {plan['status']!r}")
    fits = bound == cost or (bound < cost and plan["status"] == "feasible")
    require(fits, f"{plan['status']!r} is claimed with the bound {bound} and the cost {cost}")
    check_proof(plan)
    if plan.get("certificate") is None:
        return f"valid plan of {cost} bytes; the bound {bound} has no certificate"
    proven = certified_bound(plan, plan["certificate"], buffers, problem or plan)
    require(proven >= bound, f"the certificate proves {proven} bytes, {bound} are claimed")
    proof = "that no plan costs less" if proven == cost else f"a bound of {proven}"
    return f"valid plan of {cost} bytes; the certificate proves {proof}"


def read(path: str) -> Json:
    """Read a JSON object from a file, plain or compressed."""
    data = Path(path).read_bytes()
    return json.loads(gzip.decompress(data) if path.endswith(".gz") else data)


def main(arguments: list[str]) -> None:
    """Check the files named on the command line."""
    if len(arguments) not in (1, 2) or arguments[0] in ("-h", "--help"):
        print(__doc__)
        sys.exit(0 if arguments and arguments[0] in ("-h", "--help") else 2)
    try:
        print(check(*map(read, reversed(arguments))))
    except Exception as error:  # a claim that does not hold, or whatever malformed data lead to
        print(f"not valid: {type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(3 if isinstance(error, Refuted) else 2)


if __name__ == "__main__":
    main(sys.argv[1:])
