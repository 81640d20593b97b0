"""`deploy`: a bundle made, or planned."""

from __future__ import annotations

from typing import Literal

import msgspec

from edgekit.core.certificate import Check, Metric, Verdict
from edgekit.core.documents.document import Document, Environment
from edgekit.core.fields import Amount, Count
from edgekit.core.measurement import Latency

__all__ = [
    "DeployDocument",
    "DeployEntry",
    "DeployStage",
    "PlanDocument",
    "PlannedStage",
    "Recommendation",
    "StreamShape",
]


class Recommendation(msgspec.Struct, frozen=True, kw_only=True):
    """The entry to ship on one target, or the reason why there is none.

    Attributes:
        reason: Sentences.
        settled: Whether the figures show it; else it is the smallest median and provisional.
        settle: The commands that settle it, one a pair of entries; empty where it is settled.
    """

    target: str
    variant: str | None
    compute: str | None
    reason: str
    settled: bool = True
    settle: tuple[str, ...] = ()


class DeployEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One (target, variant, compute) with its certificate and its measurement.

    Attributes:
        size_bytes: Of the variant's graphs; 0 where it failed, and there are none.
        throughput_low_per_s: Lower end of its 95 % interval; null where refused.
        measured_at: When it was measured, UTC, ISO 8601; before this deployment where the
            measurement was taken from the cache.
    """

    target: str
    variant: str
    compute: str
    verdict: Verdict
    executed_precision: str
    checks: dict[str, Check]
    metric: Metric | None
    latency: Latency | None
    throughput_per_s: Amount | None
    size_bytes: Count
    load_ms: Amount | None
    first_ms: Amount | None
    rss_peak_bytes: Count | None
    energy_j: Amount | None
    valid: bool = True
    reasons: tuple[str, ...] = ()
    error: str = ""
    measured_at: str = ""
    throughput_low_per_s: Amount | None = None
    throughput_high_per_s: Amount | None = None


class DeployStage(msgspec.Struct, frozen=True, kw_only=True):
    """One stage of a deployment.

    Attributes:
        stage: "export", "reference", "calibration", "variant", "engine", "certificate",
            "measurement".
        subject: What it was made for.
        key: sha256 over everything it depends on; the same key, the same result.
        hit: Whether it was taken from the cache.
        reason: Why it was taken or made.
        seconds: Time it took when it was made.
        created: When it was made, UTC, ISO 8601.
    """

    stage: str
    subject: str
    key: str
    hit: bool
    reason: str
    seconds: Amount
    size_bytes: Count
    created: str


class StreamShape(msgspec.Struct, frozen=True, kw_only=True):
    """The network input that a stream needs; nothing of it is padding beyond the stride.

    Attributes:
        stream: [width, height] of the frames, pixels.
        shape: [height, width] of the network input, pixels.
        model: [height, width] of the model's own input, pixels.
    """

    stream: tuple[int, int]
    shape: tuple[int, int]
    model: tuple[int, int]


class DeployDocument(Document, frozen=True, kw_only=True):
    """A bundle made.

    Attributes:
        stream: What `--stream` made of the network input; null without it.
    """

    schema: Literal["edgekit.deploy/1"] = "edgekit.deploy/1"
    bundle: str
    source: str
    recommended: tuple[Recommendation, ...]
    best: Recommendation | None
    verdict: Verdict
    entries: tuple[DeployEntry, ...]
    reference: str
    reference_metric: Metric | None
    environment: Environment
    stream: StreamShape | None = None
    notes: tuple[str, ...] = ()
    stages: tuple[DeployStage, ...] = ()


class PlannedStage(msgspec.Struct, frozen=True, kw_only=True):
    """One stage that a deployment would go through.

    Attributes:
        cached: Whether it is in the cache.
        seconds: Estimate; what the cached one took, where it is cached.
        size_bytes: Likewise.
        basis: What the estimate rests on, a sentence.
    """

    stage: str
    subject: str
    cached: bool
    seconds: float
    size_bytes: int
    basis: str


class PlanDocument(Document, frozen=True, kw_only=True):
    """What a deployment would do (`deploy --dry-run`).

    Attributes:
        seconds: Estimate of the time, cached stages left out.
        size_bytes: Estimate of the size of what would be made, cached stages left out.
        cache_bytes: Size of the cache now.
        stream: As for the bundle.
    """

    schema: Literal["edgekit.plan/1"] = "edgekit.plan/1"
    source: str
    bundle: str
    entries: tuple[str, ...]
    stages: tuple[PlannedStage, ...]
    seconds: float
    size_bytes: int
    cache_bytes: int
    stream: StreamShape | None = None
    notes: tuple[str, ...] = ()
