"""Arrays in .npz files of anyone: nothing is allocated that the file does not hold.

NumPy's own reader allocates what a header says before it looks for it, takes the second of two
members of one name, and fails in a dozen ways, each with an error of its own. The layouts are those
of NumPy's `numpy.lib.format` and of PKWARE's APPNOTE, which is behind `zipfile`.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from edgekit.core.errors import BadInput
from edgekit.core.memory import free_memory
from edgekit.core.opening import open_file
from edgekit.core.reading import reading
from edgekit.core.texts import shown

__all__ = ["read_npz"]

# np.savez and np.savez_compressed write these two alone.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 1  # a bit of a member's flags
_MEMBERS = 65_536
_HEADER_BYTES = 10_000  # NumPy's own limit: a header is parsed as Python
_LENGTH_BYTES = {b"\1\0": 2, b"\2\0": 4}  # of a header's length, by the version of the layout
_BLOCK = 1 << 20
# Deflate makes 1 byte of 1,032. Arrays that are compressed so well hold next to nothing; above this
# size they are refused, and welcome as np.savez writes them.
_DENSE, _LARGE = 200, 256 << 20
_KINDS = "biufcSUV"  # numbers, texts, and types that NumPy does not know, such as bfloat16


def read_npz(
    path: Path, only: Collection[str] | None = None, *, content: bytes | None = None
) -> dict[str, npt.NDArray[Any]]:
    """Read arrays by name.

    Args:
        path: An .npz file.
        only: Names to read; None means all. A name that is not there is left out.
        content: Of the file, where it was read already.

    Raises:
        BadInput: The file cannot be read or is damaged, holds something else than plain arrays, two
            of one name, or more than there is memory for; names the array where it is one's fault.
    """
    found: dict[str, npt.NDArray[Any]] = {}
    with (
        reading(path, ".npz file of plain arrays"),
        open_file(path) if content is None else io.BytesIO(content) as file,
        zipfile.ZipFile(file) as archive,
    ):
        members = archive.infolist()
        if len(members) > _MEMBERS:
            raise ValueError(f"it has {len(members)} members")
        for member in members:
            name = member.filename.removesuffix(".npy")
            if name in found:
                raise ValueError(f"it holds {shown(name)} twice")
            found[name] = np.empty(0)
            if only is None or name in only:
                found[name] = _read(archive, member, path)
    return found if only is None else {name: found[name] for name in only if name in found}


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> npt.NDArray[Any]:
    where = f"{path}: the array {shown(member.filename.removesuffix('.npy'))}"
    if member.flag_bits & _ENCRYPTED:
        raise BadInput(f"{where} is encrypted.")
    if member.compress_type not in _METHODS:
        raise BadInput(f"{where} is compressed in a way that np.savez does not use.")
    if member.file_size > max(_LARGE, _DENSE * member.compress_size):
        raise BadInput(
            f"{where} unpacks from {member.compress_size} bytes to {member.file_size}.",
            hint="Write it with np.savez, which does not compress.",
        )
    with archive.open(member) as stream:
        shape, fortran, dtype, header = _header(stream, where)
        size = math.prod(shape) * dtype.itemsize
        if header + size != member.file_size:
            raise BadInput(
                f"{where} of shape {shown(str(shape))} and type {dtype} has {size} bytes by its "
                f"header, and the file holds {member.file_size - header}."
            )
        if size > free_memory():
            raise BadInput(f"{where} takes {size >> 20} MiB, and there is not that much memory.")
        data = np.empty(size, np.uint8)
        _fill(data.data, stream, where)
    return np.ndarray(shape, dtype, buffer=data, order="F" if fortran else "C")


def _header(stream: IO[bytes], where: str) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Read an array's shape, order and type, and how many bytes these took."""
    magic = stream.read(8)
    length_bytes = _LENGTH_BYTES.get(magic[6:])
    if magic[:6] != b"\x93NUMPY" or length_bytes is None:
        raise BadInput(f"{where} is no plain array as np.savez writes it.")
    start = stream.read(length_bytes)
    length = int.from_bytes(start, "little")
    if length > _HEADER_BYTES:
        raise BadInput(f"{where} has a header of {length} bytes.")
    text = io.BytesIO(start + stream.read(length))
    read = (
        np.lib.format.read_array_header_1_0
        if length_bytes == 2
        else (np.lib.format.read_array_header_2_0)
    )
    try:
        shape, fortran, dtype = read(text)
    except Exception as error:  # the header is Python, and so are its faults
        raise BadInput(f"{where} has a damaged header.") from error
    if dtype.hasobject or dtype.fields or dtype.subdtype or dtype.kind not in _KINDS:
        raise BadInput(f"{where} holds {shown(str(dtype))}, and plain arrays of numbers are read.")
    if any(isinstance(each, bool) or each < 0 for each in shape):
        raise BadInput(f"{where} has the shape {shown(str(shape))}.")
    return tuple(shape), bool(fortran), dtype, len(magic) + length_bytes + length


def _fill(view: memoryview, stream: IO[bytes], where: str) -> None:
    filled = 0
    while filled < len(view):
        block = stream.read(min(_BLOCK, len(view) - filled))
        if not block:
            raise BadInput(f"{where} ends early.")
        view[filled : filled + len(block)] = block
        filled += len(block)
    stream.read(1)  # at the end zipfile compares the checksum
