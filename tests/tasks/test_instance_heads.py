"""Detectors whose rows carry masks or keypoints: they stay with their boxes."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.core.errors import BadInput
from edgekit.tasks.detection import Detector
from edgekit.tasks.instance_heads import INSTANCE_HEADS
from edgekit.tasks.results import Detections
from edgekit.tasks.task import Fit

FIT = Fit((40, 40), (80, 80), 2.0, 2.0, 0.0, 0.0)
LABELS = ("a", "b", "c")
# cx, cy, w, h in the input: the second is a duplicate of the first, better.
PLACES = [(20, 20, 10, 10), (20, 20, 11, 10), (60, 60, 20, 20), (40, 40, 8, 8)]
SCORES = [0.6, 0.9, 0.7, 0.1]


def rows(head, extra):
    """Make (1, A, …) rows of PLACES in the layout of a head, `extra` (A, E) behind them."""
    before = []
    for place, score in zip(PLACES, SCORES, strict=True):
        x, y, w, h = place
        if head.boxes == "end2end":
            before.append([x - w / 2, y - h / 2, x + w / 2, y + h / 2, score, 1])
        elif head.boxes == "yolov5":
            before.append([x, y, w, h, 1.0, 0, score, 0])
        else:
            before.append([x, y, w, h, 0, score, 0])
    array = np.concatenate([np.array(before), extra], axis=1).astype(np.float32)[None]
    return array if head.head.axis == 2 else array.transpose(0, 2, 1)


def detector(card, decode, **rules):
    return Detector(
        card(
            "detection",
            LABELS,
            preprocess={"size": [80, 80], "resize": "letterbox"},
            postprocess={"decode": decode, "confidence": 0.25, "iou": 0.5, **rules},
        )
    )


def expected(head):
    """Which of PLACES are found, best first: suppression is not an end-to-end head's business."""
    return [1, 2, 0] if head.boxes == "end2end" else [1, 2]


@pytest.mark.parametrize("decode", [name for name in INSTANCE_HEADS if "segment" in name])
def test_masks_stay_with_their_boxes(card, decode):
    head = INSTANCE_HEADS[decode]
    prototypes = np.zeros((1, 4, 20, 20), np.float32)
    coefficients = np.zeros((4, 4), np.float32)
    for index, (x, *_) in enumerate(PLACES):
        # Prototype i is on in the left half of object i, and off elsewhere.
        prototypes[0, index] = -1
        prototypes[0, index, :, : x // 4] = 1
        coefficients[index, index] = 1
    outputs = {"p": prototypes, "r": rows(head, coefficients)}
    found = detector(card, decode).postprocess(outputs, FIT)
    order = expected(head)
    assert found.scores == pytest.approx([SCORES[index] for index in order])
    assert len(found.masks) == len(order)
    assert found.keypoints is None
    for mask, box, index in zip(found.masks, found.boxes, order, strict=True):
        assert (mask.left, mask.top) == (round(box[0]), round(box[1]))
        middle = PLACES[index][0] // 2 - mask.left
        assert mask.pixels[:, :middle].all()
        assert not mask.pixels[:, middle:].any()


@pytest.mark.parametrize("decode", [name for name in INSTANCE_HEADS if "pose" in name])
@pytest.mark.parametrize("dimensions", [2, 3])
def test_keypoints_stay_with_their_boxes_in_pixels_of_the_image(card, decode, dimensions):
    head = INSTANCE_HEADS[decode]
    points = np.zeros((4, 5, dimensions))
    for index, (x, y, _, _) in enumerate(PLACES):
        points[index, :, 0], points[index, :, 1] = x + np.arange(5), y
        points[index, :, 2:] = 0.1 * index
    outputs = {"r": rows(head, points.reshape(4, -1))}
    task = detector(card, decode, keypoints=[5, dimensions])
    found = task.postprocess(outputs, FIT)
    order = expected(head)
    assert found.masks is None
    assert found.keypoints.shape == (len(order), 5, 3)
    for own, index in zip(found.keypoints, order, strict=True):
        x, y, _, _ = PLACES[index]
        assert own[:, 0] == pytest.approx((x + np.arange(5)) / 2)
        assert own[:, 1] == pytest.approx(y / 2)
        assert own[:, 2] == pytest.approx(0.1 * index if dimensions == 3 else 1.0)
    few = found.above(0.8)
    assert len(few.keypoints) == len(few.boxes) == 1


def test_above_keeps_masks_with_their_boxes():
    boxes, scores = np.zeros((3, 4), np.float32), np.array([0.9, 0.2, 0.5], np.float32)
    all_of_them = Detections(boxes, scores, np.arange(3), ("first", "second", "third"))
    assert all_of_them.above(0.4).masks == ("first", "third")


@pytest.mark.parametrize("decode", [name for name in INSTANCE_HEADS if "pose" in name])
def test_a_head_of_keypoints_wants_to_know_how_many(card, decode):
    with pytest.raises(BadInput, match=r"postprocess\.keypoints"):
        detector(card, decode)


@pytest.mark.parametrize("decode", INSTANCE_HEADS)
def test_outputs_of_another_shape_are_named(card, decode):
    rules = {"keypoints": [5, 3]} if "pose" in decode else {}
    with pytest.raises(BadInput, match=decode):
        detector(card, decode, **rules).postprocess({"y": np.zeros((1, 7, 3), np.float32)}, FIT)


def test_labels_of_another_number_than_the_classes_are_refused(card):
    task = Detector(
        card("detection", "ab", postprocess={"decode": "yolov8-pose", "keypoints": [5, 3]})
    )
    head = INSTANCE_HEADS["yolov8-pose"]
    with pytest.raises(BadInput, match="2 classes.*answers 3"):
        task.postprocess({"r": rows(head, np.zeros((4, 15)))}, FIT)
