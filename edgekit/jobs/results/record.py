"""What a file of raw samples says about itself, so that a lost database can be made again."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from edgekit.core.arrays import read_npz
from edgekit.core.documents import BenchDocument
from edgekit.core.errors import BadInput
from edgekit.core.fields import Count
from edgekit.core.json_text import parse_json

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
    added: Count
    document: BenchDocument


def read_record(path: Path) -> SampleRecord | None:
    """Read what a samples file belongs to; None where it is damaged or does not say it."""
    try:
        content = read_npz(path, only=("record",))["record"].tobytes()
        record = parse_json(content, path, SampleRecord)
    except (BadInput, KeyError):
        return None
    return record if len(record.document.entries) == 1 else None
