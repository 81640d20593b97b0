"""Non-maximum suppression."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["suppress"]

# Candidates looked at in one go. A collapsed network offers hundreds of thousands; the best few
# are all that is ever needed.
_CHUNK = 4096


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

    def survivors(best: int, others: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        width = np.minimum(x2[others], x2[best]) - np.maximum(x1[others], x1[best])
        height = np.minimum(y2[others], y2[best]) - np.maximum(y1[others], y1[best])
        shared = np.maximum(width, 0) * np.maximum(height, 0)
        apart = shared <= iou * (areas[others] + areas[best] - shared)
        stays: npt.NDArray[np.bool_] = apart | (labels[others] != labels[best])
        return others[stays]

    kept: list[int] = []
    for start in range(0, len(order), _CHUNK):
        left = np.arange(start, min(start + _CHUNK, len(order)))
        for best in kept:
            left = survivors(best, left)
        while len(left) and len(kept) < limit:
            kept.append(int(left[0]))
            left = survivors(kept[-1], left[1:])
        if len(kept) == limit:
            break
    return order[kept]
