"""How much neighbouring samples depend on each other, and the block length that respects it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Dependence", "above_median", "dependence"]


@dataclass(frozen=True)
class Dependence:
    """What a series' autocorrelation means for a bootstrap.

    Attributes:
        block: Length of the blocks to resample, at least 1, at most min(3 sqrt(n), n / 3).
        effective_n: So many independent samples would tell as much about the mean, 1 to n.
    """

    block: int
    effective_n: float


def dependence(influence: npt.NDArray[np.float64]) -> Dependence:
    """Judge a series whose mean is what an estimator's error is made of.

    The block length is the automatic choice of Politis and White (Econometric Reviews 23, 2004;
    corrected by Patton, Politis and White, 28, 2009) for the circular block bootstrap:
    b = (2 G^2 / D)^(1/3) n^(1/3) with D = 4/3 g(0)^2 and a flat-top lag window. The effective
    number is n times the variance over the same window's spectral density at zero.

    Args:
        influence: (n,) in order of time: the samples for a mean, `above_median` for a median.
    """
    n = influence.size
    if n < 9:
        return Dependence(1, float(n))
    centred = influence - influence.mean()
    if not centred.any():
        return Dependence(1, float(n))
    quiet = max(5, math.ceil(math.sqrt(math.log10(n))))
    furthest = min(n - 1, math.ceil(math.sqrt(n)) + quiet)
    covariance = _autocovariance(centred, furthest)
    correlation = np.abs(covariance / covariance[0])
    threshold = 2 * math.sqrt(math.log10(n) / n)
    loud = np.flatnonzero(correlation[1:] >= threshold) + 1
    # The last lag before `quiet` lags in a row carry nothing.
    last = 0
    for lag in loud:
        if lag > last + quiet:
            break
        last = int(lag)
    width = min(2 * max(last, 1), furthest)
    lags = np.arange(1, width + 1)
    window = np.minimum(1.0, 2 * (1 - lags / width))
    weighted = window * covariance[1 : width + 1]
    slope = 2 * float(lags @ weighted)
    spectrum = float(covariance[0] + 2 * weighted.sum())
    longest = max(1, math.floor(min(3 * math.sqrt(n), n / 3)))
    if spectrum <= 0:
        # Neighbours that make up for each other: at least as good as independent ones.
        return Dependence(1 if slope == 0 else min(longest, max(1, last)), float(n))
    length = math.ceil(math.pow(1.5 * slope**2 / spectrum**2 * n, 1 / 3))
    effective = min(float(n), max(1.0, n * float(covariance[0]) / spectrum))
    return Dependence(min(longest, max(1, length)), effective)


def above_median(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the indicator "not above the median", (n,).

    It is what the median's error is made of (its influence function), and no outlier can dominate
    it.
    """
    return (values <= np.median(values)).astype(np.float64)


def _autocovariance(values: npt.NDArray[np.float64], lags: int) -> npt.NDArray[np.float64]:
    """Autocovariance at the lags 0 to `lags` of a series whose mean is 0."""
    size = 1 << (2 * values.size - 1).bit_length()
    spectrum = np.fft.rfft(values, size)
    full = np.fft.irfft(spectrum * spectrum.conj(), size)
    return np.asarray(full[: lags + 1] / values.size)
