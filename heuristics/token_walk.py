"""Caffe2's token walk: which blobs share in a net whose operators run in parallel.

The walk goes depth first through the operators, each as soon as all that write its inputs have
been visited. A blob is freed by its last reader, and its memory may be taken by any operator that
comes later in the walk and holds all *tokens* that it has been touched with: every branch has a
token of its own and hands it on to what follows, so who holds it waits for that branch anyway.
"""

from __future__ import annotations

import bisect
import heapq
from array import array
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import pairwise

import numba
import numpy as np

from memonger.collector import collector_paused
from memonger.graph.live_ranges import PlannedNet
from memonger.heuristics.lanes import follows, over_before
from memonger.net.defuse import DefUse, device_of
from memonger.net.netdef_pb2 import NetDef
from memonger.plan import SharingPlan
from memonger.problem import Problem

CPU = (0, 0)


@collector_paused()
def token_walk(
    net: NetDef,
    def_use: DefUse,
    planned: PlannedNet,
    leading: Collection[str],
    operators: Sequence[int],
    heads: Sequence[str] = (),
    sizes: Mapping[str, int] | None = None,
) -> SharingPlan:
    """Return the plan of Caffe2's ``compute_blob_recycling_for_dag``.

    Parameters
    ----------
    net, def_use
        The net and its def-use.
    planned
        Its problem, in vector time, and its storages.
    leading
        Blobs that lead from one operator to the next. Those of them that are planned share.
    operators
        The operators that are visited, ascending.
    heads
        Blobs whose readers the walk begins with, one after the other.
    sizes
        Blob -> size in any measure; a blob without one counts 0. An output takes the free memory
        of the largest size up to its own, else one that grows. Without sizes it takes what was
        taken most often, the first by name of these.

    Returns
    -------
    SharingPlan
        Where Caffe2's own result is right, that one, and besides what follows from operators that
        no head leads to. Shared buffers are split where one member would not be over before the
        next begins in every schedule.

    Notes
    -----
    Tokens are the bits of an integer, and the walk keeps a stack of its own: its depth has no
    limit. O(e t / 64) for e inputs and t branches, and O(n f) where the memory of f blobs is
    free, but of no use to n operators that ask.

    References
    ----------
    Caffe2, ``caffe2/core/memonger.cc``.
    """
    movable = {planned.storages[number].blob for number in planned.planned}
    walk = _Walk(net, def_use, leading, operators, movable, sizes)
    readers: dict[str, list[int]] = {blob: [] for blob in heads}
    for step, index in enumerate(operators):
        for name in def_use.operands[index].inputs:
            if name in readers:
                readers[name].append(step)
    for blob in heads:
        for step in readers[blob]:
            walk.run(step)
    for step in range(len(operators)):
        walk.run(step)
    blobs = [planned.storages[number].blob for number in planned.planned]
    return _split(planned.problem, [walk.place.get(blob, blob) for blob in blobs])


class _Walk:
    """The state of the walk. Operators are counted by their position in it."""

    def __init__(
        self,
        net: NetDef,
        def_use: DefUse,
        leading: Collection[str],
        operators: Sequence[int],
        movable: Collection[str],
        sizes: Mapping[str, int] | None,
    ) -> None:
        self.movable = movable
        self.sizes = sizes
        self.inputs: list[list[str]] = []
        self.outputs: list[tuple[str, ...]] = []
        self.readers: dict[str, list[int]] = {}
        self.awaited: list[int] = []  # arrivals before an operator is visited
        self.devices: dict[str, tuple[int, int]] = {}
        written: dict[str, int] = {}
        for step, index in enumerate(operators):
            device, outputs = device_of(net, index), def_use.operands[index].outputs
            inputs = [name for name in def_use.operands[index].inputs if name in leading]
            self.inputs.append(inputs)
            self.outputs.append(outputs)
            self.awaited.append(sum([written.get(name, 0) for name in inputs]))
            for name in inputs:
                self.readers.setdefault(name, []).append(step)
            for name in outputs:
                written[name] = written.get(name, 0) + 1
                self.devices[name] = device
        self.unread = {name: len(readers) for name, readers in self.readers.items()}
        self.taken = {name: int(name not in written) for name in self.readers}  # how often
        self.place: dict[str, str] = {}  # blob -> the one in whose memory it is
        self.tokens: dict[str, int] = {}  # that the memory of a blob was touched with
        self.met: set[str] = set()  # blobs written so far
        self.arrived = [0] * len(operators)
        self.deposits = [0] * len(operators)
        self.visited = [False] * len(operators)
        self.opened = 0  # tokens so far
        # (- how often taken, blob): sorted, or as Caffe2's heap stands where sizes choose.
        self.free: list[tuple[int, str]] = []
        # For each of the sorted list a token for want of which it was not taken, or -1.
        self.lacking = array("q")

    def run(self, root: int) -> None:
        """Visit an operator that waits for no other, and all that it leads to, depth first."""
        if self.visited[root] or self.awaited[root]:
            return
        arrived, awaited, visited, deposits = (
            self.arrived, self.awaited, self.visited, self.deposits,
        )  # fmt: skip
        self.free, self.lacking = [], array("q")
        stack = [self.visit(root, self.new_token())]
        while stack:
            readers, held, branches = stack[-1]
            for reader in readers:
                arrived[reader] += 1
                if arrived[reader] == awaited[reader]:
                    stack.append(self.visit(reader, held | self.new_token() if branches else held))
                    break
                if not visited[reader]:
                    deposits[reader] |= held
            else:
                stack.pop()

    def new_token(self) -> int:
        """Return a set of one token that nobody has."""
        self.opened += 1
        return 1 << (self.opened - 1)

    def visit(self, step: int, held: int) -> tuple[Iterator[int], int, bool]:
        """Visit an operator.

        Returns those that it leads to, the tokens that it hands on, and whether they are several.
        """
        held |= self.deposits[step]
        self.deposits[step] = 0
        self.visited[step] = True
        inputs, outputs = self.inputs[step], self.outputs[step]
        movable, place, tokens = self.movable, self.place, self.tokens
        for name in (*inputs, *outputs):
            memory = place.get(name, name)
            if memory in movable:
                tokens[memory] = tokens.get(memory, 0) | held
        freed = self.last_read(inputs)
        for name in outputs:
            if name in movable and name not in self.met and name not in freed:
                self.met.add(name)
                self.take(name, held)
        for name in freed:
            self.put(name)
        following = [reader for name in outputs for reader in self.readers.get(name, ())]
        return iter(following), held, len(following) > 1

    def last_read(self, inputs: Sequence[str]) -> dict[str, None]:
        """Return the memory whose blobs nobody reads after this."""
        freed: dict[str, None] = {}
        for name in inputs:
            self.unread[name] -= 1
            if self.unread[name] == 0:
                memory = self.place.get(name, name)
                if memory in self.movable:
                    freed[memory] = None
        return freed

    def put(self, name: str) -> None:
        """Add memory to what is free."""
        entry = (-self.taken.get(name, 0), name)
        if self.sizes is not None:
            heapq.heappush(self.free, entry)
            return
        at = bisect.bisect(self.free, entry)
        self.free.insert(at, entry)
        self.lacking.insert(at, -1)

    def take(self, name: str, held: int) -> None:
        """Put a blob into free memory of its device whose tokens are all held, if there is any."""
        if not self.free:
            return
        find = self.most_taken if self.sizes is None else self.nearest
        found = find(name, held)
        if found is not None:
            self.tokens[found] |= held
            self.taken[found] = self.taken.get(found, 0) + 1
            self.place[name] = found

    def most_taken(self, name: str, held: int) -> str | None:
        """Remove the first usable memory from the sorted list and return it."""
        device, missing = self.devices[name], ~held
        bits = np.frombuffer(held.to_bytes(self.opened // 8 + 1, "little"), np.uint8)
        at = -1
        while (at := _next_likely(np.frombuffer(self.lacking, np.int64), bits, at + 1)) >= 0:
            memory = self.free[at][1]
            lacking = self.tokens[memory] & missing
            self.lacking[at] = lacking.bit_length() - 1
            if not lacking and self.devices.get(memory, CPU) == device:
                del self.lacking[at]
                return self.free.pop(at)[1]
        return None

    def nearest(self, name: str, held: int) -> str | None:
        """Remove the usable memory nearest in size from the heap and return it.

        Of equals the last one, as the heap stands; where one too large stands before one that
        would do, that.
        """
        assert self.sizes is not None
        device, missing = self.devices[name], ~held
        need, best, found = self.sizes.get(name, 0), -1, -1
        for at, (_, memory) in enumerate(self.free):
            size = self.sizes.get(memory, 0)
            if (
                size >= best
                and (best < need or best >= size)
                and not self.tokens[memory] & missing
                and self.devices.get(memory, CPU) == device
            ):
                best, found = size, at
        return self.free.pop(found)[1] if found >= 0 else None


@numba.njit(cache=True, nogil=True)
def _next_likely(lacking, bits, begin):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Return where from ``begin`` the first memory stands that may be usable, or -1."""
    for at in range(begin, len(lacking)):
        token = lacking[at]
        if token < 0 or bits[token >> 3] >> (token & 7) & 1:
            return at
    return -1


def _split(problem: Problem, labels: Sequence[str]) -> SharingPlan:
    """Return the plan of the labels, groups split where members do not follow each other."""
    groups: dict[tuple[str, str], list[int]] = {}
    for index in np.argsort(problem.starts, kind="stable").tolist():
        groups.setdefault((labels[index], problem.buffers[index].device), []).append(index)
    pairs = [pair for group in groups.values() for pair in pairwise(group)]
    follow = follows(problem, pairs)
    shared = [0] * len(problem)
    opened = done = 0
    for group in groups.values():
        whole = all(follow[done : done + len(group) - 1])
        done += len(group) - 1
        for lane in [group] if whole else _lanes(problem, group):
            for index in lane:
                shared[index] = opened
            opened += 1
    return SharingPlan.of(shared)


def _lanes(problem: Problem, group: Sequence[int]) -> list[list[int]]:
    """Return buffers, ascending by start, in lanes whose members follow each other: first fit."""
    over = over_before(problem)
    lanes: list[list[int]] = []
    for index in group:
        lane = next((lane for lane in lanes if over(lane[-1], index)), None)
        if lane is None:
            lanes.append([index])
        else:
            lane.append(index)
    return lanes
