"""What a file of raw samples says about itself, so that a lost database can be made again."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from edgekit.core.documents import BenchDocument

__all__ = ["SampleRecord", "read_record"]


class SampleRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The key "record" of a samples file, as JSON.

    Attributes:
        uid: Of the run.
        key: Of the entry.
        added: When it was written, nanoseconds since the epoch: the order of the entries.
        document: The run with its number and this one entry.
    """

    schema: Literal["edgekit.samples/1"] = "edgekit.samples/1"
    uid: str
    key: str
    added: int
    document: BenchDocument


def read_record(path: Path) -> SampleRecord | None:
    """Read what a samples file belongs to; None where it is damaged or does not say it."""
    try:
        with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
            content = np.asarray(file["record"], np.uint8).tobytes()
        record = msgspec.json.decode(content, type=SampleRecord)
    except (
        OSError,
        ValueError,
        LookupError,
        EOFError,
        AttributeError,
        TypeError,
        NotImplementedError,
        RuntimeError,
        SyntaxError,
        MemoryError,
        zipfile.BadZipFile,
        zlib.error,
        msgspec.MsgspecError,
    ):
        return None
    return record if len(record.document.entries) == 1 else None
