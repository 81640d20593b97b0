"""Detection: an image to boxes with scores and classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgekit.core.card import ModelCard
from edgekit.core.errors import BadInput
from edgekit.core.names import closest
from edgekit.tasks.cards import check_labels
from edgekit.tasks.decoders import is_user_decoder, load_decoder
from edgekit.tasks.heads import FINAL_HEADS, HEADS, FinalHead, Head
from edgekit.tasks.instance_heads import INSTANCE_HEADS, InstanceHead, check_keypoints
from edgekit.tasks.nms import suppress
from edgekit.tasks.outputs import Outputs
from edgekit.tasks.preprocess import preprocessor
from edgekit.tasks.results import Detections, Float, Integer
from edgekit.tasks.task import Fit, Image, Input

__all__ = ["Detector"]


class Detector:
    """The task "detection".

    Every class whose score reaches the threshold makes a candidate, so one box may answer with two
    classes; duplicates are suppressed within a class, and the best `max_detections` of all classes
    remain. Boxes are not clipped to the image. These are the rules under which the published
    figures of COCO are made.

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
        self._head: Head | None = None
        self._final: FinalHead | None = None
        self._instances: InstanceHead | None = INSTANCE_HEADS.get(decode)
        if self._instances is not None:
            check_keypoints(card)
            self._head = HEADS.get(self._instances.boxes)
            self._final = FINAL_HEADS.get(self._instances.boxes)
        elif is_user_decoder(decode):
            self._head = load_decoder(decode, folder, trust_code=trust_code)
        elif decode in FINAL_HEADS:
            self._final = FINAL_HEADS[decode]
        elif decode in HEADS:
            self._head = HEADS[decode]
        else:
            raise BadInput(
                f"{decode!r} is no detection head of edgekit.",
                hint=closest(decode, [*HEADS, *FINAL_HEADS, *INSTANCE_HEADS, "file.py:function"]),
            )
        self.card = card
        self._rules = card.postprocess
        self._preprocessor = preprocessor(card)

    def preprocess(self, image: Image, out: Input | None = None) -> tuple[Input, Fit]:
        """Lay an image into the network input; see `Preprocessor`."""
        return self._preprocessor(image, out)

    def postprocess(
        self, outputs: Outputs, fit: Fit, confidence: float | None = None
    ) -> Detections:
        """Decode, threshold, suppress, and bring the boxes back to the image.

        A candidate whose score or box is not finite is no detection. Masks and keypoints are made
        for what is left.

        Raises:
            BadInput: An output does not have the head's shape, or the classes are not as many as
                the labels.
        """
        threshold = self._rules.confidence if confidence is None else confidence
        # What a broken network overflows is dropped below, or shown by the check `finite`.
        with np.errstate(over="ignore", invalid="ignore"):
            rest = None
            if self._instances is not None:
                outputs, rest = self._instances.split(outputs, self.card)
            if self._final is not None:
                boxes, scores, classes, rows = self._chosen(self._final, outputs, fit, threshold)
            else:
                assert self._head is not None
                boxes, scores, classes, rows = self._suppressed(self._head, outputs, fit, threshold)
            placed = _to_image(boxes, fit)
            if rest is None:
                return Detections(placed, scores, classes)
            masks, points = rest.masks(rows, placed, fit), rest.keypoints(rows, fit)
            return Detections(placed, scores, classes, masks, points)

    def _suppressed(
        self, head: Head, outputs: Outputs, fit: Fit, threshold: float
    ) -> tuple[Float, Float, Integer, Integer]:
        """Return boxes, scores, classes, and the row of the head that each comes from."""
        boxes, scores, found = head(outputs, fit.size, threshold)
        count = scores.shape[1]
        check_labels(self.card, count)
        flat = np.ascontiguousarray(scores).reshape(-1)
        candidates = np.flatnonzero(flat >= threshold)
        rows = candidates // count
        finite = np.isfinite(boxes[rows]).all(axis=1)
        candidates, rows = candidates[finite], rows[finite]
        boxes, best, classes = boxes[rows], flat[candidates], candidates % count
        kept = suppress(boxes, best, classes, iou=self._rules.iou, limit=self._rules.max_detections)
        return boxes[kept], best[kept], classes[kept], found[rows[kept]]

    def _chosen(
        self, head: FinalHead, outputs: Outputs, fit: Fit, threshold: float
    ) -> tuple[Float, Float, Integer, Integer]:
        """Return boxes, scores, classes, and the row of the head that each comes from."""
        boxes, scores, classes = head(outputs, fit.size)
        found = np.flatnonzero((scores >= threshold) & np.isfinite(boxes).all(axis=1))
        best = found[np.argsort(-scores[found], kind="stable")][: self._rules.max_detections]
        labels = len(self.card.labels)
        if labels and len(best) and not 0 <= classes[best].min() <= classes[best].max() < labels:
            wrong = next(each for each in classes[best].tolist() if not 0 <= each < labels)
            raise BadInput(
                f"The network answers class {wrong}, but the card names {labels} classes under "
                "`labels`."
            )
        return boxes[best], scores[best], classes[best], best


def _to_image(boxes: Float, fit: Fit) -> Float:
    """Bring xyxy (N, 4) from input pixels to image pixels."""
    shift = np.array([fit.left, fit.top, fit.left, fit.top])
    scale = np.array([fit.scale_x, fit.scale_y, fit.scale_x, fit.scale_y])
    placed: Float = ((boxes - shift) / scale).astype(np.float32)
    return placed
