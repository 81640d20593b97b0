"""Detection: an image to boxes with scores and classes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgekit.core.card import ModelCard
from edgekit.core.errors import BadInput
from edgekit.core.names import closest
from edgekit.tasks.cards import check_labels
from edgekit.tasks.decoders import is_user_decoder, load_decoder
from edgekit.tasks.heads import HEADS, Candidates, Head
from edgekit.tasks.instance_heads import INSTANCE_HEADS, InstanceHead, check_keypoints
from edgekit.tasks.nms import suppress
from edgekit.tasks.outputs import Outputs
from edgekit.tasks.preprocess import preprocessor
from edgekit.tasks.results import Detections, Float
from edgekit.tasks.task import EVALUATION_CONFIDENCE, Fit, Image, Input

__all__ = ["Detector"]


class Detector:
    """The task "detection".

    Two rules share decoding, suppression within a class, and the limit of `max_detections`. What is
    shown follows Ultralytics' prediction: a box has its best class alone, unless the card's
    `multi_label` says otherwise, its score is above the threshold, and it is clipped to the image
    where the head's own tool does that. What is scored follows the rules under which the published
    figures of COCO are made: every class of a box whose score is above 0.01 is a detection of its
    own, and no box is clipped.

    Args:
        card: `postprocess.decode` names a head of `edgekit.tasks.heads` or of
            `edgekit.tasks.instance_heads`, or "file.py:function".
        folder: The card's folder, for a decoder in a file.
        trust_code: Whether code from files may run.

    Raises:
        BadInput: Unknown decode, a decoder that cannot be loaded, a head of keypoints without
            their number, or `preprocess` contradicts the input.
    """

    def __init__(
        self, card: ModelCard, *, folder: Path | None = None, trust_code: bool = False
    ) -> None:
        assert card.postprocess is not None, "the card's own check"
        decode = card.postprocess.decode
        self._instances: InstanceHead | None = INSTANCE_HEADS.get(decode)
        if self._instances is not None:
            check_keypoints(card)
            self._head = self._instances.head
        elif is_user_decoder(decode):
            self._head = Head(load_decoder(decode, folder, trust_code=trust_code))
        elif decode in HEADS:
            self._head = HEADS[decode]
        else:
            raise BadInput(
                f"{decode!r} is no detection head of edgekit.",
                hint=closest(decode, [*HEADS, *INSTANCE_HEADS, "file.py:function"]),
            )
        self.card = card
        self._rules = card.postprocess
        self._preprocessor = preprocessor(card)

    def preprocess(self, image: Image, out: Input | None = None) -> tuple[Input, Fit]:
        """Lay an image into the network input; see `Preprocessor`."""
        return self._preprocessor(image, out)

    def postprocess(
        self,
        outputs: Outputs,
        fit: Fit,
        confidence: float | None = None,
        *,
        evaluation: bool = False,
    ) -> Detections:
        """Decode, threshold, suppress, and bring the boxes back to the image.

        A candidate whose score or box is not finite is no detection. Masks and keypoints are made
        for what is left; an object that has no pixel of its mask is not shown.

        Raises:
            BadInput: An output does not have the head's shape, or the classes are not as many as
                the labels.
        """
        if evaluation:
            return self.detections(outputs, fit, EVALUATION_CONFIDENCE, multi_label=True)
        threshold = self._rules.confidence if confidence is None else confidence
        found = self.detections(outputs, fit, threshold, multi_label=self._rules.multi_label)
        return found if self._head.fractions else _clipped(found, fit)

    def detections(
        self, outputs: Outputs, fit: Fit, threshold: float, *, multi_label: bool
    ) -> Detections:
        """Do the same by either rule, without clipping.

        Args:
            outputs: Name to array, batch of one.
            fit: What `preprocess` returned.
            threshold: A score must be above it.
            multi_label: Whether every class of a box counts, or its best alone.

        Raises:
            BadInput: As for `postprocess`.
        """
        # What a broken network overflows is dropped below, or shown by the check `finite`.
        with np.errstate(over="ignore", invalid="ignore"):
            rest = None
            if self._instances is not None:
                outputs, rest = self._instances.split(outputs, self.card)
            given = self._head.read(outputs, fit.size, threshold)
            if given.classes is None:
                check_labels(self.card, given.scores.shape[1])
                given = _by_class(given, threshold, multi_label=multi_label)
            given = self._kept(given, threshold, multi_label=multi_label)
            placed = _to_image(given.boxes, fit)
            assert given.classes is not None, "_by_class"
            if rest is None:
                return Detections(placed, given.scores, given.classes)
            masks, points = rest.masks(given.rows, placed, fit), rest.keypoints(given.rows, fit)
            return Detections(placed, given.scores, given.classes, masks, points)

    def _kept(self, given: Candidates, threshold: float, *, multi_label: bool) -> Candidates:
        """Return what is above the threshold, finite, and no duplicate, best first."""
        finite = np.isfinite(given.scores) & np.isfinite(given.boxes).all(axis=1)
        found = _taken(given, np.flatnonzero((given.scores > threshold) & finite))
        assert found.classes is not None, "_by_class"
        limit = self._rules.max_detections
        if self._head.suppressed:
            best = _taken(found, np.argsort(-found.scores, kind="stable"))
            if self._head.chosen and not multi_label:
                # What a network has chosen may be one box in several rows, a class each.
                _, first = np.unique(best.boxes, axis=0, return_index=True)
                best = _taken(best, np.sort(first))
            best = _taken(best, np.arange(min(limit, len(best.rows))))
        else:
            best = _taken(
                found,
                suppress(*found[:2], found.classes, iou=self._rules.iou, limit=limit),
            )
        labels, classes = len(self.card.labels), best.classes
        assert classes is not None, "_by_class"
        if labels and len(classes) and not 0 <= classes.min() <= classes.max() < labels:
            wrong = next(each for each in classes.tolist() if not 0 <= each < labels)
            raise BadInput(
                f"The network answers class {wrong}, but the card names {labels} classes under "
                "`labels`."
            )
        return best


def _by_class(given: Candidates, threshold: float, *, multi_label: bool) -> Candidates:
    """Turn scores (N, C) into candidates of one class each: of every class, or of the best."""
    scores = given.scores
    if multi_label:
        flat = np.ascontiguousarray(scores).reshape(-1)
        chosen = np.flatnonzero(flat > threshold)
        rows, classes = np.divmod(chosen, scores.shape[1])
        return Candidates(given.boxes[rows], flat[chosen], given.rows[rows], classes)
    classes = scores.argmax(axis=1)
    best = scores[np.arange(len(scores)), classes]
    return Candidates(given.boxes, best, given.rows, classes)


def _taken(given: Candidates, places: npt.NDArray[np.int64]) -> Candidates:
    assert given.classes is not None, "candidates of one class each"
    boxes, scores, rows, _ = given
    return Candidates(boxes[places], scores[places], rows[places], given.classes[places])


def _clipped(found: Detections, fit: Fit) -> Detections:
    """Keep what reaches out of the image inside, and leave out what has no pixel of its mask."""
    rows, columns = fit.image
    if found.masks is not None:
        seen = np.flatnonzero([mask.area > 0 for mask in found.masks])
        found = found.taken(seen)
    boxes = found.boxes.clip(0, np.array([columns, rows] * 2, np.float32))
    points = found.keypoints
    if points is not None:
        points = points.clip(0, np.array([columns, rows, np.inf], np.float32))
    return replace(found, boxes=boxes, keypoints=points)


def _to_image(boxes: Float, fit: Fit) -> Float:
    """Bring xyxy (N, 4) from input pixels to image pixels."""
    shift = np.array([fit.left, fit.top, fit.left, fit.top])
    scale = np.array([fit.scale_x, fit.scale_y, fit.scale_x, fit.scale_y])
    placed: Float = ((boxes - shift) / scale).astype(np.float32)
    return placed
