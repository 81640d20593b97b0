"""Percentiles of latency samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edgekit.core.percentiles import missing_samples, nearest_rank, samples_needed

__all__ = ["Samples", "missing_samples", "nearest_rank", "percentile", "samples_needed"]

Samples = Sequence[int] | Sequence[float] | npt.NDArray[np.generic]


def percentile(samples: Samples, percent: float) -> float | None:
    """Return the smallest sample that at least `percent` percent of the samples do not exceed.

    An order statistic (nearest rank), so it is always a value that was measured.

    Args:
        samples: (n,) in any order and unit.
        percent: Between 0 and 100, both excluded.

    Returns:
        The sample, or None where fewer than `samples_needed(percent)` were taken.

    Raises:
        BadInput: `percent` is out of its range.
    """
    values = np.asarray(samples)
    if missing_samples(values.size, percent):
        return None
    rank = nearest_rank(values.size, percent)
    return float(np.partition(values, rank)[rank])
