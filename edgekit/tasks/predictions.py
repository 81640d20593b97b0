"""What a program gets for an image: labelled boxes, classes, a mask; typed, and ready for JSON.

`edgekit.tasks.results` holds the bare arrays that metrics are computed on; here they have labels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.tasks.instance_mask import InstanceMask
from edgekit.tasks.results import Classification, Detections, Raw, Result

__all__ = [
    "BoxPrediction",
    "ClassPrediction",
    "ClassScore",
    "ClassShare",
    "Detection",
    "MaskPrediction",
    "Prediction",
    "RawPrediction",
    "Timings",
    "label_of",
    "labelled",
]

# Classes of a classification that a JSON document names.
_TOP = 5


@dataclass(frozen=True)
class Timings:
    """Where the time of one prediction went, milliseconds.

    Attributes:
        read: Reading and decoding a file, or converting what was given to (H, W, 3) BGR.
        preprocess: From the image to the network input.
        inference: Inside the engine; for a batch, its time divided by its images.
        postprocess: From the network's outputs to the answer.
    """

    read: float
    preprocess: float
    inference: float
    postprocess: float

    @property
    def total(self) -> float:
        """All four together."""
        return self.read + self.preprocess + self.inference + self.postprocess


@dataclass(frozen=True)
class Detection:
    """One object found.

    Attributes:
        label: Name of its class; the index as text where the card names no labels.
        class_index: From 0, as in the card's labels.
        score: 0 to 1.
        box: x1, y1, x2, y2 in pixels of the image, from its top left corner; clipped to it, but for
            the boxes of RT-DETR.
        track: Number of the object, the same from frame to frame; None where nobody tracks, or
            where it has been seen once only.
        mask: Its pixels; None where the model gives none.
        keypoints: x and y in pixels of the image, and the confidence that the point shows, 0 to 1;
            None where the model gives none.
    """

    label: str
    class_index: int
    score: float
    box: tuple[float, float, float, float]
    track: int | None = None
    mask: InstanceMask | None = None
    keypoints: tuple[tuple[float, float, float], ...] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON.

        A mask is its outlines, "polygons": [[[x, y], …], …]. It, "keypoints" and "track" are there
        only where the object has them.
        """
        plain: dict[str, Any] = {
            "label": self.label,
            "class_index": self.class_index,
            "score": self.score,
            "box": list(self.box),
        }
        if self.track is not None:
            plain["track"] = self.track
        if self.mask is not None:
            plain["polygons"] = [[list(corner) for corner in one] for one in self.mask.polygons()]
        if self.keypoints is not None:
            plain["keypoints"] = [[_known(value) for value in one] for one in self.keypoints]
        return plain


@dataclass(frozen=True)
class ClassScore:
    """One class of a classification.

    Attributes:
        probability: 0 to 1; NaN where the network answered NaN.
    """

    label: str
    class_index: int
    probability: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON; NaN becomes None."""
        known = self.probability if np.isfinite(self.probability) else None
        return {"label": self.label, "class_index": self.class_index, "probability": known}


@dataclass(frozen=True)
class ClassShare:
    """One class of a segmentation.

    Attributes:
        share: Its part of the image's pixels, above 0, at most 1.
    """

    label: str
    class_index: int
    share: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {"label": self.label, "class_index": self.class_index, "share": self.share}


@dataclass(frozen=True, eq=False)
class BoxPrediction:
    """The objects found in one image, best first. Iterates over them, and has a length.

    Attributes:
        detections: Labelled objects.
        size: (height, width) of the image, pixels.
        timings: Where the time went.
    """

    detections: tuple[Detection, ...]
    size: tuple[int, int]
    timings: Timings

    def __iter__(self) -> Iterator[Detection]:
        return iter(self.detections)

    def __len__(self) -> int:
        return len(self.detections)

    def to_dict(self) -> dict[str, Any]:
        """Return {"detections": […]}, plain data for JSON."""
        return {"detections": [one.to_dict() for one in self.detections]}


@dataclass(frozen=True, eq=False)
class ClassPrediction:
    """The probability of every class for one image.

    Attributes:
        probabilities: (C,) float32, sums to 1.
        labels: The card's, one a class; empty where it names none.
        size: (height, width) of the image, pixels.
        timings: Where the time went.
    """

    probabilities: npt.NDArray[np.float32]
    labels: tuple[str, ...]
    size: tuple[int, int]
    timings: Timings

    @property
    def best(self) -> ClassScore:
        """The most probable class."""
        return self.top(1)[0]

    @property
    def label(self) -> str:
        """Name of the most probable class."""
        return self.best.label

    @property
    def class_index(self) -> int:
        """Index of the most probable class, from 0."""
        return self.best.class_index

    @property
    def probability(self) -> float:
        """Probability of the most probable class, 0 to 1."""
        return self.best.probability

    def top(self, k: int = _TOP) -> tuple[ClassScore, ...]:
        """Return the `k` most probable classes, best first; fewer where there are fewer."""
        order = np.argsort(-self.probabilities, kind="stable")[: max(k, 0)]
        return tuple(
            ClassScore(label_of(self.labels, int(index)), int(index), float(probability))
            for index, probability in zip(order, self.probabilities[order], strict=True)
        )

    def to_dict(self) -> dict[str, Any]:
        """Return {"classes": […]} with the five most probable, plain data for JSON."""
        return {"classes": [one.to_dict() for one in self.top()]}


@dataclass(frozen=True, eq=False)
class MaskPrediction:
    """The class of every pixel of one image.

    Attributes:
        mask: (H, W) uint8, class index by pixel of the image.
        labels: The card's, one a class; empty where it names none.
        size: (height, width) of the image, pixels.
        timings: Where the time went.
    """

    mask: npt.NDArray[np.uint8]
    labels: tuple[str, ...]
    size: tuple[int, int]
    timings: Timings

    @cached_property
    def shares(self) -> tuple[ClassShare, ...]:
        """The classes that occur, by their part of the pixels, largest first; counted once."""
        counts = _counts(self.mask)
        order = np.argsort(-counts, kind="stable")
        return tuple(
            ClassShare(label_of(self.labels, int(i)), int(i), float(counts[i] / self.mask.size))
            for i in order
            if counts[i]
        )

    def to_dict(self) -> dict[str, Any]:
        """Return {"regions": […]} with every class's share, plain data for JSON; not the mask."""
        return {"regions": [one.to_dict() for one in self.shares]}


@dataclass(frozen=True, eq=False)
class RawPrediction:
    """The outputs of a model without a task, by name.

    Attributes:
        outputs: Name to array, as the engine returned them.
        timings: Where the time went.
    """

    outputs: dict[str, npt.NDArray[Any]]
    timings: Timings

    def to_dict(self) -> dict[str, Any]:
        """Return {"outputs": {name: {"dtype", "shape", "values"}}}; NaN and Inf become None."""
        return {
            "outputs": {
                name: {
                    "dtype": str(array.dtype),
                    "shape": list(array.shape),
                    "values": _finite(array).tolist(),
                }
                for name, array in self.outputs.items()
            }
        }


Prediction = BoxPrediction | ClassPrediction | MaskPrediction | RawPrediction


def labelled(
    result: Result, labels: Sequence[str], size: tuple[int, int], timings: Timings
) -> Prediction:
    """Give a task's result its labels.

    Args:
        result: What a task's `postprocess` returned.
        labels: The card's; empty where it names none.
        size: (height, width) of the image, pixels.
        timings: Where the time went.
    """
    if isinstance(result, Detections):
        return BoxPrediction(tuple(_objects(result, labels)), size, timings)
    if isinstance(result, Classification):
        return ClassPrediction(result.probabilities, tuple(labels), size, timings)
    if isinstance(result, Raw):
        return RawPrediction(result.outputs, timings)
    return MaskPrediction(result.mask, tuple(labels), size, timings)


def _objects(result: Detections, labels: Sequence[str]) -> Iterator[Detection]:
    masks = result.masks
    points = None if result.keypoints is None else result.keypoints.tolist()
    found = zip(result.classes.tolist(), result.scores.tolist(), result.boxes.tolist(), strict=True)
    for at, (index, score, box) in enumerate(found):
        yield Detection(
            label_of(labels, index),
            index,
            score,
            (box[0], box[1], box[2], box[3]),
            mask=None if masks is None else masks[at],
            keypoints=None if points is None else tuple((x, y, seen) for x, y, seen in points[at]),
        )


def label_of(labels: Sequence[str], index: int) -> str:
    """Return the name of a class, or its index as text where it has none."""
    return labels[index] if 0 <= index < len(labels) else str(index)


def _counts(mask: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Return how often each of 256 values occurs; four times as fast as numpy's counting."""
    import cv2

    # In float32 it counts exactly up to 2**24.
    rows = max(1, 2**24 // max(1, mask.shape[1]))
    parts = [mask[at : at + rows] for at in range(0, mask.shape[0], rows)]
    counts = [cv2.calcHist([part], [0], None, [256], [0, 256]) for part in parts]
    return np.sum(counts, axis=0, dtype=np.float64).reshape(-1)


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _finite(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """JSON knows no NaN and no Inf."""
    if array.dtype.kind != "f" or np.isfinite(array).all():
        return array
    values = array.astype(object)
    values[~np.isfinite(array)] = None
    return values
