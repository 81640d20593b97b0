from __future__ import annotations

import cv2
import numpy as np
import pytest

from edgekit.core.errors import BadInput
from edgekit.tasks.registry import task_for


def segment(task, outputs, image):
    _, fit = task.preprocess(np.zeros((*image, 3), np.uint8))
    return task.postprocess(outputs, fit)


def scores(classes, height, width, seed=0):
    return np.random.default_rng(seed).normal(size=(1, classes, height, width)).astype(np.float32)


@pytest.mark.parametrize("image", [(32, 32), (57, 91), (20, 13), (1, 1)])
@pytest.mark.parametrize("output", [(32, 32), (8, 16)])
def test_the_mask_is_the_argmax_resized_back_nearest(card, image, output):
    array = scores(3, *output)
    found = segment(task_for(card("segmentation", "abc")), {"y": array}, image)
    best = array[0].argmax(axis=0).astype(np.uint8)
    expected = cv2.resize(best, (image[1], image[0]), interpolation=cv2.INTER_NEAREST)
    assert np.array_equal(found.mask, expected)
    assert found.mask.dtype == np.uint8


def test_padding_is_left_out_of_the_mask(card):
    section = {"size": [32, 64], "resize": "letterbox"}
    array = np.zeros((1, 2, 32, 64), np.float32)
    array[0, 1, :, :16] = array[0, 1, :, 48:] = 1  # class 1 in the padding only
    found = segment(task_for(card("segmentation", "ab", preprocess=section)), {"y": array}, (9, 9))
    assert not found.mask.any()


def test_the_grid_holds_the_probabilities_of_every_16th_point(card):
    array = scores(3, 32, 40)
    found = segment(task_for(card("segmentation", "abc")), {"y": array}, (32, 32))
    assert found.grid.shape == (2 * 3, 3)
    assert found.grid.dtype == np.float16
    point = np.exp(array[0, :, 16, 32]) / np.exp(array[0, :, 16, 32]).sum()
    assert found.grid[5] == pytest.approx(point, abs=1e-3)


def test_channels_may_come_last_where_the_card_says_so(card):
    array = scores(3, 32, 32)
    last = array.transpose(0, 2, 3, 1)
    outputs = {"y": {"shape": [1, 32, 32, 3], "layout": "NHWC"}}
    one = segment(task_for(card("segmentation", "abc")), {"y": array}, (32, 32))
    two = segment(task_for(card("segmentation", "abc", outputs=outputs)), {"y": last}, (32, 32))
    assert np.array_equal(one.mask, two.mask)


def test_a_broken_networks_nan_gives_no_warning(card):
    array = np.full((1, 3, 32, 32), np.nan, np.float32)
    found = segment(task_for(card("segmentation", "abc")), {"y": array}, (8, 8))
    assert np.isnan(found.grid).all()


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (scores(4, 8, 8), ["3 classes", "4"]),
        (scores(4, 8, 8)[0], ["y (4, 8, 8)", "(1, 3, height, width)"]),
        (scores(1, 8, 8), ["y (1, 1, 8, 8)"]),
    ],
)
def test_an_output_that_does_not_fit_is_named(card, array, words):
    with pytest.raises(BadInput) as caught:
        segment(task_for(card("segmentation", "abc")), {"y": array}, (8, 8))
    assert all(word in str(caught.value) for word in words)


def test_a_crop_and_an_unknown_decode_are_refused(card):
    with pytest.raises(BadInput, match="crop"):
        task_for(card("segmentation", preprocess={"resize": "crop"}))
    with pytest.raises(BadInput, match="Did you mean 'argmax'"):
        task_for(card("segmentation", postprocess={"decode": "argmx"}))


@pytest.mark.parametrize("labels", ["abc", ""])
def test_classes_that_come_last_are_not_taken_for_rows(card, labels):
    # Red where the second axis is the classes whatever the shape is: 32 classes of 32 x 3 points.
    array = scores(32, 32, 3)
    with pytest.raises(BadInput, match="y") as caught:
        segment(task_for(card("segmentation", labels)), {"y": array}, (9, 9))
    assert "layout: NHWC" in caught.value.hint
