"""How far two answers to one image are apart, and what is kept of them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edgekit.benchmarks.differing import answer_of, difference, most_differing, truth_of
from edgekit.tasks.results import Classification, Detections, Raw, Segmentation
from edgekit.tasks.samples import make_boxes


def classified(*probabilities):
    return Classification(np.array(probabilities, np.float32))


def detected(*rows):
    table = np.array(rows, np.float32).reshape(-1, 6)
    return Detections(table[:, :4], table[:, 4], table[:, 5].astype(np.int64))


def segmented(rows):
    return Segmentation(np.array(rows, np.uint8), np.zeros((1, 2), np.float16))


@pytest.mark.parametrize(
    ("one", "other", "far"),
    [
        (classified(0.6, 0.4), classified(0.6, 0.4), 0.0),
        (classified(0.6, 0.4), classified(0.8, 0.2), 0.1),
        (classified(0.6, 0.4), classified(0.4, 0.6), 0.6),
        (classified(np.nan, 0.4), classified(0.4, 0.6), 1.0),
        (classified(0.4, 0.6), classified(np.nan, 0.6), 1.0),
        (detected(), detected(), 0.0),
        (detected((0, 0, 9, 9, 0.9, 1)), detected(), 1.0),
        (detected((0, 0, 9, 9, 0.9, 1)), detected((0, 0, 9, 9, 0.9, 2)), 1.0),
        (detected((0, 0, 10, 10, 0.9, 1)), detected((0, 0, 10, 10, 0.7, 1)), 0.2),
        (detected((0, 0, 10, 10, 0.9, 1)), detected((0, 0, 10, 8, 0.9, 1)), 0.2),
        (segmented([[0, 1], [1, 1]]), segmented([[0, 0], [1, 1]]), 0.25),
        (Raw({}), Raw({}), 0.0),
    ],
)
def test_a_difference_is_between_the_same_and_nothing_in_common(one, other, far):
    assert difference(one, other) == pytest.approx(far, abs=1e-6)
    assert difference(other, one) == pytest.approx(far, abs=1e-6)


def test_detections_below_the_confidence_make_no_difference():
    weak = detected((0, 0, 9, 9, 0.1, 1))
    assert difference(weak, detected(), confidence=0.25) == 0
    assert answer_of(weak, 0.25).scores == ()


def test_the_most_different_stand_first_and_rounding_is_left_out():
    reference = [classified(0.6, 0.4)] * 4
    results = [classified(0.6001, 0.3999), classified(0.9, 0.1), classified(0.1, 0.9), reference[0]]
    assert [at for at, _ in most_differing(results, reference)] == [2, 1]
    assert [at for at, _ in most_differing(results, reference, most=1)] == [2]


def test_an_image_whose_answer_flips_stands_before_one_that_moves_more():
    reference = [classified(0.51, 0.49), classified(0.99, 0.01)]
    results = [classified(0.49, 0.51), classified(0.55, 0.45)]
    assert [at for at, _ in most_differing(results, reference)] == [0, 1]


def test_only_so_much_of_an_answer_is_kept():
    many = detected(*[(0, 0, 9, 9, 0.9, at) for at in range(60)])
    kept = answer_of(many)
    assert (len(kept.boxes), kept.more) == (50, 10)
    probabilities = np.linspace(0, 1, 1000, dtype=np.float32)
    assert answer_of(Classification(probabilities)).classes == (999, 998, 997, 996, 995)


def test_what_is_not_finite_is_not_kept():
    assert answer_of(classified(np.nan, 1)).classes == ()
    assert answer_of(detected((0, 0, np.inf, 9, 0.9, 0), (0, 0, 9, 9, 0.5, 1))).classes == (1,)


def test_a_mask_is_kept_small_and_its_classes_are_told():
    mask = np.zeros((600, 400), np.uint8)
    mask[:150] = 7
    kept = answer_of(Segmentation(mask, np.zeros((1, 8), np.float16)))
    small = cv2.imdecode(np.frombuffer(kept.png, np.uint8), cv2.IMREAD_UNCHANGED)
    assert small.shape == (160, 107)
    assert set(np.unique(small)) == {0, 7}
    assert (kept.classes, kept.shares) == ((0, 7), (0.75, 0.25))


def test_a_label_has_the_form_of_an_answer():
    assert truth_of(None) is None
    assert truth_of(3).classes == (3,)
    assert truth_of(make_boxes([[0, 0, 4, 4]], [2])).scores == (1.0,)
    ignored = truth_of(np.array([[255, 1]], np.uint8))
    assert (ignored.classes, ignored.shares) == ((1,), (0.5,))


def test_a_model_without_a_task_has_no_answer_to_keep():
    assert answer_of(Raw({})) is None
