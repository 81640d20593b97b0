"""Frames keep their size and their pixels; what is found stands on a copy."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.demo.overlay import Overlay, dimmed, head_up
from edgekit.tasks.instance_mask import InstanceMask
from edgekit.tasks.marks import class_colour
from edgekit.tasks.predictions import (
    ClassPrediction,
    MaskPrediction,
    RawPrediction,
    Timings,
    labelled,
)
from edgekit.tasks.results import Detections

TIMES = Timings(0, 0, 0, 0)
SIZES = [(240, 320), (720, 1280), (2160, 3840), (9, 7), (1, 1)]


def near(picture, colour):
    return np.abs(picture.astype(int) - colour).max(axis=-1) < 12


def predictions(boxes, size):
    mask = np.zeros(size, np.uint8)
    mask[size[0] // 2 :] = 1
    labels = ("background", "road")
    return [
        boxes(("cat", 3, 0.9, (1.0, 1.0, size[1] * 0.7, size[0] * 0.7), 12), size=size),
        ClassPrediction(np.array([0.2, 0.8], np.float32), labels, size, TIMES),
        MaskPrediction(mask, labels, size, TIMES),
        RawPrediction({}, TIMES),
    ]


@pytest.mark.parametrize("size", SIZES)
def test_no_prediction_changes_the_size_of_a_frame_or_its_own_pixels(size, boxes, frame_of, plain):
    pixels = plain(128, size)
    for prediction in predictions(boxes, size):
        drawn = Overlay().draw(frame_of(pixels), prediction)
        assert drawn.shape == pixels.shape
        assert drawn is not pixels
        if min(size) > 100 and not isinstance(prediction, RawPrediction):
            assert (drawn != pixels).any()
    assert (pixels == 128).all()


@pytest.mark.parametrize("size", SIZES)
def test_words_over_a_frame_of_any_size_do_not_fail(size, plain):
    pixels = plain(128, size)
    head_up(pixels, ("29.9 fps   inference 12.3 ms   age 35 ms", "a model"))
    still = dimmed(pixels, "reconnecting", "The camera went away. " * 10)
    assert still.shape == pixels.shape
    assert still.mean() < pixels.mean()


def test_a_track_keeps_its_colour_whatever_class_it_is_taken_for(boxes, frame_of, plain):
    for index in (0, 1):
        found = boxes(("cat", index, 0.9, (100.0, 80.0, 200.0, 200.0), 7))
        drawn = Overlay().draw(frame_of(plain(128)), found)
        assert near(drawn[100:200, 100], class_colour(7)).mean() > 0.9


def test_a_track_leaves_a_trail_that_ends_after_a_second(boxes, frame_of, plain):
    overlay = Overlay()
    for step in range(5):
        left = 20.0 + 40 * step
        found = boxes(("cat", 0, 0.9, (left, 80.0, left + 20, 200.0), 7))
        drawn = overlay.draw(frame_of(plain(128), step, step * 0.1), found)
    assert near(drawn[198:203, 40:180], class_colour(7)).any(axis=0).all()
    late = overlay.draw(frame_of(plain(128), 9, 1.9), found)
    assert not near(late[198:203, 40:170], class_colour(7)).any()


def test_a_track_that_is_gone_is_forgotten(boxes, frame_of, plain):
    overlay = Overlay()
    for number in range(50):
        found = boxes(("cat", 0, 0.9, (20.0, 80.0, 40.0, 200.0), number))
        overlay.draw(frame_of(plain(128), number, float(number)), found)
    assert len(overlay._trails) < 5


def test_masks_and_keypoints_of_objects_are_drawn(frame_of, plain):
    mask = InstanceMask(100, 80, np.ones((100, 60), np.uint8))
    points = tuple((100.0 + 10 * each, 200.0, 0.9) for each in range(17))
    result = Detections(
        np.array([[100.0, 80.0, 160.0, 180.0]], np.float32),
        np.array([0.9], np.float32),
        np.array([3]),
        (mask,),
        np.array([points], np.float32),
    )
    drawn = Overlay().draw(frame_of(plain(128)), labelled(result, (), (240, 320), TIMES))
    middle = drawn[130, 130].astype(int)
    assert (np.sign(middle - 128) == np.sign(np.array(class_colour(3)) - 128)).all()
    assert near(drawn[195:205, 95:275], class_colour(3)).sum() > 100
    assert (drawn[130, 200] == 128).all()


def test_a_far_box_of_a_track_draws_nothing_and_fails_nothing(boxes, frame_of, plain):
    overlay = Overlay()
    for step in range(2):
        found = boxes(("cat", 0, 0.9, (-1e30, -1e30, 1e30, 1e30), 1))
        overlay.draw(frame_of(plain(128), step, step * 0.1), found)


def test_the_head_up_line_leaves_the_upper_half_alone(plain):
    pixels = plain(128)
    head_up(pixels, ("29.9 fps", "live"))
    assert (pixels[:120] == 128).all()
    assert pixels[120:].max() > 240


def test_the_banner_is_read_in_the_middle(plain):
    still = dimmed(plain(200), "stalled", "No frame for 2 s.")
    assert still[90:150].max() > 180
    assert still[:40].max() < 80
