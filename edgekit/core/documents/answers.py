"""`predict`: what a model says of images."""

from __future__ import annotations

from typing import Literal

import msgspec

from edgekit.core.certificate import Verdict
from edgekit.core.documents.document import Document

__all__ = [
    "PredictDocument",
    "PredictedClass",
    "PredictedImage",
    "PredictedObject",
    "PredictedRegion",
    "StageTime",
]


class PredictedObject(msgspec.Struct, frozen=True, kw_only=True):
    """One object found.

    Attributes:
        box: x1, y1, x2, y2 in pixels of the image, not clipped to it.
        track: Number of the object from frame to frame; left out where it has none.
        polygons: Outlines of its parts, largest first, corners x, y in pixels of the image; null
            where the model gives no masks.
        keypoints: x and y in pixels of the image and the confidence that the point shows, 0 to 1;
            null where the model gives none, and a number where it is not finite.
    """

    label: str
    class_index: int
    score: float
    box: tuple[float, float, float, float]
    track: int | msgspec.UnsetType = msgspec.UNSET
    polygons: tuple[tuple[tuple[int, int], ...], ...] | None = None
    keypoints: tuple[tuple[float | None, float | None, float | None], ...] | None = None


class PredictedClass(msgspec.Struct, frozen=True, kw_only=True):
    """One class of a classification; None where the network answered NaN."""

    label: str
    class_index: int
    probability: float | None


class PredictedRegion(msgspec.Struct, frozen=True, kw_only=True):
    """One class of a segmentation and its part of the image's pixels, 0 to 1."""

    label: str
    class_index: int
    share: float


class PredictedImage(msgspec.Struct, frozen=True, kw_only=True):
    """What a model answered on one image.

    Attributes:
        image: Path as it was found.
        width: Pixels, as the image stands after its EXIF orientation.
        height: Pixels.
        detections: Best first; null for another task.
        classes: The five most probable; null for another task.
        regions: Every class that occurs, largest first; null for another task.
        picture: The annotated picture, relative to the output folder; null without one.
        mask: For a segmentation a PNG whose grey levels are class indices, relative as well.
    """

    image: str
    width: int
    height: int
    detections: tuple[PredictedObject, ...] | None = None
    classes: tuple[PredictedClass, ...] | None = None
    regions: tuple[PredictedRegion, ...] | None = None
    picture: str | None = None
    mask: str | None = None


class StageTime(msgspec.Struct, frozen=True, kw_only=True):
    """Time of one stage an image; the median is null with fewer than the 11 images it needs."""

    n: int
    mean_ms: float
    p50_ms: float | None


class PredictDocument(Document, frozen=True, kw_only=True):
    """What a model answered on images.

    Attributes:
        verdict: Of the certificate; null for an ONNX file, or where it was never certified.
        stages: "read", "preprocess", "inference", "postprocess" to their times. With a batch, the
            inference of an image is its share of the batch's.
        skipped: Images that could not be read, each a sentence.
        output: The folder of pictures and of this document; null where none was asked for.
    """

    schema: Literal["edgekit.predict/1"] = "edgekit.predict/1"
    model: str
    task: str
    target: str
    variant: str
    compute: str
    verdict: Verdict | None
    batch: int
    n: int
    images: tuple[PredictedImage, ...]
    stages: dict[str, StageTime]
    skipped: tuple[str, ...] = ()
    output: str | None = None
