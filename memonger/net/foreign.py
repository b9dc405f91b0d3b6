"""NetDef messages of other packages: taken by their bytes, given back as the caller's class."""

from __future__ import annotations

from typing import Any, TypeVar

from google.protobuf.message import DecodeError, EncodeError

from memonger.errors import NetError
from memonger.net.netdef_pb2 import NetDef

T = TypeVar("T")


def as_netdef(net: object) -> NetDef:
    """Return our NetDef of any NetDef-like object; never the object's own message.

    Parameters
    ----------
    net
        Our ``NetDef``; a message of another package (anything with ``SerializeToString``, such
        as a real Caffe2's ``caffe2_pb2.NetDef``); or an object whose ``Proto()`` is one
        (``caffe2.python.core.Net``).

    Raises
    ------
    NetError
        If it is none of these.
    """
    message: Any = net
    proto = getattr(message, "Proto", None)
    if callable(proto):
        message = proto()
    copy = NetDef()
    if isinstance(message, NetDef):
        if not message.IsInitialized():
            raise NetError("the net lacks a required field of one of its messages")
        copy.CopyFrom(message)
        return copy
    if isinstance(message, type) or not callable(getattr(message, "SerializeToString", None)):
        raise NetError(f"not a NetDef: {type(net).__name__} has no SerializeToString and no Proto")
    descriptor = getattr(message, "DESCRIPTOR", None)
    if descriptor is not None and descriptor.name != "NetDef":
        raise NetError(f"not a NetDef: this is a {descriptor.name}")
    try:
        copy.ParseFromString(message.SerializeToString())
    except (DecodeError, EncodeError):
        raise NetError(f"not a NetDef: the bytes of {type(net).__name__} are no NetDef") from None
    return copy


def like(net: NetDef, original: T) -> T | NetDef:
    """Return a net as the class of ``original``: the inverse of `as_netdef`.

    An object with ``Proto()`` gets a message of the class of its message.
    """
    message: Any = original
    proto = getattr(message, "Proto", None)
    if callable(proto):
        message = proto()
    if isinstance(message, NetDef):
        return net
    copy: Any = type(message)()
    copy.ParseFromString(net.SerializeToString())
    return copy  # type: ignore[no-any-return]
