"""`doctor`, `data` and `cache`: this machine and what lies on it."""

from __future__ import annotations

from typing import Literal

import msgspec

from edgekit.core.documents.document import Document, Environment
from edgekit.core.documents.nvidia import JetsonFacts, NvidiaFacts

__all__ = ["CacheDocument", "CacheEntry", "DataDocument", "DoctorDocument", "DoctorTarget"]


class DoctorTarget(msgspec.Struct, frozen=True, kw_only=True):
    """One target, usable or not."""

    target: str
    usable: bool
    reason: str
    fix: str
    version: str = ""
    device: str = ""
    precisions: tuple[str, ...] = ()
    computes: tuple[str, ...] = ()


class DoctorDocument(Document, frozen=True, kw_only=True):
    """What works here, what does not, why, and the fix.

    Attributes:
        nvidia: None where the machine has neither a GPU nor a library of NVIDIA's.
        jetson: None where it is no Jetson.
        isolation: What a process that opens a file of PyTorch's is kept from here; empty where the
            system keeps it from nothing.
    """

    schema: Literal["edgekit.doctor/1"] = "edgekit.doctor/1"
    targets: tuple[DoctorTarget, ...]
    problems: tuple[str, ...]
    environment: Environment
    nvidia: NvidiaFacts | None = None
    jetson: JetsonFacts | None = None
    isolation: str = ""


class DataDocument(Document, frozen=True, kw_only=True):
    """A built-in data set written to disk."""

    schema: Literal["edgekit.data/1"] = "edgekit.data/1"
    name: str
    folder: str
    images: int
    roles: dict[str, int]


class CacheEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One finished stage in the cache.

    Attributes:
        used: When it was last made or used, UTC, ISO 8601.
        in_use: Whether a running process uses it.
        reason: Why it was removed, or what is wrong with it; else empty.
    """

    stage: str
    subject: str
    key: str
    created: str
    used: str
    size_bytes: int
    in_use: bool
    reason: str = ""


class CacheDocument(Document, frozen=True, kw_only=True):
    """What is cached, and what was removed.

    Attributes:
        by_stage: Bytes by kind of stage.
    """

    schema: Literal["edgekit.cache/1"] = "edgekit.cache/1"
    folder: str
    size_bytes: int
    limit_bytes: int
    by_stage: dict[str, int]
    entries: tuple[CacheEntry, ...]
    removed: tuple[CacheEntry, ...] = ()
