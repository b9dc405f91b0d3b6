"""NetDef files: binary and text, told apart by content, written deterministically."""

from __future__ import annotations

import gzip
import json
import os
import tempfile
from pathlib import Path
from typing import IO, Any

from google.protobuf import text_format
from google.protobuf.message import DecodeError, EncodeError

from memonger.errors import InputError, NetError
from memonger.net.netdef_pb2 import NetDef

MAX_BYTES_VARIABLE = "MEMONGER_MAX_BYTES"
DEFAULT_MAX_BYTES = 2**31
_TEXT_CONTROLS = frozenset(b"\t\n\r\f")


def looks_like_text(data: bytes) -> bool:
    """Return whether the bytes are a text-format message rather than a binary one.

    Decided by content: text holds no control bytes but white space and is valid UTF-8; every
    binary NetDef with an operator holds length bytes or tags below 0x20 that text cannot hold.
    """
    head = data[:4096]
    if any(byte < 0x20 and byte not in _TEXT_CONTROLS for byte in head):
        return False
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    stripped = text.lstrip()
    return not stripped or stripped[0].isalpha() or stripped[0] == "#"


def parse_net(data: bytes, source: str = "net") -> NetDef:
    """Return the NetDef in the bytes, binary or text.

    Parameters
    ----------
    data
        Contents of a ``.pb`` or ``.pbtxt`` file.
    source
        What to call the bytes in an error.

    Raises
    ------
    NetError
        If they are neither; names the line of a text error.
    """
    if not data:
        raise NetError(f"{source}: the file is empty")
    if looks_like_text(data):
        try:
            return text_format.Parse(data.decode("utf-8"), NetDef())
        except RecursionError:
            raise NetError(f"{source}: nested too deeply") from None
        except text_format.ParseError as error:
            # A binary net with a name starts with a line feed, the tag of field 1; a short one
            # may hold nothing but letters after that.
            if data[:1] == b"\n" and (net := _parse_binary(data)) is not None:
                return net
            detail = " ".join(str(error).split())
            raise NetError(f"{source}: not a text NetDef: {detail}") from None
    net = _parse_binary(data)
    if net is None:
        raise NetError(f"{source}: not a NetDef: truncated, or another kind of file")
    _check_names(net, source)
    return net


def _check_names(net: NetDef, source: str) -> None:
    """Refuse names that are no UTF-8, which protobuf hands over as bytes."""
    for index, op in enumerate(net.op):
        for name in (op.type, *op.input, *op.output, *op.control_input):
            if not isinstance(name, str):
                raise NetError(f"{source}: operator {index} has a name that is no UTF-8: {name!r}")
        for arg in op.arg:
            for inner in (arg.n, *arg.nets) if arg.HasField("n") or arg.nets else ():
                _check_names(inner, source)
    for name in (*net.external_input, *net.external_output):
        if not isinstance(name, str):
            raise NetError(f"{source}: an external blob has a name that is no UTF-8: {name!r}")


def _parse_binary(data: bytes) -> NetDef | None:
    net = NetDef()
    try:
        net.ParseFromString(data)
    except DecodeError:
        return None
    return net if net.ListFields() else None


def serialize_net(net: NetDef, *, text: bool = False) -> bytes:
    """Return the bytes of a net: the same for equal nets, unknown fields kept (binary)."""
    if text:
        return text_format.MessageToString(net, as_utf8=True).encode("utf-8")
    try:
        return net.SerializeToString(deterministic=True)
    except EncodeError as error:
        raise NetError(f"the net cannot be written: {error}") from None


def load_net(path: str | os.PathLike[str]) -> NetDef:
    """Read a NetDef from a binary or text file.

    Raises
    ------
    InputError
        If the file cannot be read.
    NetError
        If it holds no NetDef.
    """
    return parse_net(read_bytes(path), str(path))


def save_net(net: NetDef, path: str | os.PathLike[str]) -> None:
    """Write a NetDef: text if the name ends in ``.pbtxt`` or ``.prototxt``, binary otherwise.

    The file is replaced as a whole or not at all.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    text = Path(path).suffix in {".pbtxt", ".prototxt"}
    write_atomically(path, serialize_net(net, text=text))


def max_bytes() -> int:
    """Return the size of the largest file that is read, bytes: 2 GiB, or ``MEMONGER_MAX_BYTES``.

    Raises
    ------
    InputError
        If the variable holds no number.
    """
    text = os.environ.get(MAX_BYTES_VARIABLE, "")
    if not text:
        return DEFAULT_MAX_BYTES
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise InputError(f"{MAX_BYTES_VARIABLE}={text[:100]}: expected a number of bytes")
    return int(text)


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """Return the contents of a file.

    Raises
    ------
    InputError
        If it cannot be read, or is larger than `max_bytes`; names the file.
    """
    limit = max_bytes()
    try:
        with Path(path).open("rb") as file:
            if os.fstat(file.fileno()).st_size <= limit:  # 0 where it is a pipe
                return bounded(file, os.fspath(path), limit)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    except ValueError as error:  # a path with a null character
        raise InputError(f"{os.fspath(path)!r}: {error}") from None
    raise _too_large(os.fspath(path), limit)


def bounded(file: IO[bytes] | gzip.GzipFile, source: str, limit: int) -> bytes:
    """Return what is left in an open file; ``InputError`` if that is more than a limit, bytes."""
    content = file.read(limit + 1)
    if len(content) > limit:
        raise _too_large(source, limit)
    return content


def _too_large(source: str, limit: int) -> InputError:
    return InputError(
        f"{source}: more than {limit} bytes; the variable {MAX_BYTES_VARIABLE} sets the limit"
    )


def parse_json(content: bytes, source: str) -> Any:  # noqa: ANN401
    """Return the data in JSON text; ``InputError`` names the source and the line."""
    try:
        return json.loads(content)
    except json.JSONDecodeError as error:
        detail = f"line {error.lineno}, column {error.colno}: {error.msg}"
    except RecursionError:
        detail = "nested too deeply"
    except UnicodeDecodeError:
        detail = "no UTF-8 text"
    except ValueError:  # the only one that is left
        detail = "a number of thousands of digits"
    raise InputError(f"{source}: not JSON: {detail}")


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file so that readers see the old contents or the new, never a part.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    target = Path(path)
    try:
        if target.exists() and not target.is_file():  # a pipe or a device cannot be replaced
            target.write_bytes(data)
            return
        target = target.resolve()
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:100]}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, _mode_for(target))
            os.replace(temporary, target)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise InputError(f"{path}: cannot write: {error.strerror or error}") from None
    except RuntimeError:
        raise InputError(f"{path}: cannot write: a loop of symbolic links") from None


def _mode_for(target: Path) -> int:
    """Permissions of the file that is replaced, or what a new file would get."""
    if target.exists():
        return target.stat().st_mode & 0o7777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
