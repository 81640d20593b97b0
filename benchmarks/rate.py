"""Throughput with its confidence interval."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edgekit.benchmarks.autocorrelation import dependence
from edgekit.benchmarks.statistics import Samples

__all__ = ["EventRate", "rate_interval"]

# More cells than this only cost time: neighbours are added up before they are resampled.
_MOST_CELLS = 2048
_ELEMENTS = 1 << 21
# A bootstrap of fewer cells says how alike they happen to be, and little else.
_FEWEST_CELLS = 11


class EventRate(NamedTuple):
    """Events a second, and the ends of its interval; None where too few cells give none."""

    value: float
    low: float | None
    high: float | None


def rate_interval(
    durations_ns: Samples,
    counts: Samples | None = None,
    *,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> EventRate:
    """Return events a second with the bootstrap percentile interval.

    The circular block bootstrap of the ratio of sums (Politis and Romano, 1992), blocks as long as
    the autocorrelation asks for, so that slow stretches stay together.

    Args:
        durations_ns: (n,) in order of time, n >= 1: how long each cell took.
        counts: (n,) events of each cell; None means one each.
        confidence: Between 0 and 1.
        resamples: Bootstrap resamples.
        seed: The same seed gives the same interval.
    """
    times = np.asarray(durations_ns, dtype=np.float64)
    events = np.ones_like(times) if counts is None else np.asarray(counts, dtype=np.float64)
    value = float(events.sum() / times.sum() * 1e9) if times.sum() > 0 else math.inf
    if times.size < _FEWEST_CELLS or not math.isfinite(value):
        return EventRate(value, None, None)
    times, events = _cells(times), _cells(events)
    block = dependence(times / np.maximum(events, 1e-12)).block
    sums = _resampled(np.stack([times, events]), block, resamples, np.random.default_rng(seed))
    rates = sums[1] / sums[0] * 1e9
    tail = 50 * (1 - confidence)
    low, high = np.percentile(rates, [tail, 100 - tail])
    return EventRate(value, float(low), float(high))


def _cells(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    width = math.ceil(values.size / _MOST_CELLS)
    whole = values.size // width * width
    cells = values[:whole].reshape(-1, width).sum(axis=1)
    if whole < values.size:
        cells[-1] += values[whole:].sum()
    return np.asarray(cells, dtype=np.float64)


def _resampled(
    values: npt.NDArray[np.float64], block: int, resamples: int, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Sums of (k, n) over resamples made of whole blocks, (k, resamples)."""
    n = values.shape[1]
    blocks = math.ceil(n / block)
    # Sums of every run of `block` neighbours on the circle, by differences of a running sum.
    running = np.cumsum(np.concatenate([values, values[:, :block]], axis=1), axis=1)
    running = np.concatenate([np.zeros((values.shape[0], 1)), running], axis=1)
    runs = running[:, block : block + n] - running[:, :n]
    chunk = max(1, _ELEMENTS // blocks)
    found = []
    for first in range(0, resamples, chunk):
        starts = rng.integers(n, size=(min(chunk, resamples - first), blocks))
        found.append(runs[:, starts].sum(axis=2))
    return np.asarray(np.concatenate(found, axis=1), dtype=np.float64)
