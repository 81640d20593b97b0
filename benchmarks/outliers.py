"""Samples far from the others: flagged, with advice, and never dropped."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgekit.benchmarks.statistics import Samples
from edgekit.core.documents import Outliers

__all__ = ["find_outliers"]

# Tukey's outer fence: above the upper quartile by so many interquartile ranges lies what he calls
# "far out" (Exploratory Data Analysis, 1977, section 2D).
_FENCE = 3.0
_FEWEST = 11
# Runs at a block's start in which an engine may still be waking up.
_FIRST = 3


def find_outliers(
    samples_ns: Samples, blocks: Sequence[int], *, disturbed: bool = False
) -> Outliers:
    """Flag the samples above Tukey's outer fence and say what they may mean.

    Args:
        samples_ns: (n,) in order of time, nanoseconds.
        blocks: Samples of each block; their sum is n.
        disturbed: Whether other programs or the hypervisor took time meanwhile.
    """
    values = np.asarray(samples_ns, dtype=np.float64)
    if values.size < _FEWEST:
        return Outliers(count=0)
    low, middle, high = np.percentile(values, [25, 50, 75])
    limit = float(high + _FENCE * (high - low))
    far = np.flatnonzero(values > limit)
    if not far.size:
        return Outliers(count=0, limit_ms=limit / 1e6)
    worst = float(values.max() / middle) if middle > 0 else 0.0
    starts = np.concatenate([[0], np.cumsum(np.asarray(blocks, np.int64))[:-1]]).astype(np.int64)
    place = far - starts[np.searchsorted(starts, far, side="right") - 1]
    if np.count_nonzero(place < _FIRST) * 2 > far.size:
        cause = "most stand first in their block: the engine cools down while others run"
    elif disturbed:
        cause = "other programs had the CPU: close them, or measure where nothing else runs"
    else:
        cause = (
            "the system interrupted the runs: if they recur on a quiet machine they are the "
            "model's tail, and p99 says how long it is"
        )
    count = int(far.size)
    head = f"{count} of {values.size} samples are" if count > 1 else "One sample is"
    return Outliers(
        count=count,
        limit_ms=limit / 1e6,
        advice=f"{head} far above the others (up to {worst:.1f} times the median); {cause}.",
    )
