#!/usr/bin/env python3
"""Check an order and its certificate, with nothing but Python's standard library.

    check_order_certificate.py PLAN.json

Imports nothing of memonger. Works out from a `memonger-plan/1` file (.gz or not) of the form
``order`` whether every operator runs once and behind all that it waits for, how many bytes are
live at most, and what the certificate proves about all orders. Whether its operators are those of
some net or graph is another question: `memonger check GRAPH PLAN.json` compares them. Exit code 0
if all that is claimed holds, 3 if not, 2 if the file is malformed.
"""

import gzip
import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

Json = dict[str, Any]
Steps = dict[int, list[int]]
CERTIFIED = ("kept", "cut", "probe")


class Refuted(Exception):
    """A claim that does not hold."""


def require(condition: bool, message: str, error: type[Exception] = Refuted) -> None:
    """Raise `Refuted`, or for malformed data a `ValueError`, unless the condition holds."""
    if not condition:
        raise error(message)


def integers(row: Any, width: int, what: str) -> list[int]:  # noqa: ANN401
    """Return a row of so many integers (JSON's true and false are none)."""
    fine = isinstance(row, list) and len(row) == width and all(type(n) is int for n in row)
    require(fine, f"{what} must be {width} integers: {row!r}", ValueError)
    return row


def read_problem(plan: Json) -> tuple[list[list[Any]], set[tuple[int, int]]]:
    """Return the allocations [size, producer, readers, kept] and all pairs (before, after)."""
    count = len(plan["operators"])
    pairs = {tuple(integers(edge, 2, "an edge")) for edge in plan["edges"]}
    rows = list(plan["allocations"].values())
    for row in rows:
        require(
            len(row) == 4 and type(row[3]) is bool, f"impossible allocation {row!r}", ValueError
        )
        size, producer = integers(row[:2], 2, "size and producer")
        integers(row[2], len(row[2]), "readers")
        require(size >= 0, f"negative size {size}", ValueError)
        require(row[2] == sorted(set(row[2])), f"readers {row[2]} do not ascend", ValueError)
        pairs.update((producer, reader) for reader in row[2])
        require(0 <= producer < count, f"no operator {producer}", ValueError)
    for before, after in pairs:
        fine = 0 <= before < after < count  # program order is valid, so there is no cycle
        require(fine, f"operator {after} cannot wait for {before}", ValueError)
    return rows, pairs


def peak(order: list[int], rows: list[list[Any]], pairs: set[tuple[int, int]], count: int) -> int:
    """Return the most bytes live at once, once the order is shown to be valid."""
    require(sorted(integers(order, len(order), "order")) == list(range(count)), "not an order")
    time = {operator: t for t, operator in enumerate(order)}
    for before, after in pairs:
        require(time[before] < time[after], f"operator {after} runs before {before}")
    change = [0] * (count + 1)
    for size, producer, readers, kept in rows:
        change[time[producer]] += size
        if not kept:
            change[max(time[operator] for operator in (producer, *readers)) + 1] -= size
    live = highest = 0
    for step in change[:count]:
        live += step
        highest = max(highest, live)
    return highest


def reached(steps: Steps, start: int) -> set[int]:
    """Return what is reached from an operator, itself left out."""
    found: set[int] = set()
    stack = [start]
    while stack:
        fresh = [other for other in steps[stack.pop()] if other not in found]
        found.update(fresh)
        stack += fresh
    return found


def related(pairs: set[tuple[int, int]], operator: int) -> tuple[set[int], set[int]]:
    """Return what runs before an operator for sure, and what runs after it."""
    behind: Steps = defaultdict(list)
    ahead: Steps = defaultdict(list)
    for one, other in pairs:
        behind[other].append(one)
        ahead[one].append(other)
    return reached(behind, operator), reached(ahead, operator)


def probe_bound(proof: Json, rows: list[list[Any]], pairs: set[tuple[int, int]], count: int) -> int:
    """Return one byte more than the budget, once no order is shown to be within it.

    Each step shows by a flow that an operator does not fit if another one has run before it, or
    has not. So the opposite holds in every order within the budget, and later steps may use it;
    at last there is a cycle, or an operator that does not fit at all.
    """
    (budget,) = integers([proof["budget"]], 1, "the budget")
    pairs = set(pairs)
    for step in proof["steps"]:
        operator, other, ran = step["operator"], step["other"], step["ran"]
        require(type(ran) is bool, "'ran' must be true or false", ValueError)
        if other is None:
            live = cut_bound(step, rows, pairs, count)
            require(live > budget, "an operator fits within the budget")
            return budget + 1
        integers([operator, other], 2, "operators")
        require(0 <= other < count and 0 <= operator < count, "no such operator")
        before, after = related(pairs, other)
        extra = ({other, *before}, set[int]()) if ran else (set[int](), {other, *after})
        live = cut_bound(step, rows, pairs, count, extra)
        require(live > budget, "an operator fits within the budget")
        if operator == other or operator in (after if ran else before):  # the opposite holds
            return budget + 1
        pairs.add((operator, other) if ran else (other, operator))
    raise Refuted("the steps of the certificate lead to no contradiction")


def cut_bound(
    proof: Json,
    rows: list[list[Any]],
    pairs: set[tuple[int, int]],
    count: int,
    extra: tuple[set[int], set[int]] = (set(), set()),
) -> int:
    """Return the bytes that are live whenever one operator runs, by a flow.

    ``extra`` is what is supposed to have run before it, and not to have run.

    What ran before has allocated some bytes that are live for sure. The flow shows that more is:
    each of its bytes starts in another allocation of what ran before, goes to a reader of that,
    from an operator to one that it waits for, or on through an allocation of its own, and ends in
    one that is live for sure once made. Up to the first operator that has not run, all have run,
    so it stops in an allocation that is live; and no allocation carries more than its size.
    """
    operator = integers([proof["operator"]], 1, "operator")[0]
    require(0 <= operator < count, "no such operator")
    before, after = related(pairs, operator)
    before, later = before | extra[0], {operator} | after | extra[1]
    require(before.isdisjoint(later), "an operator has run, and has not")
    sure = [kept or not later.isdisjoint(readers) for _, _, readers, kept in rows]
    total = sum(
        row[0] for row, stays in zip(rows, sure, strict=True)
        if row[1] == operator or (stays and row[1] in before)
    )  # fmt: skip
    through: dict[int, int] = defaultdict(int)
    balance: dict[int, int] = defaultdict(int)
    free = set(range(count)) - before - later
    for row in proof["reads"]:
        index, reader, amount = integers(row, 3, "a flow")
        require(0 <= index < len(rows) and amount > 0, "no flow")
        require(reader in rows[index][2] and reader in free and not sure[index], "no flow")
        through[index] += amount
        balance[reader] += amount
    for row in proof["waits"]:
        one, other, amount = integers(row, 3, "a flow")
        require((other, one) in pairs and {one, other} <= free and amount > 0, "no flow")
        balance[one] -= amount
        balance[other] += amount
    for row in proof["ends"]:
        index, amount = integers(row, 2, "an end of the flow")
        require(0 <= index < len(rows) and amount > 0 and sure[index], "no end of the flow")
        through[index] += amount
    for index, amount in through.items():
        size, producer, _, _ = rows[index]
        require(amount <= size, "an allocation carries more than its size")
        require(producer in free or (producer in before and not sure[index]), "no flow")
        if producer in free:
            balance[producer] -= amount
        else:
            total += amount
    require(not any(balance.values()), "the flow does not add up")
    return total


def check(plan: Json) -> str:
    """Check all that a plan claims; return it in words."""
    require(plan["format"] == "memonger-plan/1", "another format", ValueError)
    require(plan["form"] == "order", "another form: see check_certificate.py", ValueError)
    rows, pairs = read_problem(plan)
    count, proof = len(plan["operators"]), plan["certificate"]
    cost = peak(plan["order"], rows, pairs, count)
    claimed, bound = integers([plan["objective"], plan["bound"]], 2, "objective and bound")
    require(cost == claimed, f"the peak is {cost}, {claimed} is claimed")
    require(bound <= cost, f"the bound {bound} is above the peak")
    require(plan["status"] in ("optimal", "feasible"), "no such status")
    require(plan["status"] != "optimal" or bound == cost, "'optimal' above the bound")
    if proof is None:
        require(plan["proof"] not in CERTIFIED, "a certificate is missing")
        require(plan["proof"] in (None, "search", "cp-sat"), "no such proof", ValueError)
        unproven = plan["proof"] is None and plan["status"] == "optimal"
        require(not unproven, "'optimal' without a proof")
        return f"valid: peak {cost}; the bound {bound} is not certified"
    require(proof["format"] == "memonger-certificate/1", "another format", ValueError)
    require(proof["kind"] == plan["proof"], "the proof is not that of the certificate")
    require(proof["kind"] in CERTIFIED, "unknown kind of certificate", ValueError)
    if proof["kind"] == "kept":
        proven = sum(size for size, _, _, kept in rows if kept)
    else:
        prove = cut_bound if proof["kind"] == "cut" else probe_bound
        proven = prove(proof, rows, pairs, count)
    require(proven >= bound, f"the certificate proves {proven}, {bound} is claimed")
    return f"valid: peak {cost}, certified bound {proven}"


def main(arguments: list[str]) -> int:
    """Check the plan that is named; return the exit code."""
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        content = Path(arguments[0]).read_bytes()
        if arguments[0].endswith(".gz"):
            content = gzip.decompress(content)
        print(check(json.loads(content)))
    except Refuted as error:
        print(f"NOT VALID: {error}")
        return 3
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        print(f"malformed: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
