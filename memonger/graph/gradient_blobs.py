"""Which blobs of a training net Caffe2's ``share_grad_blobs`` shares."""

from __future__ import annotations

from collections.abc import Iterable

from memonger.net.netdef_pb2 import NetDef


def gradient_blobs(net: NetDef, param_grads: Iterable[str], namescope: str) -> set[str]:
    """Return the gradients that Caffe2's ``share_grad_blobs`` shares.

    They end in ``_grad``, are no ``param_grads``, and are of the scope, or split off from one of
    it (``_scope/...``).
    """
    scope = scope_prefix(namescope)
    results = set(param_grads)
    names = {name for op in net.op for name in (*op.input, *op.output)}
    return {
        name
        for name in names
        if name.endswith("_grad") and name not in results and name.startswith((scope, f"_{scope}"))
    }


def activation_blobs(net: NetDef) -> set[str]:
    """Return the activations that Caffe2's ``share_grad_blobs`` shares.

    Outputs ``b`` of operators with a weight ``b_w``, but the external outputs and the last two.
    """
    layers = [name for op in net.op for name in op.output if f"{name}_w" in op.input]
    outside = set(net.external_output)
    return set([name for name in layers if name not in outside][:-2])


def scope_prefix(namescope: str) -> str:
    """Return what the names of a scope begin with."""
    return namescope if not namescope or namescope.endswith("/") else f"{namescope}/"
