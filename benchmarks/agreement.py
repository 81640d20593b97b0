"""How often an entry gives the reference's answer, labels or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from edgekit.benchmarks.matching import match
from edgekit.benchmarks.resampling import Weights, bootstrap_interval
from edgekit.core.errors import BadInput
from edgekit.tasks.results import Classification, Detections, Result, Segmentation

__all__ = ["Agreement", "agreement"]


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """Agreement with the reference. Fractions of 1.

    Attributes:
        value: Share of images with the same top-1 class; F1 of matching detections; mean share of
            pixels with the same class.
        low: Lower end of the 95 % bootstrap interval over images.
        high: Upper end.
        n: How much it rests on, in `unit`.
        unit: "images" or "detections" (of the reference).
    """

    value: float
    low: float
    high: float
    n: int
    unit: str


@dataclass(frozen=True)
class _Ratio:
    """A ratio of sums over images; 1 where a resample has nothing that could disagree."""

    above: npt.NDArray[np.float64]
    below: npt.NDArray[np.float64]

    def __call__(self, weights: Weights) -> npt.NDArray[np.float64]:
        above, below = weights @ self.above, weights @ self.below
        return np.asarray(np.divide(above, below, out=np.ones(below.shape), where=below > 0))


def agreement(
    results: Sequence[Result],
    reference: Sequence[Result],
    *,
    confidence: float = 0.0,
    seed: int = 0,
    resamples: int = 1000,
) -> Agreement | None:
    """Compare the answers of an entry with the reference's on the same images.

    Args:
        results: The entry's, one an image.
        reference: The reference's, in the same order.
        confidence: Detections below this score are left out on both sides.
        seed: Of the bootstrap.
        resamples: Of the bootstrap.

    Returns:
        The agreement; None for raw results and for no images.

    Raises:
        BadInput: The two differ in length or in kind.
    """
    if len(results) != len(reference):
        raise BadInput(f"There are {len(results)} results for {len(reference)} of the reference.")
    rows = [_compare(*pair, confidence) for pair in zip(results, reference, strict=True)]
    counts = np.array([row for row in rows if row is not None], dtype=np.float64)
    if not len(counts):
        return None
    found = bootstrap_interval(
        _Ratio(counts[:, 0], counts[:, 1]), len(counts), resamples=resamples, seed=seed
    )
    detection = isinstance(reference[0], Detections)
    return Agreement(
        value=found.value,
        low=found.low,
        high=found.high,
        n=int(counts[:, 2].sum()) if detection else len(counts),
        unit="detections" if detection else "images",
    )


def _compare(
    result: Result, reference: Result, confidence: float
) -> tuple[float, float, float] | None:
    """What agrees, what could, and the reference's detections; None where a task has neither."""
    if isinstance(result, Classification) and isinstance(reference, Classification):
        same = _top1(result) == _top1(reference)
        return float(same), 1.0, 0.0
    if isinstance(result, Detections) and isinstance(reference, Detections):
        true, found = reference.above(confidence), result.above(confidence)
        pairs = len(match(true, found))
        # F1 = 2 TP / (2 TP + FP + FN)
        return 2.0 * pairs, float(true.scores.size + found.scores.size), float(true.scores.size)
    if isinstance(result, Segmentation) and isinstance(reference, Segmentation):
        if result.mask.shape != reference.mask.shape:
            raise BadInput("A mask has another size than the reference's of the same image.")
        return float((result.mask == reference.mask).mean()), 1.0, 0.0
    if type(result) is not type(reference):
        raise BadInput(
            f"A {type(result).__name__} cannot be compared with a {type(reference).__name__}."
        )
    return None


def _top1(result: Classification) -> int:
    """The best class; -1 where the answer is not finite, which agrees with none that is."""
    finite = bool(np.isfinite(result.probabilities).all())
    return int(np.argmax(result.probabilities)) if finite else -1
