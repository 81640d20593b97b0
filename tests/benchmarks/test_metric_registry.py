import numpy as np
import pytest

from edgekit.benchmarks.metrics.registry import score
from edgekit.core.errors import BadInput
from edgekit.tasks.results import Boxes, Classification, Detections, Raw, Segmentation


def classification(best, classes=2):
    return Classification(np.eye(classes, dtype=np.float32)[best])


def detection():
    box = np.array([[0, 0, 9, 9]], dtype=np.float32)
    return (
        Detections(box, np.array([0.9], np.float32), np.array([3])),
        Boxes(box, np.array([3]), np.array([81], np.float32), np.array([False])),
    )


def segmentation():
    mask = np.array([[0, 2]], dtype=np.uint8)
    return Segmentation(mask, np.zeros((0, 3), np.float16)), mask


def test_every_task_has_its_metric():
    detected, box = detection()
    segmented, mask = segmentation()
    for task, result, truth, name in (
        ("classification", classification(1), 1, "top1"),
        ("detection", detected, box, "mAP50-95"),
        ("segmentation", segmented, mask, "mIoU"),
    ):
        found = score(task, [result], [truth], [result], labels=0, resamples=5)
        assert (found.name, found.value, found.drop, found.n) == (name, pytest.approx(1), 0, 1)


def test_images_without_a_truth_are_left_out():
    results = [classification(1), classification(0), classification(1)]
    found = score("classification", results, [1, None, 0], results, labels=2)
    assert (found.n, found.value) == (2, 0.5)


@pytest.mark.parametrize("task", ["raw", "audio", "text"])
def test_a_raw_model_has_no_metric(task):
    assert score(task, [Raw({})], [None], None, labels=0) is None


def test_without_labels_there_is_no_metric():
    assert score("classification", [classification(1)], [None], None, labels=2) is None


def test_sequences_of_different_lengths_are_refused():
    with pytest.raises(BadInput, match="2 truths for 1 results"):
        score("classification", [classification(1)], [1, 0], None, labels=2)
    with pytest.raises(BadInput, match="and 2 of the reference"):
        score("classification", [classification(1)], [1], [classification(1)] * 2, labels=2)


def test_labels_of_another_task_are_refused():
    with pytest.raises(BadInput, match="Image 0 has a Classification where a Detections"):
        score("detection", [classification(1)], [detection()[1]], None, labels=4)
