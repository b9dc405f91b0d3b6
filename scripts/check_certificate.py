#!/usr/bin/env python3
"""Check a plan and its certificate, with nothing but Python's standard library.

    check_certificate.py [PROBLEM.json] PLAN.json

Imports nothing of memonger. Tells of a `memonger-plan/1` file (.gz or not) whether the plan is
valid (no memory is taken twice at a time), what it costs, what its certificate proves, and whether
it is for the problem given. Exit code 0 if all that holds, 3 if not, 2 if malformed.
"""

import gzip
import json
import math
import sys
from bisect import bisect_left
from collections import Counter, namedtuple
from itertools import accumulate, pairwise, permutations
from pathlib import Path
from typing import Any

Json = dict[str, Any]
FIELDS = "name size start end device vectors alignment pin spans"  # live in [start, end)
Buffer = namedtuple("Buffer", FIELDS, defaults=(1, None, ()))


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


def read_buffers(plan: Json, placed: Json) -> dict[str, Buffer]:
    """Return name -> buffer, checked; and check that each is placed by a number."""
    rows, keys = plan["buffers"], ("devices", "vector_time", "alignments", "pinned", "gaps")
    columns = where, vectors, alignments, pins, gaps = [plan.get(key, {}) for key in keys]
    fine = placed.keys() == rows.keys() and all(c.keys() <= rows.keys() for c in columns)
    fine &= len(vectors) in (0, len(rows)) and (plan["form"] == "arena" or not any(columns[2:]))
    require(fine, "an entry for other buffers than are listed, or of another form", ValueError)
    buffers = {}
    for name, row in rows.items():
        step, pin, times = alignments.get(name, 1), pins.get(name, 0), vectors.get(name)
        numbers = [integer(number, repr(name)) for number in (*row, step, pin, placed[name])]
        fine = min(numbers) >= 0 and row[1] < row[2] and step > 0 and pin % step == 0
        fine &= times is None or min(map(len, times), default=0) > 0
        fine &= all(first <= last for first, last in zip(*times or (), strict=True))
        require(fine, f"impossible buffer {name!r}", ValueError)
        own = spans(*row, gaps.get(name, []))
        buffers[name] = Buffer(name, *row, where.get(name, ""), times, step, pins.get(name), own)
    return buffers


def spans(size: int, start: int, end: int, gaps: list[list[int]]) -> tuple[Any, ...]:
    """Return when (from, to) a buffer takes which bytes of its space (from, to); check its gaps."""
    rows = [(*map(integer, gap), *{2: (0, 0), 4: ()}[len(gap)]) for gap in gaps]
    times = [start, *(time for row in rows for time in row[:2]), end]
    fine = all(a < b and (0 <= low < high <= size or low == high == 0) for a, b, low, high in rows)
    require(fine and times == sorted(times), f"impossible gaps {gaps}", ValueError)
    whole = [(*live, 0, size) for live in zip(times[::2], times[1::2], strict=True)]
    return tuple(span for span in (*whole, *rows) if span[0] < span[1] and span[2] < span[3])


def check_sharing(plan: Json, buffers: dict[str, Buffer], given: Json) -> int:
    """Check that the plan is valid for the pairs in place and the rules given; return its cost."""
    sharing, pairs, groups = plan["sharing"], pairs_in_place(given, buffers), dict[int, Any]()
    for buffer in sorted(buffers.values(), key=lambda buffer: buffer.start):
        groups.setdefault(sharing[buffer.name], []).append(buffer)
    cost, used = 0, Counter[str]()  # of each device, the shared buffers that hold a byte
    for members in groups.values():
        for one, other in pairwise(members):
            fine = (one.name, other.name) in pairs or over_before(one, other)
            require(fine and one.device == other.device, f"{one.name!r}, {other.name!r} conflict")
        cost += max(buffer.size for buffer in members)
        used[members[0].device] += any(buffer.size for buffer in members)
    rules = given.get("rules") or {}
    require(all(sharing[a] == sharing[b] for a, b in rules.get("together", [])), "not together")
    require(all(sharing[a] != sharing[b] for a, b in rules.get("apart", [])), "not apart")
    most = rules.get("at_most")
    require(most is None or max([0, *used.values()]) <= integer(most), "too many shared buffers")
    return cost


def pairs_in_place(given: Json, buffers: dict[str, Buffer]) -> set[tuple[str, str]]:
    """Return the pairs whose second one, written by the first's last reader, may take its place."""
    pairs = {(taken, over) for taken, over in given.get("in_place") or []}
    for one, other in ((buffers[taken], buffers[over]) for taken, over in pairs):
        fine = one.start < other.start == one.end - 1 and one.end < other.end and not one.vectors
        require(fine, f"{other.name!r} in {one.name!r}?", ValueError)
    return pairs


def over_before(one: Buffer, other: Buffer) -> bool:
    """Return whether one buffer is over before the other begins, in all components: transitive."""
    (_, ends), (starts, _) = (b.vectors or ([b.start], [b.end]) for b in (one, other))
    return all(end <= start for end, start in zip(ends, starts, strict=True))


def check_arena(plan: Json, buffers: dict[str, Buffer]) -> int:
    """Check that the plan is valid in an arena for each device; return the bytes of all arenas."""
    peaks, events, live = dict[str, int](), [], dict[str, list[Any]]()
    for name, b in buffers.items():
        at = plan["offsets"][name]
        fine = at % b.alignment == 0 and b.pin in (None, at) and b.vectors is None
        require(fine, f"{name!r} may not lie at {at}: alignment {b.alignment}, pin {b.pin}")
        peaks[b.device] = max(peaks.get(b.device, 0), at + b.size if b.size else 0)
        for start, end, low, high in b.spans:
            taken = (at + low, at + high, name)
            events += [(start, 1, b.device, taken), (end, 0, b.device, taken)]
    for _, begins, device, taken in sorted(events):  # at one time ends come first
        here = live.setdefault(device, [])  # sorted by offset: look at neighbours alone
        at = bisect_left(here, taken)
        here[at : at + 1 - begins] = [taken] * begins
        for (_, high, one), (low, _, other) in pairwise(here[max(0, at - 1) : at + 2]):
            require(high <= low, f"{one!r} and {other!r} overlap while live")
    return sum(peaks.values())


def clique_bound(certificate: Json, buffers: list[Buffer]) -> int:
    """Return the bytes of what is taken at a time, rounded up to the alignment but for the top."""
    time = integer(certificate["time"])
    require(len({b.device for b in buffers}) <= 1, "each device has a topmost buffer of its own")
    live = [(b.alignment, *span) for b in buffers for span in b.spans if span[0] <= time < span[1]]
    step = math.gcd(*(math.gcd(b, low) for b, _, _, low, _ in live)) or 1
    waste = [(low - high) % step for *_, low, high in live]
    return sum(high - low for *_, low, high in live) + sum(waste) - max(waste, default=0)


def threshold_bound(certificate: Json, buffers: list[Buffer]) -> int:
    """Return the lower bound that a threshold certificate proves.

    It names a time for each of some sizes w_1 > ... > w_D. The n_k buffers of at least w_k live
    then need as many shared ones: these cost sum_k (w_k - w_(k+1)) n_k or more, w_(D+1) = 0.
    """
    witness = [(integer(size), integer(time)) for size, time in certificate["witness"]]
    steps = [one - other for one, other in pairwise([*(size for size, _ in witness), 0])]
    require(all(step > 0 for step in steps), "the sizes of the certificate do not descend")
    sizes = dict[int, list[int]]()  # of what is live at a time, ascending
    for time, least in {time: size for size, time in witness}.items():  # the last, smallest
        live = [b for b in buffers if b.size >= least and b.start <= time < b.end]
        over = any(over_before(*pair) for pair in permutations([b for b in live if b.vectors], 2))
        require(not over, f"what is live at {time} does not conflict in vector time")
        sizes[time] = sorted(b.size for b in live)
    counts = [len(sizes[time]) - bisect_left(sizes[time], size) for size, time in witness]
    return sum(step * count for step, count in zip(steps, counts, strict=True))


def price_bound(certificate: Json, buffers: list[Buffer]) -> int:
    """Return the lower bound that the prices of an "lp-dual" certificate prove.

    Let a plan have N_c shared buffers of exactly w_c bytes, w_1 > ... > w_D the sizes: class c has
    at most N_c live. With any prices y[c, q] >= 0 of class c at time q, in 1 / scale bytes, that
    add up to Y_c <= scale w_c, and a buffer in the class of at least its size that asks for least,
        scale cost >= sum_c (scale w_c - Y_c) N_c + sum_buffers sum_{q while live} y[its class, q].
    With `below`, plans that cost less keep to `limits`: where high_k buffers of at least w_k are
    live, smaller ones find no room up to class k. Rents R_c >= Y_c replace Y_c then: with
    v_c = scale w_c - R_c, M_k = N_1 + ... + N_k the first sum is sum_k (v_k - v_(k+1)) M_k.
    """
    scale, below = integer(certificate["scale"]), certificate.get("below")
    require(scale > 0 and not any(b.vectors for b in buffers), "scale below 1, or vector time")
    live = [(b.size, b.start, b.end) for b in buffers if b.size]
    sizes = sorted({size for size, _, _ in live}, reverse=True)
    prices = {size: list[tuple[int, int]]() for size in sizes}
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
        fine = rents.keys() == sums.keys() and all(rents[w] >= sums[w] for w in sizes)
        require(fine, "a rent for an unknown size, or below the sum of its prices")
        low, high = limits(live, sizes, integer(below))
        if low > high:
            return below
        slopes = [one - two for one, two in pairwise([*(scale * w - rents[w] for w in sizes), 0])]
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


def limits(live: list[Any], sizes: list[int], below: int) -> tuple[list[int], list[int]]:
    """Return low_k <= M_k <= high_k for plans of fewer bytes: live at once, and what they pay."""
    steps = [one - other for one, other in pairwise([*sizes, 0])]
    low = [max(counts.values()) for _, counts in live_counts(live, sizes)]
    slack = below - 1 - sum(step * n for step, n in zip(steps, low, strict=True))
    most = [sum(own >= size for own, *_ in live) for size in sizes]
    high = [min(m, n + slack // step) for m, n, step in zip(most, low, steps, strict=True)]
    return low, list(accumulate(reversed(high), min))[::-1]


def live_counts(live: list[Any], sizes: list[int]) -> Any:  # noqa: ANN401
    """Yield for each size, descending, time -> buffers of at least that size live then."""
    change = Counter(dict.fromkeys(sorted({time for _, *ends in live for time in ends}), 0))
    for size in sizes:
        change.update(start for own, start, _ in live if own == size)
        change.subtract(end for own, _, end in live if own == size)
        yield size, dict(zip(change, accumulate(change.values()), strict=True))


BOUNDS = {"clique": clique_bound, "threshold": threshold_bound, "lp-dual": price_bound}


def certified_bound(certificate: Json, buffers: list[Buffer], form: str) -> int:
    """Return the bound that a certificate proves for plans of a form."""
    require(certificate["format"] == "memonger-certificate/1", "unknown format", ValueError)
    parts = certificate["devices"] if certificate["kind"] == "by-device" else {None: certificate}
    total = 0  # devices never share: bounds add up
    for device, part in parts.items():
        total += BOUNDS[part["kind"]](part, [b for b in buffers if device in (None, b.device)])
        require((part["kind"] == "clique") == (form == "arena"), f"{part['kind']!r} proves nothing")
    return total


def check_problem(problem: Json, plan: Json, buffers: dict[str, Buffer]) -> None:
    """Check that the plan is for this problem."""
    require(problem.get("format") == "memonger-problem/1", "unknown problem format", ValueError)
    expected, arena = list[Buffer](), plan["form"] == "arena"
    for entry in problem["buffers"]:
        name, size, step = entry["name"], entry["size"], entry.get("alignment", 1)
        times = [entry[key] for key in ("vector_start", "vector_end") if key in entry] or None
        row = (size if arena else -(-size // step) * step, entry["start"], entry["end"])
        rest = (step, entry.get("offset")) if arena else (1, None)
        own = spans(*row, entry.get("gaps", []))
        expected.append(Buffer(name, *row, entry.get("device", ""), times, *rest, own))
    require(sorted(expected) == sorted(buffers.values()), "the problem has other buffers")


def check(plan: Json, problem: Json | None = None) -> str:
    """Check everything; return what holds, in words."""
    proof, certificate = plan.get("proof"), plan.get("certificate")
    known = plan["format"] == "memonger-plan/1" and plan["form"] in ("sharing", "arena")
    known &= proof in [None, "cp-sat", "search", *BOUNDS]
    require(known, "unknown format, form or proof", ValueError)
    sharing, given = plan["form"] == "sharing", plan if problem is None else problem
    buffers = read_buffers(plan, plan["sharing" if sharing else "offsets"])
    if problem is not None:
        check_problem(problem, plan, buffers)
    early = {taken for taken, _ in pairs_in_place(given, buffers) if sharing}  # by one operator
    for rules in (plan, given):  # the pairs and rules of a problem may be others
        cost = check_sharing(plan, buffers, rules) if sharing else check_arena(plan, buffers)
    objective, bound, status = integer(plan["objective"]), integer(plan["bound"]), plan["status"]
    fits = {"optimal": bound == cost, "feasible": bound <= cost}.get(status, False)
    require(fits and cost == objective, f"{cost} bytes, not {status} {objective}, bound {bound}")
    if certificate is None:
        fine = proof in ("cp-sat", "search") or (proof is None and status == "feasible")
        require(fine, f"the proof {proof!r} is claimed without a certificate")
        return f"valid plan of {cost} bytes; the bound {bound} has no certificate"
    parts = certificate["devices"].values() if certificate["kind"] == "by-device" else [certificate]
    kind = max((part["kind"] for part in parts), key=list(BOUNDS).index, default="threshold")
    require(proof == kind, f"the proof {proof!r} does not go with the certificate")
    counted = [b._replace(end=b.end - (b.name in early)) for b in buffers.values()]
    proven = certified_bound(certificate, counted, plan["form"])
    require(proven >= bound, f"the certificate proves {proven} bytes, {bound} are claimed")
    return f"valid plan of {cost} bytes; the certificate proves that none costs below {proven}"


def main(arguments: list[str]) -> None:
    """Check the files named on the command line."""
    if len(arguments) not in (1, 2) or arguments[0] in ("-h", "--help"):
        print(__doc__)
        sys.exit(0 if arguments and arguments[0] in ("-h", "--help") else 2)
    try:
        read = [Path(name).read_bytes() for name in reversed(arguments)]
        plain = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data for data in read)
        print(check(*map(json.loads, plain)))
    except Exception as error:  # a claim that does not hold, or whatever malformed data lead to
        print(f"not valid: {type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(3 if isinstance(error, Refuted) else 2)


if __name__ == "__main__":
    main(sys.argv[1:])
