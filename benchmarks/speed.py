"""Whether one measured entry is faster than another, as far as their own figures show it."""

from __future__ import annotations

import msgspec

from edgekit.benchmarks.ratio import MARGIN, RatioInterval, judge_both
from edgekit.benchmarks.stored_ratio import Figure, stored_ratio
from edgekit.core.documents import DeployEntry
from edgekit.core.documents.ratio import RatioVerdict

__all__ = ["Speed", "speed"]


class Speed(msgspec.Struct, frozen=True, kw_only=True):
    """One entry's time against another's.

    Attributes:
        verdict: See judge_both; INVALID where one of the two is not measured validly.
        ratio: Of the medians, with its 95 % interval; None where one is not known or the two
            boundaries differ.
        reason: Why nothing is shown, without a full stop; empty where something is.
    """

    verdict: RatioVerdict
    ratio: RatioInterval | None
    reason: str = ""


def speed(new: DeployEntry, base: DeployEntry) -> Speed:
    """Judge an entry's time against another's that was measured in turns with it.

    Their intervals are put together as `stored_ratio` does it, without a drift. Overlapping
    intervals are no equality: that takes an interval of the ratio inside the margin.
    """
    one, other = _median(new), _median(base)
    if one is None or other is None:
        reason = f"{_name(new if one is None else base)} has no median"
        return Speed(verdict="INVALID", ratio=None, reason=reason)
    places = [entry.latency.boundary for entry in (new, base) if entry.latency]
    if len(set(places)) > 1:
        reason = f"they were measured unlike ({', '.join(places)})"
        return Speed(verdict="INVALID", ratio=None, reason=reason)
    typical = stored_ratio(other, one, drift=0)
    invalid = [_name(entry) for entry in (new, base) if not entry.valid]
    if invalid:
        reason = f"the measurement of {' and that of '.join(invalid)} is INVALID"
        return Speed(verdict="INVALID", ratio=typical, reason=reason)
    means = _mean(base), _mean(new)
    mean = stored_ratio(means[0], means[1], drift=0) if means[0] and means[1] else None
    found = judge_both(typical, mean, MARGIN)
    reason = ""
    if found.verdict == "UNCLEAR":
        reason = f"{_name(new)} takes {typical} times as long at the median as {_name(base)}"
        reason += f" and {mean} times at the mean" if mean is not None else ""
    return Speed(verdict=found.verdict, ratio=typical, reason=reason)


def _name(entry: DeployEntry) -> str:
    return f"{entry.variant} in {entry.compute} on {entry.target}"


def _median(entry: DeployEntry) -> Figure | None:
    latency = entry.latency
    if latency is None or not latency.p50_ms:
        return None
    found = Figure(value=latency.p50_ms, low=latency.p50_low_ms, high=latency.p50_high_ms)
    return found if found.usable else None


def _mean(entry: DeployEntry) -> Figure | None:
    """The mean time of an inference; None where what is done in a second does not tell it."""
    rate, low, high = (
        entry.throughput_per_s, entry.throughput_low_per_s, entry.throughput_high_per_s
    )  # fmt: skip
    timed = entry.latency is not None and entry.latency.boundary.startswith("latency.")
    if not (timed and rate and low and high):
        return None
    found = Figure(value=1e3 / rate, low=1e3 / high, high=1e3 / low)
    return found if found.usable else None
