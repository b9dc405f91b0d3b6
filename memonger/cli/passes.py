"""``memonger optimize --pass``: Caffe2's passes, one at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from memonger.cli.console import note, out, print_json, table
from memonger.cli.memory import estimate, output_types
from memonger.errors import InputError, NetError
from memonger.net.defuse import DefUse, analyse, outputs_of
from memonger.net.netdef_pb2 import NetDef
from memonger.net.schema import schema
from memonger.net.sizes import Sizes, version_sizes


class PassName(StrEnum):
    """The passes."""

    SHARE_GRADIENTS = "share-gradients"
    INFERENCE_DAG = "inference-dag"
    INFERENCE_FAST = "inference-fast"
    RELEASE = "release"


# Parameters of the command that go with every pass, and those that go with some.
COMMON = {"net", "pass_name", "static", "shapes", "sizes", "output", "json_output", "quiet"}
MORE = {
    PassName.SHARE_GRADIENTS: {"loss", "param_grad", "scope", "algorithm", "time_limit"},
    PassName.INFERENCE_DAG: {"scope", "algorithm", "time_limit"},
    PassName.INFERENCE_FAST: set[str](),
    PassName.RELEASE: set[str](),
}
ONLY_WITH_A_PASS = {"loss", "param_grad", "scope"}


@dataclass(frozen=True, slots=True)
class Request:
    """A pass and its options.

    Parameters
    ----------
    name
        Which pass.
    static
        Blobs to be left alone.
    losses, param_grads, scope
        For the gradients; the scope for new names as well.
    optimal
        Whether to search for the least memory, for at most ``time_limit`` seconds.
    """

    name: PassName
    static: tuple[str, ...]
    losses: tuple[str, ...]
    param_grads: tuple[str, ...]
    scope: str
    optimal: bool
    time_limit: float | None


def check_options(given: dict[str, str], name: PassName | None, algorithm: str) -> None:
    """Refuse options that do not go together.

    Parameters
    ----------
    given
        Parameters of the command that were given, with the options' names.
    name
        The pass, if any.
    algorithm
        The algorithm.
    """
    if name is None:
        for parameter in sorted(given.keys() & ONLY_WITH_A_PASS):
            raise InputError(f"{given[parameter]} is for --pass")
        return
    for parameter, option in given.items():
        if parameter not in COMMON | MORE[name]:
            raise InputError(f"{option} does not go with --pass {name.value}")
    if "algorithm" in given and algorithm != "optimal":
        raise InputError(f"--pass {name.value} knows one --algorithm: optimal")
    if "time_limit" in given and "algorithm" not in given:
        raise InputError("with --pass, --time-limit is for --algorithm optimal")
    if name is PassName.SHARE_GRADIENTS and "loss" not in given:
        raise InputError("--pass share-gradients needs --loss")


def run_pass(
    source: str, net: NetDef, known: Mapping[str, Any], request: Request
) -> tuple[NetDef, dict[str, Any]]:
    """Run a pass.

    Parameters
    ----------
    source
        What the net is called.
    net
        The net; it is not changed.
    known
        ``shapes`` and ``sizes``, as `memonger.cli.reading.read_net` returns them.
    request
        The pass and its options.

    Returns
    -------
    tuple
        The new net, verified, and what to say of it. Bytes are ``None`` where no size is known:
        those of all blobs that operators write, for ``release`` the most at once.
    """
    from memonger.pipeline import count_blobs

    def_use = analyse(net)
    _check_blobs(def_use, request)
    found = version_sizes(net, def_use, known["shapes"], known["sizes"])
    sizes: dict[str, int] = {}
    for version, size in zip(def_use.versions, found.versions, strict=True):
        if size is not None:
            sizes[version.blob] = max(sizes.get(version.blob, 0), size)
    if request.name is PassName.RELEASE:
        result, bytes_of = _release(net, def_use, known, request)
    else:
        result = _share(net, request, sizes or None)
        bytes_of = _bytes_by_name(net, result, sizes)
    summary = {
        "instance": source,
        "pass": request.name.value,
        "operators": len(net.op),
        "operators_after": len(result.op),
        "blobs_before": count_blobs(net),
        "blobs_after": count_blobs(result),
        "bytes_before": bytes_of[0] if sizes else None,
        "bytes_after": bytes_of[1] if sizes else None,
        "changed": result != net,
        "verified": True,  # the passes raise otherwise
        "unknown_sizes": _unknown(found),
    }
    return result, summary


def report(summary: Mapping[str, Any], *, json_output: bool, quiet: bool) -> None:
    """Print what a pass has done."""
    if summary["bytes_before"] is not None:
        for entry in summary["unknown_sizes"][:5]:
            note(f"unknown size: {entry['blob']!r}: {entry['reason']}", quiet=quiet)
        if len(summary["unknown_sizes"]) > 5:
            more = len(summary["unknown_sizes"]) - 5
            note(f"unknown size: {more} more blobs", quiet=quiet)
    if not summary["changed"]:
        note("the pass has left the net as it was", quiet=quiet)
    if json_output:
        print_json(dict(summary))
        return
    if quiet:
        return
    rows = table(summary["instance"], f"pass {summary['pass']}", "before", "after")
    rows.add_row("operators", f"{summary['operators']:,}", f"{summary['operators_after']:,}")
    rows.add_row("blobs", f"{summary['blobs_before']:,}", f"{summary['blobs_after']:,}")
    if summary["bytes_before"] is not None:
        at_once = " at once" if summary["pass"] == PassName.RELEASE.value else ""
        rows.add_row(
            f"bytes{at_once}", f"{summary['bytes_before']:,}", f"{summary['bytes_after']:,}"
        )
    out.print(rows)
    out.print(f"verified: {summary['operators']} operators compute the same")


def _check_blobs(def_use: DefUse, request: Request) -> None:
    """Refuse names that are no blobs of the net."""
    for option, names in (
        ("--static", request.static),
        ("--loss", request.losses),
        ("--param-grad", request.param_grads),
    ):
        for name in names:
            if name not in def_use.last:
                raise NetError(f"the net has no blob {name!r}, which {option} names")


def _share(net: NetDef, request: Request, sizes: Mapping[str, int] | None) -> NetDef:
    """Run one of the passes that let blobs share."""
    from memonger.recycling import recycle_in_order, recycle_inference, share_gradients

    if request.name is PassName.INFERENCE_FAST:
        return recycle_in_order(net, request.static)
    if request.name is PassName.INFERENCE_DAG:
        return recycle_inference(
            net,
            list(net.external_input),
            static=request.static,
            prefix=request.scope,
            sizes=sizes,
            optimal=request.optimal,
            time_limit=request.time_limit,
        )
    return share_gradients(
        net,
        request.losses,
        request.param_grads or [f"{name}_grad" for name in net.external_input],
        request.scope,
        keep=request.static,
        sizes=sizes,
        optimal=request.optimal,
        time_limit=request.time_limit,
    )


def _release(
    net: NetDef, def_use: DefUse, known: Mapping[str, Any], request: Request
) -> tuple[NetDef, tuple[int, int]]:
    """Return the net with ``Free`` operators, and the bytes at once without and with them."""
    from memonger.rewrite.release import release_blobs
    from memonger.rewrite.release_check import verify_release

    result = release_blobs(net, (*request.static, *outputs_of(net, def_use)))
    verify_release(net, result)
    types = output_types(net, known)
    before, after = (estimate([model], types)[0].highwater for model in (net, result))
    return result, (before, after)


def _bytes_by_name(net: NetDef, result: NetDef, sizes: Mapping[str, int]) -> tuple[int, int]:
    """Return the bytes of the blobs that operators write, before and after."""
    before: dict[str, int] = {}
    after: dict[str, int] = {}
    for old, new in zip(net.op, result.op, strict=True):
        views = {output for output, _ in schema(old.type).aliases}
        for position, (blob, name) in enumerate(zip(old.output, new.output, strict=True)):
            if position not in views:
                size = sizes.get(blob, 0)
                before[blob] = size
                after[name] = max(after.get(name, 0), size)
    return sum(before.values()), sum(after.values())


def _unknown(found: Sizes) -> list[dict[str, Any]]:
    return [{"blob": u.blob, "operator": u.operator, "reason": u.reason} for u in found.unknown]
