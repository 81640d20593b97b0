"""Detection heads whose rows carry more than a box: the mask or the keypoints of the object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgekit.core.card import ModelCard
from edgekit.core.errors import BadInput
from edgekit.tasks.heads import HEADS, Float, Head
from edgekit.tasks.instance_mask import InstanceMask
from edgekit.tasks.outputs import Outputs, pick
from edgekit.tasks.prototypes import masks_of
from edgekit.tasks.results import Integer
from edgekit.tasks.task import Fit

__all__ = ["INSTANCE_HEADS", "InstanceHead", "Instances", "check_keypoints"]


@dataclass(frozen=True)
class InstanceHead:
    """A head of boxes whose rows go on behind the classes.

    Attributes:
        boxes: The head of `edgekit.tasks.heads` that reads the first part of a row.
        kind: What the rest is: coefficients of mask prototypes, or keypoints.
    """

    boxes: str
    kind: Literal["masks", "keypoints"]

    @property
    def head(self) -> Head:
        """The head of boxes."""
        return HEADS[self.boxes]

    def split(self, outputs: Outputs, card: ModelCard) -> tuple[Outputs, Instances]:
        """Separate the boxes from what goes with them.

        Args:
            outputs: Name to array, batch of one.
            card: `postprocess.keypoints` says how long the rest of a row is for keypoints; for
                masks the prototypes say it.

        Returns:
            What the head of boxes reads, and the rest of all rows.

        Raises:
            BadInput: No output has the shape of rows or of prototypes.
        """
        assert card.postprocess is not None, "the card's own check"
        reader = f"The head {card.postprocess.decode!r}"
        prototypes = None
        if self.kind == "masks":
            _, array = pick(
                outputs,
                reader=reader,
                expected="(1, prototypes, height / 4, width / 4)",
                fits=lambda shape: len(shape) == 4 and shape[0] == 1 and shape[1] > 0,
            )
            prototypes = array[0].astype(np.float32, copy=False)
            dimensions, extra = 0, len(prototypes)
        else:
            assert card.postprocess.keypoints is not None, "the detector's check"
            points, dimensions = card.postprocess.keypoints
            extra = points * dimensions
        longer = self.head.axis
        least = self.head.front + (2 if self.head.chosen else 1) + extra
        name, rows = pick(
            outputs,
            reader=reader,
            expected=f"(1, {', '.join(self._words(extra))})",
            fits=lambda shape: (
                len(shape) == 3
                and shape[0] == 1
                and (shape[longer] == least or (shape[longer] > least and not self.head.chosen))
            ),
        )
        cut = rows.shape[longer] - extra
        if longer == 1:
            boxes, rest = rows[:, :cut], rows[0, cut:].T
        else:
            boxes, rest = rows[:, :, :cut], rows[0, :, cut:]
        return {name: boxes}, Instances(rest, dimensions, prototypes)

    def _words(self, extra: int) -> tuple[str, str]:
        if self.head.chosen:
            return "K", f"{self.head.front + 2} + {extra}"
        row = f"{self.head.front} + classes + {extra}"
        return (row, "anchors") if self.head.axis == 1 else ("anchors", row)


@dataclass(frozen=True, eq=False)
class Instances:
    """What stands behind the boxes of all rows.

    Attributes:
        rows: (A, E), coefficients or keypoints.
        dimensions: Numbers a keypoint, 2 or 3; 0 for masks.
        prototypes: (P, h, w) float32, or None for keypoints.
    """

    rows: Float
    dimensions: int
    prototypes: Float | None

    def masks(self, kept: Integer, boxes: Float, fit: Fit) -> tuple[InstanceMask, ...] | None:
        """Return the masks of the rows that were kept; None for keypoints.

        Args:
            kept: (N,) row of each detection.
            boxes: (N, 4) float32, xyxy in pixels of the image.
            fit: How the image was laid into the network input.
        """
        if self.prototypes is None:
            return None
        coefficients = self.rows[kept].astype(np.float32, copy=False)
        return masks_of(self.prototypes, coefficients, boxes, fit)

    def keypoints(self, kept: Integer, fit: Fit) -> Float | None:
        """Return (N, K, 3) float32 of the rows that were kept; None for masks.

        x and y are in pixels of the image; the third is the network's confidence that the point
        shows, 0 to 1, and 1 where the network gives none.
        """
        if self.prototypes is not None:
            return None
        count = self.rows.shape[1] // self.dimensions
        given = self.rows[kept].reshape(len(kept), count, self.dimensions)
        points = np.ones((*given.shape[:2], 3), np.float32)
        points[..., 0] = (given[..., 0] - fit.left) / fit.scale_x
        points[..., 1] = (given[..., 1] - fit.top) / fit.scale_y
        if self.dimensions == 3:
            points[..., 2] = given[..., 2]
        return points


# What `postprocess.decode` may name beside the heads of boxes.
INSTANCE_HEADS = {
    "yolov5-segment": InstanceHead("yolov5", "masks"),
    "yolov8-segment": InstanceHead("yolov8", "masks"),
    "yolov8-pose": InstanceHead("yolov8", "keypoints"),
    "end2end-segment": InstanceHead("end2end", "masks"),
    "end2end-pose": InstanceHead("end2end", "keypoints"),
}


def check_keypoints(card: ModelCard) -> None:
    """Refuse a card of a pose head that does not say what its keypoints are.

    Raises:
        BadInput: Names the key.
    """
    rules = card.postprocess
    assert rules is not None, "the card's own check"
    head = INSTANCE_HEADS.get(rules.decode)
    if head is not None and head.kind == "keypoints" and rules.keypoints is None:
        raise BadInput(
            f"The head {rules.decode!r} needs the key `postprocess.keypoints`.",
            hint="For instance `keypoints: [17, 3]`: 17 points of x, y and confidence.",
        )
