import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.benchmarks.metrics.segmentation import score_segmentation as scored
from edgekit.core.errors import BadInput
from edgekit.tasks.results import Segmentation


def score_segmentation(*arguments, **options):
    return scored(*arguments, **options).metric


def segmentation(mask):
    return Segmentation(np.asarray(mask, dtype=np.uint8), np.zeros((0, 3), dtype=np.float16))


def brute_force(masks, truths, labels):
    mask = np.concatenate([m.ravel() for m in masks])
    truth = np.concatenate([t.ravel() for t in truths])
    mask, truth = mask[truth != 255], truth[truth != 255]
    ious = [
        np.sum((mask == c) & (truth == c)) / np.sum((mask == c) | (truth == c))
        for c in range(labels)
        if (truth == c).any()
    ]
    return np.mean(ious), len(ious)


@settings(max_examples=25)
@given(st.integers(1, 5), st.integers(2, 6), st.integers(0, 99))
def test_mean_iou_is_that_of_all_pixels_taken_together(n, labels, seed):
    rng = np.random.default_rng(seed)
    truths = [rng.integers(0, labels, (6, 5 + i)).astype(np.uint8) for i in range(n)]
    for truth in truths:
        truth[rng.random(truth.shape) < 0.2] = 255
    masks = [np.where(rng.random(t.shape) < 0.6, np.minimum(t, labels - 1), 0) for t in truths]
    found = score_segmentation(
        [segmentation(m) for m in masks], truths, None, labels=labels, resamples=5
    )
    value, classes = brute_force(masks, truths, labels)
    assert found.value == pytest.approx(value)
    assert found.others["classes"] == classes


def test_a_class_that_the_truth_lacks_costs_only_the_classes_it_hides():
    truth = np.zeros((4, 4), dtype=np.uint8)
    mask = truth.copy()
    mask[0] = 2
    found = score_segmentation([segmentation(mask)], [truth], None, labels=3)
    assert found.value == 0.75
    assert found.others == {"pixel_accuracy": 0.75, "classes": 1}


def test_ignored_pixels_count_for_nothing():
    truth = np.array([[0, 255], [255, 1]], dtype=np.uint8)
    found = score_segmentation([segmentation([[0, 1], [0, 1]])], [truth], None, labels=2)
    assert found.value == 1


def test_a_class_beyond_the_labels_is_wrong():
    truth = np.array([[0, 0]], dtype=np.uint8)
    assert score_segmentation([segmentation([[0, 77]])], [truth], None, labels=2).value == 0.5


def test_the_drop_is_paired_and_the_same_masks_drop_by_nothing():
    rng = np.random.default_rng(0)
    truths = [rng.integers(0, 3, (8, 8)).astype(np.uint8) for _ in range(12)]
    reference = [segmentation(t) for t in truths]
    entry = [segmentation(np.where(rng.random(t.shape) < 0.1, 0, t)) for t in truths]
    found = score_segmentation(entry, truths, reference, labels=3)
    assert found.drop == pytest.approx(1 - found.value)
    assert 0 < found.drop_low <= found.drop <= found.drop_high
    same = score_segmentation(entry, truths, entry, labels=3)
    assert (same.drop, same.drop_low, same.drop_high) == (0, 0, 0)


def test_a_mask_of_another_size_and_an_unknown_class_are_refused_by_image():
    mask = segmentation(np.zeros((2, 2)))
    with pytest.raises(BadInput, match=r"mask of image 0 is \(2, 3\)"):
        score_segmentation([mask], [np.zeros((2, 3), np.uint8)], None, labels=2)
    with pytest.raises(BadInput, match="image 0 holds class 9, and the model knows 2"):
        score_segmentation([mask], [np.full((2, 2), 9, np.uint8)], None, labels=2)


def test_masks_without_a_labelled_pixel_are_refused():
    empty = np.full((2, 2), 255, np.uint8)
    with pytest.raises(BadInput, match="nothing to score"):
        score_segmentation([segmentation(np.zeros((2, 2)))], [empty], None, labels=2)
