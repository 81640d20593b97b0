"""One labelled image (or set of arrays) of a data set, and how it is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from edgekit.core.errors import BadInput
from edgekit.tasks.images import read_image, read_mask
from edgekit.tasks.results import Boxes, Truth
from edgekit.tasks.task import Fit, Image, Task

__all__ = [
    "Example",
    "Feeds",
    "FoundSamples",
    "MaskFile",
    "RelativeBoxes",
    "Role",
    "Sample",
    "feeds",
    "load",
    "make_boxes",
    "sample_id",
]

Role = Literal["calib", "eval"]
Feeds = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class RelativeBoxes:
    """Labelled objects whose boxes are fractions of the image's width and height.

    Attributes:
        boxes: (N, 4) float32, xyxy, 0 to 1.
        classes: (N,) int64.
    """

    boxes: npt.NDArray[np.float32]
    classes: npt.NDArray[np.int64]

    def placed(self, height: int, width: int) -> Boxes:
        """Return the boxes in pixels of an image of that size."""
        return make_boxes(self.boxes * np.array([width, height, width, height]), self.classes)


@dataclass(frozen=True)
class MaskFile:
    """A mask that is read when it is needed.

    Attributes:
        path: An image of one channel.
        classes: Number of classes its values may name; 0 where unknown.
    """

    path: Path
    classes: int

    def read(self) -> npt.NDArray[np.uint8]:
        """Return (H, W) uint8, 255 = ignore.

        Raises:
            BadInput: The file is no mask, or holds a value that names no class.
        """
        mask = read_mask(self.path)
        if self.classes:
            wrong = mask[(mask >= self.classes) & (mask != 255)]
            if wrong.size:
                raise BadInput(
                    f"The mask {self.path} holds the value {wrong[0]}, but the card names "
                    f"{self.classes} classes under `labels`.",
                    hint="Values are class indices from 0; 255 marks pixels to ignore.",
                )
        return mask


@dataclass(frozen=True)
class Sample:
    """One image of a data set, or one row of its arrays; nothing is read yet.

    Attributes:
        id: Unique in the data set: the path relative to its folder; "FILE.npz[3]" for a row.
        path: The image, or the .npz file.
        answer: What the data set says of it: a class index, boxes, a mask's file, or None.
        role: What it is used for; None where for nothing (no truth among labelled ones).
        arrays: For arrays: input name to (1, …); None for an image.
    """

    id: str
    path: Path
    answer: int | Boxes | RelativeBoxes | MaskFile | None = None
    role: Role | None = None
    arrays: Feeds | None = None

    def with_role(self, role: Role | None) -> Sample:
        """Return the sample with another role."""
        return replace(self, role=role)

    @property
    def truth(self) -> Truth:
        """The answer as a task is scored against; reads a mask, or the image's size, from disk."""
        if isinstance(self.answer, RelativeBoxes):
            return self.answer.placed(*read_image(self.path).shape[:2])
        return self.answer.read() if isinstance(self.answer, MaskFile) else self.answer


@dataclass(frozen=True)
class Example:
    """A sample that has been read.

    Attributes:
        image: (H, W, 3) uint8, BGR; None for arrays.
        truth: See results.Truth.
    """

    sample: Sample
    image: Image | None
    truth: Truth


@dataclass(frozen=True)
class FoundSamples:
    """What a data set's format says it holds, before anything is split.

    Attributes:
        format: "labels.csv", "class folders", "coco", "yolo", "masks", "images", "npz".
        samples: In a fixed order; their roles are those that the data set names itself.
        labelled: Whether there are truths.
        annotations: Files that hold the truths.
        notes: Sentences worth telling.
    """

    format: str
    samples: tuple[Sample, ...]
    labelled: bool
    annotations: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()


def load(sample: Sample) -> Example:
    """Read a sample's image and truth.

    Raises:
        UnreadableImage: The image (or its mask) is missing, truncated or none.
        BadInput: The truth does not fit the image.
    """
    if sample.arrays is not None:
        return Example(sample, None, None)
    image = read_image(sample.path)
    if isinstance(sample.answer, RelativeBoxes):
        return Example(sample, image, sample.answer.placed(*image.shape[:2]))
    if isinstance(sample.answer, MaskFile):
        mask = sample.answer.read()
        if mask.shape != image.shape[:2]:
            raise BadInput(
                f"The mask {sample.answer.path} is {mask.shape[0]} x {mask.shape[1]}, but its "
                f"image {sample.path} is {image.shape[0]} x {image.shape[1]} (height x width)."
            )
        return Example(sample, image, mask)
    return Example(sample, image, sample.answer)


def sample_id(path: Path, folder: Path) -> str:
    """Name a file of a data set: relative to its folder, or in full where it lies beside that."""
    return (path.relative_to(folder) if path.is_relative_to(folder) else path).as_posix()


def feeds(example: Example, task: Task, name: str) -> tuple[Feeds, Fit | None]:
    """Return what a session is fed for an example.

    Args:
        example: Image or arrays.
        task: Lays an image into the network input.
        name: The image input, see preprocess.image_input; without meaning for arrays.

    Returns:
        Input name to array with a batch of one, and the image's Fit (None for arrays).
    """
    if example.sample.arrays is not None:
        return example.sample.arrays, None
    assert example.image is not None, "an example holds one of the two"
    array, fit = task.preprocess(example.image)
    return {name: array}, fit


def make_boxes(
    boxes: npt.ArrayLike,
    classes: npt.ArrayLike,
    areas: npt.ArrayLike | None = None,
    crowd: npt.ArrayLike | None = None,
) -> Boxes:
    """Make Boxes of lists or arrays, which may be empty.

    Args:
        boxes: (N, 4) xyxy, pixels.
        classes: (N,) class indices.
        areas: (N,) pixels; None means those of the boxes.
        crowd: (N,); None means that none is a crowd.
    """
    corners = np.asarray(boxes, dtype=np.float32).reshape(-1, 4)
    if areas is None:
        areas = (corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])
    return Boxes(
        boxes=corners,
        classes=np.asarray(classes, dtype=np.int64).reshape(-1),
        areas=np.asarray(areas, dtype=np.float32).reshape(-1),
        crowd=np.zeros(len(corners), dtype=np.bool_)
        if crowd is None
        else np.asarray(crowd, dtype=np.bool_).reshape(-1),
    )
