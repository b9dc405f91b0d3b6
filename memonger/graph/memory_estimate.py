"""Caffe2's estimate of the memory that nets allocate."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from memonger.errors import ShapeError
from memonger.net.netdef_pb2 import DeviceOption, NetDef, OperatorDef
from memonger.net.schema import schema
from memonger.net.tensors import DataType, TensorType

_log = logging.getLogger(__name__)


class MemoryEstimate(NamedTuple):
    """What nets allocate, in bytes.

    Parameters
    ----------
    total
        All allocations together.
    highwater
        The most that is allocated at once.
    by_op
        Operator type -> what operators of that type allocate.
    """

    total: int
    highwater: int
    by_op: dict[str, int]


def estimate_memory(
    nets: Iterable[NetDef],
    shapes: Mapping[str, Sequence[int]],
    types: Mapping[str, int],
    device: DeviceOption | None = None,
) -> MemoryEstimate:
    """Return the memory that the outputs of the operators of nets take, run one after the other.

    Parameters
    ----------
    nets
        The nets, in the order in which they run; they are not changed.
    shapes
        Blob -> dimensions.
    types
        Blob -> data type, a ``TensorProto.DataType``.
    device
        Count only operators of exactly this device (an explicit CPU is not the unset device);
        ``None`` counts all.

    Returns
    -------
    MemoryEstimate
        Of outputs only: neither inputs, nor parameters, nor what nets inside operators write. A
        blob is allocated by its first writer, under its name, and released when it is the output
        of a ``Free``, or becomes a view (``Alias``) of another, whatever the device.

    Raises
    ------
    ShapeError
        If a blob that is written has a negative dimension.

    Notes
    -----
    As Caffe2's ``estimate_memory_usage``; elements without a known number of bytes (strings,
    handles), on which that fails, count 0 like blobs of unknown shape or type, and so does, with
    a warning in the log, each of them once (`uncounted_blobs`). Linear in the size of the nets.

    References
    ----------
    Caffe2, ``caffe2/python/memonger.py``.

    Examples
    --------
    >>> relu = OperatorDef(type="Relu", input=["x"], output=["y"])
    >>> free = OperatorDef(type="Free", input=["y"], output=["y"])
    >>> estimate_memory([NetDef(op=[relu, free, relu])], {"y": [2, 3]}, {"y": 1})
    MemoryEstimate(total=48, highwater=24, by_op={'Relu': 48})
    """
    known: dict[str, int] = {}
    unknown: dict[str, str] = {}
    allocated: dict[str, int] = {}
    current = total = highwater = 0
    by_op: dict[str, int] = {}
    for op in _counted(nets, device):
        released = _released(op)
        for position, blob in enumerate(op.output):
            if position in released:
                current -= allocated.pop(blob, 0)
            elif blob not in allocated:
                if blob not in known:
                    known[blob], unknown[blob] = _bytes_of(blob, shapes, types)
                size = allocated[blob] = known[blob]
                total += size
                current += size
                highwater = max(highwater, current)
                by_op[op.type] = by_op.get(op.type, 0) + size
    for blob, reason in unknown.items():
        if reason:
            _log.warning("blob %r counts 0 bytes: %s", blob, reason)
    return MemoryEstimate(total, highwater, by_op)


def uncounted_blobs(
    nets: Iterable[NetDef],
    shapes: Mapping[str, Sequence[int]],
    types: Mapping[str, int],
    device: DeviceOption | None = None,
) -> dict[str, str]:
    """Return the blobs that `estimate_memory` counts 0 because it must, and why.

    Examples
    --------
    >>> reader = OperatorDef(type="Read", output=["text", "other"])
    >>> uncounted_blobs([NetDef(op=[reader])], {"text": [1]}, {"text": DataType.STRING})
    {'text': 'its elements are no plain bytes', 'other': 'unknown shape or type'}
    """
    found: dict[str, str] = {}
    for op in _counted(nets, device):
        released = _released(op)
        for position, blob in enumerate(op.output):
            if position not in released and blob not in found:
                found[blob] = _bytes_of(blob, shapes, types)[1]
    return {blob: reason for blob, reason in found.items() if reason}


def _counted(nets: Iterable[NetDef], device: DeviceOption | None) -> Iterable[OperatorDef]:
    """Yield the operators of a device, and those that release blobs."""
    wanted = None if device is None else device.SerializeToString(deterministic=True)
    for net in nets:
        for op in net.op:
            if (
                wanted is None
                or _released(op)
                or op.device_option.SerializeToString(deterministic=True) == wanted
            ):
                yield op


def _released(op: OperatorDef) -> frozenset[int]:
    """Return the positions of outputs whose own memory is released."""
    if op.type == "Free":
        return frozenset(range(len(op.output)))
    return frozenset(output for output, _ in schema(op.type).aliases)


def _bytes_of(
    blob: str, shapes: Mapping[str, Sequence[int]], types: Mapping[str, int]
) -> tuple[int, str]:
    """Return the bytes of a blob, and why that is 0 if it must be."""
    if blob not in shapes or blob not in types:
        return 0, "unknown shape or type"
    try:
        dtype = DataType(types[blob])
    except ValueError:
        return 0, f"unknown data type {types[blob]}"
    try:
        size = TensorType(tuple(int(dim) for dim in shapes[blob]), dtype).nbytes
    except ShapeError as error:
        raise ShapeError(f"blob {blob!r}: {error}") from None
    return (0, "its elements are no plain bytes") if size is None else (size, "")
