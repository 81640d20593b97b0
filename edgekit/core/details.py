"""What a bundle knows of single classes and single images: figures and answers, never pixels."""

from __future__ import annotations

from typing import Literal

import msgspec

from edgekit.core.fields import Count, Share

__all__ = [
    "Answer",
    "BoxAnswer",
    "ClassAnswer",
    "ClassScores",
    "Details",
    "DifferingAnswer",
    "DifferingImage",
    "EntryDetails",
    "MaskAnswer",
]


class ClassScores(msgspec.Struct, frozen=True, kw_only=True):
    """The metric by class, over the classes that the truth holds. All lists are of one length.

    Attributes:
        name: Of the figure of one class: "top1", "AP50-95", "IoU".
        unit: Of `n`: "images", "objects", "pixels".
        index: Class indices, ascending.
        n: How much of the class the truth holds.
        value: The entry's figures, fractions of 1.
        reference: The reference's on the same images; empty without one.
    """

    name: str
    unit: str
    index: tuple[Count, ...]
    n: tuple[Count, ...]
    value: tuple[float, ...]
    reference: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        lengths = {len(self.index), len(self.n), len(self.value)}
        if len(lengths | ({len(self.reference)} if self.reference else set())) > 1:
            raise ValueError("the lists of the classes are not of one length")


class BoxAnswer(msgspec.Struct, frozen=True, kw_only=True, tag="boxes"):
    """Objects in one image, best first; lists of one length.

    Attributes:
        boxes: x1, y1, x2, y2 in pixels of the image.
        scores: 0 to 1; 1 throughout for a truth.
        classes: Indices.
        more: Further objects that were found and are not listed.
    """

    boxes: tuple[tuple[float, float, float, float], ...] = ()
    scores: tuple[Share, ...] = ()
    classes: tuple[Count, ...] = ()
    more: Count = 0

    def __post_init__(self) -> None:
        if not len(self.boxes) == len(self.scores) == len(self.classes):
            raise ValueError("the lists of the boxes are not of one length")


class ClassAnswer(msgspec.Struct, frozen=True, kw_only=True, tag="classes"):
    """The most probable classes, best first; none where the answer is not finite."""

    classes: tuple[Count, ...] = ()
    probabilities: tuple[float, ...] = ()


class MaskAnswer(msgspec.Struct, frozen=True, kw_only=True, tag="mask"):
    """The class of every pixel.

    Attributes:
        png: A grey PNG of class indices, 255 for a truth that is not scored; reduced to a long
            side of 160 pixels at most.
        classes: Classes that occur, the largest first.
        shares: Their part of the image's pixels, 0 to 1.
    """

    png: bytes
    classes: tuple[Count, ...] = ()
    shares: tuple[Share, ...] = ()


Answer = BoxAnswer | ClassAnswer | MaskAnswer


class DifferingImage(msgspec.Struct, frozen=True, kw_only=True):
    """One image, and what is known of it apart from its pixels.

    Attributes:
        id: Its path relative to the data set's folder.
        sha256: Of its file.
        width: Pixels, as it stands after its EXIF orientation.
        height: Pixels.
        reference: The reference's answer.
        truth: The label; None where there is none.
    """

    id: str
    sha256: str
    width: Count
    height: Count
    reference: Answer
    truth: Answer | None = None


class DifferingAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An entry's answer to one image.

    Attributes:
        id: Of the image.
        difference: From the reference's, 0 (the same) to 1; see benchmarks.differing.
        answer: The entry's.
    """

    id: str
    difference: float
    answer: Answer


class EntryDetails(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one entry by class and by image.

    Attributes:
        images: Images that both answered.
        classes: None without labels.
        differing: The images whose answers differ most, most first.
    """

    images: Count = 0
    classes: ClassScores | None = None
    differing: tuple[DifferingAnswer, ...] = ()


class Details(msgspec.Struct, frozen=True, kw_only=True):
    """details.json of a bundle.

    Attributes:
        entries: Name of an entry's files to its details; entries that answered no image are left
            out.
        images: Every image that one of them names, by id.
    """

    schema: Literal["edgekit.details/1"] = "edgekit.details/1"
    entries: dict[str, EntryDetails] = {}
    images: dict[str, DifferingImage] = {}
