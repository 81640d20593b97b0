"""A stamp is read back from what a screen shows, and from nothing else."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.demo.stamp import Stamp, draw_stamp, read_stamp, stamp_height

TIMES = st.integers(1, (1 << 44) - 1)


def _picture(size, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


@given(milliseconds=TIMES, number=st.integers(0, 10**9), width=st.integers(640, 1920))
def test_reads_what_was_written(milliseconds, number, width):
    picture = _picture((200, width))
    draw_stamp(picture, milliseconds, number)
    assert read_stamp(picture) == Stamp(milliseconds, number % 4096)


@pytest.mark.parametrize("shown", [1920, 1280, 1000, 640, 480])
def test_survives_scaling_and_jpeg(shown):
    picture = _picture((720, 1280))
    draw_stamp(picture, 1_795_728_314_196, 77)
    scaled = cv2.resize(picture, (shown, shown * 720 // 1280), interpolation=cv2.INTER_LINEAR)
    _, jpeg = cv2.imencode(".jpg", scaled, [cv2.IMWRITE_JPEG_QUALITY, 60])
    assert read_stamp(cv2.imdecode(jpeg, cv2.IMREAD_COLOR)) == Stamp(1_795_728_314_196, 77)


def test_a_flipped_cell_is_no_other_time():
    picture = np.zeros((720, 1280, 3), np.uint8)
    draw_stamp(picture, 1_795_728_314_196, 77)
    top = 720 - stamp_height(1280)
    cell = 1280 / 3 / 32
    columns = slice(round(20 * cell), round(21 * cell))
    picture[top : top + stamp_height(1280) // 2, columns] ^= 255
    assert read_stamp(picture) is None


@pytest.mark.parametrize("grey", [0, 127, 255])
def test_a_picture_without_a_stamp_has_none(grey):
    assert read_stamp(np.full((720, 1280, 3), grey, np.uint8)) is None


def test_only_the_strip_is_written():
    picture = _picture((720, 1280))
    before = picture.copy()
    draw_stamp(picture, 1, 1)
    changed = (picture != before).any(axis=2)
    rows, columns = np.nonzero(changed)
    assert rows.min() >= 720 - stamp_height(1280)
    assert columns.max() < round(1280 / 3)
