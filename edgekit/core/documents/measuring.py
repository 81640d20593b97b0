"""`eval` and `bench`: figures of one or several entries."""

from __future__ import annotations

from typing import Literal

import msgspec

from edgekit.core.certificate import Metric
from edgekit.core.documents.document import Document, Environment

__all__ = ["BenchDocument", "BenchEntry", "EvalDocument"]


class EvalDocument(Document, frozen=True, kw_only=True):
    """The task metric of one entry.

    Attributes:
        split: How the images that score were chosen: "all", "role", "folder", or the seeded draw.
    """

    schema: Literal["edgekit.eval/1"] = "edgekit.eval/1"
    model: str
    target: str
    variant: str
    compute: str
    metric: Metric
    n: int
    split: str = "all"
    skipped: tuple[str, ...] = ()


class BenchEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One measured entry; see core.measurement for the meaning of each figure."""

    target: str
    variant: str
    compute: str
    executed_precision: str
    scenario: str
    boundary: str
    valid: bool
    reasons: tuple[str, ...]
    n: int
    p50_ms: float | None = None
    p50_low_ms: float | None = None
    p50_high_ms: float | None = None
    p90_ms: float | None = None
    p99_ms: float | None = None
    throughput_per_s: float | None = None
    load_ms: float | None = None
    first_ms: float | None = None
    compile_ms: float | None = None
    rss_peak_bytes: int | None = None
    rss_base_bytes: int | None = None
    energy_j: float | None = None
    samples: str | None = None
    warmup: int = 0
    steady: bool = False
    stopped_by: str = ""
    missing: dict[str, int] = {}


class BenchDocument(Document, frozen=True, kw_only=True):
    """Latency and throughput of one or several entries, measured in turns."""

    schema: Literal["edgekit.bench/1"] = "edgekit.bench/1"
    model: str
    environment: Environment
    entries: tuple[BenchEntry, ...]
