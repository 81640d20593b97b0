import numpy as np
import pytest

from edgekit.benchmarks.agreement import agreement
from edgekit.core.errors import BadInput
from edgekit.tasks.results import Classification, Detections, Raw, Segmentation


def classification(*probabilities):
    return Classification(np.array(probabilities, dtype=np.float32))


def detections(*rows):
    """Rows of x, class, score: boxes of 10 by 10."""
    table = np.array(rows, dtype=np.float32).reshape(-1, 3)
    corner = np.column_stack([table[:, 0], np.zeros(len(table))])
    boxes = np.column_stack([corner, corner + 10]).astype(np.float32)
    return Detections(boxes, table[:, 2], table[:, 1].astype(np.int64))


def segmentation(mask):
    return Segmentation(np.array(mask, dtype=np.uint8), np.zeros((0, 2), np.float16))


def test_classifiers_agree_where_the_best_class_is_the_same():
    reference = [classification(0.9, 0.1)] * 10
    entry = [classification(0.6, 0.4)] * 8 + [classification(0.4, 0.6)] * 2
    found = agreement(entry, reference)
    assert (found.value, found.n, found.unit) == (0.8, 10, "images")
    assert found.low < 0.8 < found.high


def test_detectors_agree_by_f1_of_matching_boxes():
    reference = [detections([0, 0, 0.9], [50, 1, 0.8]), detections([0, 0, 0.9])]
    entry = [detections([1, 0, 0.7], [50, 0, 0.6]), detections([0, 0, 0.9], [80, 1, 0.5])]
    found = agreement(entry, reference)
    # Two pairs of three reference detections and four of the entry: 2 * 2 / (3 + 4).
    assert found.value == pytest.approx(4 / 7)
    assert (found.n, found.unit) == (3, "detections")


def test_detections_below_the_threshold_count_on_neither_side():
    reference = [detections([0, 0, 0.9], [50, 0, 0.2])]
    entry = [detections([0, 0, 0.9], [90, 0, 0.2])]
    assert agreement(entry, reference, confidence=0.25).value == 1
    assert agreement(entry, reference).value == 0.5


def test_nothing_to_find_and_nothing_found_agree_on_no_evidence():
    found = agreement([detections()], [detections()])
    assert (found.value, found.n) == (1, 0)


def test_finding_what_the_reference_does_not_is_no_agreement():
    assert agreement([detections([0, 0, 0.9])], [detections()]).value == 0


def test_segmenters_agree_by_the_mean_share_of_equal_pixels():
    reference = [segmentation([[0, 1], [1, 1]]), segmentation([[0, 0]])]
    entry = [segmentation([[0, 1], [1, 0]]), segmentation([[0, 0]])]
    found = agreement(entry, reference)
    assert (found.value, found.n) == (0.875, 2)


def test_a_classifier_that_answers_nan_agrees_with_nothing():
    broken = classification(np.nan, np.nan)
    assert agreement([broken], [classification(0.9, 0.1)]).value == 0


def test_raw_results_and_no_results_have_no_agreement():
    assert agreement([Raw({})], [Raw({})]) is None
    assert agreement([], []) is None


def test_results_that_do_not_belong_together_are_refused():
    with pytest.raises(BadInput, match="1 results for 0"):
        agreement([Raw({})], [])
    with pytest.raises(BadInput, match="A Raw cannot be compared with a Classification"):
        agreement([Raw({})], [classification(1, 0)])
    with pytest.raises(BadInput, match="another size"):
        agreement([segmentation([[0, 1]])], [segmentation([[0], [1]])])
