"""Non-maximum suppression."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["suppress"]

# Candidates that are compared each with each in one go; the best few are all that is ever needed,
# and a collapsed network offers hundreds of thousands.
_CHUNK = 64


def suppress(
    boxes: npt.NDArray[np.float32],
    scores: npt.NDArray[np.float32],
    classes: npt.NDArray[np.int64],
    *,
    iou: float,
    limit: int,
) -> npt.NDArray[np.int64]:
    """Keep the best box of those of one class that overlap, greedily.

    From the best score down, a box is kept unless it overlaps a kept box of its class by more than
    `iou`. Equal scores keep their order. Overlaps are compared in float64 as
    intersection > iou * union, so that boxes without an area overlap nothing.

    Args:
        boxes: (N, 4) float32, xyxy.
        scores: (N,) float32.
        classes: (N,) int64.
        iou: Intersection over union above which two boxes are one object, 0 to 1.
        limit: At most so many are kept.

    Returns:
        (M,) int64, indices of the kept boxes, best first.
    """
    order = np.argsort(-scores, kind="stable")
    corners = boxes[order].astype(np.float64)
    labels = classes[order]
    x1, y1, x2, y2 = np.ascontiguousarray(corners.T)
    areas = np.maximum(x2 - x1, 0) * np.maximum(y2 - y1, 0)

    def overlaps(
        some: npt.NDArray[np.int64], others: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.bool_]:
        one = some[:, None]
        width = np.minimum(x2[one], x2[others]) - np.maximum(x1[one], x1[others])
        height = np.minimum(y2[one], y2[others]) - np.maximum(y1[one], y1[others])
        shared = np.maximum(width, 0) * np.maximum(height, 0)
        apart = shared <= iou * (areas[one] + areas[others] - shared)
        hit: npt.NDArray[np.bool_] = ~apart & (labels[one] == labels[others])
        return hit

    kept: list[int] = []
    for start in range(0, len(order), _CHUNK):
        left = np.arange(start, min(start + _CHUNK, len(order)))
        if kept:
            left = left[~overlaps(np.array(kept), left).any(axis=0)]
        hits = overlaps(left, left)
        gone = np.zeros(len(left), np.bool_)
        for place, candidate in enumerate(left.tolist()):
            if gone[place]:
                continue
            if len(kept) == limit:
                return order[kept]
            kept.append(candidate)
            gone |= hits[place]
    return order[kept]
