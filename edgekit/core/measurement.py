"""What a measurement leaves behind."""

from __future__ import annotations

import msgspec

from edgekit.core.fields import Amount, Count

__all__ = ["Latency"]


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """A summary of latency samples. Milliseconds; None where too few samples allow the figure.

    Attributes:
        boundary: What lies between the two clock readings: "latency.host" (call to result in host
            memory), "latency.device", "latency.e2e", "age.e2e" (a frame's capture to its result).
        n: Samples behind the figures.
        p50_low_ms: Lower end of the 95 % interval of the median.
        p50_high_ms: Upper end of it.
    """

    boundary: str
    n: Count
    p50_ms: Amount | None = None
    p50_low_ms: Amount | None = None
    p50_high_ms: Amount | None = None
    p90_ms: Amount | None = None
    p95_ms: Amount | None = None
    p99_ms: Amount | None = None
    p999_ms: Amount | None = None
