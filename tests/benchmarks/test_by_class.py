"""The metric by class agrees with the metric of the whole."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.benchmarks.metrics.registry import score_by_class
from edgekit.tasks.results import Classification, Detections, Segmentation
from edgekit.tasks.samples import make_boxes


def answer(index, classes=4):
    probabilities = np.full(classes, 0.1, np.float32)
    probabilities[index] = 0.7
    return Classification(probabilities)


def detected(*rows):
    table = np.array(rows, np.float32).reshape(-1, 6)
    return Detections(table[:, :4], table[:, 4], table[:, 5].astype(np.int64))


def test_of_a_class_top1_is_the_share_of_its_images_that_are_right():
    truths = [0, 0, 0, 2]
    results = [answer(0), answer(1), answer(0), answer(2)]
    scored = score_by_class("classification", results, truths, [answer(0)] * 4, labels=4)
    assert scored.classes.name == "top1"
    assert scored.classes.index == (0, 2)
    assert scored.classes.n == (3, 1)
    assert scored.classes.value == (0.6667, 1.0)
    assert scored.classes.reference == (1.0, 0.0)
    weighted = np.average(scored.classes.value, weights=scored.classes.n)
    assert weighted == pytest.approx(scored.metric.value, abs=1e-4)


def test_the_mean_of_the_classes_ap_is_the_map():
    truths = [
        make_boxes([[0, 0, 20, 20], [30, 30, 60, 60]], [0, 2]),
        make_boxes([[5, 5, 25, 25]], [0]),
    ]
    results = [
        detected((0, 0, 20, 20, 0.9, 0), (30, 30, 60, 52, 0.8, 2)),
        detected((5, 5, 25, 25, 0.3, 1)),
    ]
    scored = score_by_class("detection", results, truths, results, labels=3)
    assert scored.classes.index == (0, 2)
    assert scored.classes.n == (2, 1)
    assert np.mean(scored.classes.value) == pytest.approx(scored.metric.value, abs=1e-4)
    assert scored.classes.reference == scored.classes.value


def test_the_mean_of_the_classes_iou_is_the_miou():
    truth = np.array([[0, 0, 1, 255]], np.uint8)
    result = Segmentation(np.array([[0, 1, 1, 2]], np.uint8), np.zeros((1, 3), np.float16))
    scored = score_by_class("segmentation", [result], [truth], None, labels=3)
    assert scored.classes.index == (0, 1)
    assert scored.classes.value == (0.5, 0.5)
    assert scored.classes.n == (2, 1)
    assert scored.classes.reference == ()
    assert np.mean(scored.classes.value) == pytest.approx(scored.metric.value)


def test_a_task_without_a_metric_has_none_by_class():
    assert score_by_class("raw", [], [], None, labels=0) is None
