"""The figures of single classes, beside the metric of the whole."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgekit.core.certificate import Metric
from edgekit.core.details import ClassScores

__all__ = ["Scored", "class_scores"]

_DIGITS = 4


@dataclass(frozen=True)
class Scored:
    """What scoring gives.

    Attributes:
        metric: Of the whole, with its interval and its drop.
        classes: Of every class that the truth holds.
    """

    metric: Metric
    classes: ClassScores


def class_scores(
    name: str,
    unit: str,
    counts: npt.NDArray[np.integer],
    values: npt.NDArray[np.float64],
    reference: npt.NDArray[np.float64] | None,
) -> ClassScores:
    """Keep the classes that the truth holds.

    Args:
        name: Of the figure of one class.
        unit: Of `counts`.
        counts: (C,) how much of each class the truth holds.
        values: (C,) the entry's figures, NaN where there is none.
        reference: (C,) the reference's; None without one.
    """
    there = np.flatnonzero((np.asarray(counts) > 0) & np.isfinite(values))
    return ClassScores(
        name=name,
        unit=unit,
        index=tuple(there.tolist()),
        n=tuple(np.asarray(counts)[there].tolist()),
        value=_rounded(values[there]),
        reference=() if reference is None else _rounded(reference[there]),
    )


def _rounded(values: npt.NDArray[np.float64]) -> tuple[float, ...]:
    """Four digits: ten thousand classes are no reason for a large file."""
    return tuple(round(float(value), _DIGITS) for value in values)
