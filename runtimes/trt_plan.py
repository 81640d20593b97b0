"""Plan files of TensorRT that others wrote, read without TensorRT and never deserialized.

Ultralytics puts what it knows of a model in front of the plan: the length of a JSON text as a
signed 32-bit integer, the least significant byte first, then that text, then the plan.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from edgekit.core.errors import BadInput
from edgekit.core.json_text import parse_json

__all__ = ["PlanFile", "is_plan", "read_plan"]

_SUFFIXES = (".engine", ".plan")
_LENGTH_BYTES = 4
# What such a header holds is names and sizes; one of more than this is no header.
_LONGEST = 16 << 20
_CHUNK = 1 << 20


@dataclass(frozen=True)
class PlanFile:
    """What can be told of a plan file without running it.

    Attributes:
        metadata: Of the header; None where the file begins with the plan itself.
        offset: Bytes in front of the plan.
        size_bytes: Of the whole file.
        sha256: Of the whole file.
    """

    metadata: dict[str, Any] | None
    offset: int
    size_bytes: int
    sha256: str


def is_plan(path: Path) -> bool:
    """Whether a path is a file that is named as plans are."""
    return path.suffix.lower() in _SUFFIXES and path.is_file()


def read_plan(path: Path) -> PlanFile:
    """Read the header of a plan file, if it has one.

    What does not hold a whole JSON object in front is taken for a plan without a header.

    Raises:
        BadInput: It cannot be read, is empty, or ends with its header.
    """
    try:
        with path.open("rb") as file:
            sha256, size = _digest(file)
            file.seek(0)
            metadata, offset = _header(file, size)
    except OSError as error:
        raise BadInput(
            f"{path} cannot be read: {(error.strerror or str(error)).lower()}."
        ) from error
    if offset >= size:
        what = "is empty" if not size else "ends where its plan should begin"
        raise BadInput(f"{path} {what}.", hint="Copy the file again, whole.")
    return PlanFile(metadata=metadata, offset=offset, size_bytes=size, sha256=sha256)


def _digest(file: BinaryIO) -> tuple[str, int]:
    found, size = hashlib.sha256(), 0
    while chunk := file.read(_CHUNK):
        found.update(chunk)
        size += len(chunk)
    return found.hexdigest(), size


def _header(file: BinaryIO, size: int) -> tuple[dict[str, Any] | None, int]:
    """The metadata and what it takes of the file; None and 0 where there is none."""
    length = int.from_bytes(file.read(_LENGTH_BYTES), "little", signed=True)
    if not 0 < length <= min(_LONGEST, size - _LENGTH_BYTES):
        return None, 0
    try:
        content = parse_json(file.read(length), "The metadata")
    except BadInput:
        return None, 0
    if not isinstance(content, dict):
        return None, 0
    return content, _LENGTH_BYTES + length
