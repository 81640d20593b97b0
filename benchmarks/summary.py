"""Figures from the samples of a measurement, and what speaks against them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from edgekit.benchmarks.median import median_interval
from edgekit.benchmarks.stability import unstable_share
from edgekit.benchmarks.statistics import Samples, missing_samples, percentile
from edgekit.benchmarks.steady import Steady, WarmUp
from edgekit.core.documents import Outliers, StageLatency
from edgekit.core.measurement import Latency

__all__ = [
    "PERCENTILES",
    "Summary",
    "half_width",
    "latency_reasons",
    "median_is_known",
    "stage_figures",
    "summarise",
    "unstable_level",
    "validity",
]

PERCENTILES = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p999": 99.9}

# A run of which more than this share was at another level is no run at one level.
_UNSTABLE_LIMIT = 0.2
# The measuring itself may be so large a share of a sample.
_OVERHEAD_LIMIT = 0.1


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What a measurement found.

    Attributes:
        scenario: "single-stream", "offline" or "paced".
        latency: Summary of the samples; for offline its boundary is "throughput.host", its n the
            inferences, and it holds no percentile; for paced the samples are ages of frames.
        missing: Percentile to the samples it lacks, for those that are refused.
        throughput_per_s: Inferences a second over the sampled time; None without samples.
        throughput_low_per_s: Lower end of its 95 % interval; None where refused.
        samples_ns: Raw samples in order, none dropped: latencies, or for offline the time of each
            chunk of inferences.
        counts: For offline, inferences of each chunk; else empty.
        stages_ns: Stage of a pipeline to its raw samples; else empty.
        stages: The same as figures.
        dropped: For paced, frames that a newer one replaced; else None.
        blocks: Samples of each block, in order.
        block_starts_ns: When each block began, from the first one's beginning.
        warmup: Runs spent warming up.
        warmup_ns: Time spent warming up.
        rewarmup: Runs that blocks discarded at their start.
        steady: Whether the warm-up's last windows agreed before the cap.
        stopped_by: "interval" (narrow enough), "time", or "" where it was not finished.
        half_width: Half of the median's (offline: the throughput's) 95 % interval over it; None
            where refused.
        effective_n: So many independent samples would give as narrow an interval.
        outliers: Samples far from the others.
        unstable: Stretches [first, last) of samples at another level.
        overhead_ns: What a sample of an inference that does nothing reads.
        resolution_ns: Smallest step of the clock.
        observed: Clocks, temperatures, load: name to [smallest, largest].
        valid: Whether nothing speaks against the figures.
        reasons: What does, each a sentence.
    """

    scenario: str = "single-stream"
    latency: Latency
    missing: dict[str, int]
    throughput_per_s: float | None
    throughput_low_per_s: float | None = None
    throughput_high_per_s: float | None = None
    samples_ns: tuple[int, ...]
    counts: tuple[int, ...] = ()
    stages_ns: dict[str, tuple[int, ...]] = {}
    stages: dict[str, StageLatency] = {}
    dropped: int | None = None
    blocks: tuple[int, ...]
    block_starts_ns: tuple[int, ...] = ()
    warmup: int
    warmup_ns: int = 0
    rewarmup: int
    steady: bool
    stopped_by: str
    half_width: float | None
    effective_n: float | None = None
    outliers: Outliers = Outliers(count=0)
    unstable: tuple[tuple[int, int], ...] = ()
    overhead_ns: float | None = None
    resolution_ns: float | None = None
    observed: dict[str, tuple[float, float]] = {}
    valid: bool
    reasons: tuple[str, ...]


def summarise(
    samples_ns: Samples, boundary: str, *, seed: int = 0
) -> tuple[Latency, dict[str, int]]:
    """Return percentiles with the median's 95 % interval, and what the refused ones lack.

    Args:
        samples_ns: (n,) in order of time, nanoseconds.
        boundary: See core.measurement.Latency.
        seed: Of the bootstrap.

    Returns:
        The summary in milliseconds, and percentile ("p50", "p90", "p95", "p99", "p999") to the
        number of samples it lacks, without those that are not refused.
    """
    n = len(samples_ns)
    found = {name: percentile(samples_ns, percent) for name, percent in PERCENTILES.items()}
    missing = {
        name: missing_samples(n, PERCENTILES[name])
        for name, value in found.items()
        if value is None
    }
    milliseconds = {f"{name}_ms": value / 1e6 for name, value in found.items() if value is not None}
    if "p50" not in missing:
        low, high = median_interval(samples_ns, seed=seed)
        milliseconds |= {"p50_low_ms": low / 1e6, "p50_high_ms": high / 1e6}
    return Latency(boundary=boundary, n=n, **milliseconds), missing


def half_width(middle: float | None, low: float | None, high: float | None) -> float | None:
    """Half of an interval over its middle; None where there is none."""
    if middle is None or low is None or high is None:
        return None
    return (high - low) / 2 / middle if middle else 0.0


def median_is_known(samples_ns: Samples, limit: float, *, seed: int = 0) -> bool:
    """Whether half of the median's 95 % interval is at most `limit` of the median."""
    latency, _ = summarise(samples_ns, "", seed=seed)
    width = half_width(latency.p50_ms, latency.p50_low_ms, latency.p50_high_ms)
    return width is not None and width <= limit


def stage_figures(stages_ns: Mapping[str, Samples]) -> dict[str, StageLatency]:
    """Median and p90 of every stage, milliseconds; refused where there are too few samples."""

    def figure(samples: Samples, percent: float) -> float | None:
        found = percentile(samples, percent)
        return None if found is None else found / 1e6

    return {
        name: StageLatency(p50_ms=figure(samples, 50.0), p90_ms=figure(samples, 90.0))
        for name, samples in stages_ns.items()
    }


def validity(
    figures: Sequence[str], warm: WarmUp, rule: Steady, machine: Sequence[str]
) -> tuple[str, ...]:
    """Return everything that makes a measurement INVALID, each a sentence; empty where it is valid.

    Args:
        figures: What the samples themselves say against the figures.
        warm: How the warm-up went.
        rule: When it is steady.
        machine: What else the machine did meanwhile.
    """
    return (*figures, *_unsteady(warm, rule), *machine)


def _unsteady(warm: WarmUp, rule: Steady) -> list[str]:
    if warm.steady:
        return []
    found = (
        f"The speed was not steady after {warm.samples} warm-up runs (the last {rule.windows} "
        f"windows differ by more than {rule.tolerance:.0%})."
    )
    return [found]


def unstable_level(samples_ns: Samples, stretches: Sequence[tuple[int, int]]) -> list[str]:
    """Say that too much of the time was spent at another level; empty where it was not."""
    share = unstable_share(samples_ns, stretches)
    if share <= _UNSTABLE_LIMIT:
        return []
    found = (
        f"The level was not stable: during {share:.0%} of the time it was more than 10 % away "
        "from the median."
    )
    return [found]


def latency_reasons(
    samples_ns: Samples,
    latency: Latency,
    missing: Mapping[str, int],
    stretches: Sequence[tuple[int, int]],
    overhead_ns: float | None,
) -> list[str]:
    """What the samples themselves say against a latency, each a sentence."""
    reasons = []
    if "p50" in missing:
        reasons.append(
            f"{latency.n} samples are too few for a median: {missing['p50']} are missing."
        )
    backwards = int(np.count_nonzero(np.asarray(samples_ns, np.int64) < 0))
    if backwards:
        reasons.append(f"The clock ran backwards during {backwards} of {latency.n} samples.")
    reasons += unstable_level(samples_ns, stretches)
    if overhead_ns and latency.p50_ms and overhead_ns > _OVERHEAD_LIMIT * latency.p50_ms * 1e6:
        reasons.append(
            f"The measuring itself takes {overhead_ns:.0f} ns of a median of "
            f"{latency.p50_ms * 1e6:.0f} ns: measure larger batches."
        )
    return reasons
