"""The ratio of two systems that were measured apart, with an allowance for the machine's drift."""

from __future__ import annotations

import math
from statistics import NormalDist

import msgspec

from edgekit.benchmarks.median import median_interval
from edgekit.benchmarks.rate import rate_interval
from edgekit.benchmarks.ratio import RatioInterval
from edgekit.benchmarks.statistics import Samples, percentile

__all__ = [
    "DRIFT",
    "DRIFT_VIRTUAL",
    "Figure",
    "mean_figure",
    "median_figure",
    "stated_figure",
    "stored_ratio",
]

# What the machine's own speed changes by between two runs. On a virtual machine it was measured
# (docs/comparing.md): valid runs of one model, minutes apart, differed by up to 58 %, because the
# host moves virtual processors between cores and threads of cores. Elsewhere it is an assumption.
DRIFT = 0.10
DRIFT_VIRTUAL = 0.60
# Of the intervals that documents state.
_STATED = 0.95


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """A time and its interval, in any unit; None where there is none."""

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def usable(self) -> bool:
        """Whether a ratio can be taken of it: a document may state any number."""
        return all(one is None or one > 0 for one in (self.value, self.low, self.high))


def median_figure(samples_ns: Samples, confidence: float, seed: int = 0) -> Figure | None:
    """Return the median of raw samples with its block-bootstrap interval; see median_interval.

    Args:
        samples_ns: (n,) in order of time, nanoseconds.
        confidence: Of the interval.
        seed: Of the bootstrap.

    Returns:
        Milliseconds; None where there are too few samples for a median.
    """
    middle = percentile(samples_ns, 50)
    if middle is None:
        return None
    low, high = median_interval(samples_ns, confidence=confidence, seed=seed)
    return Figure(value=middle / 1e6, low=min(low, middle) / 1e6, high=max(high, middle) / 1e6)


def mean_figure(
    samples_ns: Samples, confidence: float, counts: Samples | None = None, seed: int = 0
) -> Figure:
    """Return the mean time of one event with its block-bootstrap interval; see rate_interval.

    Args:
        samples_ns: (n,) in order of time, nanoseconds.
        confidence: Of the interval.
        counts: (n,) events of each sample; None means one each.
        seed: Of the bootstrap.

    Returns:
        Milliseconds.
    """
    found = rate_interval(samples_ns, counts, confidence=confidence, seed=seed)
    if found.low is None or found.high is None:
        return Figure(value=1e3 / found.value)
    low, high = 1e3 / found.high, 1e3 / found.low
    value = 1e3 / found.value
    return Figure(value=value, low=min(low, value), high=max(high, value))


def stated_figure(value: float, low: float | None, high: float | None, confidence: float) -> Figure:
    """Return a figure that a document states, its 95 % interval stretched to a confidence.

    By the ratio of the normal distribution's quantiles, on the logarithm.
    """
    if low is None or high is None or low <= 0:
        return Figure(value=value)
    normal = NormalDist()
    stretch = normal.inv_cdf((1 + confidence) / 2) / normal.inv_cdf((1 + _STATED) / 2)
    return Figure(
        value=value, low=value * (low / value) ** stretch, high=value * (high / value) ** stretch
    )


def stored_ratio(base: Figure, new: Figure, drift: float = DRIFT) -> RatioInterval:
    """Return new over base and its interval.

    The two intervals are put together by the method of variance estimates recovery (Zou and
    Donner, Statistics in Medicine 27, 2008) on the logarithms, and made wider by the drift on
    either side: of what the machine did between the two runs, neither run's interval knows.

    Args:
        base: Usable.
        new: Usable, in the same unit.
        drift: A share; 0 where both are known to have run at one speed of the machine.
    """
    ratio = new.value / base.value
    if base.low is None or base.high is None or new.low is None or new.high is None:
        return RatioInterval(ratio=ratio)
    middle, allowed = math.log(ratio), math.log1p(drift)
    below = math.hypot(math.log(new.value / new.low), math.log(base.high / base.value))
    above = math.hypot(math.log(new.high / new.value), math.log(base.value / base.low))
    return RatioInterval(
        ratio=ratio,
        low=math.exp(middle - below - allowed),
        high=math.exp(middle + above + allowed),
    )
