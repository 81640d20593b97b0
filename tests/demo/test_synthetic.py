"""The generated camera: the same scenes every time, on time, with a truth that is true."""

from __future__ import annotations

import time
from itertools import pairwise

import numpy as np
import pytest

from edgekit.core.errors import BadInput
from edgekit.demo.stamp import read_stamp, stamp_height
from edgekit.demo.synthetic import SyntheticSource
from edgekit.pipeline.frame import FrameRequest
from edgekit.pipeline.source import SourceEnded

SMALL = FrameRequest(size=(640, 360))


def _opened(wanted=SMALL, **options):
    source = SyntheticSource(wanted, **options)
    source.open()
    return source


def test_the_same_seed_gives_the_same_film():
    one, other, third = (_opened(live=False, seed=seed) for seed in (1, 1, 2))
    for number in (0, 50):
        picture, truth = one.draw(number)
        again, _ = other.draw(number)
        assert (picture == again).all()
        assert (picture != third.draw(number)[0]).any()
        assert len(truth.boxes) > 0


def test_objects_move_and_stay_inside_above_the_stamp():
    source = _opened(live=False)
    first, last = source.draw(0)[1], source.draw(45)[1]
    assert not np.array_equal(first.boxes, last.boxes)
    floor = 360 - stamp_height(640)
    for number in range(0, 600, 7):
        boxes = source.draw(number)[1].boxes
        assert (boxes[:, :2] >= 0).all()
        assert (boxes[:, 2] <= 640).all()
        assert (boxes[:, 3] <= floor).all()
        assert (boxes[:, 2:] > boxes[:, :2]).all()


def test_the_truth_tells_where_the_picture_differs_from_the_background():
    source = _opened(live=False)
    picture, truth = source.draw(3)
    empty = source._background
    assert empty is not None
    inside = np.zeros(picture.shape[:2], bool)
    for x1, y1, x2, y2 in truth.boxes.astype(int):
        inside[y1:y2, x1:x2] = True
        assert (picture[y1:y2, x1:x2] != empty[y1:y2, x1:x2]).any()
    # What lies outside every box is background, but for objects that are mostly hidden.
    changed = (np.abs(picture.astype(int) - empty).max(axis=2) > 40) & ~inside
    assert changed.mean() < 0.01


def test_every_frame_carries_the_moment_it_was_drawn():
    source = _opened(FrameRequest(size=(1280, 720)), live=False)
    before = time.time_ns() // 1_000_000
    frame = source.read()
    stamp = read_stamp(frame.pixels)
    assert stamp is not None
    assert before <= stamp.milliseconds <= time.time_ns() // 1_000_000
    assert stamp.number == frame.number == 0
    assert frame.truth is not None


def test_a_slow_reader_loses_frames_and_sees_no_old_ones():
    source = _opened(FrameRequest(size=(640, 360), rate=100))
    first = source.read()
    time.sleep(0.2)
    second = source.read()
    assert second.number >= first.number + 15
    assert second.captured_ns - first.captured_ns >= 0.15e9


def test_keeps_its_rate():
    source = _opened(FrameRequest(size=(640, 360), rate=50))
    frames = [source.read() for _ in range(6)]
    for earlier, later in pairwise(frames):
        gap = later.captured_ns - earlier.captured_ns
        # A busy machine makes frames late or lost, never early.
        assert later.number > earlier.number
        assert gap > 0
    span = frames[-1].captured_ns - source._start_ns
    assert span >= 0.95 * frames[-1].number / 50 * 1e9


def test_every_frame_comes_as_fast_as_it_is_taken_and_then_it_ends():
    source = _opened(live=False, frames=5)
    assert [source.read().number for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(SourceEnded):
        source.read()


def test_an_interrupted_wait_ends_at_once():
    source = _opened(FrameRequest(size=(160, 120), rate=0.01))
    source.read()
    source.interrupt()
    with pytest.raises(SourceEnded):
        source.read()


@pytest.mark.parametrize("wanted", [FrameRequest(size=(100, 100)), FrameRequest(rate=-1.0)])
def test_impossible_wishes_get_a_sentence(wanted):
    with pytest.raises(BadInput, match="at least|above 0"):
        SyntheticSource(wanted)
