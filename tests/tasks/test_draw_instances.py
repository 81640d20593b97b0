"""Masks and keypoints on a picture."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.tasks.draw import class_colour, draw
from edgekit.tasks.draw_instances import draw_instance
from edgekit.tasks.instance_mask import InstanceMask
from edgekit.tasks.predictions import BoxPrediction, Detection, Timings

TINT = (200, 40, 0)


def one(mask=None, keypoints=None):
    return Detection("cat", 2, 0.9, (10.0, 10.0, 40.0, 40.0), mask=mask, keypoints=keypoints)


def grey(height=120, width=160):
    return np.full((height, width, 3), 100, np.uint8)


@pytest.mark.parametrize("zoom", [1, 3])
def test_a_mask_tints_its_pixels_and_no_others(zoom):
    pixels = np.zeros((6, 8), np.uint8)
    pixels[2:4, 3:7] = 1
    canvas = grey(40 * zoom, 60 * zoom)
    draw_instance(canvas, one(InstanceMask(20, 10, pixels)), TINT, zoom=zoom)
    changed = (canvas != 100).any(axis=2)
    expected = np.zeros((40, 60), bool)
    expected[12:14, 23:27] = True
    assert np.array_equal(changed, np.kron(expected, np.ones((zoom, zoom), bool)))
    blue, green, red = canvas[12 * zoom, 23 * zoom].tolist()
    assert blue > 100 > green > red


def test_keypoints_that_show_are_dots_and_those_of_a_person_are_joined():
    canvas = grey()
    draw_instance(canvas, one(None, ((50.0, 60.0, 0.9), (90.0, 60.0, 0.2))), TINT)
    assert (canvas[60, 50] == TINT).all()
    assert (canvas[:, 70:] == 100).all()
    points = [(0.0, 0.0, 0.0)] * 17
    points[5], points[7] = (40.0, 60.0, 1.0), (120.0, 60.0, 1.0)
    canvas = grey()
    draw_instance(canvas, one(None, tuple(points)), TINT)
    assert (canvas[60, 55:105] != 100).any(axis=1).all()


@pytest.mark.parametrize("place", [(np.nan, 3.0, 1.0), (1e12, 3.0, 1.0), (np.inf, -np.inf, 1.0)])
def test_a_keypoint_far_outside_is_left_out(place):
    canvas = grey()
    draw_instance(canvas, one(None, (place,)), TINT)
    assert (canvas == 100).all()


def test_draw_shows_them_with_the_box():
    mask = InstanceMask(12, 12, np.ones((20, 20), np.uint8))
    prediction = BoxPrediction((one(mask),), (200, 300), Timings(0, 0, 0, 0))
    drawn = draw(np.full((200, 300, 3), 100, np.uint8), prediction)
    tint = class_colour(2)
    assert np.abs(drawn[30, 25].astype(int) - (55 + 0.45 * np.array(tint))).max() < 2
