"""Lists of final detections brought into one order, so that parity can compare them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgekit.benchmarks.matching import match
from edgekit.core.card import ModelCard
from edgekit.core.runtime import Array
from edgekit.tasks.heads import HEADS, Head
from edgekit.tasks.instance_heads import INSTANCE_HEADS
from edgekit.tasks.results import Detections

__all__ = ["align_detections", "is_detections"]

# With fewer detections above the user's confidence than this, the reference's best ones count.
_ENOUGH = 10


def is_detections(array: Array, card: ModelCard) -> bool:
    """Say whether an output is a list of detections whose order is no property of the model.

    Its rows were chosen by a network that suppresses duplicates itself.

    Args:
        array: The output.
        card: Of a detector; where its rows go on with masks' coefficients or keypoints, they may be
            as long as that asks for.
    """
    head = _head(card)
    if head is None or array.ndim != 3:
        return False
    assert card.postprocess is not None, "a detector's card has it"
    points = card.postprocess.keypoints
    rest = int(array.shape[2]) - head.front - (2 if head.chosen else max(len(card.labels), 1))
    if card.postprocess.decode in INSTANCE_HEADS:
        return rest > 0 if points is None else rest == points[0] * points[1]
    return rest == 0 or (rest > 0 and not head.chosen and not card.labels)


def _head(card: ModelCard) -> Head | None:
    """The head of a card's detector where it leaves no duplicates, else None."""
    if card.postprocess is None:
        return None
    decode = card.postprocess.decode
    instances = INSTANCE_HEADS.get(decode)
    head = HEADS.get(decode) if instances is None else instances.head
    return head if head is not None and head.suppressed else None


def align_detections(
    expected: Sequence[Array], got: Sequence[Array], card: ModelCard
) -> tuple[list[Array], list[Array]]:
    """Put two models' detections of the same images row against row.

    The order of a list of detections and its tail are no property of the model: where two scores
    are nearly equal, rounding swaps two rows, and compared as they stand the lists differ by whole
    boxes. So each row whose score reaches the card's confidence on one side is set against the row
    of the other side that shows the same object (same class, IoU of 0.5 or more), whatever that
    one's score. What only one side found is zero on both; `agreement` counts it. Where the
    reference has fewer than 10 confident rows over all images (generated pictures show nothing that
    it knows), its 10 best count as confident.

    Where less than half of the confident rows of either side have a partner, the two do not see
    the same objects, and rows without a partner stay: parity then collapses, instead of praising
    the few that match.

    Boxes and keypoints in pixels become fractions of the longer side of the network's input, so
    that a score weighs as much as a coordinate, and the class, which is the same in a pair, becomes
    0 where the network has chosen it.

    Args:
        expected: Of the reference, for each call (B, K, 6 + E): a box as the head has it, score,
            class, and E numbers of a mask or of keypoints; or (B, K, 4 + C), a box and a score a
            class, of which the best counts. Rows with a score of 0 are unused.
        got: Of the other, call by call.
        card: Of the model: its confidence and the size of its input.

    Returns:
        Both, call by call, in the same form, float64, with R rows of the call. Everything comes
        back as it is where shapes differ or a value is not finite.
    """
    assert card.preprocess is not None, "a detector's card has it"
    assert card.postprocess is not None, "a detector's card has it"
    if not all(_comparable(*pair, card) for pair in zip(expected, got, strict=True)):
        return list(expected), list(got)
    head = _head(card)
    assert head is not None, "is_detections"
    calls = [
        [_Image.of(*images, head) for images in zip(*pair, strict=True)]
        for pair in zip(expected, got, strict=True)
    ]
    everything = [image for call in calls for image in call]
    bar = _bar(everything, card.postprocess.confidence)
    strangers = _strangers(everything, bar)
    length = expected[0].shape[2] if expected else 6
    scale = _scale(card, head, length)
    aligned: tuple[list[Array], list[Array]] = [], []
    for call in calls:
        pairs = [image.rows(bar, scale, alone=strangers) for image in call]
        longest = max((len(one) for one, _ in pairs), default=0)
        for whose in (0, 1):
            stacked = np.zeros((len(pairs), longest, length))
            for rows, pair in zip(stacked, pairs, strict=True):
                rows[: len(pair[whose])] = pair[whose]
            aligned[whose].append(stacked)
    return aligned


@dataclass(frozen=True)
class _Image:
    """Both sides' detections of one image.

    Attributes:
        expected: Of the reference.
        got: Of the other.
        given: The rows that they were read from, (K, 6 + E) each.
        pairs: (M, 2), position in `expected`, position in `got`.
    """

    expected: Detections
    got: Detections
    given: tuple[Array, Array]
    pairs: npt.NDArray[np.int64]

    @classmethod
    def of(cls, expected: Array, got: Array, head: Head) -> _Image:
        """Read two lists of rows of a head and match them."""
        scores = slice(4, 5) if head.chosen else slice(4, None)
        given = tuple(rows[(rows[:, scores] > 0).any(axis=1)] for rows in (expected, got))
        one, other = (_read(rows, head) for rows in given)
        return cls(one, other, (given[0], given[1]), match(one, other))

    def confident(self, bar: float) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Which rows reach the bar, of each side."""
        return self.expected.scores >= bar, self.got.scores >= bar

    def partnered(self) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Which rows have a partner, of each side."""
        expected = np.zeros(len(self.expected.scores), bool)
        got = np.zeros(len(self.got.scores), bool)
        expected[self.pairs[:, 0]] = True
        got[self.pairs[:, 1]] = True
        return expected, got

    def rows(
        self, bar: float, scale: npt.NDArray[np.float64], *, alone: bool
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Pairs row against row in the order of `expected`; rows without a partner if `alone`."""
        reach = self.confident(bar)
        one, other = self.pairs[np.argsort(self.pairs[:, 0])].T
        count = reach[0][one] | reach[1][other]
        expected = self.given[0][one[count]] * scale
        got = self.given[1][other[count]] * scale
        if not alone:
            return expected, got
        has = self.partnered()
        lost = self.given[0][reach[0] & ~has[0]] * scale
        added = self.given[1][reach[1] & ~has[1]] * scale
        return (
            np.concatenate([expected, lost, np.zeros_like(added)]),
            np.concatenate([got, np.zeros_like(lost), added]),
        )


def _bar(images: Sequence[_Image], confidence: float) -> float:
    """Return the score from which a row counts."""
    scores = [image.expected.scores for image in images]
    best = np.sort(np.concatenate(scores))[::-1] if scores else np.zeros(0, np.float32)
    if len(best) == 0 or (best >= confidence).sum() >= _ENOUGH:
        return confidence
    return min(confidence, float(best[:_ENOUGH][-1]))


def _strangers(images: Sequence[_Image], bar: float) -> bool:
    """Say whether less than half of either side's confident rows have a partner."""
    for whose in (0, 1):
        reach = sum(int(image.confident(bar)[whose].sum()) for image in images)
        found = sum(
            int((image.confident(bar)[whose] & image.partnered()[whose]).sum()) for image in images
        )
        if 2 * found < reach:
            return True
    return False


def _comparable(expected: Array, got: Array, card: ModelCard) -> bool:
    return (
        expected.shape == got.shape
        and is_detections(expected, card)
        and bool(np.isfinite(expected).all() and np.isfinite(got).all())
    )


def _read(rows: Array, head: Head) -> Detections:
    boxes = rows[:, :4]
    if not head.corners:
        half = boxes[:, 2:] / 2
        boxes = np.hstack([boxes[:, :2] - half, boxes[:, :2] + half]).astype(rows.dtype)
    if head.chosen:
        return Detections(boxes, rows[:, 4], np.rint(rows[:, 5]).astype(np.int64))
    scores = rows[:, 4:]
    return Detections(boxes, scores.max(axis=1), scores.argmax(axis=1))


def _scale(card: ModelCard, head: Head, length: int) -> npt.NDArray[np.float64]:
    """Return what each number of a row is multiplied by: pixels to fractions, the class to 0."""
    assert card.preprocess is not None, "a detector's card has it"
    assert card.postprocess is not None, "a detector's card has it"
    scale = np.ones(length)
    pixel = 1 / max(card.preprocess.size)
    if not head.fractions:
        scale[:4] = pixel
    if head.chosen:
        scale[5] = 0
    if card.postprocess.keypoints is not None:
        step = card.postprocess.keypoints[1]
        scale[6::step] = scale[7::step] = pixel
    return scale
