"""Answers of the tasks, and the truths they are scored against."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgekit.tasks.instance_mask import InstanceMask

__all__ = [
    "Boxes",
    "Classification",
    "Detections",
    "Raw",
    "Result",
    "Segmentation",
    "Truth",
]

Float = npt.NDArray[np.float32]
Integer = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Classification:
    """Probability of every class.

    Attributes:
        probabilities: (C,) float32, sums to 1.
    """

    probabilities: Float


@dataclass(frozen=True)
class Detections:
    """Objects found in one image, best first.

    Attributes:
        boxes: (N, 4) float32, xyxy in pixels of the image.
        scores: (N,) float32, 0 to 1.
        classes: (N,) int64.
        masks: N, the pixels of each object; None where the model gives none.
        keypoints: (N, K, 3) float32, x and y in pixels of the image and the confidence that the
            point shows, 0 to 1; None where the model gives none.
    """

    boxes: Float
    scores: Float
    classes: Integer
    masks: tuple[InstanceMask, ...] | None = None
    keypoints: Float | None = None

    def above(self, confidence: float) -> Detections:
        """Return the detections whose score is at least `confidence`."""
        return self.taken(np.flatnonzero(self.scores >= confidence))

    def taken(self, places: Integer) -> Detections:
        """Return the detections at some places, in their order."""
        masks, points = self.masks, self.keypoints
        return Detections(
            self.boxes[places],
            self.scores[places],
            self.classes[places],
            None if masks is None else tuple(masks[at] for at in places),
            None if points is None else points[places],
        )


@dataclass(frozen=True)
class Segmentation:
    """The class of every pixel.

    Attributes:
        mask: (H, W) uint8, class by pixel of the image.
        grid: (G, C) float16: class probabilities at G points, every 16th pixel of the network
            output in both directions, row by row; they stand for the confidence of the whole.
    """

    mask: npt.NDArray[np.uint8]
    grid: npt.NDArray[np.float16]


@dataclass(frozen=True)
class Raw:
    """Tensors by output name, for a model without a task."""

    outputs: dict[str, npt.NDArray[np.generic]]


Result = Classification | Detections | Segmentation | Raw


@dataclass(frozen=True)
class Boxes:
    """Labelled objects of one image.

    Attributes:
        boxes: (N, 4) float32, xyxy in pixels of the image.
        classes: (N,) int64, class indices as in the card's labels.
        areas: (N,) float32, pixels; as in COCO's annotation where given, else of the box.
        crowd: (N,) bool, COCO's iscrowd.
    """

    boxes: Float
    classes: Integer
    areas: Float
    crowd: npt.NDArray[np.bool_]


# Class index | boxes | (H, W) uint8 mask with 255 = ignore | nothing known.
Truth = int | Boxes | npt.NDArray[np.uint8] | None
