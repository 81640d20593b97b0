"""Stretches of a measurement in which the level was another one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edgekit.benchmarks.statistics import Samples

__all__ = ["unstable_share", "unstable_stretches"]

# A window holds at least so many samples, and lasts at least so long.
_WINDOW_SAMPLES = 11
_WINDOW_NS = 100_000_000
# Its median differs from the whole run's by more than this,
_TOLERANCE = 0.10
# and so large a share of its samples lies on that side. Of 11 independent samples 10 or more do so
# by accident in 0.6 % of windows.
_ONE_SIDED = 0.9


def unstable_stretches(samples_ns: Samples, blocks: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Return the ranges [first, last) of samples whose level differs from the whole run's.

    Windows never reach over a block's end. One is unstable where its median is more than 10 % away
    from the median of all samples and nine tenths of its samples lie on the same side of it, so
    that scattered slow samples make no stretch and a throttled clock does. Neighbours on the same
    side are one stretch.

    Args:
        samples_ns: (n,) in order of time, nanoseconds.
        blocks: Samples of each block; their sum is n.
    """
    values = np.asarray(samples_ns, dtype=np.float64)
    if values.size < 2 * _WINDOW_SAMPLES:
        return ()
    level = float(np.median(values))
    found: list[tuple[int, int]] = []
    side_before = 0
    for first, last in _windows(values, blocks):
        side = _side(values[first:last], level)
        if side and side == side_before and found and found[-1][1] == first:
            found[-1] = (found[-1][0], last)
        elif side:
            found.append((first, last))
        side_before = side
    return tuple(found)


def unstable_share(samples_ns: Samples, stretches: Sequence[tuple[int, int]]) -> float:
    """Return the share of the sampled time that lies in unstable stretches, 0 to 1."""
    values = np.asarray(samples_ns, dtype=np.float64)
    total = float(values.sum())
    if total <= 0:
        return 0.0
    return float(sum(values[first:last].sum() for first, last in stretches)) / total


def _side(window: npt.NDArray[np.float64], level: float) -> int:
    median = float(np.median(window))
    if abs(median - level) <= _TOLERANCE * level:
        return 0
    side = 1 if median > level else -1
    same = np.count_nonzero(window > level if side > 0 else window < level)
    return side if same >= _ONE_SIDED * window.size else 0


def _windows(values: npt.NDArray[np.float64], blocks: Sequence[int]) -> list[tuple[int, int]]:
    windows: list[tuple[int, int]] = []
    start = 0
    for size in blocks:
        end = start + size
        # Where each sample ends, counted from the block's beginning.
        ends = np.cumsum(values[start:end])
        at = 0
        while size - at >= _WINDOW_SAMPLES:
            begun = float(ends[at - 1]) if at else 0.0
            reached = int(np.searchsorted(ends, begun + _WINDOW_NS)) + 1
            to = min(size, max(at + _WINDOW_SAMPLES, reached))
            # What is left over is too short for a window of its own.
            if size - to < _WINDOW_SAMPLES:
                to = size
            windows.append((start + at, start + to))
            at = to
        start = end
    return windows
