"""Order statistics: how many samples a percentile needs, and which of them it is."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache

from edgekit.core.errors import BadInput

__all__ = ["missing_samples", "nearest_rank", "samples_needed"]


@lru_cache(maxsize=64)
def samples_needed(percent: float, *, confidence: float = 0.99, over: int = 1) -> int:
    """Return the smallest number of samples that supports a percentile.

    The rule of MLPerf LoadGen's early stopping (MLCommons, "Early Stopping Criterion", tolerance
    0): were the true percentile no better than claimed, seeing at most `over` samples above it
    among n must be an accident of probability 1 - confidence at most. With p = percent / 100 that
    probability is the regularised incomplete beta I_p(n - over, over + 1), which is the binomial
    tail P(Binomial(n, p) >= n - over). For `over` = 1 it gives p50 11, p90 64, p95 130, p99 662,
    p99.9 6636.

    Args:
        percent: Which percentile, between 0 and 100, both excluded.
        confidence: Between 0 and 1, both excluded.
        over: Samples allowed above the percentile, at least 0.

    Raises:
        BadInput: An argument is out of its range.
    """
    share = _share(percent)
    if not 0 < confidence < 1:
        raise BadInput(f"A confidence lies between 0 and 1, not {confidence}.")
    if over < 0:
        raise BadInput(f"The number of samples over a percentile is 0 or more, not {over}.")
    allowed = 1 - confidence
    low, high = over, 2 * (over + 1)
    while _tail(high, share, over) > allowed:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if _tail(middle, share, over) > allowed:
            low = middle
        else:
            high = middle
    return high


def missing_samples(n: int, percent: float) -> int:
    """Return how many samples a percentile lacks; 0 where `n` are enough."""
    return max(0, samples_needed(percent) - n)


def nearest_rank(n: int, percent: float) -> int:
    """Return the position, from 0, of a percentile among n sorted samples."""
    # A float product such as 0.07 * 100 lands above the integer and would take the next rank.
    return math.ceil(Fraction(str(percent)) * n / 100) - 1


def _share(percent: float) -> float:
    if not 0 < percent < 100:
        raise BadInput(f"A percentile lies between 0 and 100, not {percent}.")
    return float(Fraction(str(percent)) / 100)


def _tail(n: int, share: float, over: int) -> float:
    """P(Binomial(n, share) >= n - over)."""
    logs = (
        math.lgamma(n + 1)
        - math.lgamma(j + 1)
        - math.lgamma(n - j + 1)
        + (n - j) * math.log(share)
        + j * math.log1p(-share)
        for j in range(min(n, over) + 1)
    )
    return math.fsum(math.exp(value) for value in logs)
