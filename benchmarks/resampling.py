"""Bootstrap over images: the interval of a metric and of its paired drop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgekit.core.certificate import Metric
from edgekit.core.errors import BadInput

__all__ = ["Interval", "Statistic", "Weights", "bootstrap_interval", "bootstrap_metric"]

# (B, n) int64: how often each of n images occurs in each of B resamples.
Weights = npt.NDArray[np.int64]
# From weights to the figure of each resample, 0 to 1, (B,) float64; NaN where a resample has none.
Statistic = Callable[[Weights], npt.NDArray[np.float64]]

_CHUNK_ELEMENTS = 1 << 21


@dataclass(frozen=True)
class Interval:
    """A figure over images, its interval, and its drop from a reference on the same images.

    Attributes:
        value: The figure over all images, each once.
        low: Lower end of the interval.
        high: Upper end.
        drop: Reference minus value; None without a reference.
        drop_low: Lower end of the paired interval.
        drop_high: Upper end.
    """

    value: float
    low: float
    high: float
    drop: float | None = None
    drop_low: float | None = None
    drop_high: float | None = None


def bootstrap_interval(
    statistic: Statistic,
    images: int,
    *,
    reference: Statistic | None = None,
    pivotal: bool = False,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Interval:
    """Resample images with replacement and return the interval of a statistic.

    The reference is resampled with the same images (Efron and Tibshirani, An Introduction to the
    Bootstrap, 1993, chapter 8), so that what both find hard cancels out of the drop.

    A mean takes the percentile interval. mAP and mIoU are no means: few images flatter them, and a
    resample, which holds fewer different images still, flatters them again, so that percentiles
    would lie above the truth and even above the value. The pivotal interval (Davison and Hinkley,
    Bootstrap Methods and their Application, 1997, section 5.2) mirrors the percentiles about the
    value and so takes the bias off; it is widened to hold the value where it does not.

    Args:
        statistic: Of the entry; see Statistic.
        images: Number of images, at least 1.
        reference: The same statistic of the reference; None gives no drop.
        pivotal: For statistics that are no means.
        confidence: Between 0 and 1.
        resamples: Number of resamples.
        seed: The same seed gives the same resamples for the same number of images.

    Raises:
        BadInput: There is no image, or the statistic has no value over all of them.
    """
    if images < 1:
        raise BadInput("There is no image to score.", hint="Check the data folder.")
    everything = np.ones((1, images), dtype=np.int64)
    value = float(statistic(everything)[0])
    if np.isnan(value):
        raise BadInput("The data set holds nothing to score.", hint="Check its labels.")
    figures, drops = [], []
    for weights in _resamples(images, resamples, seed):
        figure = statistic(weights)
        figures.append(figure)
        if reference is not None:
            drops.append(reference(weights) - figure)
    low, high = _ends(value, np.concatenate(figures), confidence, pivotal)
    low, high = max(0.0, low), min(1.0, high)
    if reference is None:
        return Interval(value, low, high)
    drop = float(reference(everything)[0]) - value
    drop_low, drop_high = _ends(drop, np.concatenate(drops), confidence, pivotal)
    return Interval(value, low, high, drop, drop_low, drop_high)


def bootstrap_metric(
    name: str,
    statistic: Statistic,
    images: int,
    *,
    reference: Statistic | None,
    pivotal: bool = False,
    resamples: int,
    seed: int,
    others: Mapping[str, float],
) -> Metric:
    """Return a metric with its interval and its paired drop; arguments as in bootstrap_interval."""
    found = bootstrap_interval(
        statistic,
        images,
        reference=reference,
        pivotal=pivotal,
        resamples=resamples,
        seed=seed,
    )
    return Metric(
        name=name,
        value=found.value,
        low=found.low,
        high=found.high,
        n=images,
        drop=found.drop,
        drop_low=found.drop_low,
        drop_high=found.drop_high,
        others=dict(others),
    )


def _ends(
    value: float, found: npt.NDArray[np.float64], confidence: float, pivotal: bool
) -> tuple[float, float]:
    tail = 50 * (1 - confidence)
    low, high = (float(end) for end in np.nanpercentile(found, [tail, 100 - tail]))
    if not pivotal:
        return low, high
    return min(value, 2 * value - high), max(value, 2 * value - low)


def _resamples(images: int, resamples: int, seed: int) -> Iterator[Weights]:
    rng = np.random.default_rng(seed)
    chunk = max(1, _CHUNK_ELEMENTS // images)
    for first in range(0, resamples, chunk):
        rows = min(chunk, resamples - first)
        drawn = rng.integers(images, size=(rows, images)) + np.arange(rows)[:, None] * images
        yield np.bincount(drawn.ravel(), minlength=rows * images).reshape(rows, images)
