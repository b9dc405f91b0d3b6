"""Caffe2's pass for nets that run in order: what was freed last is taken first."""

from __future__ import annotations

from collections.abc import Collection

from memonger.graph.live_ranges import PlannedNet
from memonger.net.defuse import DefUse
from memonger.plan import SharingPlan

_WORD = (1 << 64) - 1
_FACTOR, _SEED = 0xC6A4A7935BD1E995, 0xC70F6907
_BUCKETS = (13, 29, 59, 127, 257, 541, 1109, 2357, 5087, 10273, 20753, 42043)


def last_freed_first(def_use: DefUse, planned: PlannedNet) -> tuple[SharingPlan, dict[int, int]]:
    """Return the plan of Caffe2's ``optimize_inference_net``.

    The operators are gone through in order. An output that is new takes the memory that was freed
    last, if any is free on its device; then the inputs that are read for the last time free
    theirs. What nobody reads never frees its memory.

    Parameters
    ----------
    def_use
        Of a net that runs in order.
    planned
        Its problem and its storages.

    Returns
    -------
    SharingPlan
        Valid for the problem; storages take the part of Caffe2's blobs.
    dict
        Shared buffer -> its number, in the order in which buffers are freed for the first time;
        those that never are have none.

    Notes
    -----
    Linear in the size of the net.

    References
    ----------
    Caffe2, ``caffe2/core/memonger.cc``.
    """
    storage_of = [0] * len(def_use.versions)
    for number, storage in enumerate(planned.storages):
        for version in storage.versions:
            storage_of[version] = number
    home = {number: number for number in planned.planned}  # whose memory a storage is in
    freed: dict[int, int] = {}
    free: dict[str, list[int]] = {}
    for index, (reads, writes) in enumerate(zip(def_use.reads, def_use.writes, strict=True)):
        ending: dict[str, int] = {}
        for version in reads.values():
            number = storage_of[version]
            if number in home and planned.storages[number].end == index + 1:
                memory = home[number]
                ending[planned.storages[memory].name] = memory
                freed.setdefault(memory, len(freed))
        for version in writes.values():
            number = storage_of[version]
            if home.get(number) == number and planned.storages[number].start == index:
                stack = free.get(planned.storages[number].device)
                if stack:
                    home[number] = stack.pop()
        for name in iteration_order(ending) if len(ending) > 1 else ending:
            memory = ending[name]
            free.setdefault(planned.storages[memory].device, []).append(memory)
    plan = SharingPlan.of(home[number] for number in planned.planned)
    numbers = {
        shared: freed[home[number]]
        for shared, number in zip(plan.shared, planned.planned, strict=True)
        if home[number] in freed
    }
    return plan, numbers


def iteration_order(names: Collection[str]) -> list[str]:
    """Return the order in which a ``std::unordered_set`` of libstdc++ has names put into it.

    Caffe2 frees what ends at one operator in this order: it decides what is taken next. A new
    bucket is put before all others, a name before all others in its bucket; when the set grows,
    the names are put into its new buckets as they stand.
    """
    order: list[str] = []
    pending = list(names)
    for buckets in _BUCKETS:
        rows: dict[int, list[str]] = {}
        for name in (*order, *pending[: buckets - len(order)]):
            rows.setdefault(_hash(name.encode()) % buckets, []).append(name)
        del pending[: buckets - len(order)]
        order = [name for row in reversed(rows.values()) for name in reversed(row)]
        if not pending:
            break
    return pending[::-1] + order


def _hash(data: bytes) -> int:
    """Return the hash of libstdc++ for strings: 64 bits of MurmurHash2."""
    mixed = _SEED ^ (len(data) * _FACTOR & _WORD)
    whole = len(data) & ~7
    for start in range(0, whole, 8):
        word = int.from_bytes(data[start : start + 8], "little") * _FACTOR & _WORD
        mixed = (mixed ^ ((word ^ word >> 47) * _FACTOR & _WORD)) * _FACTOR & _WORD
    if len(data) > whole:
        mixed = (mixed ^ int.from_bytes(data[whole:], "little")) * _FACTOR & _WORD
    mixed = (mixed ^ mixed >> 47) * _FACTOR & _WORD
    return mixed ^ mixed >> 47
