"""Sizes of blobs for people: what nets allocate, by Caffe2's estimate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from memonger.cli.console import out, print_json, table
from memonger.graph.memory_estimate import MemoryEstimate, estimate_memory, uncounted_blobs
from memonger.net.netdef_pb2 import NetDef
from memonger.net.shapes import infer_types
from memonger.net.tensors import DataType, TensorType


def output_types(net: NetDef, known: Mapping[str, Any]) -> dict[str, TensorType]:
    """Return the types of the blobs that operators write, each as its first writer leaves it.

    Parameters
    ----------
    net
        The net.
    known
        ``shapes`` and ``sizes``, as `memonger.cli.reading.read_net` returns them; a size in bytes
        becomes a tensor of so many bytes.
    """
    found: dict[str, TensorType] = {}
    for op, types in zip(net.op, infer_types(net, known["shapes"]).outputs, strict=True):
        for blob, kind in zip(op.output, types, strict=True):
            if kind is not None:
                found.setdefault(blob, kind)
    for blob, size in (known["sizes"] or {}).items():
        found[blob] = TensorType((size,), DataType.UINT8)
    return found


def estimate(
    nets: Sequence[NetDef], types: Mapping[str, TensorType]
) -> tuple[MemoryEstimate, dict[str, str]]:
    """Return Caffe2's estimate for nets, and the blobs that it counts 0, with reasons."""
    arguments = (
        nets,
        {blob: kind.shape for blob, kind in types.items()},
        {blob: int(kind.dtype) for blob, kind in types.items()},
    )
    return estimate_memory(*arguments), uncounted_blobs(*arguments)


def report_memory(source: str, net: NetDef, known: Mapping[str, Any], *, json_output: bool) -> int:
    """Print what a net allocates; return the exit code."""
    found, uncounted = estimate([net], output_types(net, known))
    if json_output:
        print_json(
            {
                "instance": source,
                "total": found.total,
                "highwater": found.highwater,
                "by_operator": found.by_op,
                "uncounted": [{"blob": b, "reason": r} for b, r in uncounted.items()],
            }
        )
        return 0
    rows = table(source, "outputs of operators", "bytes")
    rows.add_row("total", f"{found.total:,}")
    rows.add_row("at once (highwater)", f"{found.highwater:,}")
    for kind, size in sorted(found.by_op.items(), key=lambda item: (-item[1], item[0])):
        rows.add_row(f"by {kind}", f"{size:,}")
    out.print(rows)
    for blob, reason in list(uncounted.items())[:5]:
        out.print(f"counts 0: {blob!r}: {reason}")
    if len(uncounted) > 5:
        out.print(f"counts 0: {len(uncounted) - 5} more")
    return 0
