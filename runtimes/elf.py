"""Which shared libraries a shared library asks the loader for, without loading it.

Read from the dynamic section of the ELF file: System V Application Binary Interface, "Dynamic
Linking" (https://refspecs.linuxfoundation.org/elf/gabi4+/ch5.dynamic.html). Only what every engine
for NVIDIA's GPUs is built as: 64 bits, little endian.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

__all__ = ["needed_libraries"]

_MAGIC = b"\x7fELF\x02\x01"
_LOAD, _DYNAMIC = 1, 2
_END, _NEEDED, _STRINGS, _STRINGS_SIZE = 0, 1, 5, 10
# More than any library has; what claims more is not a library.
_MOST_ENTRIES = 4096
_MOST_BYTES = 1 << 26


def needed_libraries(path: Path) -> tuple[str, ...]:
    """Return the names that a library needs, "libcublas.so.13", in the file's order.

    Args:
        path: Empty is returned for what is not there, not such a file, or damaged.
    """
    try:
        with path.open("rb") as file:
            return _needed(file)
    except (OSError, ValueError, struct.error):
        return ()


def _needed(file: BinaryIO) -> tuple[str, ...]:
    header = file.read(64)
    if not header.startswith(_MAGIC):
        return ()
    (start,) = struct.unpack_from("<Q", header, 32)
    size, count = struct.unpack_from("<HH", header, 54)
    segments = []
    for number in range(min(count, _MOST_ENTRIES)):
        file.seek(start + number * size)
        segments.append(struct.unpack("<IIQQQQQQ", file.read(56)))
    dynamic = next((one for one in segments if one[0] == _DYNAMIC), None)
    if dynamic is None:
        return ()
    file.seek(dynamic[2])
    entries = []
    for _ in range(_MOST_ENTRIES):
        tag, value = struct.unpack("<QQ", file.read(16))
        if tag == _END:
            break
        entries.append((tag, value))
    values = dict(entries)
    address, length = values.get(_STRINGS, -1), values.get(_STRINGS_SIZE, 0)
    # The address is one of memory; the segment that is loaded there says where it lies in the file.
    place = next(
        (
            offset + address - virtual
            for kind, _, offset, virtual, _, in_file, _, _ in segments
            if kind == _LOAD and virtual <= address < virtual + in_file
        ),
        None,
    )
    if place is None or length > _MOST_BYTES:
        return ()
    file.seek(place)
    strings = file.read(length)
    return tuple(
        strings[value : strings.index(b"\0", value)].decode(errors="replace")
        for tag, value in entries
        if tag == _NEEDED
    )
