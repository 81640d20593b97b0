"""`eval` and `bench`: figures of one or several entries."""

from __future__ import annotations

from typing import Literal

import msgspec

from edgekit.core.certificate import Metric
from edgekit.core.documents.document import Document, Environment
from edgekit.core.fields import Amount, Count, Positive

__all__ = ["BenchDocument", "BenchEntry", "EvalDocument", "Outliers", "StageLatency"]


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
    n: Count
    split: str = "all"
    skipped: tuple[str, ...] = ()


class StageLatency(msgspec.Struct, frozen=True, kw_only=True):
    """One stage of an end-to-end latency; None where too few samples allow the figure."""

    p50_ms: Amount | None = None
    p90_ms: Amount | None = None


class Outliers(msgspec.Struct, frozen=True, kw_only=True):
    """Samples far from the others; they are flagged and stay in every figure.

    Attributes:
        count: So many samples.
        limit_ms: Above it a sample is one.
        advice: What may cause them and what to do, a sentence; empty without outliers.
    """

    count: Count
    limit_ms: Amount | None = None
    advice: str = ""


class BenchEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One measured entry. Milliseconds, bytes, joules; null where not known or refused.

    Attributes:
        scenario: "single-stream", "offline" or "paced".
        boundary: What lies between two clock readings: "latency.host", "latency.device",
            "latency.e2e"; "throughput.host" for offline, where no single latency is defined;
            "age.e2e" for paced, from the moment a frame fell due to its result.
        valid: Whether nothing speaks against the figures.
        reasons: What does, each a sentence.
        n: Samples behind the figures; for offline, inferences.
        p50_low_ms: Lower end of the 95 % interval of the median; block bootstrap.
        throughput_per_s: Inputs a second: inferences a second times the batch.
        throughput_low_per_s: Lower end of its 95 % interval.
        load_ms: Opening the compiled engine.
        compile_ms: Making the engine, when it was made.
        warmup_ms: Running until the speed was steady.
        rss_base_bytes: Resident memory before the engine was opened.
        device_peak_bytes: Peak memory of the device where it has its own.
        samples: Path of the raw samples.
        missing: Percentile ("p99") to the samples it lacks, for those that are refused.
        batch: Size of the batch axis.
        threads: Threads of a CPU engine; null means all physical cores.
        streams: Execution streams of the engine; null means its own choice.
        concurrency: Requests in flight at once; 1 in single-stream.
        rate: Frames a second that fell due, in paced; else null.
        dropped: Frames that a newer one replaced before the engine was free, in paced; else null.
        stages: Stage of an end-to-end latency or age to its figures, in order.
        outliers: Samples far from the others.
        half_width: Half of the median's (offline: the throughput's) 95 % interval over it.
        effective_n: So many independent samples would give an interval as wide.
        unstable: Stretches [first, last) of samples whose level differs from the whole run's.
        overhead_ns: What the measuring itself costs a sample (null runtime), not subtracted.
        resolution_ns: The smallest step of the clock.
        observed: Clocks, temperatures, load during the run: name to [smallest, largest].
        model_sha256: Of the graphs; empty where not known.
        tool: "edgekit", or the tool whose result was imported: "trtexec", "benchmark_app".
    """

    target: str
    variant: str
    compute: str
    executed_precision: str
    scenario: str
    boundary: str
    valid: bool
    reasons: tuple[str, ...]
    n: Count
    p50_ms: Amount | None = None
    p50_low_ms: Amount | None = None
    p50_high_ms: Amount | None = None
    p90_ms: Amount | None = None
    p95_ms: Amount | None = None
    p99_ms: Amount | None = None
    p999_ms: Amount | None = None
    throughput_per_s: Amount | None = None
    throughput_low_per_s: Amount | None = None
    throughput_high_per_s: Amount | None = None
    load_ms: Amount | None = None
    first_ms: Amount | None = None
    compile_ms: Amount | None = None
    warmup_ms: Amount | None = None
    rss_peak_bytes: Count | None = None
    rss_base_bytes: Count | None = None
    device_peak_bytes: Count | None = None
    energy_j: Amount | None = None
    samples: str | None = None
    warmup: Count = 0
    steady: bool = False
    stopped_by: str = ""
    missing: dict[str, Count] = {}
    batch: Positive = 1
    threads: Positive | None = None
    streams: Positive | None = None
    concurrency: Positive | None = 1
    rate: Count | None = None
    dropped: Count | None = None
    stages: dict[str, StageLatency] = {}
    outliers: Outliers | None = None
    half_width: Amount | None = None
    effective_n: Amount | None = None
    unstable: tuple[tuple[int, int], ...] = ()
    overhead_ns: float | None = None
    resolution_ns: Amount | None = None
    observed: dict[str, tuple[float, float]] = {}
    model_sha256: str = ""
    tool: str = "edgekit"


class BenchDocument(Document, frozen=True, kw_only=True):
    """Latency and throughput of one or several entries, measured in turns or cell by cell.

    Attributes:
        created: UTC, ISO 8601.
        sweep: Axis of a sweep ("batch", "threads", …) to its values; empty without one.
        run: Number in the store of results; null where it was not stored.
        provider_options: What the targets that are execution providers were told.
    """

    schema: Literal["edgekit.bench/1"] = "edgekit.bench/1"
    model: str
    environment: Environment
    entries: tuple[BenchEntry, ...]
    created: str = ""
    sweep: dict[str, tuple[int, ...]] = msgspec.field(default_factory=dict)
    run: int | None = None
    provider_options: dict[str, str] = msgspec.field(default_factory=dict)
