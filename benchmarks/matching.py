"""Which detection of one model is which detection of another."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgekit.tasks.results import Detections

__all__ = ["MATCH_IOU", "box_iou", "match"]

# Two boxes of one class that overlap by this much or more show the same object.
MATCH_IOU = 0.5


def box_iou(a: npt.NDArray[np.generic], b: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
    """Return the intersection over union of every pair of boxes.

    Args:
        a: (N, 4) xyxy.
        b: (M, 4) xyxy.

    Returns:
        (N, M) float64; 0 where both boxes are empty or one is not finite.
    """
    one = a.astype(np.float64).reshape(-1, 1, 4)
    other = b.astype(np.float64).reshape(1, -1, 4)
    with np.errstate(invalid="ignore", over="ignore"):
        sides = np.minimum(one[..., 2:], other[..., 2:]) - np.maximum(one[..., :2], other[..., :2])
        shared = np.clip(sides, 0, None).prod(axis=-1)
        union = _area(one) + _area(other) - shared
        valid = (union > 0) & np.isfinite(union) & np.isfinite(shared)
    return np.asarray(np.divide(shared, union, out=np.zeros(valid.shape), where=valid))


def match(
    reference: Detections, entry: Detections, iou: float = MATCH_IOU
) -> npt.NDArray[np.int64]:
    """Pair detections of two models on one image.

    Greedy: the entry's detections choose, best score first, each the free reference detection of
    its class that it overlaps most, if by `iou` or more.

    Args:
        reference: Of the reference.
        entry: Of the entry, in any order.
        iou: Smallest overlap of a pair.

    Returns:
        (M, 2) int64: position in `reference`, position in `entry`.
    """
    overlap = box_iou(reference.boxes, entry.boxes)
    overlap[reference.classes[:, None] != entry.classes[None, :]] = -1
    pairs = []
    for position in np.argsort(-entry.scores, kind="stable"):
        if not overlap.shape[0]:
            break
        best = int(np.argmax(overlap[:, position]))
        if overlap[best, position] >= iou:
            pairs.append((best, int(position)))
            overlap[best] = -1
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def _area(boxes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(np.clip(boxes[..., 2:] - boxes[..., :2], 0, None).prod(axis=-1))
