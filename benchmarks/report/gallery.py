"""The images on which FP32 and a variant differ most: both answers, side by side.

Answers are drawn as SVG over the picture, or over a blank sheet where there is none: letters stay
sharp, and a screen reader is told the same in words.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from edgekit.benchmarks.matching import match
from edgekit.benchmarks.report import words
from edgekit.benchmarks.report.records import Subject
from edgekit.core.details import (
    Answer,
    BoxAnswer,
    ClassAnswer,
    Details,
    DifferingAnswer,
    DifferingImage,
    MaskAnswer,
)
from edgekit.core.documents import DeployEntry
from edgekit.tasks.draw import class_colour
from edgekit.tasks.predictions import label_of
from edgekit.tasks.results import Detections

__all__ = ["Box", "Card", "Panel", "Share", "gallery", "picture_ids", "shown_images"]

# Labels of a panel at most: more would hide what they name. What only one side has comes first.
_LABELLED = 8
# Classes that mean "nothing here" keep their pixels as they are.
_BACKGROUND = frozenset({"background", "__background__", "unlabeled", "unlabelled", "void"})
_LARGEST_MASK = 512
_DIFFERS = (200, 90, 230, 255)  # BGRA


@dataclass(frozen=True)
class Box:
    """One box of a panel, in pixels of the image.

    Attributes:
        state: "same" where the other side has it too, "only" where it has not.
        label: Empty where it would only be in the way.
        text_y: Where the label stands.
    """

    x: float
    y: float
    width: float
    height: float
    state: str
    label: str
    text_x: float
    text_y: float


@dataclass(frozen=True)
class Panel:
    """One drawing of an image.

    Attributes:
        title: Whose answer it shows.
        alt: The same in words.
        boxes: Drawn over it.
        overlay: A data: address of a picture laid over it; may be empty.
    """

    title: str
    alt: str
    boxes: Sequence[Box] = ()
    overlay: str = ""


@dataclass(frozen=True)
class Share:
    """One class of both answers: a probability, or a part of the pixels.

    Attributes:
        tint: Colour of its pixels, "#rrggbb"; empty for a probability.
        right: Whether it is the labelled class.
    """

    label: str
    reference: str
    entry: str
    reference_at: float
    entry_at: float
    tint: str = ""
    right: bool = False


@dataclass(frozen=True)
class Card:
    """One image of the gallery.

    Attributes:
        title: Its file.
        picture: Id of its picture on the page; empty where there is none.
        width: Pixels of the image.
        height: Pixels.
        difference: 0 to 1, as text.
        truth: The label in words; empty where there is none.
        panels: Side by side.
        shares: A table beside them, for a classification or segmentation.
        share_title: What its figures are.
        sentences: What differs, in words.
        small: Whether its pixels should be seen as squares when it is enlarged.
    """

    title: str
    picture: str
    width: int
    height: int
    difference: str
    truth: str
    panels: Sequence[Panel]
    shares: Sequence[Share] = ()
    share_title: str = ""
    sentences: Sequence[str] = ()
    small: bool = False

    @property
    def letters(self) -> float:
        """Height of the letters in pixels of the image."""
        return max(self.width, self.height) / 24


def picture_ids(subject: Subject, letter: str) -> dict[str, str]:
    """Return the id on the page of every picture, by id of the image."""
    return {name: f"picture-{letter}{at}" for at, name in enumerate(subject.pictures)}


def gallery(subject: Subject, entry: DeployEntry, pictures: Mapping[str, str]) -> list[Card]:
    """Return the images on which an entry differs most, most first.

    Args:
        subject: The entry's.
        entry: Compared with the reference.
        pictures: Id of an image to its id on the page.
    """
    found = []
    for one in subject.details_of(entry).differing:
        image = subject.details.images.get(one.id)
        if image is not None:
            found.append(
                _card(subject, f"{entry.variant} in {entry.compute}", image, one, pictures)
            )
    return found


def shown_images(details: Details, entries: Sequence[str]) -> list[DifferingImage]:
    """Return the images that a page about these entries shows, each once."""
    names = [one.id for name in entries for one in _differing(details, name)]
    return [details.images[name] for name in dict.fromkeys(names) if name in details.images]


def _differing(details: Details, entry: str) -> Sequence[DifferingAnswer]:
    return details.entries[entry].differing if entry in details.entries else ()


def _card(
    subject: Subject,
    variant: str,
    image: DifferingImage,
    found: DifferingAnswer,
    pictures: Mapping[str, str],
) -> Card:
    labels = subject.labels
    picture = pictures.get(image.id, "")
    truth = "" if image.truth is None else _in_words(image.truth, labels)
    card = Card(
        title=words.clean(image.id),
        picture=picture,
        width=max(1, image.width),
        height=max(1, image.height),
        difference=f"{found.difference:.3f}",
        truth=truth,
        panels=(),
        small=max(image.width, image.height) < 120,
    )
    one, other = image.reference, found.answer
    if isinstance(one, BoxAnswer) and isinstance(other, BoxAnswer):
        return _with_boxes(card, variant, one, other, labels)
    if isinstance(one, ClassAnswer) and isinstance(other, ClassAnswer):
        return _with_classes(card, variant, one, other, image.truth, labels)
    if isinstance(one, MaskAnswer) and isinstance(other, MaskAnswer):
        return _with_masks(card, variant, one, other, labels)
    return replace(card, sentences=("The two answers are of different kinds.",))


def _with_boxes(
    card: Card, variant: str, one: BoxAnswer, other: BoxAnswer, labels: Sequence[str]
) -> Card:
    pairs = match(_detections(one), _detections(other))
    has = {int(at) for at, _ in pairs}, {int(at) for _, at in pairs}
    lost = [_object(one, at, labels) for at in range(len(one.scores)) if at not in has[0]]
    added = [_object(other, at, labels) for at in range(len(other.scores)) if at not in has[1]]
    both = [
        f"{_label(labels, one.classes[at])} {one.scores[at]:.2f} → {other.scores[to]:.2f}"
        for at, to in sorted(map(tuple, pairs.tolist()))
    ]
    sentences = []
    if lost:
        sentences.append(f"Only FP32 finds: {', '.join(lost)}.")
    if added:
        sentences.append(f"Only {variant} finds: {', '.join(added)}.")
    if both:
        sentences.append(f"Both find: {', '.join(both)}.")
    if not (lost or added or both):
        sentences.append("Neither finds anything.")
    panels = [
        Panel(title, _in_words(answer, labels), _boxes(card, answer, known, labels))
        for title, answer, known in (("FP32", one, has[0]), (variant, other, has[1]))
    ]
    return replace(card, panels=tuple(panels), sentences=tuple(sentences))


def _boxes(card: Card, answer: BoxAnswer, known: set[int], labels: Sequence[str]) -> list[Box]:
    found = []
    labelled = set(sorted(range(len(answer.boxes)), key=lambda at: (at in known, at))[:_LABELLED])
    # What only one side has stands on top.
    order = sorted(range(len(answer.boxes)), key=lambda at: (at not in known, -at))
    for at in order:
        x1, y1, x2, y2 = answer.boxes[at]
        x1, x2 = (min(max(value, 0.0), float(card.width)) for value in (x1, x2))
        y1, y2 = (min(max(value, 0.0), float(card.height)) for value in (y1, y2))
        same = at in known
        text = _object(answer, at, labels) if at in labelled else ""
        above = y1 >= 1.1 * card.letters
        # Letters are about 0.6 of their height wide; a label must not leave the picture.
        room = card.width - 0.58 * card.letters * len(text)
        found.append(
            Box(
                x=round(x1, 1),
                y=round(y1, 1),
                width=round(max(0.0, x2 - x1), 1),
                height=round(max(0.0, y2 - y1), 1),
                state="same" if same else "only",
                label=text,
                text_x=round(max(2.0, min(x1 + 0.2 * card.letters, room)), 1),
                text_y=round(y1 - 0.3 * card.letters if above else y1 + card.letters, 1),
            )
        )
    return found


def _with_classes(
    card: Card,
    variant: str,
    one: ClassAnswer,
    other: ClassAnswer,
    truth: Answer | None,
    labels: Sequence[str],
) -> Card:
    first = dict(zip(one.classes, one.probabilities, strict=True))
    second = dict(zip(other.classes, other.probabilities, strict=True))
    right = truth.classes[0] if isinstance(truth, ClassAnswer) and truth.classes else None
    shares = [
        Share(
            label=_label(labels, index),
            reference=_percent(first.get(index)),
            entry=_percent(second.get(index)),
            reference_at=100 * first.get(index, 0.0),
            entry_at=100 * second.get(index, 0.0),
            right=index == right,
        )
        for index in dict.fromkeys((*one.classes[:3], *other.classes[:3]))
    ]
    best = [answer.classes[0] if answer.classes else None for answer in (one, other)]
    if best[0] == best[1]:
        sentence = f"Both say {_named(labels, best[0])}."
    else:
        sentence = f"FP32 says {_named(labels, best[0])}, {variant} {_named(labels, best[1])}."
    panel = Panel("", f"The image {card.title}") if card.picture else None
    return replace(
        card,
        panels=(panel,) if panel else (),
        shares=tuple(shares),
        share_title="probability",
        sentences=(sentence,),
    )


def _with_masks(
    card: Card, variant: str, one: MaskAnswer, other: MaskAnswer, labels: Sequence[str]
) -> Card:
    first, second = _mask(one.png), _mask(other.png)
    if first is None or second is None or first.shape != second.shape:
        return replace(card, sentences=("A mask is damaged and cannot be drawn.",))
    shares = [(dict(zip(answer.classes, answer.shares, strict=True))) for answer in (one, other)]
    table = [
        Share(
            label=_label(labels, index),
            reference=_percent(shares[0].get(index, 0.0)),
            entry=_percent(shares[1].get(index, 0.0)),
            reference_at=100 * shares[0].get(index, 0.0),
            entry_at=100 * shares[1].get(index, 0.0),
            tint="" if _is_background(labels, index) else _hex(index),
        )
        for index in dict.fromkeys((*one.classes[:6], *other.classes[:6]))
    ]
    painted = [_painted(mask, labels) for mask in (first, second)]
    where = np.zeros((*first.shape, 4), np.uint8)
    where[first != second] = _DIFFERS
    share = float((first != second).mean())
    panels = (
        Panel("FP32", _in_words(one, labels), overlay=_png(painted[0])),
        Panel(variant, _in_words(other, labels), overlay=_png(painted[1])),
        Panel(
            "where they differ", f"{100 * share:.1f} % of the pixels differ.", overlay=_png(where)
        ),
    )
    sentence = f"{_percent(share)} of the pixels get another class."
    return replace(
        card,
        panels=panels,
        shares=tuple(table),
        share_title="part of the pixels",
        sentences=(sentence,),
    )


def _in_words(answer: Answer, labels: Sequence[str]) -> str:
    if isinstance(answer, BoxAnswer):
        counts: dict[str, int] = {}
        for index in answer.classes:
            name = _label(labels, index)
            counts[name] = counts.get(name, 0) + 1
        text = ", ".join(f"{number} {name}" for name, number in counts.items()) or "nothing"
        return f"{text}, and {answer.more} more" if answer.more else text
    if isinstance(answer, ClassAnswer):
        return _label(labels, answer.classes[0]) if answer.classes else "no finite answer"
    named = zip(answer.classes[:6], answer.shares[:6], strict=True)
    return ", ".join(f"{_label(labels, index)} {_percent(share)}" for index, share in named)


def _object(answer: BoxAnswer, at: int, labels: Sequence[str]) -> str:
    return f"{_label(labels, answer.classes[at])} {answer.scores[at]:.2f}"


def _label(labels: Sequence[str], index: int) -> str:
    return words.clean(label_of(labels, index))


def _named(labels: Sequence[str], index: int | None) -> str:
    return "nothing finite" if index is None else _label(labels, index)


def _percent(value: float | None) -> str:
    return words.NONE if value is None else f"{100 * value:.1f} %"


def _detections(answer: BoxAnswer) -> Detections:
    return Detections(
        np.array(answer.boxes, np.float32).reshape(-1, 4),
        np.array(answer.scores, np.float32),
        np.array(answer.classes, np.int64),
    )


def _is_background(labels: Sequence[str], index: int) -> bool:
    return label_of(labels, index).casefold() in _BACKGROUND


def _hex(index: int) -> str:
    blue, green, red = class_colour(index)
    return f"#{red:02x}{green:02x}{blue:02x}"


def _mask(png: bytes) -> npt.NDArray[np.uint8] | None:
    """(H, W) uint8; None where it is no mask that this program wrote."""
    # A header that promises more would be believed, and its memory taken.
    if len(png) < 24 or max(struct.unpack(">II", png[16:24])) > _LARGEST_MASK:
        return None
    found = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    if found is None or found.ndim != 2 or found.dtype != np.uint8:
        return None
    return found.astype(np.uint8)


def _painted(mask: npt.NDArray[np.uint8], labels: Sequence[str]) -> npt.NDArray[np.uint8]:
    """(H, W, 4) uint8, BGRA: each class in its colour, the background clear."""
    table = np.zeros((256, 4), np.uint8)
    for index in np.unique(mask).tolist():
        if index != 255 and not _is_background(labels, index):
            table[index] = (*class_colour(index), 255)
    return np.asarray(table[mask])


def _png(pixels: npt.NDArray[np.uint8]) -> str:
    content = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes()
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"
