"""Parity of lists of detections: order and tail are nothing, other objects are everything."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.benchmarks.alignment import align_detections, is_detections
from edgekit.core.card import ModelCard, Postprocess, Preprocess
from edgekit.core.parity import SQNR_LIMIT_DB, ParityMeter

CARD = ModelCard(
    task="detection",
    preprocess=Preprocess(size=(200, 400)),
    postprocess=Postprocess(decode="end2end", confidence=0.25),
)
ROWS = 30


def detections(seed, count=20, low=0.3):
    """One image: `count` boxes apart from each other, best first, then zeros."""
    random = np.random.default_rng(seed)
    rows = np.zeros((1, ROWS, 6), np.float32)
    cells = random.permutation(8 * 8)[:count]
    rows[0, :count, 0] = cells % 8 * 50 + random.uniform(0, 5, count)
    rows[0, :count, 1] = cells // 8 * 25 + random.uniform(0, 5, count)
    rows[0, :count, 2] = rows[0, :count, 0] + random.uniform(20, 40, count)
    rows[0, :count, 3] = rows[0, :count, 1] + random.uniform(10, 18, count)
    rows[0, :count, 4] = np.sort(random.uniform(low, 0.99, count))[::-1]
    rows[0, :count, 5] = random.integers(0, 3, count)
    return rows


def sqnr(expected, got):
    meter = ParityMeter()
    for one, other in zip(*align_detections(expected, got, CARD), strict=True):
        meter.add(one, other)
    return meter.result().sqnr_db


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_order_is_no_difference(seed):
    expected = detections(seed)
    got = expected.copy()
    got[0, :20] = got[0, np.random.default_rng(seed).permutation(20)]
    assert sqnr([expected], [got]) == 300


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_tail_below_the_confidence_is_no_difference(seed):
    expected, got = detections(seed), detections(seed)
    expected[0, 20:] = detections(seed + 1, ROWS, low=0.02)[0, 20:] * [1, 1, 1, 1, 0.2, 1]
    assert sqnr([expected], [got]) == 300


def test_a_score_that_crosses_the_confidence_still_has_its_partner():
    expected, got = detections(0), detections(0)
    expected[0, 19, 4], got[0, 19, 4] = 0.26, 0.24
    one, other = align_detections([expected], [got], CARD)
    assert one[0].shape[1] == 20
    assert np.abs(one[0] - other[0]).max() == pytest.approx(0.02)


@pytest.mark.parametrize("pixels", [0.01, 0.1, 1.0])
def test_the_figure_is_that_of_boxes_and_scores(pixels):
    random = np.random.default_rng(0)
    expected = [detections(seed) for seed in range(4)]
    got = [one.copy() for one in expected]
    for one in got:
        one[0, :20, :4] += random.normal(0, pixels, (20, 4))
    # Coordinates are fractions of 400, of about 0.5; scores of about 0.65 are exact.
    signal = np.mean([np.square(one[0, :20, :4] / 400).sum() for one in expected]) + 20 * 0.65**2
    noise = 80 * (pixels / 400) ** 2
    assert sqnr(expected, got) == pytest.approx(10 * np.log10(signal / noise), abs=1)


def test_wrong_scores_of_the_right_boxes_are_seen():
    expected, got = detections(0), detections(0)
    got[0, :20, 4] *= 0.5
    assert sqnr([expected], [got]) < SQNR_LIMIT_DB["int8"]


def test_a_few_that_only_one_side_found_are_left_to_agreement():
    expected, got = detections(0), detections(0)
    expected[0, 3] = 0
    got[0, 7, 5] += 1
    assert sqnr([expected], [got]) == 300


@pytest.mark.parametrize("lost", [12, 20])
def test_most_of_them_lost_is_no_parity(lost):
    expected, got = detections(0), detections(0)
    got[0, :lost] = 0
    assert sqnr([expected], [got]) < SQNR_LIMIT_DB["int8"]
    assert sqnr([got], [expected]) < SQNR_LIMIT_DB["int8"]


def test_all_of_them_shifted_is_no_parity():
    expected, got = detections(0), detections(0)
    got[0, :20, [0, 2]] += 40
    assert sqnr([expected], [got]) < SQNR_LIMIT_DB["int8"]


def test_something_where_the_reference_sees_nothing_is_no_parity():
    nothing = np.zeros((1, ROWS, 6), np.float32)
    assert sqnr([nothing], [detections(0)]) < 0
    assert sqnr([nothing], [nothing]) == 300


def test_one_image_of_many_may_differ_wholly():
    expected = [detections(seed) for seed in range(5)]
    got = [one.copy() for one in expected]
    got[2][:] = 0
    assert sqnr(expected, got) == 300


def test_where_nothing_is_confident_the_best_rows_count():
    expected = detections(0, low=0.02)
    expected[0, :20, 4] *= 0.2
    got = expected.copy()
    got[0, :20, 4] *= 0.5
    assert sqnr([expected], [got]) < 25
    one, _ = align_detections([expected], [expected], CARD)
    assert one[0].shape[1] == 10


def test_a_batch_is_aligned_image_by_image():
    expected = np.concatenate([detections(0), detections(1, 5), detections(2, 0)])
    got = expected.copy()
    got[0, :20], got[1, :5] = got[0, 19::-1], got[1, 4::-1]
    one, other = align_detections([expected], [got], CARD)
    assert one[0].shape == (3, 20, 6)
    assert np.array_equal(one[0], other[0])
    assert [(image[:, 4] > 0).sum() for image in one[0]] == [20, 5, 0]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_left_to_be_seen(bad):
    expected, got = detections(0), detections(0)
    got[0, 4, 1] = bad
    one, other = align_detections([expected], [got], CARD)
    assert one[0] is expected
    assert other[0] is got


def test_other_shapes_are_left_to_be_seen():
    expected, got = detections(0), detections(0)[:, :5]
    one, other = align_detections([expected], [got], CARD)
    assert one[0] is expected
    assert other[0] is got


def test_a_list_of_detections_is_known_by_its_shape():
    assert is_detections(np.zeros((2, 5, 6)), CARD)
    assert not is_detections(np.zeros((2, 5, 7)), CARD)
    assert not is_detections(np.zeros((5, 6)), CARD)


def test_rows_with_keypoints_are_aligned_as_a_whole():
    rules = Postprocess(decode="end2end-pose", confidence=0.25, keypoints=(2, 3))
    card = ModelCard(task="detection", preprocess=CARD.preprocess, postprocess=rules)
    points = np.random.default_rng(1).uniform(0, 200, (1, ROWS, 6)).astype(np.float32)
    expected = np.concatenate([detections(0), points], axis=2)
    got = expected.copy()
    got[0, :20] = got[0, 19::-1]
    one, other = align_detections([expected], [got], card)
    assert np.array_equal(one[0], other[0])
    assert np.allclose(one[0][0, :, 6:8], points[0, :20, :2] / 400)
    assert np.allclose(one[0][0, :, 8], points[0, :20, 2])
    assert is_detections(expected, card)
    assert not is_detections(detections(0), card)


def test_rows_with_masks_are_known_by_their_card():
    rules = Postprocess(decode="end2end-segment")
    card = ModelCard(task="detection", preprocess=CARD.preprocess, postprocess=rules)
    assert is_detections(np.zeros((1, 5, 38)), card)
    assert not is_detections(np.zeros((1, 32, 8, 8)), card)


@pytest.mark.parametrize("decode", ["rtdetr", "rtdetr-end2end"])
def test_rtdetrs_queries_have_no_order_either(decode):
    # Its encoder takes the 300 best places, and rounding swaps two whose scores are nearly equal.
    card = ModelCard(
        task="detection",
        labels=("a", "b", "c"),
        preprocess=Preprocess(size=(200, 400)),
        postprocess=Postprocess(decode=decode, confidence=0.25),
    )
    rows = detections(0)
    centres = (rows[..., :2] + rows[..., 2:4]) / 2 / [400, 200]
    sizes = (rows[..., 2:4] - rows[..., :2]) / [400, 200]
    last = (
        rows[..., 4:]
        if decode.endswith("end2end")
        else rows[..., 4:5] * np.eye(3)[rows[..., 5].astype(int)]
    )
    expected = np.concatenate([centres, sizes, last], axis=2)
    assert is_detections(expected, card)

    def db(got):
        meter = ParityMeter()
        for one, other in zip(*align_detections([expected], [got], card), strict=True):
            meter.add(one, other)
        return meter.result().sqnr_db

    assert db(expected[:, np.random.default_rng(1).permutation(ROWS)]) == 300
    worse = expected.copy()
    worse[..., 0] += 0.01
    assert db(worse) < 60
    other = expected.copy()
    other[..., :4] = other[..., [1, 0, 3, 2]]
    assert db(other) < 10
