"""Bare arrays get their labels, and become JSON that every parser reads."""

from __future__ import annotations

import json

import numpy as np
import pytest
from msgspec import convert

from edgekit.core.documents import PredictedObject
from edgekit.tasks.instance_mask import InstanceMask
from edgekit.tasks.predictions import (
    BoxPrediction,
    ClassPrediction,
    MaskPrediction,
    RawPrediction,
    Timings,
    labelled,
)
from edgekit.tasks.results import Classification, Detections, Raw, Segmentation

TIMES = Timings(1.0, 2.0, 3.0, 4.0)
SIZE = (4, 6)


def plain(prediction):
    return json.loads(json.dumps(prediction.to_dict(), allow_nan=False))


def test_boxes_have_labels_and_python_numbers():
    result = Detections(
        np.array([[0, 1, 2, 3], [4, 5, 6, 7]], np.float32),
        np.array([0.5, 0.25], np.float32),
        np.array([1, 7]),
    )
    made = labelled(result, ("cat", "dog"), SIZE, TIMES)
    assert isinstance(made, BoxPrediction)
    assert [one.label for one in made] == ["dog", "7"]  # a class that the card does not name
    assert len(made) == 2
    assert made.detections[0].box == (0.0, 1.0, 2.0, 3.0)
    assert plain(made)["detections"][0] == {
        "label": "dog", "class_index": 1, "score": 0.5, "box": [0.0, 1.0, 2.0, 3.0],
    }  # fmt: skip


def test_masks_and_keypoints_are_in_the_document_where_there_are_any():
    boxes = np.array([[0, 0, 2, 2]], np.float32)
    mask = InstanceMask(1, 0, np.ones((2, 2), np.uint8))
    points = np.array([[[1, 2, 0.5], [np.nan, 3, 1]]], np.float32)
    result = Detections(boxes, np.ones(1, np.float32), np.zeros(1, np.int64), (mask,), points)
    made = labelled(result, ("cat",), SIZE, TIMES)
    assert made.detections[0].mask is mask
    assert made.detections[0].keypoints[0] == (1.0, 2.0, 0.5)
    document = plain(made)["detections"][0]
    assert sorted(document["polygons"][0]) == [[1, 0], [1, 1], [2, 0], [2, 1]]
    assert document["keypoints"] == [[1.0, 2.0, 0.5], [None, 3.0, 1.0]]
    convert(document, PredictedObject)


def test_classes_are_sorted_and_the_best_is_at_hand():
    made = labelled(
        Classification(np.array([0.2, 0.5, 0.3], np.float32)), ("a", "b", "c"), SIZE, TIMES
    )
    assert isinstance(made, ClassPrediction)
    assert (made.label, made.class_index, made.probability) == ("b", 1, 0.5)
    assert [one.label for one in made.top(2)] == ["b", "c"]
    assert [one.label for one in made.top(9)] == ["b", "c", "a"]
    assert [one["class_index"] for one in plain(made)["classes"]] == [1, 2, 0]


def test_nan_becomes_null():
    made = labelled(Classification(np.array([np.nan, np.nan], np.float32)), (), SIZE, TIMES)
    assert plain(made)["classes"][0] == {"label": "0", "class_index": 0, "probability": None}
    raw = labelled(Raw({"y": np.array([[1, np.inf]], np.float32)}), (), SIZE, TIMES)
    assert isinstance(raw, RawPrediction)
    assert plain(raw)["outputs"]["y"] == {
        "dtype": "float32", "shape": [1, 2], "values": [[1.0, None]],
    }  # fmt: skip


def test_shares_of_a_mask_are_those_of_its_pixels():
    mask = np.zeros(SIZE, np.uint8)
    mask[:, :2] = 2
    result = Segmentation(mask, np.zeros((1, 3), np.float16))
    made = labelled(result, ("sky", "car", "road"), SIZE, TIMES)
    assert isinstance(made, MaskPrediction)
    assert [(one.label, one.share) for one in made.shares] == [
        ("sky", pytest.approx(2 / 3)),
        ("road", pytest.approx(1 / 3)),
    ]
    assert sum(one["share"] for one in plain(made)["regions"]) == pytest.approx(1)


def test_the_total_is_the_sum_of_the_stages():
    assert TIMES.total == 10.0


def test_every_pixel_of_a_large_mask_is_counted():
    # More of one class than a float32 counts to.
    mask = np.zeros((4200, 4200), np.uint8)
    mask[-1, -1] = 255
    shares = MaskPrediction(mask, (), mask.shape, TIMES).shares
    assert [round(one.share * mask.size) for one in shares] == [mask.size - 1, 1]
