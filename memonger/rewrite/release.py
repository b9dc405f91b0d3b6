"""Free insertion: memory is released as soon as nobody needs it any more."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from networkx.utils import UnionFind

from memonger.graph.concurrency import VectorClocks, clocks_of
from memonger.graph.pins import view_versions
from memonger.net.defuse import DefUse, analyse
from memonger.net.netdef_pb2 import NetDef, OperatorDef
from memonger.net.schema import is_sequential, schema

Selector = Callable[[str], bool]


def release_blobs(
    net: NetDef, keep: Iterable[str], selector: Selector | None = None, *, views: bool = False
) -> NetDef:
    """Return a copy of a net with a ``Free`` after the last reader of every blob.

    Parameters
    ----------
    net
        The net; it is not changed.
    keep
        Blobs that must not be freed, beside external inputs and external outputs.
    selector
        Whether a blob may be freed; by default all may.
    views
        Whether to free views (``Alias``) and what they are views of, too: all names of one memory
        after the last reader of any, if all may be freed and the net is sequential.

    Returns
    -------
    NetDef
        The operators as they were, with ``Free`` operators without a device between them: one a
        blob, in the reversed order of the inputs where several blobs end at one operator.

    Raises
    ------
    NetError
        If the net is not well formed.

    Notes
    -----
    Freed is what an operator writes before any reads it, and some operator has as an input. The
    positions are those of Caffe2's ``release_blobs_when_used``, but

    * nets inside operators read blobs too: the ``Free`` comes after them;
    * declared external inputs are never freed, even if written before they are read;
    * what is freed already is not freed again: the function is idempotent;
    * in a net that declares no external outputs, what is written in place last is a result;
    * what operators keep pointers to (collective communication) stays, and what a net inside may
      leave as an earlier run of the net left it;
    * in a net that runs in parallel no operator waits for more than before because its control
      input has become the ``Free``, and blobs that nets inside read without saying so stay.

    The outputs of a ``RecurrentNetwork`` are views of memory that the operator owns; a ``Free``
    drops the name only, so they are treated like other blobs. Linear in the size of the net for
    sequential nets.

    References
    ----------
    Caffe2, ``caffe2/python/memonger.py``.

    Examples
    --------
    >>> from google.protobuf import text_format
    >>> net = text_format.Parse('''
    ...     op { input: "x" output: "a" type: "Relu" }
    ...     op { input: "a" output: "y" type: "Tanh" }
    ...     op { input: "y" output: "z" type: "Tanh" } external_output: "z"''', NetDef())
    >>> [f"{op.type} {op.output[0]}" for op in release_blobs(net, {"y"}).op]
    ['Relu a', 'Tanh y', 'Free a', 'Tanh z']
    """
    def_use = analyse(net)
    last = _last_uses(net, def_use)
    aliased = view_versions(net, def_use)
    joined = UnionFind(def_use.last)
    for view, source in aliased:
        joined.union(def_use.versions[view].blob, def_use.versions[source].blob)
    excluded = {*keep, *net.external_output, *def_use.external, *_tied(net, def_use)}
    free = {
        blob
        for blob, index in last.items()
        if blob not in excluded
        and not _is_over(net, def_use, blob, index)
        and (selector is None or selector(blob))
    }
    for group in joined.to_sets() if aliased else ():
        if len(group) > 1:
            if views and group <= free and is_sequential(net.type):
                last.update(dict.fromkeys(group, max(last[blob] for blob in group)))
            else:
                free -= group
    return _insert(net, def_use, {blob: index for blob, index in last.items() if blob in free})


def _last_uses(net: NetDef, def_use: DefUse) -> dict[str, int]:
    """Return blob -> the last operator that needs it, for blobs that are inputs of operators."""
    inputs = {name for op in net.op for name in op.input}
    last: dict[str, int] = {}
    clocks: VectorClocks | None = None
    for index, (op, reads) in enumerate(zip(net.op, def_use.reads, strict=True)):
        if op.control_input and not is_sequential(net.type):
            clocks = clocks or clocks_of(def_use)
            for blob, version in zip(op.control_input, def_use.controls[index], strict=True):
                readers = def_use.versions[version].readers
                if not all(clocks.precedes(reader, index) for reader in readers):
                    last[blob] = index
        last.update(dict.fromkeys((name for name in reads if name in inputs), index))
    return last


def _is_over(net: NetDef, def_use: DefUse, blob: str, index: int) -> bool:
    """Return whether a blob is freed already by its last reader, or is its result."""
    if net.op[index].type == "Free":
        return True
    final = def_use.writes[index].get(blob) == def_use.last[blob]
    return final and not net.external_output


def _tied(net: NetDef, def_use: DefUse) -> set[str]:
    """Return the blobs that operators or nets inside them need beyond what def-use says."""
    found: set[str] = set()
    sequential = is_sequential(net.type)
    for index, (op, touched) in enumerate(zip(net.op, def_use.operands, strict=True)):
        if schema(op.type).keeps_pointers:
            found.update(touched.reads, touched.writes)
        found.update(name for name in touched.partial if name not in def_use.reads[index])
        if not sequential:
            found.update(touched.undeclared)
    return found


def _insert(net: NetDef, def_use: DefUse, last: dict[str, int]) -> NetDef:
    """Return a copy of the net with a ``Free`` of every blob after the operator given for it."""
    ends: dict[int, list[str]] = {}
    for blob, index in last.items():
        ends.setdefault(index, []).append(blob)
    result = NetDef()
    result.CopyFrom(net)
    del result.op[:]
    for index, op in enumerate(net.op):
        result.op.add().CopyFrom(op)
        for blob in reversed(_in_order(def_use.reads[index], ends.get(index, ()))):
            result.op.append(OperatorDef(type="Free", name="", input=[blob], output=[blob]))
    return result


def _in_order(reads: Collection[str], blobs: Collection[str]) -> list[str]:
    """Return blobs in the order in which an operator reads them, all others behind."""
    return [blob for blob in reads if blob in blobs] + [b for b in blobs if b not in reads]
