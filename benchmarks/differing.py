"""On which images an entry's answers differ most from the reference's, and by how much."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from edgekit.benchmarks.matching import box_iou, match
from edgekit.core.details import Answer, BoxAnswer, ClassAnswer, MaskAnswer
from edgekit.tasks.results import Boxes, Classification, Detections, Result, Segmentation, Truth

__all__ = ["LISTED", "answer_of", "difference", "most_differing", "truth_of"]

# Images that a report shows of each entry.
LISTED = 20
# Answers closer than this differ by rounding alone.
_ROUNDING = 1e-3
# Objects and classes that are kept of one image's answer.
_MOST_BOXES = 50
_MOST_CLASSES = 5
# Long side of a mask that is kept, pixels.
_MASK_SIDE = 160
_IGNORE = 255


def most_differing(
    results: Sequence[Result],
    reference: Sequence[Result],
    *,
    confidence: float = 0.0,
    most: int = LISTED,
) -> list[tuple[int, float]]:
    """Return position and difference of the images whose answers differ most, most first.

    Images whose answers are the same up to rounding are left out.

    Args:
        results: The entry's, one an image.
        reference: The reference's, in the same order.
        confidence: Detections below this score are left out on both sides.
        most: Images at most.
    """
    found = [difference(*pair, confidence) for pair in zip(results, reference, strict=True)]
    order = sorted(range(len(found)), key=lambda index: (-found[index], index))
    return [(index, found[index]) for index in order[:most] if found[index] > _ROUNDING]


def difference(result: Result, reference: Result, confidence: float = 0.0) -> float:
    """Return how far one answer is from the reference's, 0 (the same) to 1.

    Classification: half of the total variation distance of the probabilities, and one half more
    where the best class is another one, so that these stand first; 1 where an answer is not finite.
    Detection: 1 less the F1 of matching detections, in which a pair counts as its overlap times 1
    less the difference of its scores. Segmentation: the share of pixels whose class differs.
    Anything else: 0.
    """
    if isinstance(result, Classification) and isinstance(reference, Classification):
        return _of_classes(result.probabilities, reference.probabilities)
    if isinstance(result, Detections) and isinstance(reference, Detections):
        return _of_boxes(result.above(confidence), reference.above(confidence))
    if isinstance(result, Segmentation) and isinstance(reference, Segmentation):
        return float((result.mask != reference.mask).mean()) if result.mask.size else 0.0
    return 0.0


def answer_of(result: Result, confidence: float = 0.0) -> Answer | None:
    """Return an answer as it is kept; None for a model without a task."""
    if isinstance(result, Classification):
        return _kept_classes(result.probabilities)
    if isinstance(result, Detections):
        return _kept_boxes(result.above(confidence))
    if isinstance(result, Segmentation):
        return _kept_mask(result.mask)
    return None


def truth_of(truth: Truth) -> Answer | None:
    """Return a label in the form of an answer; None where nothing is known."""
    if truth is None:
        return None
    if isinstance(truth, Boxes):
        ones = np.ones(len(truth.classes), np.float32)
        return _kept_boxes(Detections(truth.boxes, ones, truth.classes))
    if isinstance(truth, np.ndarray):
        return _kept_mask(truth)
    return ClassAnswer(classes=(int(truth),), probabilities=(1.0,))


def _of_classes(found: npt.NDArray[np.float32], expected: npt.NDArray[np.float32]) -> float:
    if found.shape != expected.shape or not np.isfinite(found).all():
        return 1.0
    if not np.isfinite(expected).all():
        return 1.0
    distance = min(1.0, float(np.abs(found.astype(np.float64) - expected).sum()) / 2)
    flipped = int(found.argmax()) != int(expected.argmax())
    return (flipped + distance) / 2


def _of_boxes(found: Detections, expected: Detections) -> float:
    total = len(found.scores) + len(expected.scores)
    if not total:
        return 0.0
    pairs = match(expected, found)
    if not len(pairs):
        return 1.0
    one, other = pairs.T
    overlap = box_iou(expected.boxes[one], found.boxes[other]).diagonal()
    gap = np.abs(expected.scores[one].astype(np.float64) - found.scores[other])
    same = float((overlap * (1 - np.clip(gap, 0, 1))).sum())
    return float(np.clip(1 - 2 * same / total, 0, 1))


def _kept_classes(probabilities: npt.NDArray[np.float32]) -> ClassAnswer:
    if not np.isfinite(probabilities).all():
        return ClassAnswer()
    best = np.argsort(-probabilities, kind="stable")[:_MOST_CLASSES]
    return ClassAnswer(
        classes=tuple(best.tolist()),
        probabilities=tuple(round(float(one), 4) for one in probabilities[best]),
    )


def _kept_boxes(found: Detections) -> BoxAnswer:
    finite = np.isfinite(found.boxes).all(axis=1) & np.isfinite(found.scores)
    kept = np.flatnonzero(finite)[:_MOST_BOXES]
    boxes = [[round(float(value), 1) for value in box] for box in found.boxes[kept]]
    return BoxAnswer(
        boxes=tuple((box[0], box[1], box[2], box[3]) for box in boxes),
        scores=tuple(round(float(score), 3) for score in found.scores[kept]),
        classes=tuple(found.classes[kept].tolist()),
        more=len(found.scores) - len(kept),
    )


def _kept_mask(mask: npt.NDArray[np.uint8]) -> MaskAnswer:
    counts = np.bincount(mask.reshape(-1), minlength=256)
    order = [int(one) for one in np.argsort(-counts, kind="stable") if counts[one]]
    named = [one for one in order if one != _IGNORE]
    scale = min(1.0, _MASK_SIDE / max(1, *mask.shape))
    size = (max(1, round(scale * mask.shape[1])), max(1, round(scale * mask.shape[0])))
    small = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST)
    encoded = cv2.imencode(".png", small, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1]
    return MaskAnswer(
        png=encoded.tobytes(),
        classes=tuple(named),
        shares=tuple(round(float(counts[one] / mask.size), 4) for one in named),
    )
