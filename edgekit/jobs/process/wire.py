"""What a confined child may answer: records, text, numbers and arrays, in msgpack.

A pickle runs code where it is read, and a confined process may have been taken over by the file
that it opened. So its parent reads one answer a call, of what was announced, a function's return
type, and nothing else. Arrays follow the records as plain bytes: a byte of a record may become a
hundred bytes of objects, so that what may be large has no records in it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO, Any, BinaryIO

import msgspec
import numpy as np

from edgekit.core import errors
from edgekit.core.errors import EdgekitError
from edgekit.core.texts import safe

__all__ = ["Unexpected", "read", "write"]

# A card has its labels, 16 MiB at most where it is read.
_MOST_RECORDS = 16 << 20
# A graph is limited to 2 GB, and what comes back with it is its answers to a few inputs.
_MOST_ARRAYS = 2 << 30
_ARRAY = 1
_DTYPES = frozenset(np.dtype(code).str for code in "?" + np.typecodes["AllInteger"] + "efdFD")
_ERRORS = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, EdgekitError)
}


class Unexpected(Exception):
    """A message that is none of those that were announced."""


def write(stream: BinaryIO, kind: str, content: object) -> None:
    """Write an answer.

    Args:
        stream: To the parent.
        kind: "result" or "error" (content: an exception).
        content: Of the answer.
    """
    if isinstance(content, Exception):
        content = _described(content)
    arrays: list[np.ndarray[Any, Any]] = []
    data = msgspec.msgpack.encode((kind, content), enc_hook=partial(_plain, arrays))
    stream.write(len(data).to_bytes(8, "little") + data)
    for array in arrays:
        stream.write(array.reshape(-1).view(np.uint8).data)
    stream.flush()


def read(stream: IO[bytes], wanted: Any) -> tuple[str, Any]:
    """Read an answer: its kind and its content.

    Args:
        stream: From the child.
        wanted: The type of a result.

    Raises:
        EOFError: The child is gone.
        Unexpected: No such answer.
    """
    size = int.from_bytes(bytes(_exactly(stream, 8)), "little")
    if size > _MOST_RECORDS:
        raise Unexpected(f"{size} bytes")
    data = _exactly(stream, size)
    try:
        kind, content = msgspec.msgpack.decode(data.data, type=tuple[str, msgspec.Raw])
        if kind == "result":
            return kind, msgspec.msgpack.decode(
                content, type=wanted, dec_hook=_rich, ext_hook=_arrays(stream)
            )
        if kind == "error":
            name, message, hint = msgspec.msgpack.decode(content, type=tuple[str, str, str])
            if name:
                return kind, _ERRORS[name](message, hint)
            # A traceback, of which the lines stay.
            return kind, RuntimeError("\n".join(map(safe, message.split("\n"))))
        raise Unexpected(kind)
    # OverflowError: an axis of no elements beside one of 2**63.
    except (
        msgspec.MsgspecError,
        ValueError,
        TypeError,
        KeyError,
        RecursionError,
        OverflowError,
    ) as error:
        raise Unexpected(str(error)) from error


def _exactly(stream: IO[bytes], size: int) -> np.ndarray[Any, Any]:
    """Read (size,), uint8; its memory is taken as it fills."""
    data = np.empty(size, np.uint8)
    if stream.readinto(data) < size:  # type: ignore[attr-defined]
        raise EOFError
    return data


def _described(error: Exception) -> tuple[str, str, str]:
    """Name of the class in edgekit.core.errors, message and hint; no name for another's error."""
    if isinstance(error, EdgekitError):
        name = next(one.__name__ for one in type(error).__mro__ if one.__name__ in _ERRORS)
        return name, error.message, error.hint
    return "", str(error), ""


def _plain(arrays: list[np.ndarray[Any, Any]], value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, np.generic | np.ndarray):
        array = np.asarray(value)
        arrays.append(np.ascontiguousarray(array))
        return msgspec.msgpack.Ext(_ARRAY, msgspec.msgpack.encode((array.dtype.str, array.shape)))
    raise NotImplementedError(f"{type(value).__name__} does not leave a confined process")


def _rich(wanted: type, value: object) -> object:
    if wanted is Path and isinstance(value, str):
        return Path(value)
    raise ValueError(f"no {wanted}")


def _arrays(stream: IO[bytes]) -> Callable[[int, memoryview], object]:
    """What reads the next array of an answer each time that the records name one."""
    left = _MOST_ARRAYS

    def read_array(code: int, data: memoryview) -> object:
        nonlocal left
        dtype, shape = msgspec.msgpack.decode(data, type=tuple[str, tuple[int, ...]])
        if code != _ARRAY or dtype not in _DTYPES or min(shape, default=0) < 0:
            raise ValueError(f"no array of {dtype}")
        size = math.prod(shape) * np.dtype(dtype).itemsize
        left -= size
        if left < 0:
            raise ValueError(f"more than {_MOST_ARRAYS} bytes")
        return _exactly(stream, size).view(dtype).reshape(shape)

    return read_array
