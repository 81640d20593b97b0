"""What 8 bits cost a tensor: the values that its range clips, and the rounding of the others.

Two ranges are at hand for every tensor. The mean of each sample's extremes leaves single outliers
out. It fits tensors of many values, such as an image's feature maps, and clips those of few: of n
normal values the expected largest is t = sqrt(2 ln n) deviations, and a share of 0.56 / n of all
values lies above it (Gumbel's limit). Those cost 2.2 / (n t^2) of the variance on both sides, and
the rounding by 255 steps (2 t / 255)^2 / 12. Both are equal near n = 3,000 values a sample; a row
of a table has fewer, and a loud and a quiet recording differ in more than chance. The extremes of
all samples clip nothing. So neither is taken by rule: the squared error of both is measured.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgekit.core.progress import Progress, Silent
from edgekit.export.qdq import scale_and_zero
from edgekit.export.statistics import run_tensors

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

__all__ = [
    "LEAST_ERROR",
    "Loss",
    "Spread",
    "least_error_limit",
    "loss_of",
    "measure_spreads",
    "ranges_by_method",
    "rounding_variance",
    "symmetric_limit",
]

Range = tuple[float, float]

LEAST_ERROR = "least-error"
# Sixteen to a step of 8 bits, so that what is inside one is counted rightly.
_BINS = 4096
_STEPS = 127
# Shares of the largest value that are tried as limits.
_SHARES = np.linspace(0.3, 1.0, 71)
_TINY = 1e-30


@dataclass(frozen=True)
class Spread:
    """How the values of a tensor lie, over the calibration samples.

    Attributes:
        low: Smallest value of all samples.
        high: Largest.
        mean_low: Mean over the samples of each one's smallest value.
        mean_high: Likewise of the largest.
        counts: (bins,) histogram over equal bins from `low` to `high`, of the first 16 samples and
            without zeros, which are exact in every scale.
    """

    low: float
    high: float
    mean_low: float
    mean_high: float
    counts: NDArray[np.int64]

    @property
    def middles(self) -> NDArray[np.float64]:
        """(bins,) middle of each bin."""
        share = (np.arange(self.counts.size) + 0.5) / self.counts.size
        return self.low + share * (self.high - self.low)


@dataclass(frozen=True)
class Loss:
    """What 8 bits over a range make of a tensor, as sums of squares over its values.

    Attributes:
        clipping: Squared error of the values outside the range.
        rounding: Squared error of those inside.
        signal: Squares of all values.
    """

    clipping: float
    rounding: float
    signal: float

    @property
    def relative(self) -> float:
        """Squared error over signal."""
        return (self.clipping + self.rounding) / max(self.signal, _TINY)

    @property
    def sqnr_db(self) -> float:
        """Signal over error, dB; 300 where there is no error."""
        return float(-10 * np.log10(max(self.relative, _TINY)))

    @property
    def clipping_share(self) -> float:
        """Share of the squared error that clipping causes, 0 to 1."""
        return self.clipping / max(self.clipping + self.rounding, _TINY)

    def __str__(self) -> str:
        share = round(100 * self.clipping_share)
        return f"of its error {share} % is clipping and {100 - share} % rounding"


def _mean_extremes(spreads: Sequence[Spread]) -> Range:
    return min(one.mean_low for one in spreads), max(one.mean_high for one in spreads)


def _extremes(spreads: Sequence[Spread]) -> Range:
    return min(one.low for one in spreads), max(one.high for one in spreads)


# Ways to the range of tensors that share a scale; the first wins a draw.
METHODS: dict[str, Callable[[Sequence[Spread]], Range]] = {
    "mean-extremes": _mean_extremes,
    "extremes": _extremes,
}


def measure_spreads(
    model: onnx.ModelProto,
    tensors: set[str],
    samples: Sequence[Mapping[str, NDArray[np.generic]]],
    progress: Progress | None = None,
) -> dict[str, Spread]:
    """Measure how the values of tensors lie.

    Args:
        model: The float model.
        tensors: By name; those that hold integers, nothing, or what is not finite are left out.
        samples: Arrays by input name. All of them give the extremes, the first 16 the histogram.
        progress: Hears of the samples.
    """
    listen = progress or Silent()
    lows: dict[str, list[float]] = {name: [] for name in tensors}
    highs: dict[str, list[float]] = {name: [] for name in tensors}
    every = run_tensors(model, tensors, samples, limit=len(samples))
    for arrays in listen.track(every, "samples", len(samples)):
        for name, array in arrays.items():
            if array.dtype.kind == "f" and array.size:
                lows[name].append(float(array.min()))
                highs[name].append(float(array.max()))
    finite = {
        name for name in tensors if lows[name] and np.isfinite([*lows[name], *highs[name]]).all()
    }
    ends = {name: (min(lows[name]), max(highs[name])) for name in finite}
    counts = {name: np.zeros(_BINS, np.int64) for name in finite}
    for arrays in run_tensors(model, finite, samples):
        for name in finite & set(arrays):
            counts[name] += _histogram(arrays[name], ends[name])
    return {
        name: Spread(
            *ends[name], float(np.mean(lows[name])), float(np.mean(highs[name])), counts[name]
        )
        for name in finite
    }


def _histogram(array: NDArray[np.generic], ends: Range) -> NDArray[np.int64]:
    values = array.ravel().astype(np.float64)
    values = values[values != 0]
    low, high = ends
    places = (values - low) * (_BINS / max(high - low, _TINY))
    found: NDArray[np.int64] = np.bincount(
        np.clip(places, 0, _BINS - 1).astype(np.int64), minlength=_BINS
    )
    return found


def ranges_by_method(
    scales: Mapping[str, Range], spreads: Mapping[str, Spread]
) -> dict[str, dict[str, Range]]:
    """Return the ranges that each method gives to tensors, and those with the least squared error.

    Args:
        scales: A scale by tensor, of any calibration; tensors of equal ones get equal ones again,
            because what is joined or added must be read with one scale.
        spreads: Of the tensors; those without one get no range.
    """
    groups: dict[Range, list[str]] = defaultdict(list)
    for tensor, scale in scales.items():
        if tensor in spreads:
            groups[scale].append(tensor)
    ranges: dict[str, dict[str, Range]] = {name: {} for name in (LEAST_ERROR, *METHODS)}
    for group in groups.values():
        ends = {name: method([spreads[one] for one in group]) for name, method in METHODS.items()}
        error = {
            name: sum(loss_of(spreads[one], range_).relative for one in group)
            for name, range_ in ends.items()
        }
        ends[LEAST_ERROR] = ends[min(error, key=lambda name: error[name])]
        for name, range_ in ends.items():
            ranges[name].update(dict.fromkeys(group, range_))
    return ranges


def loss_of(spread: Spread, ends: Range) -> Loss:
    """Measure on the histogram what 256 levels over a range make of a tensor."""
    scale, zero = scale_and_zero(*ends)
    values = spread.middles
    levels = np.rint(values / scale) + zero
    error = spread.counts * (values - (np.clip(levels, 0, 255) - zero) * scale) ** 2
    outside = (levels < 0) | (levels > 255)
    return Loss(
        clipping=float(error[outside].sum()),
        rounding=float(error[~outside].sum()),
        signal=float((spread.counts * values**2).sum()),
    )


def rounding_variance(spread: Spread) -> float:
    """Return the variance of the noise that rounding adds to each value, at the narrower range.

    Rounding with step d adds white noise of variance d^2/12 (Widrow and Kollar, Quantization
    Noise, 2008).
    """
    step, _ = scale_and_zero(*_mean_extremes([spread]))
    return step**2 / 12


def symmetric_limit(spread: Spread, ends: Range) -> float:
    """Return the magnitude at which a tensor is clipped in a symmetric dialect.

    Symmetric int8 gives half of its steps to a side that an activation such as SiLU hardly uses, so
    its steps are twice as wide as those of an unsigned range, and a few large values cost all the
    others. Clipping those where the mean squared error is least is the usual remedy (Banner et al.,
    Post Training 4-bit Quantization of Convolutional Networks, arXiv:1810.05723, section 3; the
    error is measured here, not modelled).

    Args:
        spread: Of the tensor.
        ends: Its range; the limit does not lie outside.
    """
    return least_error_limit(np.abs(spread.middles), spread.counts, max(abs(ends[0]), abs(ends[1])))


def least_error_limit(
    magnitudes: NDArray[np.float64], counts: NDArray[np.int64], largest: float
) -> float:
    """Return the limit of symmetric int8 with the least squared error.

    Args:
        magnitudes: (bins,) values without their sign; what is above `largest` counts as that.
        counts: (bins,) how often each is there.
        largest: The result is no larger.
    """
    if not counts.any():
        return largest
    values = np.minimum(magnitudes, largest)
    errors = []
    for share in _SHARES:
        step = max(share * largest / _STEPS, _TINY)
        rounded = np.minimum(np.rint(values / step), _STEPS) * step
        errors.append(float((counts * (values - rounded) ** 2).sum()))
    return float(_SHARES[int(np.argmin(errors))] * largest)
