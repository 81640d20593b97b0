"""What a measurement leaves behind."""

from __future__ import annotations

import msgspec

__all__ = ["Latency", "Measurement"]


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """A summary of latency samples. Milliseconds; None where too few samples allow the figure.

    Attributes:
        boundary: What lies between the two clock readings: "latency.host" (call to result in host
            memory), "latency.device", "latency.e2e".
        n: Samples behind the figures.
        p50_low_ms: Lower end of the 95 % interval of the median.
        p50_high_ms: Upper end of it.
    """

    boundary: str
    n: int
    p50_ms: float | None = None
    p50_low_ms: float | None = None
    p50_high_ms: float | None = None
    p90_ms: float | None = None
    p99_ms: float | None = None


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """One entry measured in one scenario.

    Attributes:
        scenario: MLPerf's name: "single-stream".
        latency: Summary of the samples.
        throughput_per_s: Inferences a second over the measured time.
        samples_ns: Raw samples in order, nanoseconds; written to a file of their own.
        warmup: Samples spent warming up, not in `samples_ns`.
        steady: Whether the last warm-up windows agreed before the cap.
        stopped_by: "interval" (narrow enough) or "time".
        load_ms: Opening the compiled engine.
        compile_ms: Compiling it; None where it came from the cache.
        first_ms: The first inference.
        rss_peak_bytes: Peak resident memory of the process that ran it.
        rss_base_bytes: Resident memory of that process before the engine was opened.
        energy_j: Joules an inference; None without a sensor.
        valid: Whether nothing speaks against the figures.
        reasons: What does, in words.
    """

    target: str
    variant: str
    compute: str
    scenario: str
    latency: Latency
    throughput_per_s: float | None = None
    samples_ns: tuple[int, ...] = ()
    warmup: int = 0
    steady: bool = True
    stopped_by: str = ""
    load_ms: float | None = None
    compile_ms: float | None = None
    first_ms: float | None = None
    rss_peak_bytes: int | None = None
    rss_base_bytes: int | None = None
    energy_j: float | None = None
    valid: bool = True
    reasons: tuple[str, ...] = ()
