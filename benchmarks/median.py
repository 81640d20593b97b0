"""The confidence interval of a median of samples that depend on their neighbours."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from edgekit.benchmarks.autocorrelation import above_median, dependence
from edgekit.benchmarks.statistics import Samples, nearest_rank

__all__ = ["block_length", "effective_samples", "median_interval", "resampled_medians"]

# Up to here every resample is drawn sample by sample; above, blocks are counted into bins.
_DIRECT_LIMIT = 8192
_DIRECT_ELEMENTS = 1 << 20
_MOST_BLOCKS = 2048
_BINS = 512


def block_length(samples: Samples) -> int:
    """Return the block length that a bootstrap of the median needs, from the autocorrelation.

    Args:
        samples: (n,) in order of time.

    Returns:
        At least 1, at most min(3 sqrt(n), n / 3); see autocorrelation.dependence.
    """
    return dependence(above_median(np.asarray(samples, dtype=np.float64))).block


def effective_samples(samples: Samples) -> float:
    """Return how many independent samples would give as narrow an interval of the median.

    Args:
        samples: (n,) in order of time, n >= 1.
    """
    return dependence(above_median(np.asarray(samples, dtype=np.float64))).effective_n


def median_interval(
    samples: Samples,
    *,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
    block: int | None = None,
) -> tuple[float, float]:
    """Return the ends of the bootstrap percentile interval of the median.

    Circular block bootstrap (Politis and Romano, 1992): resamples are made of whole runs of
    neighbouring samples, so that slow stretches stay together. Above 8192 samples the blocks do
    not overlap (Carlstein, Annals of Statistics 14, 1986), there are at most 2048 of them, and
    medians are read off 512 order statistics around the median; memory stays within tens of MB.

    Args:
        samples: (n,) in order of time, n >= 1.
        confidence: Between 0 and 1.
        resamples: Bootstrap resamples.
        seed: Of the resampling; the same seed gives the same interval.
        block: Block length; None takes `block_length(samples)`.
    """
    values = np.asarray(samples, dtype=np.float64)
    length = block_length(values) if block is None else block
    rng = np.random.default_rng(seed)
    if values.size <= _DIRECT_LIMIT:
        medians = _direct(values, length, resamples, rng)
    else:
        medians = _counted(values, length, resamples, rng)
    tail = 50 * (1 - confidence)
    low, high = np.percentile(medians, [tail, 100 - tail])
    return float(low), float(high)


def _direct(
    values: npt.NDArray[np.float64], length: int, resamples: int, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    n = values.size
    blocks = math.ceil(n / length)
    circle = np.concatenate([values, values[: length - 1]])
    rank = nearest_rank(n, 50)
    chunk = max(1, _DIRECT_ELEMENTS // n)
    medians = []
    for first in range(0, resamples, chunk):
        rows = min(chunk, resamples - first)
        starts = rng.integers(n, size=(rows, blocks, 1))
        drawn = circle[(starts + np.arange(length)).reshape(rows, -1)[:, :n]]
        medians.append(np.partition(drawn, rank, axis=1)[:, rank])
    return np.concatenate(medians)


def _counted(
    values: npt.NDArray[np.float64], length: int, resamples: int, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    length = max(length, math.ceil(values.size / _MOST_BLOCKS))
    blocks = values.size // length
    drawn = rng.integers(blocks, size=(resamples, blocks)) + np.arange(resamples)[:, None] * blocks
    times = np.bincount(drawn.ravel(), minlength=resamples * blocks).reshape(resamples, blocks)
    return resampled_medians(values[: blocks * length], np.full(blocks, length), times)


def resampled_medians(
    values: npt.NDArray[np.float64],
    sizes: npt.NDArray[np.int64],
    times: npt.NDArray[np.int64],
    together: int = 1,
) -> npt.NDArray[np.float64]:
    """Return the medians of resamples that are made of whole units, read off 512 order statistics.

    Args:
        values: (n,) unit after unit.
        sizes: (u,) values of each unit; their sum is n.
        times: (resamples, u) how often each unit occurs in each resample.
        together: So many neighbouring units were drawn at once.

    Returns:
        (resamples,) by nearest rank.
    """
    n, units = values.size, sizes.size
    # Eight times the largest standard error that such units can give, each side.
    reach = 4 * math.sqrt(together * float((sizes.astype(np.float64) ** 2).sum()))
    ranks = np.linspace(max(0.0, n / 2 - reach), min(n - 1.0, n / 2 + reach), _BINS)
    grid = np.unique(np.sort(values)[ranks.astype(np.int64)])
    bins = np.searchsorted(grid, values, side="left")
    cells = np.repeat(np.arange(units), sizes) * (grid.size + 1) + bins
    counts = np.bincount(cells, minlength=units * (grid.size + 1)).reshape(units, -1)
    not_above = counts.cumsum(axis=1)[:, : grid.size].astype(np.float64)
    often = times.astype(np.float64)
    enough = 2 * (often @ not_above) >= (often @ sizes.astype(np.float64))[:, None]
    enough[:, -1] = True
    return np.asarray(grid[np.argmax(enough, axis=1)])
