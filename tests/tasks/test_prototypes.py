"""Masks of prototypes, against the plain way: all cells, then every pixel for itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.tasks.instance_mask import InstanceMask
from edgekit.tasks.prototypes import masks_of
from edgekit.tasks.task import Fit

SIZE, CELLS = (64, 96), (16, 24)


def letterbox(height, width):
    ratio = min(SIZE[0] / height, SIZE[1] / width)
    top, left = (SIZE[0] - round(height * ratio)) // 2, (SIZE[1] - round(width * ratio)) // 2
    return Fit((height, width), SIZE, ratio, ratio, float(left), float(top))


def plainly(prototypes, weights, fit, x, y):
    """Return the logit at the centre of one pixel of the image."""
    logits = np.tensordot(weights, prototypes, 1)
    rows, columns = logits.shape
    u = ((x + 0.5) * fit.scale_x + fit.left) * columns / fit.size[1] - 0.5
    v = ((y + 0.5) * fit.scale_y + fit.top) * rows / fit.size[0] - 0.5
    u, v = np.clip(u, 0, columns - 1), np.clip(v, 0, rows - 1)
    left, top = int(u), int(v)
    right, bottom = min(left + 1, columns - 1), min(top + 1, rows - 1)
    a, b = u - left, v - top
    above = logits[top, left] * (1 - a) + logits[top, right] * a
    below = logits[bottom, left] * (1 - a) + logits[bottom, right] * a
    return above * (1 - b) + below * b


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    height=st.integers(8, 150),
    width=st.integers(8, 150),
)
def test_every_pixel_is_what_interpolation_says(seed, height, width):
    random = np.random.default_rng(seed)
    prototypes = random.normal(size=(5, *CELLS)).astype(np.float32)
    weights = random.normal(size=(1, 5)).astype(np.float32)
    fit = letterbox(height, width)
    corners = np.sort(random.uniform(-0.3, 1.3, (2, 2)) * (width, height), axis=0)
    box = corners.reshape(1, 4).astype(np.float32)
    (mask,) = masks_of(prototypes, weights, box, fit)
    left, top, right, bottom = (
        round(min(max(float(edge), 0.0), limit))
        for edge, limit in zip(box[0], (width, height, width, height), strict=True)
    )
    if right <= left or bottom <= top:
        assert mask.area == 0
        return
    assert (mask.left, mask.top) == (left, top)
    assert mask.pixels.shape == (bottom - top, right - left)
    for _ in range(20):
        x, y = int(random.integers(left, right)), int(random.integers(top, bottom))
        logit = plainly(prototypes, weights[0], fit, x, y)
        if abs(logit) > 0.1:  # OpenCV interpolates at 32nds of a cell
            assert mask.pixels[y - top, x - left] == (logit > 0)


@pytest.mark.parametrize("box", [(-9, 2, -1, 5), (30, 2, 50, 5), (3, 3, 3, 9), (5, 5, 4, 9)])
def test_a_box_without_pixels_has_an_empty_mask(box):
    fit = Fit((20, 30), (20, 30), 1.0, 1.0, 0.0, 0.0)
    ones = np.ones((1, 5, 5), np.float32)
    (mask,) = masks_of(ones, ones[:, 0, :1], np.array([box], np.float32), fit)
    assert (mask.area, mask.polygons()) == (0, ())


def test_outlines_stand_in_pixels_of_the_image_the_largest_first():
    pixels = np.zeros((10, 12), np.uint8)
    pixels[1:3, 1:3] = 1
    pixels[4:9, 5:11] = 1
    mask = InstanceMask(left=100, top=50, pixels=pixels)
    assert mask.area == 4 + 30
    large, small = mask.polygons()
    assert set(large) == {(105, 54), (105, 58), (110, 58), (110, 54)}
    assert set(small) == {(101, 51), (101, 52), (102, 52), (102, 51)}
