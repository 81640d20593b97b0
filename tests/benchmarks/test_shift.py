import numpy as np
import pytest

from edgekit.benchmarks.shift import confidence_shift
from edgekit.core.errors import BadInput
from edgekit.tasks.results import Classification, Detections, Raw, Segmentation


def classification(*probabilities):
    return Classification(np.array(probabilities, dtype=np.float32))


def detections(scores):
    """Boxes beside each other, best first."""
    x = 20 * np.arange(len(scores), dtype=np.float32)
    boxes = np.column_stack([x, 0 * x, x + 10, 0 * x + 10])
    return Detections(boxes, np.array(scores, np.float32), np.zeros(len(scores), np.int64))


def test_scores_that_fell_are_seen_although_every_box_is_still_there():
    reference = [detections([0.9, 0.8, 0.7, 0.6])] * 5
    entry = [detections([0.7, 0.6, 0.5, 0.4])] * 5
    found = confidence_shift(entry, reference, confidence=0.25)
    assert found.median == pytest.approx(-0.2, abs=1e-6)
    assert found.p90 == pytest.approx(0.2, abs=1e-6)
    assert found.n == 20


def test_scores_that_fell_below_the_threshold_are_not_hidden_by_it():
    found = confidence_shift([detections([0.1])], [detections([0.9])], confidence=0.25)
    assert found.median == pytest.approx(-0.8, abs=1e-6)


def test_what_the_reference_is_not_sure_of_counts_for_nothing():
    found = confidence_shift([detections([0.9])], [detections([0.1])], confidence=0.25)
    assert (found.median, found.p90, found.n) == (None, None, 0)


def test_the_true_class_is_followed_and_without_a_truth_the_references_best():
    reference, entry = classification(0.6, 0.4), classification(0.5, 0.5)
    assert confidence_shift([entry], [reference], [1]).median == pytest.approx(0.1)
    assert confidence_shift([entry], [reference], [None]).median == pytest.approx(-0.1)
    assert confidence_shift([entry], [reference]).median == pytest.approx(-0.1)


def test_the_magnitudes_at_the_far_end_are_told_although_the_median_is_zero():
    reference = [classification(0.5, 0.5)] * 20
    entry = [classification(0.5, 0.5)] * 14 + [
        classification(0.1, 0.9),
        classification(0.9, 0.1),
    ] * 3
    found = confidence_shift(entry, reference, [0] * 20)
    assert found.median == 0
    assert found.p90 == pytest.approx(0.4)


def test_segmenters_are_followed_at_the_grid_points():
    mask = np.zeros((2, 2), np.uint8)
    before = Segmentation(mask, np.array([[0.75, 0.25], [0.25, 0.75]], np.float16))
    after = Segmentation(mask, np.array([[0.5, 0.5], [0.5, 0.5]], np.float16))
    found = confidence_shift([after], [before])
    assert (found.median, found.n) == (-0.25, 2)
    other = Segmentation(mask, np.zeros((3, 2), np.float16))
    with pytest.raises(BadInput, match="grid"):
        confidence_shift([other], [before])


def test_raw_results_have_no_confidence():
    assert confidence_shift([Raw({})], [Raw({})]) is None
    assert confidence_shift([], []) is None


def test_results_that_do_not_belong_together_are_refused():
    with pytest.raises(BadInput, match="1 results for 0"):
        confidence_shift([Raw({})], [])
    with pytest.raises(BadInput, match="cannot be compared"):
        confidence_shift([Raw({})], [detections([0.5])])
