"""Many samples in few columns of a picture, so that no spike vanishes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Columns", "apart", "thinned"]


@dataclass(frozen=True)
class Columns:
    """Smallest, middle and largest sample of every column.

    Attributes:
        x: (k,) middle of the columns that hold a sample, in order.
        low: (k,) smallest sample of each.
        middle: (k,) median of each.
        high: (k,) largest of each.
    """

    x: npt.NDArray[np.float64]
    low: npt.NDArray[np.float64]
    middle: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]


def thinned(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], columns: int) -> Columns:
    """Return what each column of a picture shows.

    Args:
        x: (n,) in ascending order, n >= 1.
        y: (n,).
        columns: At most so many.
    """
    span = float(x[-1] - x[0])
    place = np.zeros(x.size, np.int64)
    if span > 0:
        place = np.minimum(((x - x[0]) / span * columns).astype(np.int64), columns - 1)
    starts = np.flatnonzero(np.diff(place, prepend=-1))
    groups = np.split(y, starts[1:])
    return Columns(
        x=np.array([float(group.mean()) for group in np.split(x, starts[1:])]),
        low=np.array([float(group.min()) for group in groups]),
        middle=np.array([float(np.median(group)) for group in groups]),
        high=np.array([float(group.max()) for group in groups]),
    )


def apart(columns: Columns) -> Columns:
    """Put a hole (NaN) where nothing was sampled, so that no line is drawn across a pause.

    Args:
        columns: As `thinned` made them; a pause is four times as long as the usual step.
    """
    if columns.x.size < 3:
        return columns
    steps = np.diff(columns.x)
    holes = np.flatnonzero(steps > 4 * np.median(steps)) + 1
    parts = (columns.x, columns.low, columns.middle, columns.high)
    return Columns(*(np.insert(part, holes, np.nan) for part in parts))
