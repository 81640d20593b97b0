"""What was made once and can be used again: the record of one cached stage."""

from __future__ import annotations

from typing import Literal

import msgspec

from edgekit.core.fields import Amount
from edgekit.core.manifest import ManifestFile

__all__ = ["StageRecord"]


class StageRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One finished stage in the cache: stage.json beside what it made.

    Attributes:
        stage: "export", "reference", "calibration", "variant", "engine", "certificate" or
            "measurement".
        subject: What it was made for, in words: "digits, int8-u8s8 on openvino:cpu in fp32".
        key: sha256 over `stage` and `parts`.
        parts: Everything that the result depends on: contents (as sha256), options, tools.
        created: UTC, ISO 8601.
        seconds: Time taken.
        files: What it made, by path relative to its folder.
    """

    schema: Literal["edgekit.stage/1"] = "edgekit.stage/1"
    stage: str
    subject: str
    key: str
    parts: dict[str, str]
    created: str
    seconds: Amount
    files: dict[str, ManifestFile]

    @property
    def size_bytes(self) -> int:
        """Size of all files together."""
        return sum(file.size_bytes for file in self.files.values())
