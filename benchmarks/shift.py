"""How far the confidence of right answers moved: what mAP does not see and users do."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from edgekit.benchmarks.matching import match
from edgekit.core.errors import BadInput
from edgekit.tasks.results import Classification, Detections, Result, Segmentation, Truth

__all__ = ["Shift", "confidence_shift"]


class Shift(msgspec.Struct, frozen=True, kw_only=True):
    """Change of confidence, entry minus reference. Fractions of 1.

    Attributes:
        median: Signed median of the changes; None where nothing could be compared.
        p90: 90th percentile of their magnitudes; None likewise.
        n: Changes behind them.
    """

    median: float | None
    p90: float | None
    n: int


def confidence_shift(
    results: Sequence[Result],
    reference: Sequence[Result],
    truths: Sequence[Truth] | None = None,
    *,
    confidence: float = 0.0,
) -> Shift | None:
    """Compare how sure an entry is with how sure the reference is.

    Detections: score of each reference detection at or above `confidence` against the entry's
    match at any score; cutting the entry as well would hide those that fell below. Classification:
    probability of the true class, or of the reference's top-1 where the truth is not known.
    Segmentation: probability of the reference's class at every grid point.

    Args:
        results: The entry's, one an image; detections down to a low score.
        reference: The reference's, in the same order.
        truths: In the same order; None where nothing is labelled.
        confidence: The user's threshold.

    Returns:
        The shift; None for raw results and for no images.

    Raises:
        BadInput: The sequences differ in length or in kind.
    """
    labels: Sequence[Truth] = [None] * len(reference) if truths is None else truths
    if not len(results) == len(reference) == len(labels):
        raise BadInput(f"There are {len(results)} results for {len(reference)} of the reference.")
    changes = [_changes(*row, confidence) for row in zip(results, reference, labels, strict=True)]
    known = [change for change in changes if change is not None]
    if not known:
        return None
    values = np.concatenate(known)
    values = values[np.isfinite(values)]
    if not values.size:
        return Shift(median=None, p90=None, n=0)
    return Shift(
        median=float(np.median(values)),
        p90=float(np.percentile(np.abs(values), 90)),
        n=int(values.size),
    )


def _changes(
    result: Result, reference: Result, truth: Truth, confidence: float
) -> npt.NDArray[np.float64] | None:
    if isinstance(result, Classification) and isinstance(reference, Classification):
        best = truth if isinstance(truth, int) else int(np.argmax(reference.probabilities))
        pair = result.probabilities[best], reference.probabilities[best]
        return np.array([float(pair[0]) - float(pair[1])])
    if isinstance(result, Detections) and isinstance(reference, Detections):
        sure = reference.above(confidence)
        pairs = match(sure, result)
        scores = result.scores[pairs[:, 1]].astype(np.float64)
        return np.asarray(scores - sure.scores[pairs[:, 0]])
    if isinstance(result, Segmentation) and isinstance(reference, Segmentation):
        if result.grid.shape != reference.grid.shape:
            raise BadInput("A grid has another size than the reference's of the same image.")
        before, after = reference.grid.astype(np.float64), result.grid.astype(np.float64)
        points = np.arange(len(before))
        best_class = before.argmax(axis=1) if before.size else points
        return np.asarray(after[points, best_class] - before[points, best_class])
    if type(result) is not type(reference):
        raise BadInput(
            f"A {type(result).__name__} cannot be compared with a {type(reference).__name__}."
        )
    return None
