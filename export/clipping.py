"""Where symmetric int8 clips a tensor: the least squared error, not the largest value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from edgekit.export.statistics import run_tensors

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

__all__ = ["least_error_limit", "symmetric_limits"]

# Sixteen to a step of int8, so that what is inside one is counted rightly.
_BINS = 2048
_STEPS = 127
# Shares of the largest value that are tried as limits.
_SHARES = np.linspace(0.3, 1.0, 71)


def symmetric_limits(
    model: onnx.ModelProto,
    ranges: Mapping[str, tuple[float, float]],
    samples: Iterable[Mapping[str, NDArray[np.generic]]],
) -> dict[str, float]:
    """Return the magnitude at which each tensor is clipped in a symmetric dialect.

    Symmetric int8 gives half of its steps to a side that an activation such as SiLU hardly uses, so
    its steps are twice as wide as those of an unsigned range, and a few large values cost all the
    others. Clipping those where the mean squared error is least is the usual remedy (Banner et al.,
    Post Training 4-bit Quantization of Convolutional Networks, arXiv:1810.05723, section 3; the
    error is measured here, not modelled).

    Args:
        model: The float model.
        ranges: Smallest and largest value by tensor; no limit lies outside.
        samples: Arrays by input name; at most the first 16 are run.
    """
    largest = {name: max(abs(low), abs(high)) for name, (low, high) in ranges.items()}
    counts = {name: np.zeros(_BINS, np.int64) for name in ranges}
    for tensors in run_tensors(model, set(ranges), samples):
        for name, histogram in counts.items():
            histogram += _histogram(tensors[name], largest[name])
    return {name: least_error_limit(counts[name], largest[name]) for name in ranges}


def _histogram(tensor: NDArray[np.generic], largest: float) -> NDArray[np.int64]:
    """Magnitudes over equal bins up to `largest`; what lies above counts as that."""
    values = np.minimum(np.abs(tensor.ravel().astype(np.float64)), largest)
    # Zero is exact in any scale.
    return np.histogram(values[values > 0], bins=_BINS, range=(0.0, largest or 1.0))[0]


def least_error_limit(counts: NDArray[np.int64], largest: float) -> float:
    """Return the limit of symmetric int8 with the least squared error.

    Args:
        counts: (bins,) histogram of magnitudes over equal bins from 0 to `largest`.
        largest: Magnitude at the end of the last bin; the result is no larger.
    """
    if not counts.any():
        return largest
    middles = (np.arange(counts.size) + 0.5) * (largest / counts.size)
    errors = []
    for share in _SHARES:
        step = share * largest / _STEPS
        rounded = np.minimum(np.rint(middles / step), _STEPS) * step
        errors.append(float((counts * (middles - rounded) ** 2).sum()))
    return float(_SHARES[int(np.argmin(errors))] * largest)
