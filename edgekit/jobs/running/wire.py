"""What a confined child may answer: records, text, numbers and arrays, in msgpack.

A pickle runs code where it is read, and a confined process may have been taken over by the file
that it opened. So its parent reads what was announced, a function's return type, and nothing else.
"""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any, BinaryIO

import msgspec
import numpy as np

from edgekit.core import errors
from edgekit.core.errors import EdgekitError
from edgekit.core.progress import Position

__all__ = ["Unexpected", "read", "write"]

# A graph is limited to 2 GB, and what comes back with it is its answers to a few inputs.
_MOST_BYTES = 2 << 30
_ARRAY = 1
_DTYPES = frozenset(np.dtype(code).str for code in "?" + np.typecodes["AllInteger"] + "efdFD")
_ERRORS = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, EdgekitError)
}
_EVENTS: dict[str, Any] = {
    "stage": tuple[str, Position | None],
    "note": str,
    "track": tuple[int, str, int | None],
    "step": int,
    "tracked": int,
}


class Unexpected(Exception):
    """A message that is none of those that were announced."""


def write(stream: BinaryIO, kind: str, content: object) -> None:
    """Write a message.

    Args:
        stream: To the parent.
        kind: "result", "error" (content: an exception) or "progress" (content: event and value).
        content: Of the message.
    """
    if isinstance(content, Exception):
        content = _described(content)
    data = msgspec.msgpack.encode((kind, content), enc_hook=_plain)
    stream.write(len(data).to_bytes(8, "little") + data)
    stream.flush()


def read(stream: IO[bytes], wanted: Any) -> tuple[str, Any]:
    """Read a message: its kind and its content.

    Args:
        stream: From the child.
        wanted: The type of a result.

    Raises:
        EOFError: The child is gone.
        Unexpected: No such message.
    """
    size = int.from_bytes(_exactly(stream, 8), "little")
    if size > _MOST_BYTES:
        raise Unexpected(f"{size} bytes")
    data = _exactly(stream, size)
    try:
        kind, content = msgspec.msgpack.decode(data, type=tuple[str, msgspec.Raw])
        if kind == "result":
            return kind, _decoded(content, wanted)
        if kind == "error":
            name, message, hint = _decoded(content, tuple[str, str, str])
            return kind, _ERRORS[name](message, hint) if name else RuntimeError(message)
        event, value = _decoded(content, tuple[str, msgspec.Raw])
        return "progress", (event, _decoded(value, _EVENTS[event]))
    except (msgspec.MsgspecError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise Unexpected(str(error)) from error


def _exactly(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data


def _described(error: Exception) -> tuple[str, str, str]:
    """Name of the class in edgekit.core.errors, message and hint; no name for another's error."""
    if isinstance(error, EdgekitError):
        name = next(one.__name__ for one in type(error).__mro__ if one.__name__ in _ERRORS)
        return name, error.message, error.hint
    return "", str(error), ""


def _plain(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, np.generic | np.ndarray):
        array = np.asarray(value)
        content = (array.dtype.str, array.shape, array.tobytes())
        return msgspec.msgpack.Ext(_ARRAY, msgspec.msgpack.encode(content))
    raise NotImplementedError(f"{type(value).__name__} does not leave a confined process")


def _decoded(content: bytes, wanted: Any) -> Any:
    return msgspec.msgpack.decode(content, type=wanted, dec_hook=_rich, ext_hook=_array)


def _rich(wanted: type, value: object) -> object:
    if wanted is Path and isinstance(value, str):
        return Path(value)
    raise ValueError(f"no {wanted}")


def _array(code: int, data: memoryview) -> object:
    dtype, shape, content = msgspec.msgpack.decode(data, type=tuple[str, tuple[int, ...], bytes])
    if code != _ARRAY or dtype not in _DTYPES or min(shape, default=0) < 0:
        raise ValueError(f"no array of {dtype}")
    return np.frombuffer(bytearray(content), dtype).reshape(shape)
